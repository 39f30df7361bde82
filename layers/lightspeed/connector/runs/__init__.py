"""Runs as they were stored: one, the newest, or those of a day."""
