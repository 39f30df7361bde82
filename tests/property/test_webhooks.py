"""Webhooks become runs on a virtual clock, while consumers are killed at every call and messages come twice or late.

Every webhook is followed by a run that starts after it, in time; a subscription has one run per window; nothing is
lost.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from connector.webhooks.window import LAG_SECONDS, MARGIN_SECONDS, Policy
from tests.support.soak import Soak
from webhook.debounce import MAX_IDS, Mark, Run, Status
from webhook.followers import followers
from webhook.scheduler import RunScheduler

OPENING = 1_795_413_600.0
VISIBILITY_SECONDS = 60.0
POLICY = Policy()
SLACK_SECONDS = 2.0
"""Ticks are rounded up to whole seconds, and time passes between two calls."""

SUBSCRIPTIONS = json.dumps(
    [
        {"connection": "default", "subscription": name, "entity": entity, "webhooks": True}
        for name, entity in (("orders", "orders"), ("open-orders", "orders"), ("contacts", "contacts"))
    ]
).encode()


class Killed(BaseException):
    """The consumer is gone: nothing that it had in mind happens any more."""


@dataclass
class Execution:
    """A run of `Sync`."""

    run: Run
    key: str
    start: float
    end: float
    superseded: bool


@dataclass
class World:
    """Queue, table, state machine and clock; each seed is another course of things.

    Attributes:
        kills: Share of calls at which the consumer is killed.
        kept: Marks with their versions.
        runs: Executions by name.
        webhooks: When each webhook came, its entity, action and id.
    """

    rng: random.Random
    kills: float
    now: float = OPENING
    killed: int = 0
    kept: dict[str, tuple[str, int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    runs: dict[str, Execution] = field(default_factory=dict)
    webhooks: list[tuple[float, str, str, str]] = field(default_factory=list)
    queue: list[tuple[float, int, str]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    depth: int = 0

    def __post_init__(self) -> None:
        self.scheduler = RunScheduler(self, functools.partial(followers, lambda _: SUBSCRIPTIONS), self, POLICY)

    # the clock

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    # the table

    def load(self, key: str) -> tuple[Mark | None, int]:
        self.call()
        text, version = self.kept.get(key, ("", 0))
        self.call()
        return (decode(text), version) if text else (None, 0)

    def save(self, key: str, mark: Mark, version: int) -> bool:
        self.call()
        if self.kept.get(key, ("", 0))[1] != version:
            return False
        self.kept[key] = encode(mark), version + 1
        self.call()
        return True

    def allow(self, key: str, wanted: int, most: int) -> int:
        self.call()
        before = self.counts.get(key, 0)
        self.counts[key] = before + wanted
        self.call()
        return max(0, min(wanted, most - before))

    # the state machine

    def start(self, run: Run) -> None:
        self.call()
        if run.name not in self.runs:
            lasts = self.rng.choice([1.0, 3.0, 5.0, self.rng.uniform(5, 200)])
            key = f"{run.event.get('subscription', run.event['entity'])} {run.event.get('mode')}"
            superseded = self.rng.random() < 0.05
            self.runs[run.name] = Execution(run, key, self.now, self.now + lasts, superseded)
        self.call()

    def status(self, name: str) -> Status:
        self.call()
        found = self.runs.get(name)
        if found is None or (found.start == self.now and self.rng.random() < 0.3):  # describing lags behind
            return "missing"
        return "running" if self.now < found.end else "superseded" if found.superseded else "ended"

    # the queue

    def tick(self, message: str, delay_seconds: float) -> None:
        self.call()
        self.send(message, self.now + -(-delay_seconds // 1))
        self.call()

    def send(self, message: str, at: float) -> None:
        heapq.heappush(self.queue, (at, next(self.numbers), message))

    def webhook(self, entity: str) -> None:
        action = self.rng.choice(["created", "updated", "updated", "deleted"])
        identity = str(self.rng.randrange(1_000)) if self.rng.random() < 0.9 else ""
        self.webhooks.append((self.now, entity, action, identity))
        message = {"connection": "default", "entity": entity, "action": action, "id": identity}
        text = json.dumps({**message, "received": int(self.now * 1000)})
        for _ in range(1 + (self.rng.random() < 0.1)):
            self.send(text, self.now + self.rng.choice([0.0, 0.1, 1.0]))

    def consume(self) -> None:
        """Let a consumer take what is visible, as Lambda does."""
        batch: list[str] = []
        while self.queue and self.queue[0][0] <= self.now and len(batch) < 10:
            batch.append(heapq.heappop(self.queue)[2])
        if not batch:
            return
        try:
            failed = list(self.scheduler.handle(batch))
        except Killed:
            failed = list(range(len(batch)))
        for position, message in enumerate(batch):
            if position in failed:
                self.send(message, self.now + VISIBILITY_SECONDS)
            elif self.rng.random() < 0.02:  # delivered at least once
                self.send(message, self.now + self.rng.uniform(0, VISIBILITY_SECONDS))

    def call(self) -> None:
        """Reach a point between two calls: the consumer may be killed, or another one may come first."""
        if self.rng.random() < self.kills:
            self.killed += 1
            raise Killed
        if self.depth == 0 and self.rng.random() < 0.05:
            self.depth += 1
            self.consume()
            self.depth -= 1

    def run_until(self, end: float) -> None:
        """Let time pass from message to message."""
        while self.queue and self.queue[0][0] <= end:
            self.now = max(self.now, self.queue[0][0])
            self.consume()
        self.now = end


def encode(mark: Mark) -> str:
    return msgspec.json.encode(mark).decode()


def decode(text: str) -> Mark:
    return msgspec.json.decode(text, type=Mark)


def lived(seed: int) -> World:
    """Return a world after some quarters of an hour of webhooks, quiet again."""
    rng = random.Random(seed)
    world = World(rng, rng.choice([0.0, 0.0, 0.01, 0.05]))
    for _ in range(rng.randrange(1, 12)):
        kind = rng.choice(["one", "burst", "stream"])
        entities = rng.choice([["orders"], ["contacts"], ["orders", "contacts", "products"]])
        count, gap = {"one": (1, 0.0), "burst": (rng.randrange(2, 300), 0.01), "stream": (60, 5.0)}[kind]
        for _ in range(count):
            world.webhook(rng.choice(entities))
            world.run_until(world.now + gap * rng.random() * 2)
        world.run_until(world.now + rng.choice([1.0, 20.0, 70.0, 300.0]))
    world.run_until(world.now + 7_200)
    return world


def check(world: World) -> None:
    """Check what is promised of webhooks."""
    assert not world.queue
    assert not [mark for mark in map(decode, (text for text, _ in world.kept.values())) if mark.is_open]
    by_key: dict[str, list[Execution]] = {}
    for execution in sorted(world.runs.values(), key=lambda one: one.start):
        by_key.setdefault(execution.key, []).append(execution)
    for executions in by_key.values():
        check_windows(executions)
    for came, entity, action, identity in world.webhooks:
        if entity == "orders":
            check_followed(world, came, by_key["orders incremental"])
            check_followed(world, came, by_key["open-orders incremental"])
        elif entity == "contacts":
            check_followed(world, came, by_key["contacts None"], lag=0.0)
            check_read(came, identity, by_key["contacts None"])
        if entity == "products":
            assert not [key for key in by_key if key.startswith("products")]
        elif action == "deleted" and identity and sum(world.counts.values()) <= MAX_IDS:
            name = "open-orders" if entity == "orders" else "contacts"
            asked = [one for one in by_key[f"{name} reconcile"] if int(identity) in one.run.event["ids"]]
            assert asked[-1].start >= came
    for execution in world.runs.values():
        assert len(execution.run.name) <= 80
        assert ":" not in execution.run.name
        assert 0 < len(execution.run.event.get("ids", [1])) <= MAX_IDS


def check_windows(executions: list[Execution]) -> None:
    """One run at a time, and one per window, which grows on a busy day."""
    for number, (before, after) in enumerate(itertools.pairwise(executions), 1):
        assert before.end <= after.start
        apart = POLICY.window(number) - MARGIN_SECONDS - LAG_SECONDS
        assert after.run.name > before.run.name
        assert after.start - before.start >= apart - 0.01 or before.start < int(after.start // 86_400) * 86_400


def check_followed(world: World, came: float, executions: list[Execution], lag: float = LAG_SECONDS) -> None:
    """A run that counts starts after the webhook and reads it; the first that covers it starts in time."""
    counted = [one for one in executions if not one.superseded and one.start >= came + lag - 0.01]
    assert counted
    first = next(one for one in executions if one.start >= came + lag - 0.01)
    earlier = [one for one in executions if one.start < first.start]
    until = came + POLICY.window(len(earlier))
    if earlier:
        until = max(until, earlier[-1].end + 10)
    assert first.start <= until + SLACK_SECONDS + world.killed * 2 * VISIBILITY_SECONDS


def check_read(came: float, identity: str, executions: list[Execution]) -> None:
    """A record is read by its id, or with all others."""
    counted = [one for one in executions if not one.superseded and one.start >= came]
    assert any(identity == "" or "ids" not in one.run.event or int(identity) in one.run.event["ids"] for one in counted)


@pytest.mark.parametrize("seed", range(40))
def test_every_webhook_is_followed_by_a_run_and_none_is_lost(seed: int) -> None:
    check(lived(seed))


@pytest.mark.soak
def test_every_webhook_is_followed_by_a_run_in_two_thousand_worlds(soak: Soak) -> None:
    soak(search, range(2_000))


def search(seeds: range) -> None:
    for seed in seeds:
        try:
            check(lived(seed))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@dataclass
class OneDeath(World):
    """A world in which one consumer is killed, at the call of a given number, counted from 1.

    Attributes:
        calls: So many calls were made.
    """

    dies_at: int = 0
    calls: int = 0

    def call(self) -> None:
        self.calls += 1
        if self.calls == self.dies_at:
            self.killed += 1
            raise Killed


def quarter_of_an_hour(dies_at: int) -> OneDeath:
    """Return a world after webhooks before, during and after runs."""
    world = OneDeath(random.Random(7), 0.0, dies_at=dies_at)
    for entity in ("orders", "contacts", "orders", "contacts", "orders", "orders"):
        world.webhook(entity)
        world.run_until(world.now + 25)
    world.run_until(world.now + 7_200)
    return world


def test_a_consumer_that_is_killed_at_any_call_loses_nothing() -> None:
    calls = quarter_of_an_hour(0).calls
    assert calls > 100
    for number in range(1, calls + 1):
        world = quarter_of_an_hour(number)
        assert world.killed == 1
        check(world)


def test_a_thousand_webhooks_cause_one_run() -> None:
    world = World(random.Random(1), 0.0)
    for _ in range(1_000):
        world.webhook("orders")
        world.run_until(world.now + 0.005)
    world.run_until(world.now + 600)

    assert len([one for one in world.runs.values() if one.key == "orders incremental" and not one.superseded]) == 1


def test_one_captured_signature_with_ten_thousand_ids_costs_a_hundred_requests_a_window() -> None:
    world = World(random.Random(1), 0.0)
    for number in range(10_000):
        message = {"connection": "default", "entity": "orders", "action": "deleted", "id": str(number)}
        world.send(json.dumps({**message, "received": int(world.now * 1000)}), world.now)
        if number % 100 == 0:
            world.run_until(world.now + 0.1)
    world.run_until(world.now + 600)

    asked = [one for one in world.runs.values() if one.run.event.get("mode") == "reconcile"]
    assert len(world.counts) <= 3
    assert sum(len(one.run.event["ids"]) for one in asked if not one.superseded) <= MAX_IDS * len(world.counts)
    assert len([one for one in world.runs.values() if one.key == "open-orders incremental"]) <= len(world.counts)
