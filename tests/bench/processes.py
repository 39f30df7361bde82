"""Whole processes: servers that a measurement needs, and contestants with what they cost."""

from __future__ import annotations

import os
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


def run(command: Sequence[str], environment: Mapping[str, str], output: Path, *, limit_seconds: float) -> Cost:
    """Run a process to its end; standard output goes to `output`, standard error beside it.

    On Linux a process's peak counts what was resident when it was started from here, so this process must stay small.
    """
    errors = output.with_suffix(".errors")
    with output.open("wb") as out, errors.open("wb") as err:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603
            command, env={**os.environ, **_QUIET, **environment}, cwd=output.parent, stdout=out, stderr=err
        )
        timer = threading.Timer(limit_seconds, process.kill)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
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
