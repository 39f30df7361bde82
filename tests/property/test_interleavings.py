"""Copies of a run, and runs that race, take turns at every call of S3 and of the shop. Calls fail and processes die.

A seed decides everything, so a failure is repeated by its seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from connector.aws.errors import is_temporary
from connector.errors import AwsUnavailable, RunInProgress
from lightspeed.errors import TRANSIENT_ERRORS
from tests.property.interleaving import Faults, FaultyBucket, Turns
from tests.property.world import OPENING, Killed, ShopTime, VirtualTime, World
from tests.shop import Shop
from tests.support.soak import Soak

pytestmark = pytest.mark.usefixtures("one_thread")

ENTITY = "reviews"
MAX_ATTEMPTS = 60
SAMPLE, SOAK = 20, 2600
"""Seeds per scenario: of the default run and of the long search."""


class Scene:
    """A shop with records of the last hour, and processes that take turns."""

    def __init__(self, seed: int, *, faults: float, kills: float, quota: tuple[int, int, int] | None) -> None:
        self.rng = random.Random(seed)
        self.time = VirtualTime()
        self.shop = Shop(orders=0, products=0, clock=ShopTime(self.time), quota=quota, rate_per_second=None)
        for number in range(13):
            self.shop.store.add(ENTITY, score=number, at=OPENING - 3000 + 100 * number)
        self.turns = Turns(self.rng, kills=kills)
        self.turns.meanwhile = self.others_work
        self.faults = Faults(self.rng)
        self.share = faults
        self.world = World(self.shop, self.time)
        self.world.at = self.turns  # type: ignore[assignment]
        self.world.bucket = FaultyBucket(self.turns, self.faults, self.time.time)
        self.results: dict[str, list[dict[str, Any]]] = {}
        self.deleted: list[int] = []

    def others_work(self) -> None:
        """Change, add or delete a record."""
        ids = self.shop.store.ids(ENTITY)
        choice = self.rng.random()
        if choice < 0.6:
            self.shop.store.update(ENTITY, self.rng.choice(ids), content=f"changed {self.rng.random()}")
        elif choice < 0.8:
            self.shop.store.add(ENTITY, score=1)
        elif len(ids) > 8:
            self.deleted.append(self.rng.choice(ids))
            self.shop.store.delete(ENTITY, self.deleted[-1])
        self.time.passes(self.rng.choice((0.5, 3, 8)))

    def settle(self) -> None:
        self.time.passes(3700)

    def sync(self, event: dict[str, Any], run_id: str) -> Callable[[], None]:
        """Return a process that carries a run as the state machine does: from its cursor, and again after errors."""

        def process() -> None:
            result = self.carry(event, run_id)
            if result is not None:
                self.results.setdefault(run_id, []).append(result)

        return process

    def carry(self, event: dict[str, Any], run_id: str) -> dict[str, Any] | None:
        asked = {**event, "run_id": run_id}
        for _ in range(MAX_ATTEMPTS):
            try:
                result = self.world.invoke(asked)
            except RunInProgress as refused:
                if refused.run_id == run_id:
                    raise
                self.time.passes(300)
                continue
            except (*TRANSIENT_ERRORS, AwsUnavailable, Killed):
                self.time.passes(5)
                continue
            except (ClientError, BotoCoreError) as error:
                if not is_temporary(error):
                    raise
                self.time.passes(5)
                continue
            if result["status"] == "complete":
                return result
            assert len(result["cursor"]) < 1024
            asked = {**asked, "cursor": result["cursor"]}
            self.time.passes(result["resume_after_seconds"])
        return None

    def race(self, processes: list[Callable[[], None]]) -> None:
        self.faults.share = self.share
        self.turns.run(processes)
        self.faults.share = 0.0

    def finish(self, event: dict[str, Any], run_id: str) -> None:
        """Start the run once more, undisturbed: whatever happened to its copies, it comes to its end."""
        self.settle()
        result = self.carry(event, run_id)
        assert result is not None, f"{run_id} does not end"
        self.results.setdefault(run_id, []).append(result)

    def check_runs(self) -> None:
        """Check that every run was decided once, and that its copies say what was decided."""
        bucket = self.world.bucket
        assert bucket.broken == []
        manifests: dict[str, list[dict[str, Any]]] = {}
        for manifest in bucket.manifests():
            manifests.setdefault(manifest["run_id"], []).append(manifest)
        for run_id, results in self.results.items():
            first, *others = results
            for other in others:
                assert other == first, run_id
            if first.get("superseded"):
                assert run_id not in manifests
                continue
            (manifest,) = manifests[run_id]
            assert bucket.json(first["manifest"]) == manifest
            assert first["verified"] == manifest["verified"]
            assert first["records"] == manifest["records"] == sum(part["records"] for part in self.parts(manifest))
            assert first["objects"] == [part["key"] for part in self.parts(manifest)]

    def parts(self, manifest: dict[str, Any]) -> list[dict[str, Any]]:
        return [*manifest["parts"], *manifest["deleted"]]

    def check_changes(self) -> None:
        """Check that over all runs each state was stored once, and every present one was."""
        stored = Counter((found.id, found.changed) for found in self.world.bucket.landed())
        assert {state: count for state, count in stored.items() if count > 1} == {}
        missing = {(row["id"], row["updatedAt"]) for row in self.shop.store.records(ENTITY, "nl")} - set(stored)
        assert missing == set()


SCARCE = (6, 3000, 12000)
FULL: dict[str, Any] = {"entity": ENTITY, "parameters": {"query": {"limit": 5}}}
INCREMENTAL: dict[str, Any] = {**FULL, "mode": "incremental"}
RECONCILE: dict[str, Any] = {"entity": ENTITY, "mode": "reconcile", "max_deleted_percent": 100}


def scene_of(seed: int) -> Scene:
    """Return a scene; seeds differ in how much goes wrong, in the quota and in what was there before."""
    chooser = random.Random(~seed)
    return Scene(
        seed,
        faults=chooser.choice((0.0, 0.05, 0.15)),
        kills=chooser.choice((0.0, 0.0, 0.02)),
        quota=chooser.choice((None, None, SCARCE)),
    )


def full(seed: int) -> None:
    """Copies of a full run."""
    scene = scene_of(seed)
    scene.race([scene.sync(FULL, "run")] * (2 + seed % 2))
    scene.finish(FULL, "run")
    scene.check_runs()


def incremental(seed: int) -> None:
    """Copies of an incremental run, with or without a bookmark, and the runs that follow it."""
    scene = scene_of(seed)
    if seed % 3:
        scene.finish(INCREMENTAL, "before")
        scene.others_work()
        scene.time.passes(60)
    scene.race([scene.sync(INCREMENTAL, "run")] * (2 + seed % 2))
    scene.finish(INCREMENTAL, "run")
    scene.others_work()
    scene.finish(INCREMENTAL, "after")
    scene.check_runs()
    scene.check_changes()
    assert scene.world.bookmark(ENTITY)["run_id"] == "after"


def racing(seed: int) -> None:
    """Two incremental runs of one subscription, one of them twice."""
    scene = scene_of(seed)
    if seed % 3:
        scene.finish(INCREMENTAL, "before")
        scene.others_work()
        scene.time.passes(60)
    scene.race([scene.sync(INCREMENTAL, name) for name in ("one", "two", "one")[: 2 + seed % 2]])
    for name in ("one", "two", "after"):
        scene.finish(INCREMENTAL, name)
    scene.check_runs()
    scene.check_changes()


def reconcile(seed: int) -> None:
    """Copies of a reconcile run, and another one of the same subscription."""
    scene = scene_of(seed)
    scene.finish(FULL, "full")
    for identity in scene.shop.store.ids(ENTITY)[:3]:
        scene.shop.store.delete(ENTITY, identity)
        scene.deleted.append(identity)
    scene.time.passes(600)
    scene.race([scene.sync(RECONCILE, name) for name in ("one", "one", "two")[: 2 + seed % 2]])
    for name in ("one", "two", "after"):
        scene.finish(RECONCILE, name)
    scene.check_runs()
    noticed = Counter(row["id"] for row in scene.world.bucket.tombstones())
    known = {found.id for found in scene.world.bucket.landed()}
    assert noticed == Counter(identity for identity in scene.deleted if identity in known)


SCENARIOS = {"full": full, "incremental": incremental, "racing": racing, "reconcile": reconcile}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_of_copies_that_take_turns_one_is_decided_and_nothing_is_lost_or_doubled(
    scenario: Callable[[int], None],
) -> None:
    search(scenario, range(SAMPLE))


@pytest.mark.soak
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_many_seeds_of_copies_that_take_turns(scenario: Callable[[int], None], soak: Soak) -> None:
    soak(partial(search, scenario), range(SAMPLE, SOAK))


def search(scenario: Callable[[int], None], seeds: range) -> None:
    for seed in seeds:
        try:
            scenario(seed)
        except BaseException as error:
            error.add_note(f"{scenario.__name__}, seed {seed}")
            raise


def test_the_processes_do_take_turns_and_every_fault_happens() -> None:
    scene = Scene(1, faults=0.3, kills=0.0, quota=None)
    scene.race([scene.sync(FULL, "run")] * 3)

    assert scene.turns.switched > 20
    assert len(scene.faults.seen) >= 5
