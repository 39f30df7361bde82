"""Reads of the bundle's bucket: objects that may be missing, and listings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from connector import botocore_errors

THREADS = 32
_MISSING = ("NoSuchKey", "404")

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


class BucketReader:
    """Reads one bucket."""

    def __init__(self, s3: Any, bucket: str) -> None:
        """Take the client of S3; nothing is read yet."""
        self._s3 = s3
        self._bucket = bucket

    def read(self, key: str) -> bytes | None:
        """Return an object, or `None` if there is none."""
        return self.read_dated(key)[0]

    def read_dated(self, key: str) -> tuple[bytes | None, float]:
        """Return an object and when it was written, epoch seconds; `None` and 0 if there is none."""
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=key)
        except botocore_errors.ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None, 0.0
            raise
        return found["Body"].read(), found["LastModified"].timestamp()

    def json(self, key: str) -> Any:
        """Return an object that holds JSON, or `None` if there is none."""
        body = self.read(key)
        return None if body is None else json.loads(body)

    def write(self, key: str, body: bytes) -> None:
        """Write an object."""
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)

    def children(self, prefix: str) -> list[str]:
        """Return the folders below a prefix, each with the prefix and its last slash."""
        pages = self._pages(prefix, Delimiter="/")
        return [row["Prefix"] for page in pages for row in page.get("CommonPrefixes", ())]

    def objects(self, prefix: str, start_after: str = "") -> list[dict[str, Any]]:
        """Return the objects below a prefix as S3 lists them, those after a key if one is given."""
        more = {"StartAfter": start_after} if start_after else {}
        return [row for page in self._pages(prefix, **more) for row in page.get("Contents", ())]

    def _pages(self, prefix: str, **more: str) -> Iterable[dict[str, Any]]:
        asked = {"Bucket": self._bucket, "Prefix": prefix, **more}
        page = self._s3.list_objects_v2(**asked)
        yield page
        while page.get("IsTruncated"):
            page = self._s3.list_objects_v2(**asked, ContinuationToken=page["NextContinuationToken"])
            yield page


def each(call: Callable[[_Item], _Found], items: Sequence[_Item]) -> list[_Found]:
    """Return what a call returns for each item, in order; many calls are made at once."""
    if len(items) <= 1:
        return [call(item) for item in items]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(call, items))
