"""The command `estimate`: prints an estimate as a short table or as JSON."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from datetime import UTC, datetime

from lightspeed.catalogue.entities import get_entity
from lightspeed.catalogue.model import Endpoint
from lightspeed.cli.arguments import CommandError, read_parameters
from lightspeed.cli.output import json_text, table
from lightspeed.cli.session import check_all_parents, open_client
from lightspeed.estimate import Estimate, ListCounter, Span, estimate
from lightspeed.listing.read_operation import check_parameters, listed_entity
from lightspeed.request import given_time

_NAMES = {"pages": "page", "counts": "count", "children": "parent", "single": "record"}


def print_estimate(arguments: argparse.Namespace) -> None:
    """Count the records that the command names, and print the requests and minutes of reading them.

    Raises:
        CommandError: The command is wrong; nothing was sent.
        CatalogueError: Entity or parameters are wrong; nothing was sent.
        LightspeedError: A request failed.
    """
    client = open_client(arguments, arguments.clock)
    endpoint, parameters = get_entity(arguments.entity), read_parameters(arguments)
    check_all_parents(endpoint, parameters)
    listed = listed_entity(endpoint, parameters.path)
    span = _span(arguments, listed, datetime.fromtimestamp(client.transport.clock.time(), UTC))
    check_parameters(client, endpoint, parameters)
    if "page" in parameters.query:
        raise CommandError("--query page is not needed: every page is read")
    counter = ListCounter(client)
    found = estimate(
        [counter.reading(endpoint, parameters, client.transport.connection.language, span)],
        counter.quota,
        reserve_percent=arguments.reserve_percent,
        page_seconds=counter.slowest_seconds,
        recounts=counter.recounts,
    )
    sys.stdout.write(json_text(asdict(found)) if arguments.json else _text(found))


def _span(arguments: argparse.Namespace, listed: Endpoint, now: datetime) -> Span:
    if not 0 <= arguments.reserve_percent <= 100:
        raise CommandError("--reserve-percent must be from 0 to 100")
    if arguments.mode == "full":
        if arguments.since is not None:
            raise CommandError("--since is for --mode incremental")
        return Span(now)
    if listed.incremental is None:
        raise CommandError(f"{listed.name} cannot be read incrementally: it has no time filter; use --mode full")
    try:
        start = None if arguments.since is None else given_time(arguments.since)
    except ValueError as error:
        raise CommandError(f"--since {error}") from None
    return Span(now, start, incremental=True)


def _text(found: Estimate) -> str:
    """Return an estimate as a short table."""
    kinds = ", ".join(
        f"{number:,} {_NAMES[kind]}{'s' * (number > 1)}"
        for kind, number in found.requests.items()
        if number and kind in _NAMES
    )
    rows = [
        ("records", "not known" if found.records is None else f"{found.records:,}"),
        ("requests", f"{found.requests['total']:,} ({kinds})"),
    ]
    rows += [("quota", _window_text(window)) for window in found.quota] or [("quota", "not known")]
    if found.minutes is None:
        rows.append(("waits for", f"the {found.binding} window, for ever"))
    else:
        rows.append(("waits for", f"the {found.binding} window" if found.binding else "no window"))
        least = f"{found.minutes:,.1f} minutes" if found.minutes >= 1 else f"{found.minutes * 60:.0f} s"
        rows.append(("time", f"at least {least}"))
    rows += [("at least", text) for text in found.lower_bounds]
    rows += [("assumed", text) for text in found.assumptions]
    return table(rows)


def _window_text(window: dict[str, object]) -> str:
    needed = window["windows"]
    windows = f"needs {needed} window{'' if needed == 1 else 's'}" if needed is not None else "is never enough"
    return (
        f"{window['name']}: {window['left']:,} of {window['limit']:,} requests left above the reserve of "
        f"{window['reserve']:,g}; {windows}"
    )
