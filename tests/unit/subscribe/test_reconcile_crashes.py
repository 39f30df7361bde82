"""A reconcile run is killed at any request and any call of the bucket: each tombstone is stored once."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connector.errors import RunInProgress
from lightspeed.listing import reader as reading
from tests.property.world import Killed
from tests.unit.subscribe.reconcile_world import World

DELETED = [2, 3, 5, 7, 11]
HOUR = 3600


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "THREADS", 1)


@functools.cache
def _landed(entity: str, quota: int) -> World:
    """Return a world in which five of sixteen records were deleted since the last of some runs."""
    world = World(entity, quota=quota)
    world.fill(10)
    world.run("full")
    world.run("reconcile")
    world.fill(6, start=11)
    world.run("full")
    world.delete(*DELETED)
    world.time.passes(300)
    return world


class Attempt:
    """A world in which the run goes on from where the last process left it.

    Args:
        quota: Requests in five minutes; 0 for one invocation.
    """

    def __init__(self, entity: str, quota: int) -> None:
        self.world = _landed(entity, quota).copy()
        self.event: dict[str, Any] = {"mode": "reconcile", "max_deleted_percent": 40}
        if quota:
            self.event["parameters"] = {"query": {"limit": 4}}
        self.cursor: dict[str, Any] = {}
        self.first_point = self.world.at.passed

    def go_on(self, run_id: str) -> dict[str, Any]:
        """Invoke with the latest cursor until the run is complete."""
        while True:
            result = self.world.invoke({**self.event, **self.cursor}, run_id)
            if result["status"] == "complete":
                self.world.time.passes(10)
                return result
            self.cursor = {"cursor": result["cursor"]}
            self.world.time.passes(result["resume_after_seconds"])

    def start(self, run_id: str) -> dict[str, Any]:
        """Start a run, once the one under way is given up if there is one."""
        self.cursor = {}
        with contextlib.suppress(RunInProgress):
            return self.go_on(run_id)
        self.world.time.passes(HOUR)
        return self.go_on(run_id)


def noticed(attempt: Attempt) -> list[int]:
    """Return every id that any manifest calls deleted, as often as it does."""
    return [identity for identity, times in sorted(attempt.world.noticed().items()) for _ in times]


def killed_at_every_point(entity: str, quota: int) -> Iterator[tuple[str, Attempt]]:
    """Yield the point, and the world in which the run was just killed there."""
    undisturbed = Attempt(entity, quota)
    undisturbed.go_on("run")
    assert noticed(undisturbed) == DELETED
    for point in range(undisturbed.first_point + 1, undisturbed.world.at.passed + 1):
        attempt = Attempt(entity, quota)
        attempt.world.at.kill_at = point
        with pytest.raises(Killed) as killed:
            attempt.go_on("run")
        yield str(killed.value), attempt


def from_its_cursor(attempt: Attempt) -> None:
    assert attempt.world.gone(attempt.go_on("run")) == DELETED


def from_its_beginning(attempt: Attempt) -> None:
    attempt.cursor = {}
    assert attempt.world.gone(attempt.go_on("run")) == DELETED


def the_next_day(attempt: Attempt) -> None:
    attempt.cursor = {}
    attempt.world.time.passes(24 * HOUR)
    assert attempt.world.gone(attempt.go_on("run")) == DELETED


def as_another_run(attempt: Attempt) -> None:
    attempt.start("another")


CASES = {
    "one invocation, resumed": ("reviews", 0, from_its_cursor),
    "one invocation, the next day": ("reviews", 0, the_next_day),
    "one invocation, another run": ("reviews", 0, as_another_run),
    "two looks, another run": ("orders", 0, as_another_run),
    "several invocations, resumed": ("reviews", 6, from_its_cursor),
    "several invocations, from the beginning": ("reviews", 6, from_its_beginning),
    "several invocations, another run": ("reviews", 6, as_another_run),
}


@pytest.mark.parametrize(("entity", "quota", "restart"), CASES.values(), ids=CASES)
def test_a_run_killed_at_any_point_loses_and_doubles_no_tombstone(
    entity: str, quota: int, restart: Callable[[Attempt], None]
) -> None:
    for point, attempt in killed_at_every_point(entity, quota):
        restart(attempt)

        assert noticed(attempt) == DELETED, point
        attempt.world.delete(13)
        attempt.world.time.passes(300)
        attempt.start("after")
        assert noticed(attempt) == [*DELETED, 13], point
        assert attempt.world.bucket.broken == [], point


def test_a_run_killed_after_its_manifest_keeps_nobody_waiting() -> None:
    last = {}
    for point, attempt in killed_at_every_point("reviews", 0):
        if attempt.world.noticed():
            attempt.cursor = {}
            last[point] = attempt.go_on("another")

    assert any("manifests/" in point for point in last)
    assert any("ids.jsonl.gz" in point for point in last)
    assert all(result["objects"] == [] for result in last.values())


def test_a_process_of_the_same_run_that_was_faster_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = Attempt("reviews", 0)
    original = attempt.world.bucket.put_object
    faster: list[dict[str, Any]] = []

    def put_object(**what: Any) -> Any:
        if what["Key"].startswith("deleted/") and not faster:
            faster.append({})
            faster.append(attempt.world.invoke(attempt.event, "run"))
        return original(**what)

    monkeypatch.setattr(attempt.world.bucket, "put_object", put_object)

    assert attempt.world.invoke(attempt.event, "run") == faster[1]
    assert noticed(attempt) == DELETED
    assert attempt.world.bucket.broken == []


def test_the_scarce_quota_makes_several_invocations_of_the_run() -> None:
    attempt = Attempt("reviews", 6)
    partial = 0
    while attempt.world.invoke({**attempt.event, **attempt.cursor}, "run")["status"] == "partial":
        note = attempt.world.bucket.json("state/runs/run.json")
        attempt.cursor = {"cursor": note["cursor"]}
        attempt.world.time.passes(note["resume_after_seconds"])
        partial += 1

    assert partial > 1
    assert noticed(attempt) == DELETED
