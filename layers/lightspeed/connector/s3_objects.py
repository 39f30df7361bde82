"""Whole objects of a bucket, and writes that succeed only if the object has not changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connector import botocore_errors
from connector.conflicts import CONFLICT, tries
from connector.errors import AwsUnavailable

_NOT_FOUND = ("NoSuchKey", "404")
_CHANGED = ("PreconditionFailed", *_NOT_FOUND)


def read_object(s3: Any, bucket: str, key: str) -> tuple[bytes, str] | None:
    """Return an object's bytes and its ETag, or `None` if there is no such object."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except botocore_errors.ClientError as error:
        if error.response["Error"]["Code"] in _NOT_FOUND:
            return None
        raise
    return answer["Body"].read(), answer["ETag"]


def put_if_unchanged(
    s3: Any, bucket: str, key: str, body: bytes, etag: str, sleep: Callable[[float], None], **headers: str
) -> str | None:
    """Write an object only over the state that was read.

    Args:
        s3: The S3 client.
        bucket: The bucket's name.
        key: The object's key.
        body: Its bytes.
        etag: The ETag that was read; empty if there was no object.
        sleep: Waits so many seconds between tries.
        **headers: More arguments of `put_object`, such as `ContentType`.

    Returns:
        The new ETag, or `None` if the object has changed since.

    Raises:
        AwsUnavailable: Other writes of the key met every try.
    """
    condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    for _ in tries(sleep):
        try:
            return str(s3.put_object(Bucket=bucket, Key=key, Body=body, **headers, **condition)["ETag"])
        except botocore_errors.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _CHANGED:
                return None
            if code != CONFLICT:
                raise
    raise AwsUnavailable(f"S3 answers {CONFLICT} to every write of {key}")
