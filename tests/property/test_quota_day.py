"""A run of a million rows through the state machine, within the quota, on a virtual clock."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from typing import Any

import pytest

from connector.costs.prices import MEMORY_MB
from tests.property.pages import DAY, OrderPages
from tests.property.sync import MAX_EVENTS, Execution, Sync
from tests.property.world import ShopTime, VirtualTime, World
from tests.shop import Habits

pytestmark = pytest.mark.usefixtures("one_thread")

DEFAULT = (300, 3000, 12000)
RESERVE_PERCENT = 10
RATE = 20
WINDOW_SECONDS = 300
MAX_CURSOR_BYTES = 32 * 1024


@dataclass
class Escaped:
    """A run that the state machine has carried to its end."""

    shop: OrderPages
    world: World
    execution: Execution
    results: list[dict[str, Any]]
    longest: float
    began: float


def carry(
    event: dict[str, Any],
    rows: int,
    *,
    quota: tuple[int, int, int] | None,
    begin: float = 0,
    habits: Habits | None = None,
) -> Escaped:
    """Carry a run through the state machine of the template.

    Args:
        event: Of the run.
        rows: Of the list.
        quota: Of the shop.
        begin: Seconds after the full hour.
        habits: Of the shop.
    """
    time = VirtualTime()
    time.passes(begin)
    began = time.monotonic()
    shop = OrderPages(rows, ShopTime(time), quota=quota, rate=RATE if quota else None, habits=habits)
    world = World(shop, time, reserve_percent=RESERVE_PERCENT)
    results: list[dict[str, Any]] = []
    lengths: list[float] = []

    def function(payload: dict[str, Any]) -> dict[str, Any]:
        before = world.billed
        results.append(world.invoke(payload))
        lengths.append(world.billed - before)
        return results[-1]

    execution = Sync(function, time).start(event, "million")
    return Escaped(shop, world, execution, results, max(lengths), began)


def content_hash(world: World) -> str:
    """Return the hash of all records, one after the other as they lie in the parts of the manifest."""
    digest = hashlib.sha256()
    (manifest,) = world.bucket.manifests()
    for part in manifest["parts"]:
        digest.update(gzip.decompress(world.bucket.objects[part["key"]]))
    return digest.hexdigest()


def check(carried: Escaped, rows: int) -> None:
    """Check that the run is whole and kept within the quota, and that it made good use of it."""
    shop, world, execution = carried.shop, carried.world, carried.execution
    (manifest,) = world.bucket.manifests()
    assert execution.status == "SUCCEEDED"
    assert execution.output["records"] == manifest["records"] == rows
    assert manifest["verified"], manifest["reason"]
    assert world.bucket.broken == []

    assert set(shop.statuses) == {200}
    assert all(left >= quota * RESERVE_PERCENT // 100 for left, quota in zip(shop.least, DEFAULT, strict=True))
    sent, could = shop.offered(RESERVE_PERCENT)
    assert sent >= 0.95 * could

    assert world.time.slept <= 0.01 * world.billed
    assert carried.longest < 60
    cursors = [result["cursor"] for result in carried.results if "cursor" in result]
    assert max(map(len, cursors)) < MAX_CURSOR_BYTES
    assert execution.events < MAX_EVENTS


def test_a_million_rows_are_read_within_the_quota_and_as_in_one_run() -> None:
    rows = 1_000_000
    event = {"entity": "orders"}

    carried = carry(event, rows, quota=DEFAULT)

    check(carried, rows)
    pages = rows // 250
    assert carried.execution.output["requests"] == sum(carried.shop.admitted.values())
    assert carried.execution.output["requests"] <= 1.03 * pages
    billed_seconds = carried.execution.output["requests"] / RATE
    assert billed_seconds * MEMORY_MB / 1024 <= 110  # gigabyte-seconds, at the pace that the shop allows

    unlimited = carry(event, rows, quota=None)
    assert len(unlimited.results) == 1
    assert content_hash(carried.world) == content_hash(unlimited.world)


@pytest.mark.parametrize("begin", [0, 137])
def test_a_run_takes_hardly_longer_than_the_limits_dictate(begin: int) -> None:
    usable = DEFAULT[0] * (100 - RESERVE_PERCENT) // 100
    limit, pages = 25, 9 * usable // 2
    event = {"entity": "orders", "parameters": {"query": {"limit": limit}}}

    carried = carry(event, pages * limit, quota=(DEFAULT[0], 10_000, 100_000), begin=begin)

    requests = carried.execution.output["requests"]
    first_window = WINDOW_SECONDS - begin
    dictated = first_window + ((requests - 1) // usable - 1) * WINDOW_SECONDS + (requests - 1) % usable / RATE
    assert requests <= 1.03 * pages
    assert set(carried.shop.statuses) == {200}
    assert carried.world.time.monotonic() - carried.began <= 1.02 * dictated


def test_a_run_that_needs_more_than_a_day_of_quota_goes_on_the_next_day() -> None:
    rows = 290_000
    event = {"entity": "orders", "parameters": {"query": {"limit": 25}}}

    carried = carry(event, rows, quota=DEFAULT, begin=1000)

    check(carried, rows)
    assert max(carried.shop.admitted) * 300 // DAY == min(carried.shop.admitted) * 300 // DAY + 1
    assert carried.shop.least[2] == DEFAULT[2] * RESERVE_PERCENT // 100


@pytest.mark.parametrize("begin", [0.4, 1000.7])
def test_a_reset_that_is_rounded_down_leaves_the_reserve_to_others(begin: float) -> None:
    rows = 12_000
    event = {"entity": "orders", "parameters": {"query": {"limit": 10}}}

    carried = carry(event, rows, quota=DEFAULT, begin=begin, habits=Habits(reset="down"))

    check(carried, rows)
    assert len(carried.shop.admitted) > 3


def test_an_invocation_that_comes_too_early_says_partial_again_and_costs_one_count() -> None:
    time = VirtualTime()
    shop = OrderPages(100_000, ShopTime(time), quota=DEFAULT, rate=RATE)
    world = World(shop, time, reserve_percent=RESERVE_PERCENT)
    event = {"entity": "orders", "run_id": "early"}
    first = world.invoke(event)

    again = world.invoke({**event, "cursor": first["cursor"]})

    assert again["status"] == "partial"
    assert again["records"] == first["records"]
    assert again["requests"] <= first["requests"] + 1
    assert again["resume_after_seconds"] > 200
    assert set(shop.statuses) == {200}
