"""The client on the command line: look at a shop, save a list to a file, write one record.

Exit status: 0 done, 1 the shop refused or gave no answer, 2 the command was wrong, 130 interrupted, 143 ended by
SIGTERM. Every error is one line on standard error.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import NoReturn

from lightspeed.catalogue.describe import describe
from lightspeed.catalogue.entities import CATALOGUE, get_entity
from lightspeed.catalogue.model import Endpoint
from lightspeed.cli.arguments import CommandError, build_parser
from lightspeed.cli.output import (
    STANDARD_OUTPUT,
    discard_output,
    json_text,
    print_note,
    print_record,
    to_standard_output,
)
from lightspeed.cli.session import nothing_matches, open_client, prepare
from lightspeed.cli.write import OutcomeUnknown, OutputError, act, write
from lightspeed.connection_check import Report, check, diagnosis
from lightspeed.errors import CatalogueError, InvalidConnection, LightspeedError, RateLimited
from lightspeed.quota import Clock, SystemClock

INTERRUPTED = 130
"""The exit status after Ctrl-C."""
TERMINATED = 143
"""The exit status after SIGTERM."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def main(argv: Sequence[str] | None = None, *, clock: Clock | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        argv: The words after the program's name; those of the process by default.
        clock: Time for pacing and waiting; the machine's by default.
    """
    _speak_utf8()
    status = None
    try:
        with _sigterm_interrupts():
            arguments = build_parser(_COMMANDS).parse_args(argv)
            arguments.clock = clock
            if sys.stdout is None and to_standard_output(getattr(arguments, "out", STANDARD_OUTPUT)):
                raise CommandError("standard output is closed; nothing was sent")
            status = arguments.run(arguments)
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt as error:
        return TERMINATED if isinstance(error, _Terminated) else INTERRUPTED
    except BrokenPipeError:
        discard_output()  # the reader has seen enough
    except (CommandError, CatalogueError, InvalidConnection) as error:
        return _fail(2, str(error))
    except (OutcomeUnknown, LightspeedError) as error:
        return _fail(1, _reason(error))
    except (OutputError, OSError) as error:
        discard_output()
        return _fail(1, f"cannot write: {error.strerror}" if isinstance(error, OSError) else str(error))
    return status or 0


def run(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command as a separate process.

    Args:
        argv: The words after the program's name; those of the process by default.
    """
    status = main(argv)
    if status in (INTERRUPTED, TERMINATED):
        os._exit(status)  # without waiting for pages that are still under way
    sys.exit(status)


def _speak_utf8() -> None:
    """Write UTF-8 whatever the locale; what even that has no bytes for is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, unless the process ignores it or handles it otherwise."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(_number: int, _frame: object) -> NoReturn:
    raise _Terminated


def _fail(status: int, message: str) -> int:
    print_note(message)
    return status


def _reason(error: Exception) -> str:
    if isinstance(error, RateLimited):
        return f"{str(error).removesuffix('.')}; try again in {error.retry_after_seconds:.0f} s"
    return str(error)


def _entities(arguments: argparse.Namespace) -> None:
    if arguments.entity is not None:
        endpoint = get_entity(arguments.entity)
        sys.stdout.write(json_text(describe(endpoint)) if arguments.json else _entity_text(endpoint))
    elif arguments.json:
        sys.stdout.write(json_text([describe(endpoint) for endpoint in CATALOGUE.values()]))
    else:
        width = max(map(len, CATALOGUE))
        sys.stdout.writelines(f"{name:{width}}  {' '.join(row.operation_names)}\n" for name, row in CATALOGUE.items())


def _get(arguments: argparse.Namespace) -> None:
    session = prepare(arguments, "get")
    print_record(session.endpoint.name, session.client.record(session.request))


def _count(arguments: argparse.Namespace) -> None:
    session = prepare(arguments, "count")
    count = session.client.count(session.request)
    sys.stdout.write(f"{count}\n")
    if not count:
        print_note(nothing_matches(session.endpoint, session.parameters.query))


def _list(arguments: argparse.Namespace) -> None:
    from lightspeed.cli.list import print_all, print_page  # noqa: PLC0415 - the other commands do not pay for it

    (print_all if arguments.all else print_page)(arguments)


def _estimate(arguments: argparse.Namespace) -> None:
    from lightspeed.cli.estimate import estimate_text, estimated  # noqa: PLC0415 - the other commands do not pay for it

    client = open_client(arguments, arguments.clock)
    now = datetime.fromtimestamp((arguments.clock or SystemClock()).time(), UTC)
    found = estimated(client, arguments, now)
    sys.stdout.write(json_text(asdict(found)) if arguments.json else estimate_text(found))


def _tap(arguments: argparse.Namespace) -> None:
    from lightspeed.cli.tap import tap  # noqa: PLC0415 - the other commands do not pay for it

    tap(arguments)


def _sync(arguments: argparse.Namespace) -> int:
    from lightspeed.cli.sync import sync  # noqa: PLC0415 - the other commands do not pay for it

    return sync(arguments)


def _check(arguments: argparse.Namespace) -> int:
    client = open_client(arguments, arguments.clock)
    try:
        report = check(client)
    except LightspeedError as error:
        return _fail(1, diagnosis(error, client.transport.connection))
    sys.stdout.write(json_text(asdict(report)) if arguments.json else _report_text(report))
    return 0


def _entity_text(endpoint: Endpoint) -> str:
    lines = [endpoint.name]
    for name in endpoint.operation_names:
        operation = endpoint.operation(name)
        payload = "" if operation.payload == "none" else f"  payload {operation.payload}"
        lines.append(f"  {name:9} {operation.verb:6} {operation.path}{payload}")
    lines += [f"  no {name}: {advice}" for name, advice in endpoint.alternatives.items()]
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
        f"which resets in {window.reset_seconds:,} s"
        for window in report.quota
    ]
    return "\n".join(lines) + "\n"


_COMMANDS = {
    "entities": _entities,
    "get": _get,
    "list": _list,
    "count": _count,
    "estimate": _estimate,
    "tap": _tap,
    "sync": _sync,
    "create": write,
    "update": write,
    "delete": write,
    "action": act,
    "check": _check,
}
