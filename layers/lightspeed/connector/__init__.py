"""The bundle's AWS side, for its functions and for the operator's command line.

A package imports only from packages and modules below it in this list:

- `operator`: the command line, `python -m connector`.
- `status`: the state of all subscriptions, shops and failure queues.
- `webhooks`: stored webhooks, and how many runs they started.
- `transform`, `costs`, `clients`: transformers, prices, and clients of AWS and of shops.
- `runs`, `http`, `connections`, `rate`: stored runs, the HTTP API, credentials of shops, requests per second.
- `aws`, `settings`, `validation`: the bucket and other services, the environment, checks of events.
- Single modules for keys, times, lists, threads, logging and errors.
"""

import sys
from importlib.util import find_spec

INSTALL = "pip install -r layers/lightspeed/requirements.txt -r requirements-operator.txt"
"""The command that installs what the command lines import, for the repository's folder."""

if sys.argv[0] == "-m":  # `python -m connector` or `python -m connector.transform` is starting
    for _package in ("msgspec", "requests", "jsonata", "zlib_ng", "deflate", "aws_lambda_powertools"):
        if find_spec(_package) is None:
            sys.exit(f"connector: the Python package {_package!r} is missing; install it with: {INSTALL}")
