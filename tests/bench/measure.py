"""The measurements: which contestant runs when, so that every ratio is taken within one round."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.contestants import FASTEST_GZIP, LOOP, LOOP_LINES, PACED, Contestant, fan_out
from tests.bench.shop import Setup
from tests.bench.track import Figures, Track

PAGE_ROWS = 250

PARENTS = 2000
"""Orders whose lines are read, one request for each."""

START_UP_RECORDS = PAGE_ROWS
"""A run of one page: what is left of it beside that page is start-up."""

SLOW_LATENCY_MS = 250
"""From here on a round takes minutes and varies little, so there is one."""

PER_SECOND = 20
"""The real limit beside the quota."""


@dataclass(frozen=True)
class Limits:
    """A scaled quota and what is read under it; the real one is 300 requests in five minutes.

    Attributes:
        records: To read, enough for several windows.
        quota: Requests per window.
        window_seconds: Length of a window. `Reset` tells whole seconds, so each may cost up to one more.
    """

    records: int
    quota: int
    window_seconds: int

    @property
    def dictated_seconds(self) -> int:
        """What quota and requests per second dictate for all pages and two counts, without latency."""
        last = -(-self.records // PAGE_ROWS) + 2 - 1
        return last // self.quota * self.window_seconds + last % self.quota // PER_SECOND


QUICK_LIMITS = Limits(25_000, 40, 10)
LIMITS = Limits(75_000, 120, 30)


@dataclass(frozen=True)
class Run:
    """One run of one contestant in one round."""

    contestant: Contestant
    setup: Setup
    round: int
    figures: Figures


def speed(
    track: Track, contestants: Sequence[Contestant], records: int, latencies_ms: Sequence[float], rounds: int
) -> list[Run]:
    """Measure every latency, and in each round once the start-up; contestants take turns."""
    plan = [(number, Setup(START_UP_RECORDS)) for number in range(max(rounds, 3))]
    plan += [
        (number, Setup(records, latency))
        for latency in latencies_ms
        for number in range(1 if latency >= SLOW_LATENCY_MS else rounds)
    ]
    return [_run(track, contestant, setup, number) for number, setup in plan for contestant in contestants]


def memory(track: Track, contestants: Sequence[Contestant], sizes: Sequence[int]) -> list[Run]:
    """Measure each size once, without latency."""
    return [
        _run(track, one, Setup(size), 0) for size in sizes for one in contestants if one not in (PACED, FASTEST_GZIP)
    ]


def children(track: Track, contestants: Sequence[Contestant], parents: int, rounds: int) -> list[Run]:
    """Measure the lines of so many orders, and in each round those of one, which is the start-up."""
    taking_part = [LOOP_LINES if c is LOOP else fan_out(c) for c in contestants if c not in (PACED, FASTEST_GZIP)]
    plan = [(number, Setup(rows)) for number in range(rounds) for rows in (1, parents)]
    return [_run(track, contestant, setup, number) for number, setup in plan for contestant in taking_part]


def limits(track: Track, contestants: Sequence[Contestant], under: Limits) -> list[Run]:
    """Measure under scaled limits, at 50 ms; the connector with its own pacing."""
    setup = Setup(under.records, 50, quota=under.quota, window_seconds=under.window_seconds, per_second=PER_SECOND)
    return [_run(track, c, setup, 0) for c in contestants if c in (PACED, LOOP)]


def _run(track: Track, contestant: Contestant, setup: Setup, number: int) -> Run:
    figures = track.run(contestant, setup)
    cost = figures.cost
    said = cost.failure or f"{figures.per_second:.0f} records/s"
    print(
        f"{contestant.name}: {setup.records} records, {setup.latency_ms:g} ms: {said}, {cost.wall_seconds:.1f} s, "
        f"CPU {cost.cpu_seconds:.1f} s, {cost.peak_megabytes:.0f} MB",
        file=sys.stderr,
        flush=True,
    )
    return Run(contestant, setup, number, figures)
