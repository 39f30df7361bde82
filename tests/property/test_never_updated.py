"""Records without a time of change that are created after the first run: each is stored once.

What the shop's filter by time of change does with them is not known. So every reading of it is a world of its own.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, Literal

import pytest

from tests.property.test_clock_worlds import DatedShop, missing_dates
from tests.property.world import OPENING, ShopTime, VirtualTime, World
from tests.shop import Shop
from tests.shop.habits import Habits
from tests.support.soak import Soak

pytestmark = pytest.mark.usefixtures("one_thread")

Filter = Literal["as created", "hidden", "shown"]
FILTERS: tuple[Filter, ...] = ("as created", "hidden", "shown")
EVENT: dict[str, Any] = {"entity": "reviews", "mode": "incremental", "parameters": {"query": {"limit": 5}}}
DAY = 86_400
SAMPLE, SOAK = 20, 2000


class Followed:
    """A shop, some of whose records have no time of change, and a subscription that follows it."""

    def __init__(self, never_updated: Filter, *, first: int = 0, seed: int = 0) -> None:
        self.rng = random.Random(seed)
        self.time = VirtualTime()
        self.shop = Shop(
            orders=0,
            products=0,
            clock=ShopTime(self.time),
            habits=Habits(never_updated=never_updated),
            languages=("nl", "en"),
        )
        self.dated = DatedShop(self.shop)
        self.world = World(self.dated, self.time)
        self.runs = 0
        for number in range(8):
            self.shop.store.add("reviews", at=OPENING - 4000 + 300 * number)
        for _ in range(first):
            self.create(seconds_ago=3000)

    def create(self, *, seconds_ago: float = 0.0) -> int:
        """Create a record that has no time of change."""
        at = self.shop.clock.now() - seconds_ago
        return self.shop.store.add("reviews", {"updatedAt": None, "createdAt": int(at), "product": 77}, at=at)

    def run(self, **more: Any) -> dict[str, Any]:
        self.runs += 1
        return self.world.run({**EVENT, **more}, f"run-{self.runs}")

    def stored(self, language: str = "nl") -> Counter[int]:
        return Counter(found.id for found in self.world.bucket.landed() if found.language == language)


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize("never_updated", FILTERS)
def test_a_record_that_is_never_updated_is_stored_once_within_a_day(never_updated: Filter, first: int) -> None:
    followed = Followed(never_updated, first=first)
    followed.run()
    followed.time.passes(900)
    new = followed.create()

    for _ in range(3):
        followed.time.passes(DAY / 2)
        assert followed.run()["verified"]

    assert followed.stored()[new] == 1
    assert max(followed.stored().values()) == 1


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize("never_updated", FILTERS)
def test_so_it_is_where_no_answer_has_a_date(never_updated: Filter, first: int) -> None:
    followed = Followed(never_updated, first=first)
    followed.dated.shift = lambda: None
    followed.run()
    followed.time.passes(900)
    new = followed.create()

    for _ in range(3):
        followed.time.passes(DAY / 2)
        assert followed.run()["verified"]

    assert followed.stored()[new] == 1
    assert max(followed.stored().values()) == 1


@pytest.mark.parametrize("max_inclusive", [True, False])
def test_a_record_at_the_border_of_two_stretches_of_creation_is_stored_once(max_inclusive: bool) -> None:
    followed = Followed("hidden", first=1)
    followed.shop.habits.max_inclusive = max_inclusive
    followed.run()
    followed.time.passes(900)
    new = [followed.create(seconds_ago=ago) for ago in range(60, 80)]

    for _ in range(2):
        assert followed.run()["verified"]
        followed.time.passes(900)

    assert [followed.stored()[record] for record in new] == [1] * len(new)


@pytest.mark.parametrize("undated", [1, 2, 3, 5])
def test_a_record_of_a_first_run_without_dates_is_not_stored_again_when_answers_have_dates_later(undated: int) -> None:
    followed = Followed("hidden")
    old = [followed.create(seconds_ago=ago) for ago in (7300, 7100, 3600, 60)]
    followed.dated.shift = lambda: None
    for _ in range(undated):
        followed.run()
        followed.time.passes(900)
    followed.dated.shift = lambda: 0.0
    for _ in range(3):
        followed.time.passes(900)
        followed.run()

    assert [followed.stored()[record] for record in old] == [1, 1, 1, 1]
    assert "recent" not in followed.world.bookmark("reviews")


def test_once_such_records_are_known_to_be_hidden_the_next_run_stores_a_new_one() -> None:
    followed = Followed("hidden", first=1)
    followed.run()
    followed.time.passes(900)
    new = followed.create()
    followed.time.passes(900)

    followed.run()

    assert followed.stored()[new] == 1


@pytest.mark.parametrize(
    ("never_updated", "first", "requests"), [("as created", 0, 2), ("hidden", 0, 2), ("hidden", 2, 4), ("shown", 2, 2)]
)
def test_an_idle_run_takes_two_requests_more_only_where_such_records_are_known_to_be_hidden(
    never_updated: Filter, first: int, requests: int
) -> None:
    followed = Followed(never_updated, first=first)
    followed.run()
    for _ in range(2):
        followed.time.passes(900)
        result = followed.run()

        assert (result["requests"], result["records"]) == (requests, 0)


def test_a_first_run_with_since_says_what_is_hidden_and_the_next_one_stores_it() -> None:
    followed = Followed("hidden")
    hidden = followed.create(seconds_ago=3000)

    result = followed.run(since="2026-11-23T04:00:00Z")
    followed.time.passes(900)
    followed.run()

    assert (result["verified"], result["reason"][:32]) == (False, "1 records have no time of change")
    assert followed.stored()[hidden] == 1


@pytest.mark.parametrize(("never_updated", "verified"), [("as created", True), ("hidden", False), ("shown", True)])
def test_a_list_with_a_filter_that_lets_rows_in_is_counted_and_the_run_says_what_is_hidden(
    never_updated: Filter, verified: bool
) -> None:
    followed = Followed(never_updated)
    filtered = {"parameters": {"query": {"product": 77}}}
    followed.run(**filtered)
    followed.time.passes(900)
    followed.create()
    followed.time.passes(DAY)

    result = followed.run(**filtered)

    assert result["verified"] == verified
    assert verified or result["reason"][:32] == "1 records have no time of change"


def world(seed: int) -> None:
    rng = random.Random(seed)
    followed = Followed(rng.choice(FILTERS), first=rng.choice((0, 0, 1, 3)), seed=seed)
    followed.shop.habits.max_inclusive = seed % 2 == 0
    more: dict[str, Any] = {"languages": ["nl", "en"]} if rng.random() < 0.3 else {}
    made = {followed.shop.store.add("reviews", at=OPENING - 100)}
    if lacks_dates := rng.random() < 0.5:
        made |= {followed.create(seconds_ago=rng.choice((5, 50, 2000, 7000, 7300))) for _ in range(rng.randrange(3))}
    for _ in range(rng.randrange(3, 13)):
        followed.dated.shift = missing_dates(rng) if lacks_dates else lambda: 0.0
        followed.run(**more)
        for _ in range(rng.randrange(3)):
            made.add(followed.create())
            followed.time.passes(rng.choice((1, 3, 50)))
        if rng.random() < 0.5:
            followed.shop.store.update("reviews", rng.choice(followed.shop.store.ids("reviews")), content="changed")
        followed.time.passes(rng.choice((2, 30, 70, 900, DAY / 2, DAY)))
    followed.dated.shift = lambda: 0.0
    for _ in range(3):
        followed.time.passes(DAY)
        followed.run(**more)
    for language in more.get("languages", ["nl"]):
        landed = Counter(
            (found.id, found.changed) for found in followed.world.bucket.landed() if found.language == language
        )
        assert max(landed.values()) == 1
        assert {identity for identity, _ in landed} >= made


def test_no_record_without_a_time_of_change_is_lost_or_doubled() -> None:
    search(range(SAMPLE))


@pytest.mark.soak
def test_many_seeds_of_records_without_a_time_of_change(soak: Soak) -> None:
    soak(search, range(SAMPLE, SOAK))


def search(seeds: range) -> None:
    for seed in seeds:
        try:
            world(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
