"""The skeleton of a run of any mode: start, budget, state, cursor, journal and end."""
