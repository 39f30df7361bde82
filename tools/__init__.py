"""Programs that make checked-in files."""
