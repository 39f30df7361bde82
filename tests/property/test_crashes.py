"""A run killed at any point: no reader is let down, and it can be finished, or started again, with the same outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from connector.errors import RunInProgress
from tests.property.world import OPENING, Killed, ShopTime, VirtualTime, World
from tests.shop import Shop

pytestmark = pytest.mark.usefixtures("one_thread")

EVENT = {"entity": "reviews", "parameters": {"query": {"limit": 5}}}
INCREMENTAL = {**EVENT, "mode": "incremental"}
LANGUAGES = {"languages": ["nl", "en"]}
SCARCE, SCARCER, SCARCEST = ((most, 3000, 12000) for most in (12, 7, 5))
FIVE_MINUTES = 300


@dataclass(frozen=True)
class Scenario:
    """A run to be killed.

    Attributes:
        before: Whether an incremental run was there before, so that there is a bookmark and an overlap.
        quota: Of the shop; a scarce one makes several invocations of the run.
        changing: Whether the shop changes between the kill and what comes after it.
    """

    event: dict[str, Any]
    before: bool = False
    quota: tuple[int, int, int] | None = None
    changing: bool = False


SCENARIOS = {
    "full": Scenario(EVENT),
    "full in several languages": Scenario(EVENT | LANGUAGES),
    "full in several languages while the shop changes": Scenario(EVENT | LANGUAGES, changing=True),
    "full in several invocations": Scenario(EVENT, quota=SCARCER),
    "full in several languages and invocations": Scenario(EVENT | LANGUAGES, quota=SCARCE),
    "the first incremental": Scenario(INCREMENTAL),
    "incremental": Scenario(INCREMENTAL, before=True),
    "incremental while the shop changes": Scenario(INCREMENTAL, before=True, changing=True),
    "incremental in several languages": Scenario(INCREMENTAL | LANGUAGES, before=True),
    "incremental in several languages while the shop changes": Scenario(
        INCREMENTAL | LANGUAGES, before=True, changing=True
    ),
    "incremental in several invocations": Scenario(INCREMENTAL, before=True, quota=SCARCEST),
    "incremental in several languages and invocations": Scenario(
        INCREMENTAL | LANGUAGES, before=True, quota=SCARCER, changing=True
    ),
}


@dataclass
class Attempt:
    """A world in which the scenario's run goes on from where the last process left it."""

    scenario: Scenario
    cursor: str | None = None
    refused: int = 0
    shop: Shop = field(init=False)
    world: World = field(init=False)

    def __post_init__(self) -> None:
        time = VirtualTime()
        self.shop = Shop(orders=0, products=0, clock=ShopTime(time), quota=self.scenario.quota, rate_per_second=None)
        self.world = World(self.shop, time)
        for number in range(23):
            self.shop.store.add("reviews", score=number, at=OPENING - 3000 + 100 * number)
        if self.scenario.before:
            self.world.run(self.scenario.event, "before")
            time.passes(20)
            for number, record_id in enumerate(self.shop.store.ids("reviews")[:11]):
                self.shop.store.update("reviews", record_id, content=f"changed {number}")
                time.passes(2)
            time.passes(FIVE_MINUTES)
        self.first_point = self.world.at.passed

    def go_on(self, run_id: str) -> dict[str, Any]:
        """Invoke with the latest cursor until the run is complete, as the state machine does."""
        while True:
            event = {**self.scenario.event, "run_id": run_id}
            result = self.world.invoke(event | ({"cursor": self.cursor} if self.cursor else {}))
            if result["status"] == "complete":
                return result
            self.cursor = result["cursor"]
            self.world.time.passes(result["resume_after_seconds"])

    def start(self, run_id: str) -> dict[str, Any]:
        """Start a run, once the one under way is given up if there is one."""
        self.cursor = None
        for _ in range(2):
            try:
                return self.go_on(run_id)
            except RunInProgress:
                self.refused += 1
                self.world.time.passes(3600)
        raise AssertionError("the run that was killed is never given up")

    def others_work(self) -> None:
        """Change some records, which are then settled."""
        ids = self.shop.store.ids("reviews")
        for record_id in ids[3:15:4]:
            self.shop.store.update("reviews", record_id, content="changed by others")
        self.shop.store.delete("reviews", ids[7])
        self.world.time.passes(FIVE_MINUTES)

    def parts(self, run_id: str) -> dict[str, bytes]:
        """Return the run's parts by key."""
        objects = self.world.bucket.objects
        return {key: body for key, body in objects.items() if f"/run={run_id}/part-" in key}

    def records(self, run_id: str) -> list[tuple[str, bytes]]:
        """Return language and text of the run's records, as readers find them."""
        return [(found.language, found.text) for found in self.world.bucket.landed() if found.run_id == run_id]


def killed_at_every_point(scenario: Scenario) -> Iterator[tuple[str, Attempt, Attempt]]:
    """Yield the point, the world in which the run was just killed there, and one in which it was not."""
    undisturbed = Attempt(scenario)
    undisturbed.go_on("run")
    assert (undisturbed.cursor is not None) == (scenario.quota is not None)
    for point in range(undisturbed.first_point + 1, undisturbed.world.at.passed + 1):
        attempt = Attempt(scenario)
        attempt.world.at.kill_at = point
        with pytest.raises(Killed) as killed:
            attempt.go_on("run")
        yield str(killed.value), attempt, undisturbed


def check(point: str, attempt: Attempt, undisturbed: Attempt, run_id: str) -> None:
    """Check what holds after the run or another one in its place came to its end."""
    assert attempt.world.bucket.broken == [], point
    if not attempt.scenario.changing:
        seen = attempt.records(run_id) or attempt.records("run")
        assert seen == undisturbed.records("run"), point
    if attempt.scenario.event.get("mode") == "incremental":
        check_chain(point, attempt)


def check_chain(point: str, attempt: Attempt) -> None:
    """Check that over all incremental runs, and one more, every state of a record is landed once."""
    attempt.others_work()
    after = attempt.start("after")
    landed = attempt.world.bucket.landed()
    times = Counter((found.language, found.id, found.changed) for found in landed)
    assert {key: count for key, count in times.items() if count > 1} == {}, point
    languages = attempt.scenario.event.get("languages", ["nl"])
    for language in languages:
        for record in attempt.shop.store.records("reviews", language):
            assert (language, record["id"], record["updatedAt"]) in times, point
    bookmark = attempt.world.bookmark("reviews")
    assert bookmark["run_id"] == "after", point
    assert after["bookmark"] == {"until": bookmark["until"]}, point
    assert after["manifest"] in attempt.world.bucket.objects, point
    assert attempt.world.bucket.broken == [], point


Restart = Callable[[Attempt], str]


def from_its_cursor(attempt: Attempt) -> str:
    attempt.go_on("run")
    return "run"


def from_its_beginning(attempt: Attempt) -> str:
    attempt.cursor = None
    attempt.go_on("run")
    return "run"


def as_another_run(attempt: Attempt) -> str:
    attempt.start("another")
    assert not attempt.refused or attempt.scenario.quota, "only a run between two invocations is waited for"
    return "another"


RESTARTS = [
    pytest.param(scenario, restart, id=f"{name}, {restart.__name__}")
    for name, scenario in SCENARIOS.items()
    for restart in (from_its_cursor, from_its_beginning, as_another_run)
    if scenario.quota or restart is not from_its_cursor  # which a run of one invocation does not have
]


@pytest.mark.parametrize(("scenario", "restart"), RESTARTS)
def test_a_run_killed_at_any_point_is_finished_with_the_same_outcome(scenario: Scenario, restart: Restart) -> None:
    for point, attempt, undisturbed in killed_at_every_point(scenario):
        assert attempt.world.bucket.broken == [], point
        if scenario.changing:
            attempt.others_work()

        run_id = restart(attempt)

        check(point, attempt, undisturbed, run_id)


@pytest.mark.parametrize("name", ["full", "full in several languages", "the first incremental", "incremental"])
def test_a_run_killed_in_its_only_invocation_leaves_the_same_bytes_when_repeated(name: str) -> None:
    for point, attempt, undisturbed in killed_at_every_point(SCENARIOS[name]):
        attempt.go_on("run")

        assert attempt.parts("run") == undisturbed.parts("run"), point


def finish_both(attempt: Attempt) -> None:
    attempt.go_on("run")
    attempt.start("another")


def test_a_run_killed_twice_is_finished_all_the_same() -> None:
    scenario = SCENARIOS["incremental in several languages and invocations"]
    for point, attempt, undisturbed in killed_at_every_point(scenario):
        attempt.world.at.kill_at = attempt.world.at.passed + 9
        with pytest.raises(Killed):
            finish_both(attempt)

        attempt.start("another")

        check(point, attempt, undisturbed, "another")
