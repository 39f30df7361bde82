"""The client on the command line: look at a shop, save a list to a file, write one record.

Exit status: 0 done, 1 the shop refused or could not be reached, 2 the command was wrong, 130 interrupted. Whatever goes
wrong is one line on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from lightspeed.arguments import CommandError, build_parser, read_connection, read_parameters
from lightspeed.catalogue import CATALOGUE, find
from lightspeed.check import Report, check, diagnosis
from lightspeed.client import Client, Page
from lightspeed.describe import describe
from lightspeed.endpoints import Endpoint
from lightspeed.envelope import mask_api_key
from lightspeed.errors import CatalogueError, InvalidConnection, LightspeedError, RateLimited
from lightspeed.output import STANDARD_OUTPUT, ProgressLine, open_output
from lightspeed.parameters import Parameters, Request
from lightspeed.quota import Clock, SystemClock
from lightspeed.transport import PATIENCE_SECONDS, Transport

ALL_PATIENCE_SECONDS = 330.0
"""`list --all` waits out the shortest quota window, five minutes, but no longer one."""

_NOT_COUNTED = ("page", "limit", "fields")


class _ShopProblem(Exception):
    """The shop refused or could not be reached; the message says so in the command's own words."""


class _ShownWaits(SystemClock):
    """The machine's clock, which tells the progress line when it waits."""

    def __init__(self, progress: ProgressLine) -> None:
        self._progress = progress

    def sleep(self, seconds: float) -> None:
        if seconds > 1:
            self._progress.waiting(seconds)
        super().sleep(seconds)


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
        return 130
    except BrokenPipeError:
        # Whoever read standard output has seen enough; what is still buffered must not fail at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (CommandError, CatalogueError, InvalidConnection) as error:
        return _fail(2, str(error))
    except (_ShopProblem, LightspeedError, OSError) as error:
        return _fail(1, _reason(error))
    return 0


def _fail(status: int, message: str) -> int:
    line = "".join(letter if letter.isprintable() else " " for letter in message)
    sys.stderr.write(f"lightspeed: {' '.join(line.split())}\n")
    return status


def _reason(error: Exception) -> str:
    if isinstance(error, RateLimited):
        return f"{error}; try again in {error.retry_after_seconds:.0f} s"
    return f"cannot write: {error.strerror}" if isinstance(error, OSError) else str(error)


def _entities(arguments: argparse.Namespace) -> None:
    if arguments.entity is not None:
        endpoint = find(arguments.entity)
        sys.stdout.write(_json_text(describe(endpoint)) if arguments.json else _entity_text(endpoint))
    elif arguments.json:
        sys.stdout.write(_json_text([describe(endpoint) for endpoint in CATALOGUE.values()]))
    else:
        width = max(map(len, CATALOGUE))
        sys.stdout.writelines(f"{name:{width}}  {' '.join(row.operation_names)}\n" for name, row in CATALOGUE.items())


def _get(arguments: argparse.Namespace) -> None:
    client, request = _prepare(arguments, "get")
    _print_record(request, client.record(request))


def _count(arguments: argparse.Namespace) -> None:
    client, request = _prepare(arguments, "count")
    sys.stdout.write(f"{client.count(request)}\n")


def _write(arguments: argparse.Namespace) -> None:
    client, request = _prepare(arguments, arguments.command)
    _send_write(client, request)


def _action(arguments: argparse.Namespace) -> None:
    endpoint = find(arguments.entity)
    if arguments.name in endpoint.operations:
        raise CommandError(f"{arguments.name} is a command: {arguments.name} {endpoint.name}")
    client, request = _prepare(arguments, arguments.name)
    _send_write(client, request)


def _send_write(client: Client, request: Request) -> None:
    written = client.write(request)
    if written.record is not None:
        _print_record(request, written.record)


def _list(arguments: argparse.Namespace) -> None:
    progress = ProgressLine(
        sys.stderr, arguments.entity, wanted=arguments.out != STANDARD_OUTPUT or not sys.stdout.isatty()
    )
    patience = ALL_PATIENCE_SECONDS if arguments.all else PATIENCE_SECONDS
    client, request = _prepare(arguments, "list", arguments.clock or _ShownWaits(progress), patience)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_output(arguments.out))
        except OSError as error:
            raise CommandError(f"cannot write {arguments.out}: {error.strerror}") from error
        stack.callback(progress.close)
        total, records = None, 0
        pages: Iterable[Page]
        if arguments.all:
            total = _total(client, arguments) if progress.shown else None
            pages = client.pages(arguments.entity, read_parameters(arguments))
        else:
            pages = [client.page(request)]
        for page in pages:
            file.writelines(record + b"\n" for record in page.records)
            records += len(page.records)
            progress.update(records, total)


def _total(client: Client, arguments: argparse.Namespace) -> int | None:
    if not find(arguments.entity).has("count"):
        return None
    given = read_parameters(arguments)
    filters = {name: value for name, value in given.query.items() if name not in _NOT_COUNTED}
    return client.count(client.build(arguments.entity, "count", Parameters(given.path, filters)))


def _plan(arguments: argparse.Namespace) -> None:
    from lightspeed.plan_command import plan_text, planned  # noqa: PLC0415 - the other commands do not pay for it

    client = _client(arguments, arguments.clock)
    now = datetime.fromtimestamp((arguments.clock or SystemClock()).time(), UTC)
    plan = planned(client, arguments, now)
    sys.stdout.write(_json_text(plan.as_dict()) if arguments.json else plan_text(plan))


def _check(arguments: argparse.Namespace) -> None:
    client = _client(arguments, arguments.clock)
    try:
        report = check(client)
    except LightspeedError as error:
        raise _ShopProblem(diagnosis(error, client.transport.connection)) from error
    sys.stdout.write(_json_text(report.as_dict()) if arguments.json else _report_text(report))


def _prepare(
    arguments: argparse.Namespace,
    operation: str,
    clock: Clock | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> tuple[Client, Request]:
    """Check the whole command; nothing is sent."""
    find(arguments.entity).operation(operation)
    parameters = read_parameters(arguments)
    client = _client(arguments, clock or arguments.clock, patience_seconds)
    return client, client.build(arguments.entity, operation, parameters)


def _client(arguments: argparse.Namespace, clock: Clock | None, patience_seconds: float = PATIENCE_SECONDS) -> Client:
    return Client(Transport(read_connection(arguments), clock=clock, patience_seconds=patience_seconds))


def _print_record(request: Request, record: bytes) -> None:
    text = mask_api_key(record) if request.entity == "account" else record
    sys.stdout.buffer.write(text + b"\n")


def _json_text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


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
    "create": _write,
    "update": _write,
    "delete": _write,
    "action": _action,
    "check": _check,
}
