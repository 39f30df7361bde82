"""The bookmark after a run, and the start of the next window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.timestamps import iso_text
from lightspeed.listing.opening import SETTLING_LAG, TOLERANCE
from lightspeed.listing.window import LOOKBACK
from lightspeed.request import parse_time
from subscribe.sync.bookmark import (
    CREATION_EVERY,
    HIDDEN,
    MAX_UNVERIFIED,
    NEVER_UPDATED,
    SHOWN,
    Bookmark,
    keep_recent,
)
from subscribe.sync.next_bookmark import next_bookmark, reads_again
from subscribe.sync.state import UNDATED_SECONDS, SyncState

OPENED = datetime(2026, 11, 23, 6, 0, 5, tzinfo=UTC)
END = OPENED - SETTLING_LAG
BEFORE = Bookmark(iso_text(END - timedelta(hours=1)), "before")


def state(end: datetime = END, **given: Any) -> SyncState:
    """Return the state of a run that was opened at `OPENED` by a clock that is the shop's, too."""
    facts = {"window_end": iso_text(end), "opened": iso_text(OPENED), "least_skew": 0.0, "window_start": BEFORE.until}
    return SyncState("run", **{**facts, **given})


def after(seconds: float) -> str:
    return iso_text(END + timedelta(seconds=seconds))


@pytest.mark.parametrize("before", [Bookmark(), BEFORE])
def test_the_bookmark_moves_to_the_end_of_the_window(before: Bookmark) -> None:
    moved = next_bookmark(before, state())

    assert (moved.until, moved.run_id, moved.again_from, moved.unverified, moved.skew) == (after(0), "run", "", 0, 0)
    assert moved.start == END - LOOKBACK


@pytest.mark.parametrize(("late", "until"), [(60, 60), (61, 0), (3600, 0)])
def test_a_window_that_ends_in_the_shops_future_is_read_up_to_what_had_passed(late: int, until: int) -> None:
    assert timedelta(seconds=60) == TOLERANCE
    assert next_bookmark(BEFORE, state(END + timedelta(seconds=late))).until == after(until)


def test_the_next_window_reaches_back_to_what_surely_had_passed() -> None:
    ahead = next_bookmark(BEFORE, state(END + timedelta(seconds=3600), least_skew=3600.0))
    assert (ahead.until, ahead.again_from, ahead.skew) == (after(3600), after(-60), 3600)
    assert ahead.start == END - LOOKBACK

    near = next_bookmark(BEFORE, state(END + timedelta(seconds=60), least_skew=60.0))
    assert (near.until, near.again_from, near.skew) == (after(60), "", 0)


def test_a_run_whose_answers_have_no_date_reaches_back_two_hours() -> None:
    before = Bookmark(iso_text(END - timedelta(hours=9)))

    moved = next_bookmark(before, state(least_skew=None))

    assert UNDATED_SECONDS == 7200
    assert (moved.until, moved.again_from) == (after(0), after(-7260))


def test_a_run_whose_answers_have_no_date_goes_by_the_skew_of_the_run_before() -> None:
    moved = next_bookmark(Bookmark(iso_text(END - timedelta(hours=9))), state(least_skew=None, earlier_skew=-3600.0))

    assert (moved.until, moved.skew) == (after(-3600), -3600)
    assert moved.again_from == after(-3600 - 7200 - 60)


def test_the_bookmark_never_moves_back() -> None:
    before = Bookmark(after(100), "before")

    moved = next_bookmark(before, state())

    assert (moved.until, moved.again_from, moved.unverified) == (after(100), "", 0)


def test_dates_behind_the_bookmark_count_up_until_it_moves_by_our_clock() -> None:
    before = Bookmark(after(-1800), "before")
    behind = state(least_skew=-3600.0)
    for runs in range(1, MAX_UNVERIFIED + 1):
        before = next_bookmark(before, behind)
        assert (before.until, before.unverified) == (after(-1800), runs)

    moved = next_bookmark(before, behind)

    assert (moved.until, moved.again_from, moved.unverified) == (after(0), "", 0)


@pytest.mark.parametrize(("skew", "unverified"), [(-1801.0, 1), (-1800.0, 1), (-1799.0, 0)])
def test_dates_up_to_the_bookmark_count_and_later_ones_do_not(skew: float, unverified: int) -> None:
    assert next_bookmark(Bookmark(after(-1800)), state(least_skew=skew)).unverified == unverified


def test_dates_that_are_behind_an_empty_window_do_not_count() -> None:
    assert next_bookmark(Bookmark(after(0)), state(least_skew=-3600.0)).unverified == 0


@pytest.mark.parametrize("unverified", [0, MAX_UNVERIFIED - 1, MAX_UNVERIFIED])
def test_a_run_that_may_have_missed_records_leaves_the_bookmark_three_times(unverified: int) -> None:
    assert MAX_UNVERIFIED == 3
    before = Bookmark(BEFORE.until, "before", unverified=unverified, again_from=after(-7200), created_until=after(-90))
    missed = state(may_have_missed=True, remembers_all=True, never_updated=HIDDEN)

    moved = next_bookmark(before, missed)

    if unverified < MAX_UNVERIFIED:
        assert (moved.until, moved.unverified, moved.run_id) == (before.until, unverified + 1, "run")
        assert (moved.again_from, moved.created_until) == (before.again_from, before.created_until)
    else:
        assert (moved.until, moved.unverified) == (after(0), 0)
    assert moved.never_updated == HIDDEN


@pytest.mark.parametrize(("missed", "remembers"), [(True, False), (False, True)])
def test_a_window_is_read_again_only_if_records_may_be_missing_and_the_others_are_known(
    missed: bool, remembers: bool
) -> None:
    assert not reads_again(BEFORE, state(may_have_missed=missed, remembers_all=remembers))


@pytest.mark.parametrize(
    ("before", "given", "until"),
    [
        (Bookmark(), {}, after(0)),
        (Bookmark(), {"never_updated": HIDDEN, "window_start": None}, after(0)),
        (Bookmark(), {"never_updated": HIDDEN}, BEFORE.until),
        (Bookmark(), {"never_updated": SHOWN}, after(0)),
        (BEFORE, {}, BEFORE.until),
        (BEFORE, {"created_end": after(-60)}, after(-60)),
        (Bookmark(BEFORE.until, created_until=after(-7200)), {}, after(-7200)),
        (Bookmark(BEFORE.until, created_until=after(-5)), {"created_end": after(-60)}, after(-5)),
    ],
)
def test_the_bookmark_says_up_to_where_the_list_was_read_by_creation(
    before: Bookmark, given: dict[str, Any], until: str
) -> None:
    assert next_bookmark(before, state(**given)).created_until == until


def test_the_first_window_has_no_start() -> None:
    assert Bookmark().start is None
    assert Bookmark().to_json() is None
    assert Bookmark().created_after is None
    assert BEFORE.to_json() == {"until": BEFORE.until}


def test_the_next_window_starts_at_the_earlier_of_both_times() -> None:
    assert Bookmark(after(0), again_from=after(-7200)).start == parse_time(after(-7200))
    assert Bookmark(after(0), again_from=after(-30)).start == END - LOOKBACK


@pytest.mark.parametrize(
    ("bookmark", "seconds"),
    [
        (Bookmark(after(0)), -60),
        (Bookmark(after(0), created_until=after(-7200)), -7201),
        (Bookmark(after(0), created_until=after(-7200), never_updated=SHOWN), -60),
        (Bookmark(after(0), created_until=after(-30)), -60),
    ],
)
def test_records_without_a_time_of_change_may_come_again_from_where_they_are_read_by_creation(
    bookmark: Bookmark, seconds: int
) -> None:
    assert bookmark.created_after == END + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("bookmark", "now", "seconds"),
    [
        (Bookmark(), 0, None),
        (Bookmark(after(0), never_updated=SHOWN), 10**6, None),
        (Bookmark(after(0)), 86_399, None),
        (Bookmark(after(0)), 86_400, -1),
        (Bookmark(after(0), created_until=after(-86_400)), 0, -86_401),
        (Bookmark(after(0), created_until=after(-86_400)), -1, None),
        (Bookmark(after(0), never_updated=HIDDEN), 1, -1),
    ],
)
def test_a_list_is_read_by_creation_once_a_day_or_whenever_such_records_are_known(
    bookmark: Bookmark, now: int, seconds: int | None
) -> None:
    assert timedelta(days=1) == CREATION_EVERY
    start = bookmark.created_start(END + timedelta(seconds=now))

    assert start == (None if seconds is None else END + timedelta(seconds=seconds))


def test_what_later_runs_may_read_again_is_remembered() -> None:
    recent = {
        "nl/1": after(-1),
        "nl/2": after(0),
        "nl/3": after(-1) + NEVER_UPDATED,
        "nl/4": after(-100) + NEVER_UPDATED,
        "nl/5": after(-101) + NEVER_UPDATED,
        "nl/6": "2026-11-23T05:59:59-01:00",
        "nl/7": "2020-01-01T00:00:00Z",
    }

    kept = keep_recent(recent, END, END - timedelta(seconds=100))

    assert sorted(kept) == ["nl/2", "nl/3", "nl/4", "nl/6"]
    assert sorted(keep_recent(recent, END)) == ["nl/2", "nl/3", "nl/6"]
    assert keep_recent(recent, None) == recent


@pytest.mark.parametrize("zone", [14, -12])
def test_a_record_is_remembered_whatever_the_shops_local_time_is(zone: int) -> None:
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    sign = "+" if zone > 0 else "-"
    local = (midnight + timedelta(hours=zone)).strftime("%Y-%m-%dT%H:%M:%S") + f"{sign}{abs(zone):02}:00"

    assert keep_recent({"nl/1": local}, midnight) == {"nl/1": local}
