"""`python -m lightspeed`: the client on the command line."""

from lightspeed.cli import main

raise SystemExit(main())
