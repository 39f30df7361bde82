"""What every run has, whatever its mode: cursor, budget, start and end."""
