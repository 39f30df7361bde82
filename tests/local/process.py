"""Child processes that end, with their own children, however this process ends."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

LOOPBACK = "127.0.0.1"

GRACE_SECONDS = 3.0
"""So long a process may take to end before it is killed."""

START_SECONDS = 120.0


class LocalError(Exception):
    """A condition of this machine prevents the work. The message is one line for the user."""


@dataclass(frozen=True)
class Child:
    """A process that leads a group. Its own children belong to the group.

    Attributes:
        name: Its name in messages.
        pid: Its process id, which is also the group's.
        log: The file of its output.
    """

    name: str
    pid: int
    log: Path

    def stop(self) -> None:
        """End the group: ask, wait, then kill. The group may have ended already."""
        with uninterrupted():
            for how in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, how)
                    wait_until(lambda: not self.alive(), GRACE_SECONDS)

    def alive(self) -> bool:
        """Return whether the leader runs. Remove a leader that has ended from the process table."""
        with contextlib.suppress(ChildProcessError):
            return os.waitpid(self.pid, os.WNOHANG)[0] == 0
        try:  # not a child of this process
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def last_words(self) -> str:
        """Return the last line of its log that is not empty."""
        lines = self.log.read_text(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def start(ends: ExitStack, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path) -> Child:
    """Start a process in a session of its own, which Ctrl-C at the terminal does not reach.

    Args:
        ends: Stops the process when it closes.
        name: Its name in messages.
        command: The program and its arguments.
        environ: Its whole environment.
        log: The file of its output.
    """
    with log.open("wb") as output, uninterrupted():
        process = subprocess.Popen(  # noqa: S603 - our own commands
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        process.returncode = 0  # Child waits for the process, so Popen must not warn that it runs
        child = Child(name, process.pid, log)
        ends.callback(child.stop)
    return child


def processes() -> Iterator[tuple[int, str]]:
    """Yield the id and the command line of every process on this machine."""
    if Path("/proc/self/cmdline").exists():
        for listed in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended since
                yield int(listed.parent.name), listed.read_text(errors="replace").replace("\0", " ").rstrip()
        return
    command = ["ps", "-A", "-ww", "-o", "pid=,command="]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - always the same
    for line in answer.stdout.splitlines():
        number, _, text = line.strip().partition(" ")
        yield int(number), text.strip()


def wait_for_start(child: Child, ready: Callable[[], bool]) -> None:
    """Wait until a process answers.

    Raises:
        LocalError: The process ended, or took too long.
    """
    if not wait_until(lambda: ready() or not child.alive(), START_SECONDS) or not child.alive():
        raise LocalError(f"the {child.name} did not start: {child.last_words()}")


def wait_until(ready: Callable[[], bool], timeout_seconds: float, every_seconds: float = 0.02) -> bool:
    """Wait until a condition holds; return whether it did in time."""
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_seconds)
    return True


def choose_port(wanted: int | None, name: str, variable: str) -> int:
    """Return the wanted port, or any free port if none is wanted.

    Raises:
        LocalError: Another program listens at the wanted port. The message advises to set `variable`.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted or 0))
        except OSError as error:
            raise LocalError(
                f"port {wanted} for the {name} is not free: stop what listens there, or choose another ({variable}=...)"
            ) from error
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C and similar signals until the block is done. Only the main thread gets them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        arrived.append(number)

    before = {number: signal.signal(number, remember) for number in _INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in arrived[:1]:
            signal.raise_signal(number)


def interrupt_on_every_end() -> None:
    """Treat a closed terminal and a plain `kill` like Ctrl-C, so that all child processes are stopped."""
    for number in _INTERRUPTIONS:
        signal.signal(number, signal.default_int_handler)


_INTERRUPTIONS: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
