"""The tests, and the simulated shop that they share."""
