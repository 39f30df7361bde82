"""Conditional writes of the bucket, and the answers of S3 to them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connector.aws.bucket import NONE_YET, Bucket, PreconditionFailed, json_line
from connector.errors import AwsUnavailable
from tests.property.bucket import MemoryBucket
from tests.support.clock import FakeClock
from tests.support.conflicts import ConflictingBucket


@pytest.mark.parametrize("conflicts", [1, 4])
def test_a_conflict_means_that_nothing_was_written_so_the_write_is_tried_again(conflicts: int) -> None:
    s3, clock = ConflictingBucket(conflicts), FakeClock()

    Bucket(s3, "bucket", clock).put("key", b"one", if_match=NONE_YET)

    assert s3.objects == {"key": b"one"}
    assert len(clock.slept) == conflicts


def test_a_conflict_that_stays_is_an_error_to_retry_and_never_taken_for_written() -> None:
    s3 = ConflictingBucket(100)

    with pytest.raises(AwsUnavailable, match="ConditionalRequestConflict"):
        Bucket(s3, "bucket", FakeClock()).put("key", b"one", if_match=NONE_YET)

    assert s3.objects == {}


def test_a_condition_that_failed_because_the_write_was_sent_twice_is_no_failure() -> None:
    bucket = Bucket(MemoryBucket(), "bucket", FakeClock())
    first = bucket.put("key", b"one", if_match=NONE_YET)

    assert bucket.put("key", b"one", if_match=NONE_YET) == first


@pytest.mark.parametrize("condition", [NONE_YET, '"another"'])
def test_a_write_over_another_state_is_refused_and_changes_nothing(condition: str) -> None:
    s3 = MemoryBucket()
    bucket = Bucket(s3, "bucket", FakeClock())
    bucket.put("key", b"one")

    with pytest.raises(PreconditionFailed):
        bucket.put("key", b"two", if_match=condition)

    assert s3.objects == {"key": b"one"}


def test_a_write_over_an_object_that_is_gone_is_refused() -> None:
    with pytest.raises(PreconditionFailed):
        Bucket(MemoryBucket(), "bucket", FakeClock()).put("key", b"two", if_match='"etag"')


def test_a_manifest_that_is_there_stays() -> None:
    s3 = MemoryBucket()
    bucket = Bucket(s3, "bucket", FakeClock())
    manifest = {"run_id": "run", "parts": [], "deleted": [], "rejected": []}
    bucket.put_manifests({"manifests/run.json": manifest})
    before = dict(s3.objects)

    bucket.put_manifests({"manifests/run.json": {**manifest, "verified": True}})

    assert s3.objects == before


def test_a_manifest_that_s3_says_is_there_and_that_is_not_is_never_taken_for_written() -> None:
    class Forgetful(MemoryBucket):
        def put_object(self, *, Key: str, **written: Any) -> dict[str, Any]:  # noqa: N803 - AWS's name
            answer = super().put_object(Key=Key, **written)
            del self.objects[Key]
            if "IfNoneMatch" not in written:
                return answer
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": "there is one"}}, "PutObject")

    manifest = {"run_id": "run", "parts": [], "deleted": [], "rejected": []}

    with pytest.raises(PreconditionFailed):
        Bucket(Forgetful(), "bucket", FakeClock()).put_manifests({"manifests/run.json": manifest})


def test_half_a_surrogate_pair_is_stored_as_the_shop_wrote_it() -> None:
    value = {"off": ["caf\u00e9", "\ud83d"]}

    assert json.loads(json_line(value)) == value
    assert json_line({"off": "caf\u00e9"}) == '{"off":"caf\u00e9"}\n'.encode()
