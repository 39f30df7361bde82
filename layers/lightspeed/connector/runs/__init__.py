"""The stored runs: one by its id, the newest, or those of some days."""
