"""The client on the command line: look at a shop, save a list to a file, write one record.

Exit status: 0 done, 1 the shop refused or could not be reached, 2 the command was wrong, 130 interrupted. Whatever goes
wrong is one line on standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from lightspeed.arguments import CommandError, build_parser
from lightspeed.catalogue import CATALOGUE, find
from lightspeed.check import Report, check, diagnosis
from lightspeed.describe import describe
from lightspeed.endpoints import Endpoint
from lightspeed.errors import CatalogueError, InvalidConnection, LightspeedError, RateLimited
from lightspeed.output import json_text, note, print_record
from lightspeed.prepared import open_client, prepare
from lightspeed.quota import Clock, SystemClock
from lightspeed.write_command import OutcomeUnknown, act, write

INTERRUPTED = 130
"""The exit status after Ctrl-C."""


class _ShopProblem(Exception):
    """The shop refused or could not be reached; the message says so in the command's own words."""


def main(argv: Sequence[str] | None = None, *, clock: Clock | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        argv: The words after the program's name; those of the process by default.
        clock: Time for pacing and waiting; the machine's by default.
    """
    try:
        arguments = build_parser(_COMMANDS).parse_args(argv)
        arguments.clock = clock
        arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read standard output has seen enough; what is still buffered must not fail at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (CommandError, CatalogueError, InvalidConnection) as error:
        return _fail(2, str(error))
    except (_ShopProblem, OutcomeUnknown, LightspeedError, OSError) as error:
        return _fail(1, _reason(error))
    return 0


def _fail(status: int, message: str) -> int:
    note(message)
    return status


def _reason(error: Exception) -> str:
    if isinstance(error, RateLimited):
        return f"{error}; try again in {error.retry_after_seconds:.0f} s"
    return f"cannot write: {error.strerror}" if isinstance(error, OSError) else str(error)


def _entities(arguments: argparse.Namespace) -> None:
    if arguments.entity is not None:
        endpoint = find(arguments.entity)
        sys.stdout.write(json_text(describe(endpoint)) if arguments.json else _entity_text(endpoint))
    elif arguments.json:
        sys.stdout.write(json_text([describe(endpoint) for endpoint in CATALOGUE.values()]))
    else:
        width = max(map(len, CATALOGUE))
        sys.stdout.writelines(f"{name:{width}}  {' '.join(row.operation_names)}\n" for name, row in CATALOGUE.items())


def _get(arguments: argparse.Namespace) -> None:
    prepared = prepare(arguments, "get")
    print_record(prepared.endpoint.name, prepared.client.record(prepared.request))


def _count(arguments: argparse.Namespace) -> None:
    prepared = prepare(arguments, "count")
    sys.stdout.write(f"{prepared.client.count(prepared.request)}\n")


def _list(arguments: argparse.Namespace) -> None:
    from lightspeed.list_command import print_all, print_page  # noqa: PLC0415 - the other commands do not pay for it

    (print_all if arguments.all else print_page)(arguments)


def _plan(arguments: argparse.Namespace) -> None:
    from lightspeed.plan_command import plan_text, planned  # noqa: PLC0415 - the other commands do not pay for it

    client = open_client(arguments, arguments.clock)
    now = datetime.fromtimestamp((arguments.clock or SystemClock()).time(), UTC)
    plan = planned(client, arguments, now)
    sys.stdout.write(json_text(plan.as_dict()) if arguments.json else plan_text(plan))


def _check(arguments: argparse.Namespace) -> None:
    client = open_client(arguments, arguments.clock)
    try:
        report = check(client)
    except LightspeedError as error:
        raise _ShopProblem(diagnosis(error, client.transport.connection)) from error
    sys.stdout.write(json_text(report.as_dict()) if arguments.json else _report_text(report))


def _entity_text(endpoint: Endpoint) -> str:
    lines = [endpoint.name]
    for name in endpoint.operation_names:
        operation = endpoint.operation(name)
        payload = "" if operation.payload == "none" else f"  payload {operation.payload}"
        lines.append(f"  {name:9} {operation.verb:6} {operation.path}{payload}")
    lines += [f"  no {name}: {advice}" for name, advice in endpoint.instead.items()]
    filters = ", ".join(f"{known.name} ({known.type})" for known in endpoint.filters)
    lines += [f"  filters: {filters or 'none known'}", f"  incremental: {endpoint.incremental or 'no'}"]
    return "\n".join(lines) + "\n"


def _report_text(report: Report) -> str:
    languages = ", ".join(report.languages) if report.languages is not None else "not readable with this key"
    lines = [f"connected    {report.origin}", f"language     {report.language} (active in the shop: {languages})"]
    if report.permissions is None:
        lines.append("permissions  not readable with this key")
    else:
        granted = (
            f"{group} {' and '.join(right for right, given in rights.items() if given) or 'none'}"
            for group, rights in report.permissions.items()
        )
        lines.append(f"permissions  {', '.join(granted)}")
    lines += [
        f"quota        {window.remaining:,} of {window.limit:,} requests left of the {window.name} window, "
        f"which starts anew in {window.reset_seconds:,} s"
        for window in report.quota
    ]
    return "\n".join(lines) + "\n"


_COMMANDS = {
    "entities": _entities,
    "get": _get,
    "list": _list,
    "count": _count,
    "plan": _plan,
    "create": write,
    "update": write,
    "delete": write,
    "action": act,
    "check": _check,
}
