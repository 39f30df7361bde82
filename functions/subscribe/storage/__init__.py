"""The parts of a run, and a folder in place of the bucket."""
