"""A million stored records in a hundred runs: the memory of a query of their current state."""

import json
import os
import random
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector.operator.main import main
from tests.unit.operator.lake import into, store_run

ROOT = Path(__file__).parents[3]
RUNS, RECORDS, IDS = 100, 10_000, 400_000
MEGABYTE = 1024  # the unit of ru_maxrss is a kilobyte


def record(dice: random.Random, started: datetime) -> str:
    identity, updated = dice.randrange(IDS), started - timedelta(seconds=dice.randrange(80_000))
    price = f'"priceIncl":{dice.randrange(1000)}.50'
    memo = f"{dice.getrandbits(64):x}" + "x" * 1000
    return f'{{"id":{identity},"updatedAt":"{updated.isoformat()}","status":"new",{price},"memo":"{memo}"}}'


@pytest.mark.soak
def test_the_current_state_of_a_million_records_takes_less_than_a_gigabyte(tmp_path: Path) -> None:
    dice, put, ids = random.Random(1), into(tmp_path), set()
    for number in range(RUNS):
        started = datetime(2026, 8, 1, tzinfo=UTC) + timedelta(days=number)
        lines = [record(dice, started) for _ in range(RECORDS)]
        ids |= {line.partition(",")[0] for line in lines}
        store_run(put, f"run-{number}", started.strftime("%Y-%m-%dT%H:%M:%SZ"), lines)

    words = ["query", "orders_current", "--lake", str(tmp_path), "--out", str(tmp_path / "current.parquet")]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT / 'layers/lightspeed'}"}
    subprocess.run([sys.executable, "-m", "connector", *words], env=environment, check=True)  # noqa: S603 - ours
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / MEGABYTE

    count = ["query", "SELECT count(*) AS n FROM orders_current", "--lake", str(tmp_path), "--format", "jsonl"]
    found = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-m", "connector", *count], env=environment, check=True, capture_output=True
    )
    assert json.loads(found.stdout) == {"n": len(ids)}
    assert used < 1000, f"{used:.0f} MB"


@pytest.mark.soak
def test_a_query_that_needs_more_memory_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dice, put = random.Random(1), into(tmp_path)
    lines = [f'{{"id":{number},"memo":"{dice.randbytes(2500).hex()}"}}' for number in range(60_000)]
    store_run(put, "run", "2026-11-01T00:00:00Z", lines)
    query = ["query", "orders_current", "--lake", str(tmp_path), "--out", str(tmp_path / "current.parquet")]

    assert main([*query, "--memory-gb", "0.2"]) == 1
    assert capsys.readouterr().err == ("connector: the query needs more memory than --memory-gb allows\n")
