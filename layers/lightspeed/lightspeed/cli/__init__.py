"""The command line `python -m lightspeed`."""
