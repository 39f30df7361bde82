"""Every version of a bucket's objects: a deleted object is still there as an old version, until that is deleted too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.operator.stack import OperationFailed
from connector.s3_objects import put_if_unchanged, read_object

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object.

    Attributes:
        key: The object's key.
        id: The version's id.
        size: Bytes; 0 for a delete marker.
        latest: Whether it is the one that readers get.
        written: When it was written.
        is_marker: Whether it only says that the object was deleted.
    """

    key: str
    id: str
    size: int
    latest: bool
    written: datetime
    is_marker: bool


class Versions:
    """The versions of a bucket's objects."""

    def __init__(self, s3: Any, bucket: str, sleep: Callable[[float], None]) -> None:
        """Take the S3 client, the bucket's name, and what waits so many seconds between tries of a write."""
        self._s3 = s3
        self._bucket = bucket
        self._sleep = sleep

    def under(self, prefix: str) -> Iterator[Version]:
        """Yield every version and delete marker under a prefix."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            for rows, is_marker in ((page.get("Versions", ()), False), (page.get("DeleteMarkers", ()), True)):
                for row in rows:
                    yield Version(
                        row["Key"],
                        row["VersionId"],
                        row.get("Size", 0),
                        row["IsLatest"],
                        row["LastModified"],
                        is_marker,
                    )

    def of(self, key: str) -> list[Version]:
        """Return every version of one object."""
        return [version for version in self.under(key) if version.key == key]

    def read(self, version: Version) -> bytes:
        """Return the bytes of a version."""
        answer = self._s3.get_object(Bucket=self._bucket, Key=version.key, VersionId=version.id)
        body: bytes = answer["Body"].read()
        return body

    def delete(self, versions: Iterable[Version]) -> None:
        """Delete versions for good.

        Raises:
            OperationFailed: S3 did not delete a version.
        """
        left = list(versions)
        while left:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]
            objects = [{"Key": version.key, "VersionId": version.id} for version in some]
            answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
            for error in answer.get("Errors", ()):
                raise OperationFailed(
                    f"S3 did not delete {error.get('Key')}: {error.get('Message', error.get('Code'))}"
                )

    def current(self, key: str) -> tuple[bytes, str] | None:
        """Return an object's bytes and ETag, or `None` if there is none."""
        return read_object(self._s3, self._bucket, key)

    def put(self, key: str, body: bytes, content_type: str = "application/gzip") -> None:
        """Write an object, whatever is there."""
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    def replace(self, key: str, body: bytes, etag: str, content_type: str = "application/json") -> bool:
        """Write over the object with this ETag, or write a new one for an empty ETag; return whether that succeeded.

        Raises:
            AwsUnavailable: Other writes of the key met every try.
        """
        headers = {"ContentType": content_type}
        return put_if_unchanged(self._s3, self._bucket, key, body, etag, self._sleep, **headers) is not None
