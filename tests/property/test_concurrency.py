"""Many invocations at once on one key: each learns from the shop's headers what the others have used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lightspeed.listing.reader import CONNECTIONS
from tests.property.pages import OrderPages
from tests.property.world import ShopTime, VirtualTime, World

AT_ONCE = 20
RESERVE_PERCENT = 10
ROWS = 6000
DEFAULT = (300, 3000, 12000)
LARGE = (2000, 20_000, 80_000)
ON_THEIR_WAY = AT_ONCE * CONNECTIONS
"""Requests that may have been sent, each page and a count of every invocation, before the last answer was known."""


class Together:
    """Invocations that share a shop, a bucket and a clock, each in a thread of its own."""

    def __init__(self, quota: tuple[int, int, int], rate: int | None, limit: int) -> None:
        self.time = VirtualTime()
        self.shop = OrderPages(ROWS, ShopTime(self.time), quota=quota, rate=rate)
        self.world = World(self.shop, self.time, reserve_percent=RESERVE_PERCENT, seconds_per_request=lambda: 0.003)
        self.event = {"entity": "orders", "parameters": {"query": {"limit": limit}}}
        self.rounds = 0

    def run_all(self) -> list[dict[str, Any]]:
        """Run until every run is complete; a round is over when the last of its invocations is."""
        events: list[dict[str, Any]] = [{**self.event, "run_id": f"run-{number}"} for number in range(AT_ONCE)]
        done: list[dict[str, Any]] = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while events:
                self.rounds += 1
                assert self.rounds < 100
                results = list(pool.map(self.world.invoke, events))
                done += [result for result in results if result["status"] == "complete"]
                partial = [result for result in results if result["status"] == "partial"]
                events = [{**self.event, "run_id": each["run_id"], "cursor": each["cursor"]} for each in partial]
                self.time.passes(max((result["resume_after_seconds"] for result in partial), default=0))
        return done

    def check(self, results: list[dict[str, Any]]) -> None:
        """Check that every run landed everything."""
        assert len(results) == AT_ONCE
        manifests = self.world.bucket.manifests()
        assert [manifest["records"] for manifest in manifests] == [ROWS] * AT_ONCE
        assert all(manifest["verified"] for manifest in manifests)
        assert self.world.bucket.broken == []


def test_twenty_invocations_at_once_keep_the_reserve_but_for_what_was_on_its_way() -> None:
    together = Together(LARGE, rate=None, limit=50)

    results = together.run_all()

    together.check(results)
    assert together.rounds > 1
    assert set(together.shop.statuses) == {200}
    assert together.shop.least[0] >= LARGE[0] * RESERVE_PERCENT // 100 - ON_THEIR_WAY


def test_twenty_invocations_at_once_wait_out_the_few_requests_that_a_small_quota_refuses() -> None:
    together = Together(DEFAULT, rate=None, limit=250)

    results = together.run_all()

    together.check(results)
    assert together.rounds > 1
    assert together.shop.statuses[429] <= together.shop.statuses[200] / 5


def test_twenty_invocations_at_once_wait_out_more_requests_a_second_than_the_shop_takes() -> None:
    together = Together(DEFAULT, rate=20, limit=250)

    results = together.run_all()

    together.check(results)
