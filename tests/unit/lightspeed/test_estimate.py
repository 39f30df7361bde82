"""The requests and minutes of a run, without a shop."""

from dataclasses import replace

import pytest

from lightspeed.estimate import ASSUMED_PAGE_SECONDS, Estimate, Reading, estimate
from lightspeed.quota import Quota, QuotaWindow

FRESH = Quota(
    (
        QuotaWindow("5 minutes", 300, 300, 300),
        QuotaWindow("hour", 3000, 3000, 3600),
        QuotaWindow("day", 12_000, 12_000, 86_400),
    )
)
ORDERS = Reading("list", "orders", "nl", rows=601, stable=True)


def total(rows: int, *, stable: bool = True, limit: int = 250) -> int:
    reading = replace(ORDERS, rows=rows, stable=stable, limit=limit)
    return estimate([reading], FRESH, page_seconds=0.1).requests["total"]


def windows(plan: Estimate) -> dict[object, object]:
    return {window["name"]: window["windows"] for window in plan.quota}


@pytest.mark.parametrize(
    ("rows", "stable", "requests"),
    [
        (0, True, 2),
        (1, True, 2),
        (250, True, 3),
        (251, True, 4),
        (64 * 250, True, 67),
        (64 * 250 + 1, True, 68),
        (0, False, 2),
        (249, False, 4),
        (250, False, 7),
        (251, False, 7),
    ],
)
def test_requests_are_pages_and_counts(rows: int, stable: bool, requests: int) -> None:
    assert total(rows, stable=stable) == requests


def test_a_million_records_take_more_than_an_hour_and_no_second_day() -> None:
    plan = estimate([replace(ORDERS, rows=1_000_000)], FRESH, page_seconds=0.5)

    assert plan.requests["pages"] == 4001, "the page behind the last one must be empty"
    assert 4000 * 1.015 < plan.requests["total"] < 4000 * 1.05
    assert windows(plan) == {"5 minutes": 16, "hour": 2, "day": 1}
    assert plan.binding in ("5 minutes", "hour")
    assert plan.minutes is not None
    assert 60 < plan.minutes < 90
    assert plan.waits >= 13


def test_what_is_left_now_counts() -> None:
    used = Quota((replace(FRESH.windows[0], remaining=31, reset_seconds=120), *FRESH.windows[1:]))
    plan = estimate([ORDERS], used, page_seconds=0.1)

    assert plan.quota[0]["left"] == 1
    assert windows(plan)["5 minutes"] == 2
    assert plan.binding == "5 minutes"
    assert plan.minutes == pytest.approx(2, abs=0.05)
    assert plan.waits == 1


def test_the_day_binds_where_only_the_day_is_used_up() -> None:
    used = Quota((*FRESH.windows[:2], replace(FRESH.windows[2], remaining=1200, reset_seconds=7200)))
    plan = estimate([ORDERS], used, page_seconds=0.1)

    assert plan.binding == "day"
    assert plan.minutes == pytest.approx(120, abs=0.1)


def test_a_wait_of_seconds_does_not_interrupt_the_run() -> None:
    used = Quota((replace(FRESH.windows[0], remaining=30, reset_seconds=4), *FRESH.windows[1:]))
    plan = estimate([ORDERS], used, page_seconds=0.1)

    assert plan.waits == 0
    assert plan.binding is None


def test_no_run_is_faster_than_the_shop_s_requests_per_second() -> None:
    plan = estimate([replace(ORDERS, rows=250 * 200)], None, page_seconds=0.001)

    assert plan.minutes == pytest.approx((plan.requests["total"] - 20) / 20 / 60, abs=0.01)


def test_slow_pages_take_long_without_a_wait() -> None:
    plan = estimate([replace(ORDERS, rows=250 * 1000)], FRESH, page_seconds=30)

    assert (plan.waits, plan.binding) == (0, None)
    assert plan.work_seconds > 1000 / 10 * 30


def test_a_reserve_that_leaves_no_room_is_for_ever() -> None:
    plan = estimate([ORDERS], FRESH, reserve_percent=100)

    assert plan.minutes is None
    assert windows(plan) == {"5 minutes": None, "hour": None, "day": None}
    assert any("could not go on" in text for text in plan.lower_bounds)


def test_without_a_quota_no_window_is_named() -> None:
    plan = estimate([ORDERS], None)

    assert plan.quota == []
    assert plan.page_seconds == ASSUMED_PAGE_SECONDS
    assert "the shop's quota is not known: no window holds the run up" in plan.assumptions


def test_a_run_that_waits_counts_before_it_goes_on() -> None:
    parents = Reading("each", "orders", "nl", rows=300, stable=True)

    assert estimate([parents], FRESH, page_seconds=0.1).requests["counts"] == 4
    assert estimate([parents], None, page_seconds=0.1).requests["counts"] == 3


def test_every_reading_has_its_requests() -> None:
    one = Reading("get", "quotes", "nl")
    parents = Reading("each", "orders", "nl", rows=300, stable=True)
    plan = estimate([one, parents, replace(ORDERS, language="en")], None, page_seconds=0.1)

    assert [row["requests"] for row in plan.readings] == [1, 1 + 2 + 2 + 300, 5]
    assert plan.requests["children"] == 300
    assert plan.records is None


def test_a_list_without_count_is_one_page_and_said() -> None:
    plan = estimate([Reading("list", "checkouts/payment_methods", "nl")], None)

    assert plan.requests["total"] == 1
    assert any("no count of this list" in text for text in plan.lower_bounds)
