"""Incremental runs in worlds whose clocks are wrong: the shop's dates, the shop's own clock, and ours.

The shop's own clock stamps its records, so it is the true one. A seed decides what its `Date` headers say: ahead or
behind, missing, alternating, or other in each invocation. Whatever they say, no change is lost, and none is stored
twice. Only a shop whose own clock is set back may lose changes, and then a run says so.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import pytest

from lightspeed.request import parse_time
from subscribe.sync.bookmark import MAX_UNVERIFIED
from tests.property.world import OPENING, ShopTime, VirtualTime, World
from tests.shop import Shop
from tests.shop.clock import http_date
from tests.support.soak import Soak

pytestmark = pytest.mark.usefixtures("one_thread")

EVENT: dict[str, Any] = {"entity": "reviews", "mode": "incremental", "parameters": {"query": {"limit": 5}}}
SCARCE = (7, 3000, 12000)
SAMPLE, SOAK = 25, 3000
FOUND = 700_186
"""A seed with a clock that is set back between two runs and seems to differ within the second one."""

MAX_LATE = 90 + 20
"""Seconds after which a change is stored by the next run: dates that are wrong by less are not found out."""

YEAR = 365 * 86_400.0
SHIFTS = (YEAR, 86_400.0, 7200.0, 3600.0, 90.0, -90.0, -3600.0, -7200.0, -86_400.0, -YEAR)


SET_BACK = ("the shop's time is before the bookmark", "the shop's clock was set back since the last run")
"""Reasons of a run that says that changes may be lost."""


class DatedShop:
    """A shop whose `Date` headers say what they are told to; `None` leaves the header out."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.shift: Callable[[], float | None] = lambda: 0.0

    def answer(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        status, given, body = self.shop.answer(method, target, headers, body)
        shift, said = self.shift(), given.pop("Date")
        if shift is not None:
            given["Date"] = http_date(parsedate_to_datetime(said).timestamp() + shift)
        return status, given, body


class Scene:
    """A shop that changes, and a subscription that follows it."""

    def __init__(self, rng: random.Random, *, ahead: float = 0.0, quota: tuple[int, int, int] | None = None) -> None:
        self.rng = rng
        self.time = VirtualTime()
        self.clock = ShopTime(self.time, ahead)
        self.shop = Shop(orders=0, products=0, clock=self.clock, quota=quota, rate_per_second=None)
        self.dated = DatedShop(self.shop)
        self.world = World(self.dated, self.time)
        for number in range(rng.randrange(2, 14)):
            self.shop.store.add("reviews", at=OPENING + ahead - 4000 + 300 * number)
        self.runs = 0
        self.began = self.clock.now()
        self.lost: set[tuple[int, str]] = set()

    def change(self) -> None:
        """Change or add some records."""
        for _ in range(self.rng.randrange(4)):
            self.time.passes(self.rng.choice((1, 7, 40)))
            ids = self.shop.store.ids("reviews")
            if self.rng.random() < 0.3:
                self.shop.store.add("reviews", score=1)
            else:
                self.shop.store.update("reviews", self.rng.choice(ids), content=f"{self.rng.random()}")

    def run(self) -> dict[str, Any]:
        """Let a run come to its end, and check what it says of itself."""
        self.runs += 1
        self.began = self.clock.now()
        result = self.world.run(EVENT, f"run-{self.runs}")
        self.check_verified(result)
        return result

    def present(self, changed_before: float = float("inf")) -> set[tuple[int, str]]:
        """Return the states of all records that were changed before a time of the shop."""
        rows = self.shop.store.records("reviews", "nl")
        stamped = {(row["id"], row["updatedAt"]) for row in rows}
        return {(row, text) for row, text in stamped if parse_time(text).timestamp() <= changed_before}

    def landed(self) -> Counter[tuple[int, str]]:
        return Counter((found.id, found.changed) for found in self.world.bucket.landed())

    def check_verified(self, result: dict[str, Any]) -> None:
        """Check that a verified run has everything that its window holds, and what came before it."""
        (window,) = [m["window"] for m in self.world.bucket.manifests() if m["run_id"] == result["run_id"]]
        missing = self.present(min(parse_time(window["end"]).timestamp(), self.began - 10)) - set(self.landed())
        if any(text in result.get("reason", "") for text in SET_BACK):
            self.lost |= missing
        assert missing <= self.lost or not result["verified"]


def shifts(rng: random.Random) -> Callable[[], float | None]:
    """Return what the dates of the answers of one invocation are wrong by."""
    one, two = rng.choice(SHIFTS), rng.choice((0.0, None, *SHIFTS))
    turn = iter(range(10_000))
    kinds: list[Callable[[], float | None]] = [
        lambda: 0.0,
        lambda: one,
        lambda: one if rng.random() < 0.3 else 0.0,
        lambda: one if next(turn) % 2 else two,
        lambda: one if next(turn) < 2 else 0.0,
        lambda: None if next(turn) < 3 else 0.0,
        lambda: None if rng.random() < 0.5 else 0.0,
        lambda: rng.choice((0.0, one, two)),
    ]
    return rng.choice(kinds)


def missing_dates(rng: random.Random) -> Callable[[], float | None]:
    """Return which answers of one invocation have no date; the others are right."""
    turn = iter(range(10_000))
    kinds: list[Callable[[], float | None]] = [
        lambda: 0.0,
        lambda: None if next(turn) < 4 else 0.0,
        lambda: None if rng.random() < 0.5 else 0.0,
        lambda: None if next(turn) else 0.0,
        lambda: None,
    ]
    return rng.choice(kinds)


def wrong_dates(seed: int) -> None:
    """Our clock is right. Every change is stored by the end of the next run, whatever the dates say."""
    rng = random.Random(seed)
    scene = Scene(rng, quota=rng.choice((None, None, SCARCE)))
    for _ in range(rng.randrange(2, 7)):
        scene.dated.shift = shifts(rng)
        if rng.random() < 0.4:
            scene.world.at.meanwhile[scene.world.at.passed + rng.randrange(2, 40)] = scene.change
        scene.run()
        assert scene.present(scene.began - MAX_LATE) <= set(scene.landed())
        scene.change()
        scene.time.passes(rng.choice((20, 100, 900)))
    finish(scene)


def wrong_clocks(seed: int) -> None:
    """The shop's clock and ours differ, ours is set between runs, and some dates are missing. Nothing is lost."""
    rng = random.Random(seed)
    ahead = rng.choice((0.0, 45.0, -45.0, 7200.0, -7200.0, -3600.0, 86_400.0, -86_400.0))
    scene = Scene(rng, ahead=ahead, quota=rng.choice((None, None, SCARCE)))
    jumped, side = 0.0, rng.choice((-1, 1))
    for number in range(rng.randrange(2, 7)):
        if number:
            scene.dated.shift = missing_dates(rng)
        scene.run()
        wrong = rng.choice((0.0, side * 600.0, side * 7200.0)) if rng.random() < 0.3 else jumped
        scene.time.jumps(wrong - jumped)
        jumped = wrong
        scene.change()
        scene.time.passes(rng.choice((20, 100, 900)))
    finish(scene)


def clocks_set_back(seed: int) -> None:
    """The shop's clock is set back between runs. A change that a run can no longer find leaves that run unverified."""
    rng = random.Random(seed)
    scene = Scene(rng, quota=rng.choice((None, None, SCARCE)))
    for _ in range(rng.randrange(3, 8)):
        scene.run()
        scene.change()
        if rng.random() < 0.5:
            scene.clock.advance(-rng.choice((10, 50, 70, 130, 300, 900, 7200)))
            scene.change()
        scene.time.passes(rng.choice((100, 400, 900, 8000)))
    assert max(Counter(found.text for found in scene.world.bucket.landed()).values()) == 1  # a second may come twice


def dates_ahead(seed: int) -> None:
    """Our clock and the dates are ahead of the shop's clock by less than a minute. One record changes all the time."""
    rng = random.Random(seed)
    ahead = rng.choice((3.0, 10.0, 30.0, 50.0))
    scene = Scene(rng, ahead=-ahead)
    scene.dated.shift = lambda: ahead
    changed = scene.shop.store.ids("reviews")[0]

    def change() -> None:
        for _ in range(rng.randrange(3)):
            scene.shop.store.update("reviews", changed, content=f"{rng.random()}")

    for _ in range(rng.randrange(2, 7)):
        for _ in range(rng.randrange(3)):
            scene.world.at.meanwhile[scene.world.at.passed + rng.randrange(2, 20)] = change
        scene.run()
        change()
        scene.time.passes(rng.choice((0.3, 20, 100, 900)))
    for _ in range(2):
        scene.time.passes(100)
        scene.run()
    assert scene.present() <= set(scene.landed())
    texts = Counter(found.text for found in scene.world.bucket.landed())
    assert max(texts.values()) == 1
    assert scene.shop.store.text("reviews", changed, "nl") in {text.decode() for text in texts}


def finish(scene: Scene) -> None:
    """Let the dates be right again, and check that two more runs have everything, each state once."""
    scene.dated.shift = lambda: 0.0
    for _ in range(2):
        scene.time.passes(100)
        scene.run()
    landed = scene.landed()
    assert scene.present() <= set(landed)
    assert {state: count for state, count in landed.items() if count > 1} == {}


def scene_of(*shifts: float | None, ahead: float = 0.0) -> Scene:
    """Return a scene after a first run with right dates; the next answers have these dates, then right ones."""
    scene = Scene(random.Random(1), ahead=ahead)
    scene.run()
    scene.time.passes(600)
    left = list(shifts)
    scene.dated.shift = lambda: left.pop(0) if left else 0.0
    return scene


def changed_after(scene: Scene) -> int:
    """Change a record after a run, and return how many records the next run with right dates stores."""
    scene.dated.shift = lambda: 0.0
    scene.time.passes(30)
    scene.shop.store.update("reviews", scene.shop.store.ids("reviews")[0], content="changed")
    scene.time.passes(30)
    stored: int = scene.run()["records"]
    return stored


def test_a_date_hours_ahead_in_the_first_answers_does_not_move_the_bookmark_ahead() -> None:
    scene = scene_of(7200.0, 7200.0)

    result = scene.run()

    assert parse_time(result["bookmark"]["until"]).timestamp() <= scene.clock.now()
    assert changed_after(scene) == 1


@pytest.mark.parametrize("ahead", [90.0, 7200.0, YEAR])
def test_dates_ahead_in_every_answer_do_not_move_the_bookmark_ahead(ahead: float) -> None:
    scene = scene_of(*[ahead] * 50)

    result = scene.run()

    assert parse_time(result["bookmark"]["until"]).timestamp() <= scene.clock.now() + 2
    assert changed_after(scene) == 1


def test_a_shop_whose_clock_is_ahead_of_ours_is_read_up_to_its_own_time() -> None:
    scene = scene_of(ahead=7200.0)
    scene.shop.store.update("reviews", scene.shop.store.ids("reviews")[0], content="changed")
    scene.time.passes(30)

    result = scene.run()

    assert (result["records"], result["verified"]) == (1, True)
    assert changed_after(scene) == 1


def test_a_record_that_changes_twice_within_a_second_is_stored_twice_though_the_dates_are_ahead_of_the_shop() -> None:
    scene = Scene(random.Random(1), ahead=-30.0)
    scene.dated.shift = lambda: 30.0
    scene.run()
    changed = scene.shop.store.ids("reviews")[0]

    for content in ("first", "second"):
        scene.shop.store.update("reviews", changed, content=content, at=OPENING - 30)
        assert scene.run()["records"] == 1


@pytest.mark.parametrize("missing", [1, 2, 3, 50])
def test_the_bookmark_does_not_go_by_our_clock_where_dates_are_missing_and_the_shop_is_behind(missing: int) -> None:
    scene = scene_of(*[None] * missing, ahead=-7200.0)
    scene.run()

    assert changed_after(scene) == 1


def test_a_run_whose_later_answers_show_an_earlier_time_gives_the_reason() -> None:
    scene = scene_of(None, 0.0, ahead=-7200.0)
    before = scene.world.bookmark("reviews")["until"]

    result = scene.run()

    assert (result["verified"], result["reason"][:42]) == (False, "the shop's answers give different times, s")
    assert before < result["bookmark"]["until"], "rows may enter an open window, so it was read twice"
    assert parse_time(result["bookmark"]["until"]).timestamp() <= scene.clock.now()


def test_a_window_that_later_answers_show_to_have_been_open_is_read_again() -> None:
    scene = scene_of(0.0, *[-90.0] * 50)
    for _ in range(12):
        scene.shop.store.add("reviews", score=1)
    scene.time.passes(30)
    before = scene.world.bookmark("reviews")["until"]

    result = scene.run()

    assert (result["verified"], result["reason"][:42]) == (False, "the shop's answers give different times, s")
    assert result["bookmark"]["until"] == before


@pytest.mark.parametrize("quota", [None, SCARCE], ids=["one invocation", "several"])
def test_ids_are_read_twice_in_a_window_that_may_end_in_the_shops_future(quota: tuple[int, int, int] | None) -> None:
    scene = Scene(random.Random(3), quota=quota)
    scene.dated.shift = lambda: None

    result = scene.run()

    assert result["verified"]
    assert [request.query["page"] for request in scene.shop.requests if request.query.get("fields") == "id"] == ["1"]


def test_a_list_that_no_time_closes_is_verified_whatever_the_dates_say() -> None:
    scene = scene_of(None, 0.0, ahead=-7200.0)

    result = scene.world.run({"entity": "taxes"}, "taxes")

    assert (result["verified"], result.get("reason")) == (True, None)
    (manifest,) = [found for found in scene.world.bucket.manifests() if found["run_id"] == "taxes"]
    assert manifest["window"] is None


def test_a_shop_whose_time_is_before_the_bookmark_gives_the_reason() -> None:
    scene = scene_of()
    scene.run()
    scene.clock.advance(-3600)

    result = scene.run()

    assert (result["verified"], result["reason"][:42]) == (False, "the shop's time is before the bookmark, so")


@pytest.mark.parametrize(("seconds", "verified"), [(50, True), (70, False), (300, False), (7200, False)])
def test_a_run_after_the_shops_clock_was_set_back_gives_the_reason_and_the_next_one_none(
    seconds: float, verified: bool
) -> None:
    scene = scene_of()
    scene.run()
    scene.clock.advance(-seconds)
    scene.shop.store.update("reviews", scene.shop.store.ids("reviews")[0], content="changed")
    scene.time.passes(seconds + 900)

    result, following = scene.run(), scene.run()

    assert (result["records"], result["verified"]) == (int(verified), verified)
    assert verified or result["reason"].startswith(SET_BACK[1])
    assert following["verified"]


def test_dates_a_year_behind_do_not_stop_a_subscription() -> None:
    scene = scene_of()
    for _ in range(MAX_UNVERIFIED + 2):
        scene.dated.shift = lambda: -YEAR
        scene.shop.store.update("reviews", scene.shop.store.ids("reviews")[0], content=f"{scene.runs}")
        scene.time.passes(100)

        assert scene.run()["records"] == 1

    until = scene.world.bookmark("reviews")["until"]
    assert parse_time(until).timestamp() > OPENING + 600


WORLDS = {
    "wrong dates": wrong_dates,
    "wrong clocks": wrong_clocks,
    "clocks set back": clocks_set_back,
    "dates ahead": dates_ahead,
}


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_no_change_is_lost_or_doubled_whatever_the_clocks_say(world: Callable[[int], None]) -> None:
    search(world, range(SAMPLE))
    search(world, range(FOUND, FOUND + 1))


@pytest.mark.soak
@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_many_seeds_of_wrong_clocks(world: Callable[[int], None], soak: Soak) -> None:
    soak(partial(search, world), range(SAMPLE, SOAK))


def search(world: Callable[[int], None], seeds: range) -> None:
    for seed in seeds:
        try:
            world(seed)
        except BaseException as error:
            error.add_note(f"{world.__name__}, seed {seed}")
            raise
