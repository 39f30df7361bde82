"""Whole processes: servers that a measurement needs, and contestants with what they cost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.environments import ROOT

_QUIET = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@dataclass(frozen=True)
class Cost:
    """What a process and those it started cost.

    Attributes:
        wall_seconds: From start to end.
        cpu_seconds: User and system.
        peak_megabytes: Resident memory of the largest process at its peak; MB of a million bytes.
        failure: Last line of its standard error if it did not end with 0, else empty.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_megabytes: float
    failure: str


_PERIOD_SECONDS, _TICK_SECONDS = 0.1, 0.002


def run(
    command: Sequence[str], environment: Mapping[str, str], output: Path, *, limit_seconds: float, share: float = 1
) -> Cost:
    """Run a process to its end; standard output goes to `output`, standard error beside it.

    On Linux a process's peak counts what was resident when it was started from here, so this process must stay small.

    Args:
        command: What is run.
        environment: Besides that of this process.
        output: The file.
        limit_seconds: The process is killed after them.
        share: Of a processor; with less than 1, the process stands still for the rest of each tenth of a
            second.
    """
    errors = output.with_suffix(".errors")
    with output.open("wb") as out, errors.open("wb") as err:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603
            command, env={**os.environ, **_QUIET, **environment}, cwd=output.parent, stdout=out, stderr=err
        )
        timer = threading.Timer(limit_seconds, process.kill)
        timer.start()
        ended = threading.Event()
        if share < 1:
            threading.Thread(target=_throttle, args=(process.pid, share, ended), daemon=True).start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            ended.set()
            timer.cancel()
            if process.returncode is None:
                process.kill()
        wall = time.perf_counter() - began
    failure = ""
    if process.returncode:
        lines = errors.read_text(errors="replace").strip().splitlines()
        failure = f"exit {process.returncode}: {lines[-1][:200] if lines else 'no message'}"
    kilobytes = usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss
    return Cost(wall, usage.ru_utime + usage.ru_stime, kilobytes * 1024 / 1e6, failure)


def _throttle(pid: int, share: float, ended: threading.Event) -> None:
    """Stop a process in each period once it has used its share, as a Lambda function is stopped."""
    with contextlib.suppress(ProcessLookupError):
        while not ended.is_set():
            end, used = time.monotonic() + _PERIOD_SECONDS, _used_seconds(pid)
            while _used_seconds(pid) - used < share * _PERIOD_SECONDS and not ended.wait(_TICK_SECONDS):
                pass
            os.kill(pid, signal.SIGSTOP)
            ended.wait(max(0.0, end - time.monotonic()))
            os.kill(pid, signal.SIGCONT)


def _used_seconds(pid: int) -> float:
    """Return the processor's time of a process; only Linux tells it, and elsewhere time counts as used."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError):
        return time.monotonic()


@contextmanager
def server(module: str, *arguments: str) -> Iterator[str]:
    """Serve a module of the bench in a process of its own; give its origin."""
    environment = {**os.environ, **_QUIET, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"{module} did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def fetch(url: str, body: bytes | None = None) -> bytes:
    """Send GET, or POST with a body, to a server of the bench."""
    with urllib.request.urlopen(url, body, timeout=60) as answer:  # noqa: S310
        found: bytes = answer.read()
    return found
