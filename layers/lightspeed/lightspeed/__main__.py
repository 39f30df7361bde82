"""`python -m lightspeed`: the client on the command line."""

import os

from lightspeed.cli.main import INTERRUPTED, TERMINATED, main

status = main()
if status in (INTERRUPTED, TERMINATED):
    os._exit(status)  # without waiting for pages that are still under way
raise SystemExit(status)
