"""The start of a subscription's next run, and the writes that move the bookmark."""

from __future__ import annotations

import msgspec
import pytest

from connector.aws.bucket import NONE_YET, Bucket
from connector.errors import ConnectorError
from connector.storage_keys import run_key, subscription_key
from subscribe.sync.bookmark import HIDDEN, SHOWN, Bookmark
from subscribe.sync.bookmark_store import Bookmarks, Lease, Pending
from tests.property.bucket import MemoryBucket
from tests.support.clock import FakeClock

MONDAY = Bookmark("2026-11-23T06:00:00Z", "monday")
NO_PARTS: dict[str, list[object]] = {"parts": [], "deleted": [], "rejected": []}
TUESDAY = Bookmark("2026-11-24T06:00:00Z", "tuesday")


def bookmarks() -> Bookmarks:
    return Bookmarks(Bucket(MemoryBucket(), "bucket", FakeClock()), "default", "orders-nl")


def commit(marks: Bookmarks, pending: Pending) -> None:
    found = marks.load()
    marks.commit(found.bookmark, pending)


def test_the_bookmark_moves_to_where_the_decided_run_ends() -> None:
    marks = bookmarks()
    commit(marks, Pending(MONDAY))

    marks.finalize(Pending(MONDAY))

    found = marks.load()
    assert (found.bookmark, found.pending) == (MONDAY, None)


def test_a_bookmark_is_stored_without_what_there_is_nothing_to_say_of() -> None:
    stored = b'{"until":"2026-11-23T06:00:00Z","run_id":"monday"}'

    found = msgspec.json.decode(stored, type=Bookmark)

    assert msgspec.json.encode(MONDAY) == stored
    assert (found.skew, found.unverified, found.recent, found.recent_in) == (0, 0, {}, "")
    assert (found.again_from, found.created_until, found.never_updated) == ("", "", "")


def test_a_copy_of_an_earlier_run_does_not_end_a_later_run_that_is_decided() -> None:
    marks = bookmarks()
    commit(marks, Pending(MONDAY))
    marks.finalize(Pending(MONDAY))
    commit(marks, Pending(TUESDAY))

    marks.finalize(Pending(MONDAY))

    found = marks.load()
    assert (found.bookmark, found.pending) == (MONDAY, Pending(TUESDAY))


def test_a_bookmark_that_moved_already_stays() -> None:
    marks = bookmarks()
    commit(marks, Pending(MONDAY))
    marks.finalize(Pending(MONDAY))
    before = marks.load()

    marks.finalize(Pending(MONDAY))

    assert marks.load() == before


@pytest.mark.parametrize("records", [1_000, 1_001, 27_000])
def test_a_bookmark_stays_small_however_many_records_it_remembers(records: int) -> None:
    s3 = MemoryBucket()
    marks = Bookmarks(Bucket(s3, "bucket", FakeClock()), "default", "orders-nl")
    recent = {f"nl/{number:09}": "2026-11-23T05:59:30+00:00" for number in range(records)}
    bookmark = marks.with_recent(MONDAY, recent)
    commit(marks, Pending(bookmark))
    marks.finalize(Pending(bookmark))

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


def test_what_is_stored_of_a_subscription_has_the_names_that_earlier_versions_read() -> None:
    s3 = MemoryBucket()
    marks = Bookmarks(Bucket(s3, "bucket", FakeClock()), "default", "orders-nl")
    marks.load()

    marks.lease(Bookmark("2026-11-23T06:00:00Z", "monday", never_updated=HIDDEN), Lease("run", "2026-11-23T07:00:00Z"))
    stored = [s3.json(key) for key in s3.objects]
    marks.commit(Bookmark(never_updated=SHOWN), Pending(TUESDAY, entry={"run_id": "run"}))
    stored += [s3.json(key) for key in s3.objects]

    assert stored == [
        {
            "bookmark": {"until": "2026-11-23T06:00:00Z", "run_id": "monday", "never_updated": "hidden"},
            "running": {"run_id": "run", "until": "2026-11-23T07:00:00Z"},
        },
        {
            "bookmark": {"never_updated": "shown"},
            "pending": {
                "bookmark": {"until": "2026-11-24T06:00:00Z", "run_id": "tuesday"},
                "note": {"run_id": "run"},
                "manifests": {},
            },
        },
    ]


@pytest.mark.parametrize(
    "stored",
    [
        {"bookmark": {"until": "soon"}},
        {"bookmark": {"again_from": "x"}},
        {"bookmark": {"created_until": "x"}},
        {"bookmark": {"opened": "x"}},
        {"bookmark": 7},
    ],
)
def test_a_bookmark_that_cannot_be_read_says_so(stored: object) -> None:
    s3 = MemoryBucket()
    bucket = Bucket(s3, "bucket", FakeClock())
    bucket.put_json(subscription_key("default", "orders-nl"), stored, if_match=NONE_YET)

    with pytest.raises(ConnectorError, match=r"cannot be read: .*; restore an earlier version of this object"):
        Bookmarks(bucket, "default", "orders-nl").load()


def test_the_bookmark_of_a_run_that_is_decided_is_seen_before_it_moves() -> None:
    marks = bookmarks()
    assert marks.peek() == Bookmark()
    marks.commit(MONDAY, Pending(TUESDAY))

    assert marks.peek() == TUESDAY
    assert marks.load().bookmark == MONDAY


def test_a_run_that_was_decided_is_finished_by_the_next_one() -> None:
    s3 = MemoryBucket()
    bucket = Bucket(s3, "bucket", FakeClock())
    marks = Bookmarks(bucket, "default", "orders-nl")
    entry = {"run_id": "run", "status": "finishing", "manifests": {"manifests/new.json": {"run_id": "run", **NO_PARTS}}}
    marks.load()
    marks.commit(MONDAY, Pending(TUESDAY, entry=entry, manifests={"manifests/old.json": {"run_id": "old", **NO_PARTS}}))

    found = Bookmarks(bucket, "default", "orders-nl").recover()

    assert (found.bookmark, found.pending) == (TUESDAY, None)
    assert s3.json("manifests/new.json") == {"run_id": "run", **NO_PARTS}
    assert s3.json("manifests/old.json") == {"run_id": "old", **NO_PARTS}
    assert s3.json(run_key("run"))["status"] == "complete"
