"""Read a whole list without missing a record, while the shop changes."""
