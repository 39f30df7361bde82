"""The command `sync`: a run of the subscribe function into a folder.

The run is code of the bundle, which imports this package. So the command imports it only when it runs.
"""

from __future__ import annotations

import argparse
import importlib

from lightspeed.cli.arguments import CommandError


def sync(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status.

    Raises:
        CommandError: The bundle's code, or a package that it needs, is missing.
    """
    try:
        local = importlib.import_module("subscribe.local")
    except ModuleNotFoundError as error:
        if error.name == "subscribe":
            place = "set PYTHONPATH=functions:layers/lightspeed in its repository"
            raise CommandError(f"sync is code of the bundle: {place}") from error
        advice = "install it with: pip install -r layers/lightspeed/requirements.txt -r requirements-operator.txt"
        raise CommandError(f"the Python package {error.name!r} is missing; {advice}") from error
    status: int = local.main(arguments.words, clock=arguments.clock)
    return status
