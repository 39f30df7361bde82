"""The lock of reconcile runs, among copies of one run."""

from __future__ import annotations

from typing import Any

from connector.bucket import Bucket
from subscribe.run.lease import RunLock
from tests.property.bucket import MemoryBucket
from tests.support.clock import FakeClock

NOW, LATER = 1_795_413_600.0, 1_795_414_500.0
KEY = "state/connection=default/reviews.ids.turn"


def note(records: int) -> dict[str, Any]:
    return {"run_id": "run", "status": "finishing", "records": records, "manifests": {}}


def copies(s3: MemoryBucket) -> tuple[RunLock, RunLock]:
    """Return the lock as two copies of a run see it."""
    one, two = (RunLock(Bucket(s3, "bucket", FakeClock()), "default", "reviews", "run") for _ in range(2))
    return one, two


def test_a_copy_that_lost_does_not_release_what_another_copy_decided() -> None:
    s3 = MemoryBucket()
    loser, winner = copies(s3)
    loser.take(NOW, LATER)
    winner.take(NOW, LATER + 1)
    winner.commit(LATER, note(6))
    loser.recover()  # so it has seen what was decided

    loser.release(NOW)

    assert s3.json(KEY)["note"] == note(6)


def test_a_copy_does_not_release_the_lock_that_another_copy_took_since() -> None:
    s3 = MemoryBucket()
    first, second = copies(s3)
    first.take(NOW, LATER)
    second.take(NOW, LATER + 1)
    held = s3.json(KEY)
    first.is_others()

    first.release(NOW)

    assert s3.json(KEY) == held


def test_a_copy_releases_the_lock_that_it_holds() -> None:
    s3 = MemoryBucket()
    lock, _ = copies(s3)
    lock.take(NOW, LATER)

    lock.release(NOW)

    assert s3.json(KEY) == {"run_id": "run", "until": "2026-11-23T06:00:00Z"}
