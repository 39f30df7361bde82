"""Who is measured, how each is started, and how many records it landed."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench.environments import ROOT

_PROGRAMS = Path(__file__).parent.relative_to(ROOT) / "programs"
BUCKET = "bench"


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
        "MALLOC_MMAP_THRESHOLD_": "33554432",
        "MALLOC_TRIM_THRESHOLD_": "268435456",
    }


def _landed_parts(landing: Path) -> Iterator[bytes]:
    for part in sorted((landing / "objects").rglob("part-*.jsonl.gz")):
        with gzip.open(part) as lines:
            yield from lines


def _landed_jsonl(landing: Path) -> Iterator[bytes]:
    with gzip.open(landing / "orders.jsonl.gz") as lines:
        yield from lines


@dataclass(frozen=True)
class Contestant:
    """One way to read all orders.

    Attributes:
        name: As the tables say it.
        program: File below `programs`.
        landed: Gives each record landed in a folder, as a line.
        paths: Glob patterns of what was landed, for its size.
        source: Folder of the connector's `functions` and `layers`, if it is the connector and needs the AWS stand-in.
        environment: Besides what every program is told.
    """

    name: str
    program: str
    landed: Callable[[Path], Iterator[bytes]]
    paths: tuple[str, ...]
    source: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Return how it is started. A former commit has a program of its own, which knows the names of its time."""
        return [sys.executable, str((self.source or ROOT) / _PROGRAMS / self.program)]

    def landed_bytes(self, landing: Path) -> int:
        """Return the size of what it landed."""
        return sum(file.stat().st_size for pattern in self.paths for file in landing.glob(pattern))


_PARTS = ("objects/**/part-*",)

_UNPACED = {"UNPACED": "1"}

CONNECTOR = Contestant("connector", "handler.py", _landed_parts, _PARTS, source=ROOT, environment=_UNPACED)
PACED = Contestant("connector, 20 requests/s", "handler.py", _landed_parts, _PARTS, source=ROOT)
LOOP = Contestant("requests loop", "loop.py", _landed_jsonl, ("orders.jsonl.gz",))


FASTEST_GZIP = Contestant(
    "connector, GzipLevel 1",
    "handler.py",
    _landed_parts,
    _PARTS,
    source=ROOT,
    environment={**_UNPACED, "GZIP_LEVEL": "1"},
)

_LINES = {"EVENT": json.dumps({"entity": "orders/products", "parameters": {"path": {"order_id": "*"}}})}
LOOP_LINES = replace(LOOP, program="loop_lines.py")


def fan_out(contestant: Contestant) -> Contestant:
    """Return a connector that reads the lines of each order in place of the orders."""
    return replace(contestant, environment={**contestant.environment, **_LINES})


def former(commit: str, source: Path) -> Contestant:
    """Return the connector of another commit, whose files lie in a folder."""
    return Contestant(
        f"connector at {commit}", "handler.py", _landed_parts, _PARTS, source=source, environment=_UNPACED
    )
