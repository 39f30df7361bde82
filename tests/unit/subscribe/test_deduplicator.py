"""The records that a run drops because an earlier run has stored them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pytest

from lightspeed import Parameters, get_entity
from lightspeed.listing.records import Record
from lightspeed.request import parse_time
from subscribe.checks import subscribe_request
from subscribe.sync.bookmark import SHOWN, Bookmark, keep_recent
from subscribe.sync.deduplicator import Deduplicator
from subscribe.sync.read_plan import Read
from subscribe.sync.state import SyncState

ORDERS = Read("list", get_entity("orders"), "nl", Parameters())
END = "2026-11-23T06:00:00Z"


def order(second: int, memo: str) -> Record:
    """Return an order that changed so many seconds after the window's end."""
    changed = f"2026-11-23T06:00:{second:02}+00:00" if second >= 0 else "2026-11-23T05:59:59+00:00"
    return Record(json.dumps({"id": 7, "updatedAt": changed, "memo": memo}).encode(), 7, changed)


def deduplicator(landed: Mapping[str, str], *, remembers_all: bool = False) -> Deduplicator:
    request = subscribe_request({"entity": "orders", "mode": "incremental"})
    state = SyncState("run", window_start="2026-11-23T05:00:00Z", window_end=END, remembers_all=remembers_all)
    return Deduplicator(request, state, landed)


@pytest.mark.parametrize(
    ("before", "after", "comes"),
    [
        (order(3, "old"), order(3, "new"), True),
        (order(3, "old"), order(3, "old"), False),
        (order(3, "old"), order(4, "new"), True),
        (order(-1, "old"), order(-1, "old"), False),
        (order(-1, "old"), order(-1, "new"), True),
    ],
    ids=["changed within the second", "unchanged", "changed later", "unchanged in the window", "changed unseen"],
)
def test_a_record_comes_again_if_it_changed_even_within_the_second(before: Record, after: Record, comes: bool) -> None:
    recent = deduplicator({}).deduplicate([before], ORDERS)[1].recent

    records = deduplicator(recent).deduplicate([after], ORDERS)[0]

    assert records == ([after] if comes else [])


@pytest.mark.parametrize("second", [-1, 3])
def test_a_record_does_not_come_again_because_its_times_are_written_with_another_offset(second: int) -> None:
    before = order(second, "same")
    changed = str(before.changed_at).replace("+00:00", "+01:00").replace("T06", "T07").replace("T05", "T06")
    after = Record(before.text.replace(str(before.changed_at).encode(), changed.encode()), 7, changed)
    recent = deduplicator({}).deduplicate([before], ORDERS)[1].recent

    assert deduplicator(recent).deduplicate([after], ORDERS)[0] == []


@pytest.mark.parametrize("text", ["before", "after"])
def test_a_record_whose_time_cannot_be_read_comes_again_only_if_it_changed(text: str) -> None:
    before, again = (Record(f'{{"id":7,"memo":"{memo}"}}'.encode(), 7, "soon") for memo in ("before", text))
    remembered = deduplicator({}, remembers_all=True).deduplicate([before], ORDERS)[1].recent

    assert deduplicator(remembered).deduplicate([again], ORDERS)[0] == ([] if text == "before" else [again])


@pytest.mark.parametrize(("changed", "verified"), [("soon", False), (None, False), ("2026-11-23T05:59:59Z", True)])
def test_a_run_that_stores_a_record_whose_time_cannot_be_read_gives_the_reason(
    changed: str | None, verified: bool
) -> None:
    step = deduplicator({}).deduplicate([Record(b'{"id":7}', 7, changed)], ORDERS)[1]

    assert (step.unverified_reason == "") == verified


@pytest.mark.parametrize("changed", ["0000-00-00T00:00:00+00:00", "0000-00-00", "soon", "9999", "2026-02-30T06:00:00Z"])
def test_a_record_whose_time_cannot_be_read_is_not_remembered(changed: str) -> None:
    assert keep_recent({"nl/7": changed}, parse_time(END)) == {}


def never_updated(created: str = "2026-11-23T05:59:50+00:00") -> Record:
    return Record(b'{"id":7,"createdAt":"%b"}' % created.encode(), 7, created, never_updated=True)


BY_CREATION = replace(ORDERS, by_creation=True)


def test_a_record_without_a_time_of_change_is_remembered_until_it_is_read_by_creation_for_the_last_time() -> None:
    recent = {
        **deduplicator({}).deduplicate([never_updated()], BY_CREATION)[1].recent,
        "nl/8": "2026-11-23T05:59:50+00:00",
    }
    start = parse_time("2026-11-23T05:59:55Z")

    def kept(*given: datetime | None) -> list[str]:
        return [name[: len("nl/7")] for name in keep_recent(recent, *given)]

    assert kept(start) == []
    assert kept(start, parse_time("2026-11-23T05:59:50Z")) == ["nl/7"]
    assert kept(start, parse_time("2026-11-23T05:59:51Z")) == []
    assert kept(None) == ["nl/7", "nl/8"]


def test_a_record_that_no_run_reads_by_creation_is_remembered_like_every_other() -> None:
    created = replace(ORDERS, parameters=Parameters(query={"created_at_min": "2026-01-01"}))

    recent = deduplicator({}).deduplicate([never_updated()], created)[1].recent

    assert list(recent.values()) == ["2026-11-23T05:59:50+00:00"]


def test_a_record_without_a_time_of_change_comes_again_once_it_is_changed() -> None:
    recent = deduplicator({}).deduplicate([never_updated()], BY_CREATION)[1].recent
    changed = order(-1, "new")
    at_its_creation = Record(b'{"id":7,"memo":"new"}', 7, never_updated().changed_at)

    assert deduplicator(recent).deduplicate([never_updated()], BY_CREATION)[0] == []
    assert deduplicator(recent).deduplicate([changed], ORDERS)[0] == [changed]
    assert deduplicator(recent).deduplicate([at_its_creation], ORDERS)[0] == [at_its_creation]


def test_a_record_without_a_time_of_change_is_known_by_what_earlier_versions_remember() -> None:
    landed = {"nl/7": "2026-11-23T05:59:50+00:00"}

    assert deduplicator(landed).deduplicate([never_updated()], BY_CREATION)[0] == []


@pytest.mark.parametrize(
    ("bookmark", "after"),
    [
        (Bookmark(), None),
        (Bookmark(END), "2026-11-23T05:59:00Z"),
        (Bookmark(END, created_until="2026-11-23T04:00:00Z"), "2026-11-23T03:59:59Z"),
        (Bookmark(END, created_until="2026-11-23T05:59:30Z"), "2026-11-23T05:59:00Z"),
        (Bookmark(END, created_until="2026-11-23T04:00:00Z", never_updated=SHOWN), "2026-11-23T05:59:00Z"),
    ],
)
def test_records_without_a_time_of_change_are_kept_as_far_back_as_they_are_read_again(
    bookmark: Bookmark, after: str | None
) -> None:
    assert bookmark.created_after == (parse_time(after) if after else None)


def test_a_record_that_may_change_within_the_second_is_remembered_under_the_digest_that_earlier_versions_wrote() -> (
    None
):
    row = order(3, "old")

    recent = deduplicator({}).deduplicate([row], ORDERS)[1].recent

    assert f"nl/7/{hashlib.blake2b(row.text, digest_size=8).hexdigest()}" in recent
