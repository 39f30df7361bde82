"""Incremental runs whose list cannot be proved now and then: a record that they missed is stored once, later."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from lightspeed.request import parse_time
from subscribe.sync import state
from subscribe.sync.bookmark import MAX_UNVERIFIED
from tests.property.world import OPENING, ShopTime, VirtualTime, World
from tests.shop import Shop

pytestmark = pytest.mark.usefixtures("one_thread")

SEEDS = 16
EVENT: dict[str, Any] = {"entity": "reviews", "mode": "incremental", "parameters": {"query": {"limit": 5}}}


class LossyShop:
    """A shop whose pages leave out some records that its counts include."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.hidden: set[int] = set()
        self.hidden_by_update: set[int] = set()

    def answer(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        status, given, body = self.shop.answer(method, target, headers, body)
        document = json.loads(body)
        for name in ("reviews", "orders"):
            if isinstance(document.get(name), list):
                hidden = self.hidden | (self.hidden_by_update if "updated_at" in target else set())
                body = json.dumps({name: [row for row in document[name] if row["id"] not in hidden]}).encode()
        return status, given, body


class Followed:
    """A shop, and a subscription that follows it."""

    def __init__(self, reviews: int, event: Mapping[str, Any] = EVENT, orders: int = 0) -> None:
        self.event = event
        self.time = VirtualTime()
        self.shop = Shop(
            orders=orders, products=orders, clock=ShopTime(self.time), languages=("nl", "en"), rate_per_second=None
        )
        self.lossy = LossyShop(self.shop)
        self.world = World(self.lossy, self.time)
        for number in range(reviews):
            self.shop.store.add("reviews", at=OPENING - 2000 + number)
        self.runs = 0

    def run(self) -> dict[str, Any]:
        self.runs += 1
        return self.world.run(self.event, f"run-{self.runs}")

    def change(self, record_id: int) -> None:
        self.shop.store.update("reviews", record_id, content=f"{self.time.time()}", at=self.time.time())

    def stamp(self, record_id: int) -> int:
        return int((self.shop.store.stored("reviews", record_id) or {})["updatedAt"])

    def reason(self) -> str:
        """Return the reason of the latest run."""
        reasons = {manifest["run_id"]: manifest["reason"] for manifest in self.world.bucket.manifests()}
        return str(reasons[f"run-{self.runs}"])

    def until(self) -> str:
        until: str = self.world.bookmark("reviews")["until"]
        return until

    def landed(self, language: str = "nl") -> Counter[tuple[int, str]]:
        return Counter((found.id, found.changed) for found in self.world.bucket.landed() if found.language == language)

    def lines(self) -> Counter[tuple[int, int]]:
        """Return the nested records that landed, by the ids of parent and record."""
        bucket = self.world.bucket
        texts = [
            gzip.decompress(bucket.objects[part["key"]])
            for manifest in bucket.manifests()
            for part in manifest["parts"]
        ]
        rows = [json.loads(line) for text in texts for line in text.splitlines()]
        return Counter((row["order_id"], row["id"]) for row in rows)


@pytest.mark.parametrize("languages", [["nl"], ["nl", "en"]], ids=["one language", "two languages"])
def test_a_record_that_an_unverified_run_missed_is_stored_once_by_a_later_run(languages: list[str]) -> None:
    for seed in range(SEEDS // len(languages)):
        rng = random.Random(seed)
        followed = Followed(rng.randrange(3, 20), {**EVENT, "languages": languages})
        ids = followed.shop.store.ids("reviews")
        followed.lossy.hidden = set(rng.sample(ids, rng.randrange(3)))
        first = followed.run()
        assert first["verified"] == (not followed.lossy.hidden)
        for _ in range(4):
            for losses in range(rng.randrange(MAX_UNVERIFIED + 1 - (not first["verified"]))):
                followed.time.passes(rng.choice([70, 400]))
                for changed in rng.sample(ids, rng.randrange(1, len(ids))) if losses == 0 else []:
                    followed.change(changed)
                followed.time.passes(rng.choice([20, 70]))
                followed.lossy.hidden = set(rng.sample(ids, rng.randrange(3)))
                followed.run()
            followed.time.passes(120)
            followed.lossy.hidden = set()
            first = followed.run()
            assert first["verified"], seed

            for language in languages:
                landed = followed.landed(language)
                assert max(landed.values()) == 1, seed
                newest = {record_id: max(changed for each, changed in landed if each == record_id) for record_id in ids}
                for record_id in ids:
                    assert _epoch(newest[record_id]) == followed.stamp(record_id), (seed, record_id)


def test_nested_records_of_a_parent_that_an_unverified_run_missed_are_stored_once_by_the_next_run() -> None:
    event = {"entity": "orders/products", "mode": "incremental", "parameters": {"path": {"order_id": "*"}}}
    for seed in range(4):
        rng = random.Random(seed)
        followed = Followed(0, event, orders=12)
        ids = followed.shop.store.ids("orders")
        followed.lossy.hidden = set(rng.sample(ids, 2))
        assert not followed.run()["verified"]
        followed.time.passes(100)
        followed.lossy.hidden = set()

        assert followed.run()["verified"]

        expected = {(order, line) for order in ids for line in followed.shop.store.ids("orders/products", order)}
        assert followed.lines() == Counter(expected)


def test_nested_records_that_change_again_within_the_second_are_stored_by_the_next_run() -> None:
    event = {"entity": "orders/products", "mode": "incremental", "parameters": {"path": {"order_id": "*"}}}
    followed = Followed(0, event, orders=3)
    store = followed.shop.store
    order = store.ids("orders")[0]
    line = store.ids("orders/products", order)[0]
    store.update("orders", order, at=OPENING)

    followed.run()
    store.update("orders/products", line, articleCode="changed again")
    store.update("orders", order, at=OPENING)

    assert followed.time.time() < OPENING + 1
    assert followed.reason() == "parents changed while they were read; the next run reads their records"
    followed.time.passes(100)

    assert followed.run()["verified"]

    bodies = [
        followed.world.bucket.objects[part["key"]]
        for found in followed.world.bucket.manifests()
        for part in found["parts"]
    ]
    assert any(b"changed again" in gzip.decompress(body) for body in bodies)
    assert max(followed.lines().values()) == 1


def test_a_window_of_too_many_records_is_not_read_again_and_the_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_REMEMBERED", 5)
    followed = Followed(8)
    followed.lossy.hidden = {followed.shop.store.ids("reviews")[0]}

    result = followed.run()

    assert result["bookmark"] is not None
    why = "; the window has more than 20,000 records, so only mode full reads this window again"
    assert result["reason"].endswith(why)


def test_a_shop_that_never_gives_a_provable_list_does_not_stop_the_bookmark_for_ever() -> None:
    followed = Followed(8)
    followed.run()
    changed = followed.shop.store.ids("reviews")[0]
    bookmarks = [followed.until()]
    followed.time.passes(200)
    followed.change(changed)
    followed.lossy.hidden = {changed}
    for _ in range(MAX_UNVERIFIED + 1):
        followed.time.passes(100)
        assert not followed.run()["verified"]
        bookmarks.append(followed.until())

    assert len(set(bookmarks[:-1])) == 1
    assert bookmarks[-1] > bookmarks[0]
    assert "this was so 4 times in a row, so only mode full reads this window again" in followed.reason()


def test_the_first_incremental_run_stores_records_that_the_filter_by_time_of_change_hides() -> None:
    followed = Followed(12)
    followed.lossy.hidden_by_update = {followed.shop.store.ids("reviews")[3]}

    result = followed.run()

    assert result["verified"]
    assert result["records"] == 12


def _epoch(text: str) -> int:
    return int(parse_time(text).timestamp())
