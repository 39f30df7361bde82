"""Modes full and incremental: read the shop, store its records, move the bookmark."""
