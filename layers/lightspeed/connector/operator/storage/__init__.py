"""Rewrite the stored runs: merge the runs of a day, and delete data."""
