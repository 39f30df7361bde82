"""The pauses between the tries of a conditional write that met another one."""

from typing import Any

import pytest

from connector.aws.conflicts import MAX_TRIES, conditional_write
from connector.errors import AwsUnavailable
from tests.support.clock import FakeClock
from tests.support.conflicts import CODE, ConflictingBucket


def write(clock: FakeClock, conflicts: int) -> object:
    bucket = ConflictingBucket(conflicts)
    given: dict[str, Any] = {"Bucket": "bucket", "Key": "key", "Body": b"{}", "IfNoneMatch": "*"}
    return conditional_write(bucket.put_object, (), clock.sleep, **given)


def refused(clock: FakeClock) -> list[float]:
    """Return the pauses of a write that meets another one at every try."""
    with pytest.raises(AwsUnavailable, match=f"S3 answers {CODE} to every write of key"):
        write(clock, MAX_TRIES)
    return clock.slept


def test_the_first_try_does_not_wait() -> None:
    clock = FakeClock()

    assert write(clock, 0)
    assert clock.slept == []


def test_each_pause_is_twice_the_one_before_and_up_to_a_half_longer_at_random() -> None:
    slept = refused(FakeClock())

    least = [0.05, 0.1, 0.2, 0.4]
    assert [low <= pause <= 1.5 * low for low, pause in zip(least, slept, strict=True)] == [True] * (MAX_TRIES - 1)
    assert sum(slept) < 1.2


def test_two_writers_do_not_wait_for_the_same_time() -> None:
    assert refused(FakeClock()) != refused(FakeClock())
