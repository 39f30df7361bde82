"""A list of the shop that is hostile on purpose, and an oracle that knows what it holds."""
