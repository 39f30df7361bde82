"""A command while another process writes the same object."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from connector.operator.locks import APPLY_KEY, apply_lock
from connector.operator.stack import OperationFailed, Stack
from connector.operator.storage.versions import Versions
from tests.property.bucket import MemoryBucket
from tests.support.aws import CloudFormation, FakedClients
from tests.support.clock import FakeClock
from tests.support.conflicts import ConflictingBucket


class Overtaken(MemoryBucket):
    """A bucket in which somebody else takes the lock just before the first write of it."""

    def put_object(self, **given: Any) -> dict[str, Any]:
        if given["Key"] not in self.objects:
            super().put_object(Bucket="bucket", Key=given["Key"], Body=b"theirs")
        return super().put_object(**given)


def stack_of(bucket: MemoryBucket) -> Stack:
    return Stack("mine", FakedClients(s3=bucket, cloudformation=CloudFormation({"Bucket": "bucket"})), FakeClock())


def test_a_lock_that_somebody_else_takes_at_the_same_moment_is_refused() -> None:
    bucket = Overtaken()

    with (
        pytest.raises(OperationFailed, match="another process runs apply now; try again"),
        apply_lock(stack_of(bucket)),
    ):
        raise AssertionError("the lock is not held")

    assert bucket.objects == {APPLY_KEY: b"theirs"}


def test_a_lock_is_taken_although_its_write_meets_another_one() -> None:
    bucket = ConflictingBucket(2)

    with apply_lock(stack_of(bucket)):
        assert list(bucket.objects) == [APPLY_KEY]

    assert bucket.objects == {}


class Forgetful(MemoryBucket):
    """A bucket whose first answer is lost: its client writes again, and finds its own object."""

    def put_object(self, **given: Any) -> dict[str, Any]:
        if given["Key"] not in self.objects:
            super().put_object(**given)
        return super().put_object(**given)


def test_a_lock_is_taken_although_the_answer_was_lost() -> None:
    bucket = Forgetful()

    with apply_lock(stack_of(bucket)):
        assert list(bucket.objects) == [APPLY_KEY]

    assert bucket.objects == {}


class Undeletable(MemoryBucket):
    """A bucket that refuses to delete, with a code of S3."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code

    def delete_object(self, **_: Any) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": self.code, "Message": self.code}}, "DeleteObject")


@pytest.mark.parametrize("code", ["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"])
def test_a_lock_that_somebody_else_has_by_now_is_left_to_them(code: str) -> None:
    bucket = Undeletable(code)

    with apply_lock(stack_of(bucket)):
        pass

    assert list(bucket.objects) == [APPLY_KEY]


def test_a_lock_that_may_not_be_freed_fails_the_command() -> None:
    with pytest.raises(ClientError, match="AccessDenied"), apply_lock(stack_of(Undeletable("AccessDenied"))):
        pass


def test_an_object_is_replaced_only_in_the_state_that_was_read() -> None:
    clock = FakeClock()
    bucket = ConflictingBucket(2)
    versions = Versions(bucket, "bucket", clock, lambda: None)

    assert versions.replace("key", b"one", "")
    assert len(clock.slept) == 2
    assert not versions.replace("key", b"two", "")
    assert bucket.objects == {"key": b"one"}
