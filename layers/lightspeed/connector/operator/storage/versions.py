"""The versions of a bucket's objects. A deleted object stays as an old version until that version is deleted."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.aws.bucket import Bucket, Stored
from connector.chunks import chunks
from connector.operator.stack import OperationFailed
from lightspeed import Clock

_AT_ONCE = 1000
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object.

    Attributes:
        size: Bytes; 0 for a delete marker.
        latest: Whether readers get this version.
        written: When the version was written.
        is_marker: Whether it is a delete marker.
    """

    key: str
    id: str
    size: int
    latest: bool
    written: datetime
    is_marker: bool


class Versions(Bucket):
    """The bundle's bucket with the versions of its objects.

    Args:
        s3: The client of S3.
        name: The bucket's name.
        clock: The clock for pauses between tries of a write.
        renew: Called before each read of an object and each deletion. It renews the lock of the command.
    """

    def __init__(self, s3: Any, name: str, clock: Clock, renew: Callable[[], None]) -> None:
        super().__init__(s3, name, clock)
        self._renew = renew

    def get(self, key: str) -> Stored:
        """As `Bucket.get`."""
        self._renew()
        return super().get(key)

    def under(self, prefix: str) -> Iterator[Version]:
        """Yield every version and delete marker under a prefix."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._name, Prefix=prefix)
        for page in pages:
            for row in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                size, is_marker = row.get("Size", 0), "Size" not in row
                yield Version(row["Key"], row["VersionId"], size, row["IsLatest"], row["LastModified"], is_marker)

    def of(self, key: str) -> list[Version]:
        """Return every version of one object."""
        return [version for version in self.under(key) if version.key == key]

    def body_of(self, version: Version) -> bytes:
        """Return the bytes of a version."""
        self._renew()
        answer = self._s3.get_object(Bucket=self._name, Key=version.key, VersionId=version.id)
        body: bytes = answer["Body"].read()
        return body

    def store_part(self, lines: list[bytes], key_of: Callable[[str], str]) -> dict[str, Any]:
        """Store a part, and return its entry for a manifest.

        Args:
            lines: The part's records, each with its end of line.
            key_of: Returns the part's key for the SHA-256 of the object.
        """
        body = gzip.compress(b"".join(lines), mtime=0)
        sha256 = hashlib.sha256(body).hexdigest()
        self.put(key_of(sha256), body)
        return {"key": key_of(sha256), "records": len(lines), "bytes": len(body), "sha256": sha256}

    def delete(self, versions: Iterable[Version]) -> None:
        """Delete versions for good.

        Raises:
            OperationFailed: S3 did not delete a version.
        """
        for some in chunks(list(versions), _AT_ONCE):
            self._renew()
            objects = [{"Key": version.key, "VersionId": version.id} for version in some]
            answer = self._s3.delete_objects(Bucket=self._name, Delete={"Objects": objects, "Quiet": True})
            for error in answer.get("Errors", ()):
                raise OperationFailed(
                    f"S3 did not delete {error.get('Key')}: {error.get('Message', error.get('Code'))}"
                )


def lines_of(body: bytes) -> list[bytes]:
    """Return the lines of an object that are not empty, each with its end."""
    return [line + b"\n" for line in text_of(body).split(b"\n") if line]


def text_of(body: bytes) -> bytes:
    """Return the text of an object, which may be compressed with gzip."""
    return gzip.decompress(body) if body.startswith(_GZIP) else body
