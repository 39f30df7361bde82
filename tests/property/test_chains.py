"""Chains of incremental runs over a shop in which others work all the time: every change lands, and lands once."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from connector.errors import RunInProgress
from lightspeed.listing.window import LOOKBACK
from lightspeed.request import parse_time
from tests.property.world import OPENING, Killed, ShopTime, VirtualTime, World
from tests.shop import Habits, Request, Shop
from tests.support.soak import Soak

pytestmark = pytest.mark.usefixtures("one_thread")

SAMPLE, SOAK = 80, 800
RUNS = 6
ORDERS: tuple[Literal["-id", "id", "-updatedAt", "updatedAt"], ...] = ("-id", "id", "-updatedAt", "updatedAt")
MAX_SET_BACK = 45
"""Seconds by which the shop's clock may be set back; a window reaches a minute behind its bookmark."""

THESE_SECONDS = 10
"""A shop whose clock is ahead, and quiet, may leave to the next run what has the time of these seconds by our clock."""


LEFT_TO_THE_NEXT = "records changed while they were read in several languages"
SET_BACK = "the shop's time is before the bookmark"
SET_APART = "the shop's clock was set back since the last run"
READ_BY_THE_NEXT = "changed during the run; the next run reads them by time of creation"


class Chain:
    """A shop at work, and a subscription that follows it."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.time = VirtualTime()
        ahead = rng.choice([0, 0, 1.5, -1.5, 40, -40, 3600, -3600])
        self.clock = ShopTime(self.time, ahead)
        quota = rng.choice([None, (rng.randrange(15, 60), 3000, 12000), (300, rng.randrange(40, 200), 12000)])
        habits = Habits(max_inclusive=rng.random() < 0.5, orders={"reviews": rng.choice(ORDERS)})
        self.shop = Shop(
            orders=0,
            products=0,
            clock=self.clock,
            quota=quota,
            rate_per_second=20,
            habits=habits,
            languages=("nl", "en"),
        )
        slow = rng.choice([0.1, 0.5, 3.0])
        self.world = World(self.shop, self.time, seconds_per_request=lambda: rng.uniform(0.05, slow))
        self.rate = rng.choice([0.0, 0.1, 0.5, 1.0])
        self.event: dict[str, Any] = {
            "entity": "reviews",
            "mode": "incremental",
            "parameters": {"query": {"limit": rng.randrange(2, 9)}},
        }
        if rng.random() < 0.3:
            self.event["languages"] = ["nl", "en"]
        self.since = 0
        if rng.random() < 0.2:
            self.since = int(OPENING + ahead - 700)
            self.event["since"] = datetime.fromtimestamp(self.since, UTC).isoformat()
        self.gone: list[int] = []
        self.had: set[tuple[int, int]] = set()
        for _ in range(rng.randrange(0, 40)):
            self.insert(self.clock.now() - rng.randrange(1, 2000))
        self.shop.on_request(self.others_work)
        self.runs = 0
        self.most_ahead = self.ahead
        self.is_set_apart = False

    def others_work(self, _: Request | None = None) -> None:
        """Insert, change and delete, now and then a record whose id was there before."""
        rng, store = self.rng, self.shop.store
        while rng.random() < self.rate / 2:
            ids, what = store.ids("reviews"), rng.random()
            now = self.clock.now()
            if not ids or what < 0.3:
                self.insert(now)
            elif what < 0.8:
                self.change(rng.choice(ids), now)
            else:
                self.gone.append(rng.choice(ids))
                store.delete("reviews", self.gone[-1])

    def insert(self, at: float) -> None:
        again = self.gone and self.rng.random() < 0.5
        record_id = self.gone.pop() if again else None
        if record_id is None:
            record_id = self.shop.store.add("reviews", at=at)
        elif (record_id, int(at)) not in self.had:
            self.shop.store.add("reviews", {"id": record_id}, at=at)
        self.had.add((record_id, int(at)))

    def change(self, record_id: int, at: float) -> None:
        """Change a record, unless its clock was set back to a second that it has a state of."""
        if (record_id, int(at)) not in self.had or self.stamp(record_id) == int(at):
            self.shop.store.update("reviews", record_id, content=f"{self.rng.random()}", at=at)
            self.had.add((record_id, int(at)))

    def stamp(self, record_id: int) -> int:
        row = self.shop.store.stored("reviews", record_id) or {}
        return int(row["updatedAt"])

    def follow(self) -> None:
        """Make one run, which may be killed, given up, started again and taken up again."""
        rng, cursor = self.rng, None
        self.runs += 1
        run_id, attempt = f"run-{self.runs}", 0
        self.world.at.kill_at = self.world.at.passed + rng.randrange(1, 80) if rng.random() < 0.6 else 0
        while True:
            event = {**self.event, "run_id": run_id, **({"cursor": cursor} if cursor else {})}
            try:
                result = self.world.invoke(event)
            except RunInProgress as refused:
                self.time.passes(rng.choice([60, 1500, 4000]))
                cursor, run_id = None, rng.choice([run_id, refused.run_id])
                continue
            except Killed:
                attempt += 1
                self.others_work()
                if rng.random() < 0.5:
                    self.world.at.kill_at = self.world.at.passed + rng.randrange(1, 80)
                if rng.random() < 0.3:
                    cursor = None
                if rng.random() < 0.3:
                    cursor, run_id = None, f"run-{self.runs}-{attempt}"
                continue
            if result["status"] == "complete":
                self.check(result)
                return
            cursor = result["cursor"]
            early = rng.random() < 0.2
            self.time.passes(rng.uniform(0, 30) if early else result["resume_after_seconds"])

    @property
    def ahead(self) -> float:
        """Seconds by which the shop's clock is ahead of the service's."""
        return self.clock.now() - self.time.time()

    @property
    def reasons(self) -> list[str]:
        """What a run may give as its reason, in parts, if it is not verified."""
        more = [SET_APART] if self.is_set_apart else []
        return [SET_BACK, READ_BY_THE_NEXT, *more, *([LEFT_TO_THE_NEXT] if "languages" in self.event else [])]

    def check(self, result: dict[str, Any]) -> None:
        """Check that what is settled at the end of a run's window has landed, and nothing twice."""
        assert self.world.bucket.broken == []
        assert not result.get("superseded") or result["manifest"] is None
        manifest = self.world.bucket.json(result["manifest"] or "")
        until = parse_time(manifest["window"]["end"]).timestamp() if manifest else 0
        landed = self.landed()
        for record_id in self.shop.store.ids("reviews"):
            stamp = self.stamp(record_id)
            if self.since <= stamp < until + self.shop.habits.max_inclusive:
                for language in self.event.get("languages", ["nl"]):
                    assert (language, record_id, stamp) in landed, (language, record_id, stamp, until)
        lines = Counter((found.language, found.text) for found in self.world.bucket.landed())
        assert not [line for line, times in lines.items() if times > 1]
        assert all((record_id, stamp) in self.had for _, record_id, stamp in landed)
        for found in self.world.bucket.manifests():
            assert found["verified"] or any(text in found["reason"] for text in self.reasons), found["reason"]

    def landed(self) -> set[tuple[str, int, int]]:
        """Return what has landed. A record that changes twice within a second may land in both states."""
        return {
            (found.language, found.id, int(parse_time(found.changed).timestamp()))
            for found in self.world.bucket.landed()
        }

    def let_time_pass(self) -> None:
        """Pass some time until the next run, in which others work and clocks are set."""
        rng = self.rng
        for _ in range(rng.randrange(0, 6)):
            self.time.passes(rng.choice([0.3, 2, 5, 20, 61, 400]))
            self.others_work()
        if rng.random() < 0.2:
            self.clock.advance(rng.uniform(-MAX_SET_BACK, 300))
        if rng.random() < 0.2:
            self.time.jumps(rng.uniform(-300, 300))
        self.is_set_apart |= self.most_ahead - self.ahead > LOOKBACK.total_seconds()
        self.most_ahead = max(self.most_ahead, self.ahead)
        self.others_work()


@pytest.mark.parametrize("quarter", range(4))
def test_every_change_that_settled_lands_exactly_once(quarter: int) -> None:
    check(range(quarter, SAMPLE, 4))


@pytest.mark.soak
def test_every_change_of_many_chains_that_settled_lands_exactly_once(soak: Soak) -> None:
    soak(check, range(SAMPLE, SOAK))


def check(seeds: range) -> None:
    for seed in seeds:
        chain = Chain(seed)
        try:
            for _ in range(RUNS):
                chain.follow()
                chain.let_time_pass()
            chain.rate = 0
            for seconds in (MAX_SET_BACK + 30, THESE_SECONDS):
                chain.time.passes(seconds)
                chain.follow()
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise

        landed = chain.landed()
        for record_id in chain.shop.store.ids("reviews"):
            if chain.stamp(record_id) >= chain.since:
                assert ("nl", record_id, chain.stamp(record_id)) in landed, seed
