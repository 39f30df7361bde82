"""`python -m lightspeed`: the client on the command line."""

from lightspeed.cli.main import run

run()
