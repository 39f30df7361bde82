"""Publishes several events at once: in order, with merged updates and bulk requests."""
