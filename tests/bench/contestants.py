"""Who is measured, how each is started, and how many records it landed."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import environments

_PROGRAMS = Path(__file__).parent / "programs"
BUCKET = "bench"


def _python() -> Path:
    return Path(sys.executable)


def connector_environment(source: Path, cloud: str) -> dict[str, str]:
    """Return the function's environment, the allocator's settings as in the template, against the stand-in.

    Args:
        source: Folder of `functions` and `layers`.
        cloud: The stand-in's origin.
    """
    return {
        "PYTHONPATH": f"{source / 'functions'}:{source / 'layers' / 'lightspeed'}",
        "AWS_ENDPOINT_URL": cloud,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "BUCKET": BUCKET,
        "QUOTA_RESERVE_PERCENT": "0",
        "POWERTOOLS_SERVICE_NAME": "subscribe",
        "POWERTOOLS_METRICS_NAMESPACE": "LightspeedConnector",
        "LOG_LEVEL": "INFO",
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "131072",
        "MALLOC_TRIM_THRESHOLD_": "268435456",
    }


def _landed_parts(landing: Path) -> Iterator[bytes]:
    for part in sorted((landing / "objects").rglob("part-*.jsonl.gz")):
        with gzip.open(part) as lines:
            yield from lines


def _landed_jsonl(landing: Path) -> Iterator[bytes]:
    with gzip.open(landing / "orders.jsonl.gz") as lines:
        yield from lines


def _landed_dataset(landing: Path) -> Iterator[bytes]:
    for file in sorted((landing / "landed" / "shop" / "orders").glob("*.jsonl*")):
        with gzip.open(file) as lines:
            yield from lines


def _landed_messages(landing: Path) -> Iterator[bytes]:
    with (landing / "output").open("rb") as lines:
        yield from (line for line in lines if b'"type":"RECORD"' in line[-100:] or b'"type":"RECORD"' in line[:100])


@dataclass(frozen=True)
class Contestant:
    """One way to read all orders.

    Attributes:
        name: As the tables say it.
        program: File below `programs`.
        landed: Gives each record landed in a folder, as a line.
        paths: Glob patterns of what was landed, for its size.
        python: Gives the interpreter.
        connector: Whether it is the connector and needs the AWS stand-in.
        environment: Besides what every program is told.
    """

    name: str
    program: str
    landed: Callable[[Path], Iterator[bytes]]
    paths: tuple[str, ...]
    python: Callable[[], Path] = _python
    connector: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Return how it is started.

        Raises:
            PackagesMissing: Its packages cannot be had.
        """
        return [str(self.python()), str(_PROGRAMS / self.program)]

    def landed_bytes(self, landing: Path) -> int:
        """Return the size of what it landed."""
        return sum(file.stat().st_size for pattern in self.paths for file in landing.glob(pattern))


_PARTS = ("objects/**/part-*",)

CONNECTOR = Contestant("connector", "handler.py", _landed_parts, _PARTS, connector=True, environment={"UNPACED": "1"})
PACED = Contestant("connector, 20 requests/s", "handler.py", _landed_parts, _PARTS, connector=True)
DLT = Contestant(
    "dlt rest_api",
    "rest_source.py",
    _landed_dataset,
    ("landed/shop/orders/*",),
    python=lambda: environments.python("dlt"),
    environment={"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"},
)
AIRBYTE = Contestant(
    "Airbyte low-code",
    "manifest_source.py",
    _landed_messages,
    ("output",),
    python=lambda: environments.python("airbyte"),
    environment={"DO_NOT_TRACK": "1"},
)
LOOP = Contestant("requests loop", "loop.py", _landed_jsonl, ("orders.jsonl.gz",))

ALL = (CONNECTOR, PACED, DLT, AIRBYTE, LOOP)


def result(landing: Path) -> dict[str, int]:
    """Return what the connector said of its run: records, requests, invocations."""
    found: dict[str, int] = json.loads((landing / "result.json").read_text())
    return found
