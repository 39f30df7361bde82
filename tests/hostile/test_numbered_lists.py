"""One list for each way in which a shop's list was once believed though records were missing."""

from __future__ import annotations

import random

import pytest

from lightspeed.listing.window import Window
from tests.hostile.world import END, Habits, HostileList, read

WINDOW = Window("created_at", None, END)


@pytest.mark.parametrize(
    ("rows", "habits"),
    [
        (600, Habits(order="updated", changes=0.3, deletes=0)),
        (600, Habits(order="-updated", changes=0.3, deletes=0)),
        (800, Habits(order="created-ties", ties=10)),
        (800, Habits(order="random")),
        (800, Habits(paging="ignored")),
        (800, Habits(paging="repeated")),
        (600, Habits(paging="capped", cap=100)),
        (600, Habits(paging="shifted", cap=5)),
        (600, Habits(order="random", changes=0.3, edges="first")),
        (600, Habits(order="random", changes=0.3, edges="last")),
        (600, Habits(order="random", changes=0.3, edges="none")),
    ],
    ids=str,
)
def test_a_list_with_unstable_pages_is_read_completely_and_verified(rows: int, habits: Habits) -> None:
    shop = HostileList.of(random.Random(3), habits, rows)

    landed = read(shop, WINDOW)

    assert landed.reason == ""
    assert len(landed.ids) == len(set(landed.ids))
    assert set(shop.matching(WINDOW.query)) <= set(landed.ids)


def test_a_row_between_two_pages_is_missed_by_none_although_rows_leave() -> None:
    shop = HostileList.of(random.Random(19), Habits(paging="shifted", cap=5, changes=0.2, deletes=0.9), 177)
    window = Window("updated_at", None, END)

    landed = read(shop, window, limit=50, batch=5)

    assert (landed.reason, landed.split) == ("", True)
    assert set(shop.matching(window.query)) <= set(landed.ids)


@pytest.mark.parametrize(("rows", "count"), [(600, "zero"), (1000, "low"), (600, "high"), (600, "one-less")])
def test_a_wrong_count_is_a_reason_and_loses_no_record(rows: int, count: str) -> None:
    shop = HostileList.of(random.Random(3), Habits(count=count), rows)

    landed = read(shop, WINDOW)

    assert "the shop counts" in landed.reason
    assert sorted(landed.ids) == sorted(shop.rows)


@pytest.mark.parametrize("order", ["id", "updated", "-updated", "created-ties"])
def test_a_list_whose_filter_is_ignored_is_read_page_by_page_over_many_invocations(order: str) -> None:
    habits = Habits(order=order, edges="ignored", changes=0.5)
    shop = HostileList.of(random.Random(3), habits, 200)
    window = Window("created_at", None, END)

    landed = read(shop, window, limit=5, chance=0.2)

    assert landed.reason.startswith("the shop ignores its filter created_at: see record")
    if "updated" not in order:  # a change moves a row of the others, so a run that is not verified may miss it
        assert set(range(1, 200)) & set(shop.rows) <= set(landed.ids)
    assert len(landed.ids) == len(set(landed.ids))
    assert len(shop.requests) < 6 * 200 / 5


def test_a_far_too_high_count_does_not_cost_its_pages() -> None:
    shop = HostileList.of(random.Random(3), Habits(count="high"), 10_000)

    read(shop, WINDOW, limit=50, batch=8)

    assert len(shop.requests) < 3 * 10_000 / 50
