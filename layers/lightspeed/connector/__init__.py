"""The bundle's AWS side, shared by its functions: settings, connections, transformers, problems."""

import sys
from importlib.util import find_spec

INSTALL = "pip install -r layers/lightspeed/requirements.txt -r requirements-operator.txt"
"""What the command lines need, from the repository's folder."""

if sys.argv[0] == "-m":  # `python -m connector` or `python -m connector.transform` looks for its module
    for _package in ("msgspec", "requests", "jsonata", "zlib_ng", "deflate", "aws_lambda_powertools"):
        if find_spec(_package) is None:
            sys.exit(f"connector: the Python package {_package!r} is missing; install it with: {INSTALL}")
