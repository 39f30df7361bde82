"""`status`: whether everything works, as tables, as JSON or as a page.

Examples:
  python -m connector status
  python -m connector status --html status.html
  python -m connector status --json | jq .actions

Exit status: 0 if nothing is red, 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.aws.errors import aws_error_types
from connector.operator.data.athena import missing_in_athena
from connector.operator.data.catalog import APPLY
from connector.operator.parsers import add_command
from connector.operator.stack import CommandError, Stack
from connector.status.page import page
from connector.status.reader import stack_status
from connector.status.subscription import DAYS, duration
from lightspeed.cli.output import printable
from lightspeed.request import parse_time

_TONES = {"red": "bold red", "warning": "yellow", "good": "green", "paused": "dim"}
_BLOCKS = " ▁▂▃▄▅▆▇█"


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "show whether everything works, worst first"
    parser = add_command(commands, common, "status", text, __doc__, _run)
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the status as one HTML page")
    parser.add_argument("--json", action="store_true", help="print the status as JSON")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    status = stack_status(stack.aws, stack.settings, stack.clock, stack.shop, _catalog_actions(stack))
    if arguments.html is not None:
        try:
            arguments.html.write_text(page(status), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{arguments.html} cannot be written: {error.strerror}") from error
    if arguments.json:
        print(json.dumps(status, indent=2))
    elif arguments.html is None:
        show(status)
    else:
        print(f"wrote {arguments.html}")
    return 1 if status["level"] == "red" else 0


def _catalog_actions(stack: Stack) -> list[dict[str, str]]:
    """Return an action for each connection or language that Athena does not show; none without a catalogue."""
    database = stack.outputs.get("CatalogDatabase")
    if not database:
        return []
    try:
        lines = missing_in_athena(stack.client("glue"), database, stack.bucket)
    except aws_error_types() as error:
        why = f"the tables cannot be read: {error!s:.300}"
        return [{"level": "warning", "what": "Athena", "why": why, "command": ""}]
    return [{"level": "red", "what": "Athena", "why": line, "command": APPLY} for line in lines]


def show(status: Mapping[str, Any]) -> None:
    """Print the status as tables, worst first."""
    from rich.console import Console  # noqa: PLC0415 - only this form needs it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def text(value: object, tone: str = "") -> Text:
        return Text(printable(value), style=tone)

    console = Console()
    for action in status["actions"]:
        console.print(text(f"{action['what']}: {action['why']}", _TONES[action["level"]]))
        if action["command"]:
            console.print(text(f"  {action['command']}"))
    table = Table(box=None, pad_edge=False)
    for name in ("subscription", "last run", "behind", "records", f"{DAYS} days", "next run"):
        table.add_column(name, no_wrap=name not in ("subscription", "last run"), overflow="fold")
    for row in status["subscriptions"]:
        run, lag, next_run = row["last_run"], row["lag_seconds"], row["next_run_at"]
        last = "none yet" if run is None else f"{_between(run['finished'], status['at'])} ago"
        starts = "" if next_run is None else f"in {_between(status['at'], next_run)}"
        table.add_row(
            text(f"{row['connection']}.{row['name']}", _TONES[row["level"]]),
            text(last if run is None or run["verified"] else f"{last}, not verified"),
            text("" if lag is None else duration(lag)),
            text(f"{sum(row['records_per_day']):,}"),
            text(_spark(row["records_per_day"])),
            text("paused" if row["paused"] else starts),
        )
    if status["subscriptions"]:
        console.print(table)
    else:
        console.print("no subscription yet: python -m connector apply subscriptions.toml")
    for shop in status["shops"]:
        quota = ", ".join(f"{each['name']} {each['used']:,} of {each['limit']:,} used" for each in shop["quota"])
        console.print(text(f"shop {shop['connection']}: {quota or shop['why'] or 'good'}", _TONES[shop["level"]]))
    for arrival in status["arrivals"]:
        if arrival["changes"]:
            how = f"{arrival['webhook']:,} by webhook, {arrival['both']:,} by both, {arrival['poll']:,} by schedule"
            console.print(text(f"{arrival['connection']}.{arrival['subscription']} on {arrival['date']}: {how}"))


def _between(start: str, end: str) -> str:
    return duration((parse_time(end) - parse_time(start)).total_seconds())


def _spark(counts: list[int]) -> str:
    most = max([*counts, 1])
    return "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // most)] for count in counts)
