"""Cold start: import and init of `subscribe` in fresh processes, against the lean stack, both with .pyc as deployed.

The same for the receiver of webhooks, which also answers calls.
"""

from __future__ import annotations

import compileall
import importlib.metadata
import json
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contestants import connector_environment
from tests.bench.environments import FOLDER, PackagesMissing
from tests.bench.processes import run, server

_PROGRAMS = Path(__file__).parent / "programs"
SHARE_OF_512_MB = 0.29
"""Of a processor, which Lambda gives by memory: a whole one for 1769 MB."""

_SECRET = json.dumps({"api_secret": "bench"})


@dataclass(frozen=True)
class ColdStart:
    """Fresh processes, in CPU time: imports hardly wait for anything but a core.

    Attributes:
        imported_ms: Its imports.
        ready_ms: Imports and the clients that it needs before its first request.
        peak_megabytes: Resident memory at that moment.
        throttled_ms: How long it takes to be ready with as much of a processor as Lambda gives 512 MB.
    """

    imported_ms: float
    ready_ms: float
    peak_megabytes: float
    throttled_ms: float


@dataclass(frozen=True)
class Receiving:
    """A fresh receiver of webhooks. Times are ms of CPU; a call waits for AWS besides.

    Attributes:
        imported_ms: Its imports.
        first_ms: Imports and the first call, with the secret, an object and a message.
        p50_ms: Of the calls after it, each with an object and a message.
        p99_ms: The same.
    """

    imported_ms: float
    first_ms: float
    p50_ms: float
    p99_ms: float


def rounds(source: Path, number: int) -> list[tuple[ColdStart, ColdStart]]:
    """Return that many pairs of the handler and the lean stack, taken in turn after a warm-up.

    Args:
        source: Folder of the connector's `functions` and `layers`.
        number: Of rounds.

    Raises:
        PackagesMissing: boto3 and what the layer needs cannot be had.
    """
    with _deployed(source) as folder:
        environment = _environment(source, folder, "http://127.0.0.1:1")
        pairs = [
            (_start("cold_handler.py", environment, folder), _start("cold_lean.py", environment, folder))
            for _ in range(number + 1)
        ]
    return pairs[1:]


def webhooks(source: Path, number: int) -> list[Receiving]:
    """Return what so many fresh receivers take, after a warm-up. AWS is a stand-in over loopback.

    Args:
        source: As for `rounds`.
        number: Of receivers.

    Raises:
        PackagesMissing: As for `rounds`.
    """
    with _deployed(source) as folder, server("tests.bench.cloud", str(folder / "cloud"), _SECRET) as cloud:
        environment = _environment(source, folder, cloud)
        found = [Receiving(*_numbers("receive.py", environment, folder)[0]) for _ in range(number + 1)]
    return found[1:]


@contextmanager
def _deployed(source: Path) -> Iterator[Path]:
    """Give a folder whose `code` is that of the functions and the layer, compiled."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=FOLDER, prefix="cold-"))
    try:
        for part in (source / "functions", source / "layers" / "lightspeed"):
            shutil.copytree(
                part, folder / "code", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*")
            )
        _compile(folder / "code")
        yield folder
    finally:
        shutil.rmtree(folder)


def _environment(source: Path, folder: Path, cloud: str) -> dict[str, str]:
    path = f"{folder / 'code'}:{_dependencies(source)}"
    queue = f"{cloud}/123456789012/webhooks"
    return {
        **connector_environment(source, cloud),
        "PYTHONPATH": path,
        "WEBHOOK_QUEUE_URL": queue,
        "STACK_NAME": "bench",
    }


def _start(program: str, environment: dict[str, str], folder: Path) -> ColdStart:
    (imported, ready, _), megabytes = _numbers(program, environment, folder)
    (_, _, throttled), _ = _numbers(program, environment, folder, SHARE_OF_512_MB)
    return ColdStart(imported, ready, megabytes, throttled)


def _numbers(program: str, environment: dict[str, str], folder: Path, share: float = 1) -> tuple[list[float], float]:
    """Return the numbers that a program prints in its last line, and its peak in megabytes."""
    output = folder / "output"
    cost = run([sys.executable, "-S", str(_PROGRAMS / program)], environment, output, limit_seconds=60, share=share)
    if cost.failure:
        raise RuntimeError(f"{program}: {cost.failure}")
    return [float(word) for word in output.read_text().splitlines()[-1].split()], cost.peak_megabytes


def _dependencies(source: Path) -> Path:
    """Install what the layer needs, and the installed boto3, into one folder with .pyc of the deployed kind."""
    boto3 = f"boto3=={importlib.metadata.version('boto3')}"
    requirements = source / "layers" / "lightspeed" / "requirements.txt"
    folder, wanted = FOLDER / "package", f"{sys.version}\n{boto3}\n{requirements.read_text()}"
    stamp = folder / "installed.txt"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        print("Installing the layer's packages for the cold start (half a minute, once) ...", file=sys.stderr)
        _pip(["--target", str(folder), boto3])  # by itself: it has no hash, and the layer's packages do
        _pip(["--target", str(folder), "--upgrade", "-r", str(requirements)])
        _compile(folder)
        stamp.write_text(wanted)
    return folder


def _pip(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-3:])
        raise PackagesMissing(f"the layer's packages could not be installed, so the cold start is left out:\n{last}")


def _compile(folder: Path) -> None:
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, force=True, invalidation_mode=mode, workers=os.cpu_count() or 1)
