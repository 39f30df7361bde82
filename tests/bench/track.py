"""One track for all: the shop and the AWS stand-in, and a contestant's run on them with all its figures."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.contestants import Contestant, connector_environment
from tests.bench.environments import FOLDER
from tests.bench.processes import Cost, fetch, run, server
from tests.bench.shop import KEY, SECRET, Setup


@dataclass(frozen=True)
class Figures:
    """A contestant's run.

    Attributes:
        cost: Of its process.
        records: Landed, counted line by line.
        landed_bytes: Size of what was landed, compressed or not.
        pages: Pages that the shop gave, empty ones included.
        children: Lists of an order's lines that the shop gave.
        counts: Counts that the shop gave.
        refused: Requests that the shop answered with 429.
        errors: Requests that the shop answered with anything else than 200.
    """

    cost: Cost
    records: int
    landed_bytes: int
    pages: int
    children: int
    counts: int
    refused: int
    errors: int

    @property
    def per_second(self) -> float:
        """Records per second of wall time."""
        return self.records / self.cost.wall_seconds


class Track:
    """Runs contestants, one at a time."""

    def __init__(self, shop: str, cloud_secret: str, folder: Path) -> None:
        self._shop = shop
        self._secret = cloud_secret
        self._folder = folder

    @property
    def order_bytes(self) -> int:
        """Mean size of an order's JSON text."""
        return int(json.loads(fetch(f"{self._shop}/bench"))["mean_bytes"])

    def run(self, contestant: Contestant, setup: Setup, *, limit_seconds: float = 1200) -> Figures:
        """Set the shop up, run the contestant and count what it landed."""
        landing = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            fetch(f"{self._shop}/bench", json.dumps(asdict(setup)).encode())
            environment = {
                "SHOP_URL": self._shop,
                "SHOP_KEY": KEY,
                "SHOP_SECRET": SECRET,
                "LANDING": str(landing),
                "HOME": str(landing),
                **contestant.environment,
            }
            command = contestant.command()
            if contestant.source:
                with server("tests.bench.cloud", str(landing / "objects"), self._secret) as cloud:
                    environment |= connector_environment(contestant.source, cloud)
                    cost = run(command, environment, landing / "output", limit_seconds=limit_seconds)
            else:
                cost = run(command, environment, landing / "output", limit_seconds=limit_seconds)
            asked = json.loads(fetch(f"{self._shop}/bench"))
            return Figures(
                cost,
                records=_count(contestant, landing) if not cost.failure else 0,
                landed_bytes=contestant.landed_bytes(landing),
                **{name: asked[name] for name in ("pages", "children", "counts", "refused", "errors")},
            )
        finally:
            shutil.rmtree(landing)


def _count(contestant: Contestant, landing: Path) -> int:
    return sum(1 for _ in contestant.landed(landing))


@contextmanager
def track() -> Iterator[Track]:
    """Serve the shop; whatever is landed lies in a folder that goes with it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=FOLDER, prefix="run-"))
    try:
        with server("tests.bench.shop") as shop:
            secret = json.dumps({"base_url": shop, "api_key": KEY, "api_secret": SECRET, "language": "nl"})
            yield Track(shop, secret, folder)
    finally:
        shutil.rmtree(folder)
