"""The parts of a run, and a folder that takes the place of the bucket."""
