"""Identifies the callers of the HTTP API by their tokens."""
