"""The lock of reconcile runs, among copies of one run."""

from __future__ import annotations

from typing import Any

import pytest

from connector.aws.bucket import Bucket, PreconditionFailed
from connector.errors import RunInProgress
from connector.storage_keys import run_key
from subscribe.run.lock import RunLock
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
    loser.acquire(NOW, LATER)
    winner.acquire(NOW, LATER + 1)
    winner.commit(LATER, note(6))
    loser.recover()  # so it has seen what was decided

    loser.release(NOW)

    assert s3.json(KEY)["note"] == note(6)


def test_a_copy_does_not_release_the_lock_that_another_copy_took_since() -> None:
    s3 = MemoryBucket()
    first, second = copies(s3)
    first.acquire(NOW, LATER)
    second.acquire(NOW, LATER + 1)
    held = s3.json(KEY)
    first.is_taken_over()

    first.release(NOW)

    assert s3.json(KEY) == held


def test_a_copy_releases_the_lock_that_it_holds() -> None:
    s3 = MemoryBucket()
    lock, _ = copies(s3)
    lock.acquire(NOW, LATER)

    lock.release(NOW)

    assert s3.json(KEY) == {"run_id": "run", "until": "2026-11-23T06:00:00Z"}


def others(s3: MemoryBucket) -> RunLock:
    """Return the lock as another run sees it."""
    return RunLock(Bucket(s3, "bucket", FakeClock()), "default", "reviews", "other")


def test_a_lock_that_nobody_has_is_free() -> None:
    s3 = MemoryBucket()
    lock = others(s3)

    assert lock.check(NOW) is None
    assert not lock.is_taken_over()
    lock.recover()
    assert s3.objects == {}


def test_another_run_has_the_lock_until_its_time_is_over() -> None:
    s3 = MemoryBucket()
    mine, lock = copies(s3)[0], others(s3)
    mine.acquire(NOW, LATER)

    with pytest.raises(RunInProgress) as error:
        lock.acquire(LATER - 1, LATER)
    assert error.value.run_id == "run"
    assert "until 2026-11-23T06:15:00Z" in str(error.value)
    assert (mine.is_taken_over(), lock.is_taken_over()) == (False, True)

    lock.acquire(LATER, LATER + 60)
    assert (mine.is_taken_over(), lock.is_taken_over()) == (True, False)


def test_a_decided_run_is_finished_by_the_next_one_and_loses_the_lock_at_once() -> None:
    s3 = MemoryBucket()
    mine, lock = copies(s3)[0], others(s3)
    mine.acquire(NOW, LATER)
    mine.commit(LATER, note(6))

    lock.acquire(NOW, LATER)

    assert s3.json(run_key("run"))["status"] == "complete"
    assert not lock.is_taken_over()


def test_a_run_that_is_decided_does_not_take_the_lock_again() -> None:
    s3 = MemoryBucket()
    first, second = copies(s3)
    first.acquire(NOW, LATER)
    first.commit(LATER, note(6))

    with pytest.raises(PreconditionFailed):
        second.acquire(NOW, LATER)
    assert s3.json(run_key("run"))["status"] == "complete"


def test_what_was_decided_is_finished_on_recovery() -> None:
    s3 = MemoryBucket()
    mine, lock = copies(s3)[0], others(s3)
    mine.acquire(NOW, LATER)
    mine.commit(LATER, note(6))

    lock.recover()

    assert s3.json(run_key("run")) == {**note(6), "status": "complete"}


def test_a_lock_is_taken_by_one_of_two_that_saw_it_free() -> None:
    s3 = MemoryBucket()
    mine, lock = copies(s3)[0], others(s3)
    mine.check(NOW)
    lock.check(NOW)
    mine.renew(LATER)

    with pytest.raises(PreconditionFailed):
        lock.renew(LATER)
