"""`python -m connector`: the operator's command line."""

import sys

from connector import INSTALL

try:
    from connector.operator.main import main

    sys.exit(main())
except ModuleNotFoundError as error:
    sys.exit(f"connector: the Python package {error.name!r} is missing; install it with: {INSTALL}")
