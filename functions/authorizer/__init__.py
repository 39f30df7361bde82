"""Decides whether a request to the HTTP API may pass."""
