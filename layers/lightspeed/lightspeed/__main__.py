"""`python -m lightspeed`: the client on the command line."""

import os

from lightspeed.cli import INTERRUPTED, main

status = main()
if status == INTERRUPTED:
    os._exit(status)  # without waiting for pages that are still under way
raise SystemExit(status)
