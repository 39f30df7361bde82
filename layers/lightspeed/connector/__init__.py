"""The bundle's AWS side, shared by its functions and the operator's command line.

A package imports only from packages and modules below it:

- `operator`: the command line, `python -m connector`.
- `status`: whether everything works.
- `webhooks`: webhooks as they are stored, and how often they start runs.
- `transform`, `costs` and the module `clients`: transformers, prices, and what an execution environment opens once.
- `runs`, `http`, `connections`, `rate`: stored runs, the HTTP API, credentials of shops, requests per second.
- `aws`, `settings`, `validation`: the bucket and other services, the environment, checks of events.
- Single modules for keys, times, chunks, logging and errors.
"""

import sys
from importlib.util import find_spec

INSTALL = "pip install -r layers/lightspeed/requirements.txt -r requirements-operator.txt"
"""What the command lines need, from the repository's folder."""

if sys.argv[0] == "-m":  # `python -m connector` or `python -m connector.transform` looks for its module
    for _package in ("msgspec", "requests", "jsonata", "zlib_ng", "deflate", "aws_lambda_powertools"):
        if find_spec(_package) is None:
            sys.exit(f"connector: the Python package {_package!r} is missing; install it with: {INSTALL}")
