"""The end of a window, by the dates of the shop's first answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lightspeed.listing.opening import SETTLING_LAG, SKEW, TOLERANCE, open_window, window_end
from lightspeed.listing.window import Window
from lightspeed.response import Page
from lightspeed.shop_clock import ShopClock
from tests.support.clock import MONDAY_SIX, FakeClock

NOW = datetime.fromtimestamp(MONDAY_SIX, UTC)
BY_OURS = NOW - SETTLING_LAG


class Shop:
    """A client, its transport, and the reader of its list in one: each count hears the next of some skews.

    Attributes:
        opened: The end of each window that was opened, as seconds after `BY_OURS`, and whether it is closed.
        between: The stretches that were looked at, as such seconds.
        slowness: Seconds that each count takes.
        found: How many records a look at a stretch gives.
        beyond: Seconds by which such a record is later than the stretch.
        is_first: Whether such a record has the first second of the stretch instead.
    """

    def __init__(self, skews: Sequence[float | None], found: int = 0, *, filters: bool = True) -> None:
        self.transport = self.shop_list = self.heads_only = self
        self.shop_clock = ShopClock()
        self.window: Window | None = None
        self.skews = list(skews)
        self.found = found
        self.filters = filters
        self.beyond = 0
        self.is_first = False
        self.slowness = 0.0
        self.clock = FakeClock()
        self.opened: list[tuple[float, bool]] = []
        self.between: list[tuple[float, float]] = []

    def shop_time(self) -> float:
        return self.clock.time() + self.shop_clock.skew_seconds

    def begin(self) -> None:
        self.clock.advance(self.slowness)
        skew = self.skews.pop(0) if self.skews else None
        if skew is not None:
            self.shop_clock.add_date(skew)

    def page(self, number: int, limit: int, query: dict[str, str]) -> Page:
        assert (number, limit) == (1, 1)
        ends = [datetime.fromisoformat(query[f"updated_at_{edge}"]).replace(tzinfo=UTC) for edge in ("min", "max")]
        self.between.append((_after(ends[0]), _after(ends[1])))
        changed = ends[0] if self.is_first else ends[1] + timedelta(seconds=self.beyond)
        return Page([json.dumps({"id": 1, "updatedAt": changed.isoformat()}).encode()] * self.found, [])

    def open(self, start: datetime | None = None) -> tuple[float, bool]:
        """Open a window, and return its end and whether it is closed."""

        def read_to(end: datetime, closed: bool) -> Any:
            self.opened.append((_after(end), closed))
            self.window = Window("updated_at", start, end) if self.filters else None
            return self

        given: Any = self
        opening = open_window(given, window_end(given), read_to)
        assert opening.opened == datetime.fromtimestamp(self.clock.now(), UTC)
        assert (_after(opening.end), opening.closed) == self.opened[-1]
        return self.opened[-1]


def _after(end: datetime) -> float:
    return (end - BY_OURS).total_seconds()


@pytest.mark.parametrize("skew", [0.0, 2.0, -2.0])
def test_a_shop_with_our_time_is_counted_once(skew: float) -> None:
    shop = Shop([skew])

    assert shop.open() == (0, True)
    assert shop.opened == [(0, True)]


@pytest.mark.parametrize("skew", [3.0, 60.0, -3.0, -60.0])
def test_a_window_is_moved_to_a_date_within_a_minute(skew: float) -> None:
    shop = Shop([skew, skew], found=1)

    assert shop.open() == (skew, True)
    assert shop.opened == [(0, True), (skew, True)]


@pytest.mark.parametrize("skew", [3.0, 30.0, 60.0])
def test_a_date_that_is_little_ahead_is_not_believed_without_a_record_that_shows_it(skew: float) -> None:
    shop = Shop([skew, skew])

    assert shop.open() == (0, True)
    assert shop.opened == [(0, True)]
    assert shop.between == [(SKEW.total_seconds() + 5, skew + 5)]


@pytest.mark.parametrize(("fraction", "skew"), [(0.2, 2.1), (0.5, 2.4), (0.8, 2.1)])
def test_a_date_that_is_ahead_by_no_whole_second_that_a_record_could_have_is_not_believed(
    fraction: float, skew: float
) -> None:
    shop = Shop([skew] * 5, found=1)
    shop.clock.advance(fraction)

    assert shop.open() == (fraction, True)
    assert shop.between == []


@pytest.mark.parametrize("fraction", [0.0, 0.8])
def test_a_record_of_the_first_second_that_the_shop_is_asked_for_shows_that_its_dates_are_right(
    fraction: float,
) -> None:
    shop = Shop([3600.0] * 5, found=1)
    shop.is_first = True
    shop.clock.advance(fraction)

    assert shop.open() == (3600 + fraction, True)


@pytest.mark.parametrize("skew", [30.0, 3600.0])
def test_a_record_that_the_shop_gives_in_spite_of_the_filter_shows_nothing(skew: float) -> None:
    shop = Shop([skew] * 5, found=1)
    shop.beyond = 1

    assert shop.open() == (0, True)


def test_a_window_by_an_earlier_date_is_opened_again_by_our_clock() -> None:
    shop = Shop([30.0, 30.0])
    shop.shop_clock.add_date(30.0)

    assert shop.open() == (0, True)
    assert shop.opened == [(30, True), (0, True)]


def test_dates_that_come_close_to_each_other_fit() -> None:
    assert Shop([10.0, 12.0], found=1).open() == (10, True)


def test_dates_that_come_close_to_each_other_fit_though_the_answers_are_slow() -> None:
    shop = Shop([0.0, 2.0, 4.0])
    shop.slowness = 10

    assert shop.open() == (10, True)
    assert len(shop.opened) == 2


@pytest.mark.parametrize("third", [20.0, 50.0])
def test_from_the_third_count_on_a_date_within_the_tolerance_is_near_enough(third: float) -> None:
    shop = Shop([10.0, -10.0, third, 40.0], found=1)

    assert shop.open() == (-10, True)
    assert len(shop.opened) == 3


def test_an_answer_without_a_date_agrees_with_no_date() -> None:
    shop = Shop([3600.0, None, None], found=1)

    assert shop.open() == (0, True)
    assert len(shop.opened) == 3


def test_dates_agree_that_are_a_minute_apart() -> None:
    shop = Shop([3600.0, 3660.0, 3660.0], found=1)

    assert shop.open() == (3660, True)
    assert len(shop.opened) == 3


def test_the_time_by_the_shops_clock_goes_before_ours() -> None:
    shop: Any = Shop([])
    shop.shop_clock.add_date(30.0)

    assert window_end(shop) == BY_OURS + timedelta(seconds=30)


def test_a_shop_whose_answers_have_no_date_gets_an_open_window_by_our_clock() -> None:
    shop = Shop([])

    assert shop.open() == (0, False)
    assert shop.opened == [(0, True), (0, False)]
    assert shop.between == []


@pytest.mark.parametrize("skew", [61.0, 3600.0])
def test_a_date_ahead_of_ours_is_believed_by_three_answers_and_a_record_that_shows_it(skew: float) -> None:
    shop = Shop([skew] * 4, found=1)

    assert shop.open() == (skew, True)
    assert len(shop.opened) == 3
    assert shop.between == [(SKEW.total_seconds() + 5, skew)]


@pytest.mark.parametrize("start", [None, BY_OURS - timedelta(days=1)])
def test_a_date_ahead_of_ours_without_a_later_record_ends_the_window_by_our_clock(start: datetime | None) -> None:
    shop = Shop([3600.0] * 5)

    assert shop.open(start) == (0, True)


def test_the_stretch_that_is_counted_begins_with_the_window() -> None:
    shop = Shop([3600.0] * 5, found=1)

    assert shop.open(NOW + timedelta(seconds=100)) == (3600, True)
    assert shop.between == [(105, 3600)]


@pytest.mark.parametrize("start", [NOW + timedelta(seconds=3595), NOW + timedelta(seconds=4000)])
def test_a_stretch_before_which_the_window_begins_is_not_counted(start: datetime) -> None:
    shop = Shop([3600.0] * 5)

    assert shop.open(start) == (3600, True)
    assert shop.between == []


def test_a_list_without_filters_of_time_shows_no_later_record() -> None:
    shop = Shop([3600.0] * 5, filters=False)

    assert shop.open() == (3600, True)
    assert shop.between == []


@pytest.mark.parametrize("skews", [[3600.0, 0.0], [3600.0, 3600.0, 0.0], [3600.0, 60.0]])
def test_an_answer_that_agrees_with_our_clock_outweighs_dates_ahead_of_it(skews: list[float]) -> None:
    shop = Shop([*skews, *[3600.0] * 3])

    assert shop.open()[0] <= 60


def test_a_date_ahead_of_ours_after_one_that_agrees_is_not_believed() -> None:
    for first in (5.0, 60.0):
        shop = Shop([first, 3600.0, 3600.0, 3600.0], found=1)

        assert shop.open() == (0, True)
        assert len(shop.opened) == 3


def test_a_date_behind_ours_is_believed_by_two_answers() -> None:
    shop = Shop([-3600.0] * 3)

    assert shop.open() == (-3600, True)
    assert len(shop.opened) == 2
    assert shop.between == [(-3600 + TOLERANCE.total_seconds() + 5, 0)]


@pytest.mark.parametrize(("skew", "counts"), [(-3600.0, 2), (3600.0, 3)])
def test_a_date_that_was_known_before_takes_as_many_answers(skew: float, counts: int) -> None:
    shop = Shop([skew] * 4, found=int(skew > 0))
    for _ in range(2):
        shop.shop_clock.add_date(skew)

    assert shop.open() == (skew, True)
    assert len(shop.opened) == counts


def test_a_date_behind_ours_is_wrong_if_a_record_is_later() -> None:
    shop = Shop([-3600.0] * 3, found=1)

    assert shop.open()[0] == 0
    assert len(shop.opened) == 3


def test_dates_that_never_agree_leave_the_window_to_our_clock() -> None:
    shop = Shop([3600.0, 7200.0, 10800.0, 14400.0, 18000.0])

    assert shop.open()[0] == 0
    assert len(shop.opened) == 5


@pytest.mark.parametrize(("skew", "end"), [(-30.0, -30), (-60.0, -60), (30.0, 0)])
def test_our_clock_is_corrected_by_a_date_up_to_a_minute_behind_it(skew: float, end: float) -> None:
    shop = Shop([skew, 3600.0, 7200.0, 10800.0])

    assert shop.open()[0] == end
