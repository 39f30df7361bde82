"""`run` starts a run and follows it; `runs` lists the newest runs, or shows one.

Examples:
  python -m connector run events/subscribe-schedule-changed-orders.json
  echo '{"entity": "orders"}' | python -m connector run -
  python -m connector runs --connection outlet --status failed
  python -m connector runs RUN_ID --follow
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from connector.aws.executions import start_execution
from connector.operator.parsers import add_command
from connector.operator.stack import CommandError, OperationFailed, Stack
from connector.runs.lookup import DEFAULT_LIMIT, STATUSES, Query, Runs
from connector.storage_keys import RUN_ID
from connector.timestamps import iso_text
from connector.validation import parse_json
from lightspeed import get_entity
from lightspeed.cli.arguments import read_standard_input
from lightspeed.cli.output import printable

POLL_SECONDS = 2.0
"""The interval between two looks at a run."""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `run` and `runs` to the command line."""
    run = add_command(commands, common, "run", "start a run and follow it", __doc__, _run)
    run.add_argument("file", metavar="EVENT-FILE", help="a subscribe event as JSON; - reads standard input")
    runs = add_command(commands, common, "runs", "list the newest runs, or show one", __doc__, _runs)
    runs.add_argument("id", nargs="?", metavar="RUN_ID", help="show this run")
    runs.add_argument("--follow", action="store_true", help="follow the run until it ends")
    runs.add_argument("--connection", default="", help="only runs of this connection")
    runs.add_argument("--entity", default="", help="only runs of this entity")
    runs.add_argument("--status", choices=STATUSES, default="", help="only runs with this status")
    most = f"list at most N runs (default: {DEFAULT_LIMIT})"
    runs.add_argument("--limit", type=int, default=DEFAULT_LIMIT, metavar="N", help=most)
    runs.add_argument("--json", action="store_true", help="print JSON Lines")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    event = _event(arguments.file)
    run_id = event.pop("run_id", None) or f"{event['entity'].replace('/', '.')}-{uuid.uuid4().hex[:12]}"
    if not (isinstance(run_id, str) and RUN_ID.fullmatch(run_id)):
        raise CommandError(f"run_id has up to 80 letters, digits and . _ = -, not {run_id!r:.100}")
    if not start_execution(stack.client("stepfunctions"), stack.output("SyncStateMachineArn"), run_id, event):
        raise OperationFailed(f"run {run_id} was started before; see python -m connector runs {run_id}")
    print(f"started {run_id}")
    return _follow(stack, run_id)


def _event(name: str) -> dict[str, Any]:
    try:
        text = read_standard_input() if name == "-" else Path(name).read_text(encoding="utf-8")
        event = parse_json(text)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"{name} cannot be read: {error}") from error
    if not isinstance(event, dict) or not isinstance(event.get("entity"), str):
        raise CommandError(f'{name} must hold a subscribe event, such as {{"entity": "orders"}}')
    get_entity(event["entity"])
    if event.get("estimate"):
        raise CommandError(
            f"{name} asks for an estimate, which is no run: POST the event to /subscribe, or invoke the function"
        )
    return event


def _runs(arguments: argparse.Namespace, stack: Stack) -> int:
    lookup = _lookup(stack)
    if arguments.id:
        if arguments.follow:
            return _follow(stack, arguments.id)
        found = lookup.get(arguments.id)
        print(json.dumps(found, indent=2))
        return 1 if found["status"] == "failed" else 0
    asked = {name: str(getattr(arguments, name)) for name in ("connection", "entity", "status", "limit")}
    rows = lookup.page(Query.from_parameters(asked))["runs"]
    for row in rows:
        print(json.dumps(row) if arguments.json else _line(row))
    if not rows and not arguments.json:
        print("no runs")
    return 0


def _line(row: dict[str, Any]) -> str:
    proven = "" if row.get("verified", True) else f"  not verified: {row.get('reason') or 'no reason given'}"
    return printable(
        f"{row['started']:20}  {row['status']:8}  {row['connection']}.{row['entity']:20}  "
        f"{row['records']:>9,} {'record ' if row['records'] == 1 else 'records'}  {row['run_id']}{proven}"
    )


def _follow(stack: Stack, run_id: str) -> int:
    """Show a run's progress until it ends. Ctrl-C leaves the run going."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - only here

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[counts]}"), TimeElapsedColumn())
    found: dict[str, Any] = {}
    try:
        with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
            task = progress.add_task(run_id, total=None, counts="starting")
            for found in _poll(stack, run_id):
                progress.update(task, counts=_counts(found))
    except KeyboardInterrupt:
        print(f"run {run_id} goes on; come back with: python -m connector runs {run_id} --follow")
        raise
    if found["status"] != "complete":
        words = (f"{run_id} {found['status']} at {iso_text(stack.clock.time())}", found.get("error"), _reason(found))
        print(printable(f"{': '.join(filter(None, words)):.600}"))
        if found["status"] == "failed":
            print("python -m connector redrive --dry-run shows what can be sent back")
        return 1
    verified = "verified" if found.get("verified") else f"not verified: {found.get('reason')}"
    print(printable(f"{run_id} complete: {_counts(found)}, {verified}"))
    return 0


def _counts(found: Mapping[str, Any]) -> str:
    numbers = ((found.get("records", 0), "record"), (found.get("requests", 0), "request"))
    return ", ".join(f"{number:,} {word}{'' if number == 1 else 's'}" for number, word in numbers)


def _reason(found: Mapping[str, Any]) -> str:
    """Return why a run failed; empty if its state has no cause. The cause of a Lambda error is JSON with a message."""
    cause = str(found.get("cause") or "")
    try:
        details = json.loads(cause)
    except ValueError:
        return cause
    return str(details.get("errorMessage", cause)) if isinstance(details, dict) else cause


def _poll(stack: Stack, run_id: str) -> Iterator[dict[str, Any]]:
    """Yield the state of a run every two seconds. The last state is the first one that is not `running`."""
    lookup = _lookup(stack)
    while True:
        found = lookup.get(run_id)
        yield found
        if found["status"] != "running":
            return
        stack.clock.sleep(POLL_SECONDS)


def _lookup(stack: Stack) -> Runs:
    return Runs(
        stack.bucket,
        stack.clock,
        step_functions=stack.client("stepfunctions"),
        state_machine_arn=stack.output("SyncStateMachineArn"),
    )
