"""Workers of all kinds send to one shop on a virtual clock: the sum of their requests in any second.

The table fails before and after it wrote, answers late, and is silent for seconds, or refuses one worker. Clocks differ
by up to a second. Workers stop at any request. The second is a sliding one.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from connector.rate import OUTAGE_SECONDS, OUTAGE_SHARE, TableShare
from lightspeed.rate_limiter import REQUESTS_PER_SECOND, RateLimiter
from tests.support.soak import Soak

Span = tuple[float, float]
NEVER: Span = (0.0, 0.0)
EPOCH = 1_795_413_600.0
JITTER_SECONDS = 0.015


class Simulation:
    """Virtual time for threads: one runs at a time, and the one that wakes first goes on."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = itertools.count()
        self._sleeping: list[tuple[float, int, threading.Event]] = []
        self._all_done = threading.Event()
        self._failures: list[BaseException] = []

    def sleep(self, seconds: float) -> None:
        """Let others run until the time has passed."""
        wake = threading.Event()
        heapq.heappush(self._sleeping, (self.now + seconds, next(self._numbers), wake))
        self._go_on()
        assert wake.wait(60)

    def start(self, at: float, body: Callable[[], None]) -> None:
        """Plan a worker."""
        wake = threading.Event()
        heapq.heappush(self._sleeping, (at, next(self._numbers), wake))

        def run() -> None:
            wake.wait(60)
            try:
                body()
            except BaseException as error:
                self._failures.append(error)
            self._go_on()

        threading.Thread(target=run, daemon=True).start()

    def run(self) -> None:
        """Run until every worker has ended."""
        self._go_on()
        assert self._all_done.wait(60)
        assert self._failures == []

    def _go_on(self) -> None:
        if not self._sleeping:
            self._all_done.set()
            return
        self.now, _, wake = heapq.heappop(self._sleeping)
        wake.set()


@dataclass
class WorkerClock:
    """A worker's clock, ahead of or behind others."""

    simulation: Simulation
    ahead: float

    def monotonic(self) -> float:
        return self.simulation.now + 100 + 7 * self.ahead

    def time(self) -> float:
        return EPOCH + self.simulation.now + self.ahead

    def sleep(self, seconds: float) -> None:
        self.simulation.sleep(seconds)


@dataclass
class Table:
    """One item, written on the condition that its token is the expected one.

    Attributes:
        errors: Share of calls that fail, half of them after they wrote.
        silent: Virtual seconds from and until which no call is answered.
        writes: Number of calls.
    """

    simulation: Simulation
    rng: random.Random
    errors: float = 0.0
    silent: Span = NEVER
    writes: int = 0
    item: dict[str, Any] | None = None
    keys: set[str] = field(default_factory=set)

    def put_item(self, **call: Any) -> None:
        self.writes += 1
        self.simulation.sleep(self.rng.uniform(0.002, 0.015))
        if self.silent[0] <= self.simulation.now < self.silent[1]:
            self.simulation.sleep(1)
            raise ReadTimeoutError(endpoint_url="table")
        fate = self.rng.random()
        if fate < self.errors / 2:
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "PutItem")
        expected = call["ExpressionAttributeValues"][":token"]
        if self.item is not None and self.item["token"] != expected:
            error: Any = {"Error": {"Code": "ConditionalCheckFailedException"}, "Item": self.item}
            raise ClientError(error, "PutItem")
        self.item = call["Item"]
        self.keys.add(call["Item"]["id"]["S"])
        if fate < self.errors:
            self.simulation.sleep(1)
            raise ReadTimeoutError(endpoint_url="table")
        self.simulation.sleep(self.rng.uniform(0.002, 0.015))


@dataclass
class Way:
    """One worker's way to the table.

    Attributes:
        refused: Virtual seconds from and until which each of this worker's calls is refused at once.
    """

    table: Table
    refused: Span

    def put_item(self, **call: Any) -> None:
        if self.refused[0] <= self.table.simulation.now < self.refused[1]:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem")
        self.table.put_item(**call)


@dataclass
class Shop:
    """When requests arrived, and how long each waited, by whether a caller waits for it."""

    arrivals: list[float] = field(default_factory=list)
    call_waits: list[float] = field(default_factory=list)

    def most_in_a_second(self) -> int:
        """Return the most requests in any sliding second."""
        ordered = sorted(self.arrivals)
        first = most = 0
        for last, moment in enumerate(ordered):
            while ordered[first] <= moment - 1:
                first += 1
            most = max(most, last - first + 1)
        return most


class Stack:
    """Workers that share a table and a shop."""

    def __init__(self, seed: int, *, errors: float = 0.0, silent: Span = NEVER) -> None:
        self.rng = random.Random(seed)
        self.simulation = Simulation()
        self.table = Table(self.simulation, self.rng, errors, silent)
        self.shop = Shop()

    def worker(
        self,
        at: float,
        requests: int,
        *,
        background: bool,
        ahead: float = 0.0,
        think: float = 0.0,
        refused: Span = NEVER,
        dies: bool | None = None,
    ) -> None:
        """Plan a worker.

        Args:
            at: When it starts.
            requests: How many it sends.
            background: Whether no caller waits.
            ahead: How far its clock is ahead of the simulation's.
            think: The most seconds before each request.
            refused: When the table refuses its calls.
            dies: Whether it keeps its share at its end; by chance if `None`.
        """
        clock = WorkerClock(self.simulation, ahead)
        way = Way(self.table, refused)
        share = TableShare("table", lambda: way, "default", clock)
        dies = self.rng.random() < 0.5 if dies is None else dies
        share.background = background
        limiter = RateLimiter(clock, share=share)

        def body() -> None:
            for _ in range(requests):
                if think:
                    self.simulation.sleep(self.rng.uniform(0, think))
                begun = self.simulation.now
                limiter.wait()
                if not background:
                    self.shop.call_waits.append(self.simulation.now - begun)
                self.shop.arrivals.append(self.simulation.now + self.rng.uniform(0, JITTER_SECONDS))
            if not dies:
                share.release()

        self.simulation.start(at, body)


def world(seed: int) -> Stack:
    """Return workers of all kinds that come and go, and a table that fails."""
    rng = random.Random(f"world {seed}")

    def trouble() -> Span:
        begin = rng.uniform(0, 6)
        return (begin, begin + rng.uniform(0, OUTAGE_SECONDS - 2)) if rng.random() < 0.5 else NEVER

    stack = Stack(seed, errors=rng.choice([0, 0.02, 0.1, 0.3]), silent=trouble())
    for _ in range(rng.randint(1, 8)):
        stack.worker(
            rng.uniform(0, 8),
            rng.randint(1, 150),
            background=rng.random() < 0.6,
            ahead=rng.uniform(-0.5, 0.5),
            think=rng.choice([0, 0, 0.05, 0.4, 3]),
            refused=trouble(),
        )
    return stack


def outage(seed: int) -> Stack:
    """Return workers of all kinds, and a table that is silent for longer than a lease, or refuses most calls."""
    rng = random.Random(f"outage {seed}")
    begin = rng.uniform(0, 4)
    if seed % 2:
        stack = Stack(seed, silent=(begin, begin + rng.uniform(OUTAGE_SECONDS, 20)))
    else:
        stack = Stack(seed, errors=rng.choice([0.7, 0.85, 0.95]))
    for _ in range(rng.randint(2, 8)):
        stack.worker(
            rng.uniform(0, OUTAGE_SECONDS),  # a worker that starts later does not know of those that go on slowly
            rng.randint(20, 150),
            background=rng.random() < 0.6,
            ahead=rng.uniform(-0.5, 0.5),
            think=rng.choice([0, 0, 0.05]),
        )
    return stack


def check(stack: Stack, most: int = REQUESTS_PER_SECOND) -> None:
    stack.simulation.run()
    assert stack.shop.most_in_a_second() <= most
    assert stack.table.keys <= {"rate#default"}


@pytest.mark.parametrize("seed", range(16))
def test_workers_of_all_kinds_together_never_send_more_than_20_requests_in_a_second(seed: int) -> None:
    check(world(seed))


@pytest.mark.parametrize("seed", range(6))
def test_workers_keep_to_20_requests_in_a_second_while_the_table_is_down(seed: int) -> None:
    check(outage(seed))


@pytest.mark.soak
@pytest.mark.parametrize("kind", [world, outage])
def test_many_mixtures_of_workers_never_send_more_than_20_requests_in_a_second(
    kind: Callable[[int], Stack], soak: Soak
) -> None:
    soak(partial(search, kind), range(1000, 1400))


def search(kind: Callable[[int], Stack], seeds: range) -> None:
    for seed in seeds:
        try:
            check(kind(seed))
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


def test_a_share_whose_worker_lost_the_table_is_free_only_after_its_last_request() -> None:
    for tenths in range(5, 25, 4):
        lost = tenths / 10
        stack = Stack(tenths)
        stack.worker(0, 80, background=True, ahead=-0.5, refused=(lost, lost + 4))
        stack.worker(lost + 0.3, 80, background=True, ahead=0.5)
        check(stack)


def test_a_worker_that_alone_loses_the_table_sends_one_request_per_second_beside_the_20() -> None:
    stack = Stack(5)
    stack.worker(0, 200, background=True)
    stack.worker(0, 40, background=True, refused=(1, 20))

    check(stack, REQUESTS_PER_SECOND + OUTAGE_SHARE)


def seconds_alone(requests: int) -> float:
    """Return how long a worker takes that is alone."""
    simulation, end = Simulation(), [0.0]
    limiter = RateLimiter(WorkerClock(simulation, 0))

    def body() -> None:
        for _ in range(requests):
            limiter.wait()
        end[0] = simulation.now

    simulation.start(0, body)
    simulation.run()
    return end[0]


def test_a_run_alone_is_as_fast_as_without_the_table() -> None:
    stack = Stack(1)
    stack.worker(0, 408, background=True)  # the requests of 100,000 orders
    stack.simulation.run()

    took = max(stack.shop.arrivals)
    assert took <= 1.03 * seconds_alone(408)
    assert stack.table.writes <= 4 * took


def test_two_runs_together_are_about_as_fast_as_one() -> None:
    stack = Stack(2)
    for _ in range(2):
        stack.worker(0, 200, background=True)
    stack.simulation.run()

    assert max(stack.shop.arrivals) <= 1.15 * seconds_alone(400)


def test_a_call_waits_a_few_hundred_milliseconds_behind_background_runs() -> None:
    waits = []
    for seed in range(12):
        stack = Stack(seed)
        for number in range(1 + seed % 3):
            stack.worker(0, 150, background=True, ahead=number / 3)
        stack.worker(3 + seed / 11, 4, background=False, ahead=-0.3)
        stack.simulation.run()
        assert stack.shop.most_in_a_second() <= REQUESTS_PER_SECOND
        waits += stack.shop.call_waits

    assert max(waits) <= 0.6
    assert sum(waits) / len(waits) <= 0.25


def test_a_run_gets_back_what_a_call_took() -> None:
    stack = Stack(3)
    stack.worker(0, 400, background=True)
    stack.worker(5, 2, background=False)
    stack.simulation.run()

    late = [moment for moment in stack.shop.arrivals if 12 <= moment < 17]
    assert len(late) >= 95


def test_workers_go_on_slowly_while_the_table_is_silent_for_long() -> None:
    stack = Stack(4, silent=(0, 60))
    for _ in range(6):
        stack.worker(0, 20, background=True)
    stack.simulation.run()

    assert stack.shop.most_in_a_second() <= 6
    assert 20 <= max(stack.shop.arrivals) <= 60
