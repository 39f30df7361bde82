"""The effect of a step on the state of a run, and of a list that is read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connector.timestamps import iso_text
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.window import LOOKBACK
from lightspeed.request import parse_time
from subscribe.storage.parts import Chunk, Part
from subscribe.sync.bookmark import MAX_REMEMBERED, SHOWN
from subscribe.sync.state import SyncState
from subscribe.sync.step import STOPPED, Step

END = datetime(2026, 11, 23, 6, tzinfo=UTC)
PART = Part(1, 2, "ab")


def test_a_state_takes_in_what_a_step_gave() -> None:
    state, checkpoint = SyncState("run"), ListCheckpoint()
    step = Step(
        checkpoint=checkpoint,
        chunk=Chunk(b"x", 5),
        rejected=[b"1", b"2", b"3"],
        odd_rows=1,
        transformed=7,
        newest_change="2026-11-23T05:00:00Z",
        pending=[4],
        rows_given=50,
        never_updated=SHOWN,
        may_have_missed=True,
        unverified_reason="why",
        counts=(9, 8),
    )
    state.apply(step)
    state.apply(Step(chunk=Chunk(b"x", 1), odd_rows=1, rejected=[b"4"], transformed=1, counts=(1, 1)))
    state.apply(Step(newest_change="2026-11-23T04:00:00Z", rows_given=7, unverified_reason="another", stopped=True))

    assert state.checkpoint is checkpoint
    assert (state.records, state.odd_rows, state.rejected, state.transformed) == (6, 2, 2, 8)
    assert (state.newest_change, state.pending, state.rows_given) == ("2026-11-23T05:00:00Z", [4], 50)
    assert (state.never_updated, state.may_have_missed, state.unverified_reason) == (SHOWN, True, "why")
    assert (state.count_before, state.count_after) == (10, 9)


def test_a_run_that_stopped_is_not_verified() -> None:
    state = SyncState("run")
    state.apply(Step(stopped=True))

    assert state.unverified_reason == STOPPED


def test_a_parent_that_may_lack_records_is_forgotten_with_its_records_and_no_other() -> None:
    state = SyncState("run", recent={"nl/1": "a", "nl/1/0f": "b", "nl/12": "c", "en/1": "d"})
    state.apply(Step(recent={"nl/3": "e"}, forgotten="nl/1"))

    assert state.recent == {"nl/12": "c", "en/1": "d", "nl/3": "e"}


@pytest.mark.parametrize(("records", "most", "room"), [(3, None, None), (3, 10, 7), (10, 10, 0), (12, 10, 0)])
def test_there_is_room_for_what_max_records_lets_in(records: int, most: int | None, room: int | None) -> None:
    assert SyncState("run", records=records).room(most) == room


def test_the_smallest_skew_of_all_invocations_counts() -> None:
    state = SyncState("run", earlier_skew=9.0)
    assert state.skew == 9.0
    for skew, least in ((None, None), (5.0, 5.0), (7.0, 5.0), (None, 5.0), (-2.0, -2.0)):
        state.update_skew(skew)
        assert state.least_skew == least

    assert state.skew == -2.0


def test_a_list_that_is_read_again_leaves_nothing_of_the_first_reading() -> None:
    state = SyncState("run", parts={"nl": [PART]}, records=4, transformed=5, rejected=1, odd_rows=2, recent={"a": "1"})
    state.mark_read()
    state.parts["nl"].append(PART)
    state.parts["en"] = [PART]
    state.rejected_parts["nl"] = [PART]
    state.apply(Step(chunk=Chunk(b"x", 5), rejected=[b"1", b"2"], odd_rows=1, transformed=3, recent={"b": "2"}))
    state.pending = [7]

    state.discard_read()

    assert (state.parts, state.rejected_parts) == ({"nl": [PART], "en": []}, {"nl": []})
    assert (state.records, state.transformed, state.rejected, state.odd_rows) == (4, 5, 1, 2)
    assert (state.recent, state.pending) == ({"a": "1"}, [])
    assert state.checkpoint is not None
    assert state.checkpoint.split is not None


def test_a_window_with_too_many_records_is_not_remembered_as_a_whole() -> None:
    late, early = iso_text(END - LOOKBACK), iso_text(END - LOOKBACK - timedelta(seconds=1))
    state = SyncState("run", window_end=iso_text(END), remembers_all=True)
    state.apply(Step(recent={str(number): early for number in range(MAX_REMEMBERED - 1)} | {"late": late}))
    assert (len(state.recent), state.remembers_all) == (MAX_REMEMBERED, True)

    state.apply(Step(recent={"one more": early}))

    assert (state.recent, state.remembers_all) == ({"late": late}, False)


@pytest.mark.parametrize(
    ("start", "never_updated", "is_read"),
    [(-60, "", True), (-59, "", False), (-3600, "hidden", True), (-3600, SHOWN, False)],
)
def test_the_stretch_to_read_by_creation_ends_a_minute_before_the_windows_end(
    start: int, never_updated: str, is_read: bool
) -> None:
    created = iso_text(END + timedelta(seconds=start))
    state = SyncState("run", window_end=iso_text(END), created_start=created, never_updated=never_updated)

    assert state.begin_by_creation() is is_read
    assert state.created_end == ("" if never_updated == SHOWN else iso_text(END - LOOKBACK))


def test_the_end_of_the_stretch_to_read_by_creation_stays() -> None:
    end = iso_text(END - timedelta(days=1))
    state = SyncState("run", window_end=iso_text(END), created_start=end, created_end=end)

    assert state.begin_by_creation()
    assert state.created_end == end


@pytest.mark.parametrize(
    ("opened", "skew", "up_to", "surely"),
    [
        ("", 0.0, 0, 0),
        ("5", 0.0, 0, 0),
        ("5", 30.0, 0, 0),
        ("5", -30.0, 0, -30),
        ("5", -90.0, -90, -90),
        ("5", None, 0, -7200),
    ],
)
def test_it_is_known_up_to_where_a_run_has_read(opened: str, skew: float | None, up_to: int, surely: int) -> None:
    at = iso_text(END + timedelta(seconds=int(opened))) if opened else ""
    state = SyncState("run", window_end=iso_text(END), opened=at, least_skew=skew)

    assert state.read_up_to == END + timedelta(seconds=up_to)
    assert state.surely_passed == END + timedelta(seconds=surely)
    assert parse_time(state.window_end) == END
