"""Run one command of the client.

Exit status: 0 done, 1 the shop refused or gave no answer, 2 the command was wrong, 130 ended by Ctrl-C, 143 by SIGTERM.
Every error is one line on standard error.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from lightspeed.cli.arguments import CommandError
from lightspeed.cli.commands import build_parser
from lightspeed.cli.output import STANDARD_OUTPUT, discard_output, print_note, to_standard_output
from lightspeed.cli.write import OutcomeUnknown, OutputError
from lightspeed.clock import Clock
from lightspeed.errors import CatalogueError, InvalidConnection, LightspeedError, RateLimited

INTERRUPTED = 130
"""The exit status after Ctrl-C."""
TERMINATED = 143
"""The exit status after SIGTERM."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def main(argv: Sequence[str] | None = None, *, clock: Clock | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        argv: The arguments after the program's name; those of the process by default.
        clock: Time for pacing and waiting; the machine's by default.
    """
    _write_utf8()
    status = None
    try:
        with _sigterm_interrupts():
            arguments = build_parser().parse_args(argv)
            arguments.clock = clock
            if sys.stdout is None and to_standard_output(getattr(arguments, "out", STANDARD_OUTPUT)):
                raise CommandError("standard output is closed; nothing was sent")
            status = arguments.run(arguments)
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt as error:
        return TERMINATED if isinstance(error, _Terminated) else INTERRUPTED
    except BrokenPipeError:
        discard_output()  # the reader has closed the pipe
    except (CommandError, CatalogueError, InvalidConnection) as error:
        return _fail(2, str(error))
    except (OutcomeUnknown, LightspeedError) as error:
        return _fail(1, _reason(error))
    except (OutputError, OSError) as error:
        discard_output()
        return _fail(1, f"cannot write: {error.strerror}" if isinstance(error, OSError) else str(error))
    return status or 0


def run(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit status."""
    status = main(argv)
    if status in (INTERRUPTED, TERMINATED):
        os._exit(status)  # without waiting for pages in flight
    sys.exit(status)


def _write_utf8() -> None:
    """Write UTF-8 whatever the locale; escape half a surrogate pair, which has no UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end the block like Ctrl-C, unless the process has a handler of its own or ignores it."""
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
