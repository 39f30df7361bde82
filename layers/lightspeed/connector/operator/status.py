"""`status`: whether everything works, as a table, as JSON or as a page.

Examples:
  python -m connector status
  python -m connector status --html status.html
  python -m connector status --json | jq .actions
exit status: 0 nothing is red, 1 something is
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.aws.errors import aws_error_types
from connector.operator.data.catalog import APPLY, missing_in_athena
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
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    found = stack_status(stack.aws, stack.settings, stack.clock, stack.shop, _catalog(stack))
    if arguments.html is not None:
        try:
            arguments.html.write_text(page(found), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{arguments.html} cannot be written: {error.strerror}") from error
    if arguments.json:
        print(json.dumps(found, indent=2))
    elif arguments.html is None:
        show(found)
    else:
        print(f"wrote {arguments.html}")
    return 1 if found["level"] == "red" else 0


def _catalog(stack: Stack) -> list[dict[str, str]]:
    """Return an action for everything that is stored and not visible in Athena, if the stack has a catalogue."""
    database = stack.outputs.get("CatalogDatabase")
    if not database:
        return []
    try:
        lines = missing_in_athena(stack.client("glue"), database, stack.bucket)
    except aws_error_types() as error:
        why = f"the tables cannot be looked at: {error!s:.300}"
        return [{"level": "warning", "what": "Athena", "why": why, "command": ""}]
    return [{"level": "red", "what": "Athena", "why": line, "command": APPLY} for line in lines]


def show(found: Mapping[str, Any]) -> None:
    """Print the status as tables, worst first."""
    from rich.console import Console  # noqa: PLC0415 - only this form needs it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def text(value: object, tone: str = "") -> Text:
        return Text(printable(value), style=tone)

    console = Console()
    for one in found["actions"]:
        console.print(text(f"{one['what']}: {one['why']}", _TONES[one["level"]]))
        if one["command"]:
            console.print(text(f"  {one['command']}"))
    table = Table(box=None, pad_edge=False)
    for name in ("subscription", "last run", "behind", "records", f"{DAYS} days", "next run"):
        table.add_column(name, no_wrap=name != "subscription", overflow="fold")
    for one in found["subscriptions"]:
        run, lag, after = one["last_run"], one["lag_seconds"], one["next_run_at"]
        ago = "none yet" if run is None else f"{_between(run['finished'], found['at'])} ago"
        table.add_row(
            text(f"{one['connection']}.{one['name']}", _TONES[one["level"]]),
            text(ago + ("" if run is None or run["verified"] else ", not verified")),
            text("" if lag is None else duration(lag)),
            text(f"{sum(one['records_per_day']):,}"),
            text(_spark(one["records_per_day"])),
            text("paused" if one["paused"] else "" if after is None else f"in {_between(found['at'], after)}"),
        )
    if found["subscriptions"]:
        console.print(table)
    else:
        console.print("nothing is read yet: python -m connector apply subscriptions.toml")
    for one in found["shops"]:
        quota = ", ".join(f"{each['name']} {each['used']:,} of {each['limit']:,} used" for each in one["quota"])
        console.print(text(f"shop {one['connection']}: {quota or one['why'] or 'good'}", _TONES[one["level"]]))
    for one in found["arrivals"]:
        if one["changes"]:
            how = f"{one['webhook']:,} by webhook, {one['both']:,} by both, {one['poll']:,} by schedule"
            console.print(text(f"{one['connection']}.{one['subscription']} on {one['date']}: {how}"))


def _between(start: str, end: str) -> str:
    return duration((parse_time(end) - parse_time(start)).total_seconds())


def _spark(counts: list[int]) -> str:
    most = max([*counts, 1])
    return "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // most)] for count in counts)
