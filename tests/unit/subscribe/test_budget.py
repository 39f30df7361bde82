"""How many requests an invocation may send, by the shop's quota and the remaining time."""

from __future__ import annotations

from typing import Any

import pytest

from lightspeed.listing.budget import UNBOUNDED
from lightspeed.listing.reader import THREADS
from subscribe.run.budget import PATIENCE_SECONDS, InvocationBudget, Suspend
from tests.support.clock import FakeClock


class Quota:
    """A transport and its quota in one: how long it asks to wait, and for how many requests it has room."""

    def __init__(self, wait: int, room: int) -> None:
        self.quota = self
        self.clock = FakeClock()
        self.wait = wait
        self.left = room

    def wait_seconds(self, reserve_percent: float, needed: int) -> int:
        assert (reserve_percent, needed) == (10, 2)
        return self.wait

    def room(self, reserve_percent: float) -> int:
        assert reserve_percent == 10
        return self.left


def budget(
    *, remaining: float = 900, wait: int = 0, room: int = 50, slowest: float = 0, quota: bool = True
) -> tuple[InvocationBudget, FakeClock]:
    transport = Quota(wait, room)
    if not quota:
        transport.quota = None  # type: ignore[assignment]
    given: Any = transport
    found = InvocationBudget(given, lambda: remaining, 10)
    found.record_latency(slowest)
    found.record_latency(slowest / 2)
    return found, transport.clock


def test_a_shop_without_a_quota_and_without_a_page_yet_sets_no_bound() -> None:
    found, clock = budget(quota=False)

    assert (found.wait_for_room(), found.left(), clock.slept) == (UNBOUNDED, UNBOUNDED, [])


def test_the_quota_sets_a_bound() -> None:
    found, clock = budget(room=7)

    assert (found.wait_for_room(), found.left(), clock.slept) == (7, 7, [])


def test_a_short_wait_for_the_quota_is_waited_out_and_gives_room_for_a_page_and_its_count() -> None:
    found, clock = budget(wait=PATIENCE_SECONDS, room=0)

    assert (found.wait_for_room(), clock.slept) == (2, [5])


def test_a_long_wait_for_the_quota_ends_the_invocation() -> None:
    found, clock = budget(wait=PATIENCE_SECONDS + 1)

    with pytest.raises(Suspend) as error:
        found.wait_for_room()

    assert (error.value.resume_after_seconds, clock.slept) == (6, [])


@pytest.mark.parametrize(
    ("remaining", "slowest", "left"),
    [
        (25, 2, 9 * THREADS),
        (10, 2, 15),
        (9.5, 2, 12),
        (9, 2, 10),
        (8.9, 2, 0),
        (5.2, 0.1, 10),
        (5.1, 0, 1000),
        (5, 0, 0),
        (1, 0, 0),
    ],
)
def test_the_slowest_page_decides_how_many_more_fit_into_the_time(remaining: float, slowest: float, left: int) -> None:
    found, _ = budget(remaining=remaining, slowest=slowest, room=1000)

    assert found.left() == left
    if left:
        assert found.wait_for_room() == left
    else:
        with pytest.raises(Suspend) as error:
            found.wait_for_room()
        assert error.value.resume_after_seconds == 0
