"""Receives the shop's webhooks, and starts the runs that read the changes."""
