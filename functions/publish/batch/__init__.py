"""Several events at once: their order, merged updates, bulk requests."""
