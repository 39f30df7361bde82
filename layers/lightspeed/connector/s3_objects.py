"""Whole objects of a bucket, and writes that succeed only if the object has not changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def list_objects(s3: Any, bucket: str, prefix: str, **more: str) -> Iterator[dict[str, Any]]:
    """Yield the objects below a prefix as S3 lists them, in the order of their keys.

    Args:
        s3: The S3 client.
        bucket: The bucket's name.
        prefix: The start of the keys.
        **more: More arguments of `list_objects_v2`, such as `StartAfter`.
    """
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **more):
        yield from page.get("Contents", ())


def list_folders(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    """Yield the folders below a prefix, each with the prefix and its last slash."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
        for row in page.get("CommonPrefixes", ()):
            yield row["Prefix"]


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
