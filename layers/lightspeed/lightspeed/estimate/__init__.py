"""Estimate the requests, minutes and cost of a run before it starts."""
