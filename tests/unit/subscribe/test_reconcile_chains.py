"""Random chains of runs while the shop changes: each deletion is found once, and nothing else is."""

from __future__ import annotations

import random
from typing import Any

import pytest

from connector.errors import RunInProgress
from lightspeed.listing import reader as reading
from tests.property.world import Killed
from tests.support.soak import Soak
from tests.unit.subscribe.reconcile_world import World

SAMPLE, SOAK = 60, 600
HOUR = 3600


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "THREADS", 1)


class Chain:
    """A shop in which others work between any two requests, and the runs that follow it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = World(self.rng.choice(["reviews", "taxes", "orders"]), quota=self.rng.choice([0, 0, 12]))
        self.rate = self.rng.choice([0.0, 0.02, 0.1])
        self.next_id = 1
        self.limit = self.rng.choice([3, 10, 250])
        for _ in range(self.rng.randrange(25)):
            self.insert()
        self.world.time.passes(300)
        self.world.shop.others = self.others_work

    def insert(self) -> None:
        self.world.shop.insert(self.next_id)
        self.next_id += 1

    def others_work(self) -> None:
        shop, rng = self.world.shop, self.rng
        while rng.random() < self.rate:
            what = rng.random()
            if what < 0.3 or not shop.rows:
                self.insert()
            elif what < 0.5:
                shop.update(rng.choice(list(shop.rows)))
            elif what < 0.6:
                shop.hidden ^= {rng.choice(list(shop.rows))}
            elif what < 0.65 and self.world.entity == "orders":
                shop.passing_404[rng.choice(list(shop.rows))] = 1
            else:
                self.world.delete(rng.choice(list(shop.rows)))

    def others_work_a_while(self) -> None:
        rate, self.rate = self.rate, self.rng.choice([0.0, 0.5, 0.8])
        self.others_work()
        self.rate = rate
        self.world.time.passes(self.rng.choice([10, 400]))

    def run(self) -> None:
        """Start any run, and perhaps kill it."""
        mode = self.rng.choice(["full", "reconcile", "reconcile", "incremental"])
        if mode == "incremental" and self.world.entity == "taxes":
            mode = "full"
        event: dict[str, Any] = {"parameters": {"query": {"limit": self.limit}}}
        if mode == "reconcile" and self.rng.random() < 0.7:
            event["max_deleted_percent"] = 100
        at = self.world.at
        at.kill_at = at.passed + self.rng.randrange(1, 60) if self.rng.random() < 0.3 else 0
        try:
            self.world.run(mode, **event)
        except Killed:
            if self.rng.random() < 0.5:
                at.kill_at = 0
                self.world.run(mode, f"run-{self.world.runs}", **event)
                return
            self.world.time.passes(HOUR)
        except RunInProgress:
            self.world.time.passes(HOUR)
        finally:
            at.kill_at = 0

    def quiet(self) -> None:
        """Let everybody rest, and every list tell all."""
        self.rate = 0.0
        self.world.shop.hidden.clear()
        self.world.shop.passing_404.clear()
        self.world.time.passes(HOUR)


def test_over_any_chain_of_runs_each_delete_is_noticed_once() -> None:
    check(range(SAMPLE))


@pytest.mark.soak
def test_over_many_chains_of_runs_each_delete_is_noticed_once(soak: Soak) -> None:
    soak(check, range(SAMPLE, SOAK))


def check(seeds: range) -> None:
    noticed = 0
    for seed in seeds:
        chain = Chain(seed)
        for _ in range(chain.rng.randrange(2, 9)):
            chain.others_work_a_while()
            chain.run()

        assert not chain.world.noticed().keys() & chain.world.shop.rows.keys(), seed
        chain.quiet()
        chain.world.run("reconcile", "last", max_deleted_percent=100)

        landed, tombstones = chain.world.landings(), chain.world.noticed()
        assert tombstones.keys() == landed.keys() - chain.world.shop.rows.keys(), seed
        assert {identity: times for identity, times in tombstones.items() if len(times) > 1} == {}, seed
        assert chain.world.gone(chain.world.run("reconcile", "quiet", max_deleted_percent=100)) == [], seed
        assert chain.world.bucket.broken == [], seed
        noticed += len(tombstones)
    assert noticed > len(seeds)


def test_a_record_that_comes_and_goes_has_a_tombstone_for_each_time_it_was_landed() -> None:
    for seed in range(10):
        chain = Chain(seed)
        chain.rate = 0.0
        for _ in range(12):
            identity = chain.rng.randrange(1, 8)
            if identity in chain.world.shop.rows:
                chain.world.delete(identity)
            else:
                chain.world.shop.insert(identity)
            chain.world.time.passes(HOUR)
            chain.world.run(chain.rng.choice(["full", "reconcile"]))
            chain.world.run("reconcile", max_deleted_percent=100)

        landed = chain.world.landings()
        for identity, times in chain.world.noticed().items():
            for before, after in zip([0, *times], times, strict=False):
                assert any(before < landing < after for landing in landed[identity]), (seed, identity)
