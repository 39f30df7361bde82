"""Change what is stored: make one run of many, and delete data."""
