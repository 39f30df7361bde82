"""Where the next run of a subscription starts, and who may move it."""

from __future__ import annotations

import pytest

from connector.bucket import Bucket
from connector.errors import ConnectorError
from subscribe.sync.bookmark import Bookmark, Bookmarks, Pending
from tests.property.bucket import MemoryBucket
from tests.support.clock import FakeClock

MONDAY = Bookmark("2026-11-23T06:00:00Z", "monday")
TUESDAY = Bookmark("2026-11-24T06:00:00Z", "tuesday")


def bookmarks() -> Bookmarks:
    return Bookmarks(Bucket(MemoryBucket(), "bucket", FakeClock()), "default", "orders-nl")


def commit(marks: Bookmarks, pending: Pending) -> None:
    found = marks.load()
    marks.commit(found.bookmark, pending)


def test_the_bookmark_moves_to_where_the_decided_run_ends() -> None:
    marks = bookmarks()
    commit(marks, Pending(MONDAY))

    marks.move(Pending(MONDAY))

    found = marks.load()
    assert (found.bookmark, found.pending) == (MONDAY, None)


def test_a_copy_of_an_earlier_run_does_not_end_a_later_run_that_is_decided() -> None:
    marks = bookmarks()
    commit(marks, Pending(MONDAY))
    marks.move(Pending(MONDAY))
    commit(marks, Pending(TUESDAY))

    marks.move(Pending(MONDAY))

    found = marks.load()
    assert (found.bookmark, found.pending) == (MONDAY, Pending(TUESDAY))


def test_a_bookmark_that_moved_already_stays() -> None:
    marks = bookmarks()
    commit(marks, Pending(MONDAY))
    marks.move(Pending(MONDAY))
    before = marks.load()

    marks.move(Pending(MONDAY))

    assert marks.load() == before


@pytest.mark.parametrize("records", [1_000, 1_001, 27_000])
def test_a_bookmark_stays_small_however_many_records_it_remembers(records: int) -> None:
    s3 = MemoryBucket()
    marks = Bookmarks(Bucket(s3, "bucket", FakeClock()), "default", "orders-nl")
    recent = {f"nl/{number:09}": "2026-11-23T05:59:30+00:00" for number in range(records)}
    bookmark = marks.with_recent(MONDAY, recent)
    commit(marks, Pending(bookmark))
    marks.move(Pending(bookmark))

    found = marks.load().bookmark

    assert marks.recent(found) == recent
    (stored,) = [body for key, body in s3.objects.items() if key.endswith("orders-nl.json")]
    assert len(stored) < 64 * 1024


def test_a_bookmark_whose_records_are_gone_says_so() -> None:
    s3 = MemoryBucket()
    marks = Bookmarks(Bucket(s3, "bucket", FakeClock()), "default", "orders-nl")
    bookmark = marks.with_recent(MONDAY, {f"nl/{number}": "2026-11-23T05:59:30+00:00" for number in range(1_001)})
    s3.objects.clear()

    with pytest.raises(ConnectorError, match="which is gone; restore it"):
        marks.recent(bookmark)
