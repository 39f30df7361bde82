"""What a command does when somebody else writes the same object at the same moment."""

import pytest

from connector.operator.apply_lock import KEY, apply_lock
from connector.operator.stack import OperationFailed, Stack
from connector.operator.versions import Versions
from tests.support.aws import CloudFormation, FakedClients
from tests.support.clock import FakeClock
from tests.support.conflicts import ConflictingBucket


def test_a_lock_that_somebody_else_takes_at_the_same_moment_is_refused() -> None:
    bucket = ConflictingBucket(1)
    stack = Stack("mine", FakedClients(s3=bucket, cloudformation=CloudFormation({"Bucket": "bucket"})), FakeClock())

    with (
        pytest.raises(OperationFailed, match="another process runs apply since just now; try again"),
        apply_lock(stack),
    ):
        raise AssertionError("the lock is not held")

    assert KEY not in bucket.objects


def test_an_object_that_somebody_else_writes_at_the_same_moment_is_not_replaced() -> None:
    bucket = ConflictingBucket(1)
    versions = Versions(bucket, "bucket")

    assert not versions.replace("key", b"one", "")
    assert bucket.objects == {}
    assert versions.replace("key", b"one", "")
    assert not versions.replace("key", b"two", "")
    assert bucket.objects == {"key": b"one"}
