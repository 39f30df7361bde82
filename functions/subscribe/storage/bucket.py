"""The bundle's bucket: whole objects, and writes that hold only under a condition."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from connector.s3_objects import list_objects, put_if_unchanged, read_object
from lightspeed import Clock

NONE_YET = ""
"""The ETag that means "there is no such object"."""


class PreconditionFailed(Exception):
    """A conditional write found another state than the one that it started from."""


class Bucket:
    """The bundle's bucket, seen as whole objects."""

    def __init__(self, s3: Any, name: str, clock: Clock) -> None:
        """Take the client, the bucket's name, and the clock for pauses between tries; nothing is read yet."""
        self._s3 = s3
        self._name = name
        self._clock = clock

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Return an object's bytes and its ETag, or `None` if there is no such object."""
        return read_object(self._s3, self._name, key)

    def read_json(self, key: str) -> tuple[Any, str] | None:
        """Return an object's JSON value and its ETag, or `None` if there is no such object."""
        found = self.read(key)
        return None if found is None else (json.loads(found[0]), found[1])

    def put(self, key: str, body: bytes, *, content_type: str = "application/gzip", if_match: str | None = None) -> str:
        """Write an object and return its ETag.

        Args:
            key: The object's key.
            body: Its bytes.
            content_type: Its media type.
            if_match: Write only over the object with this ETag; `NONE_YET` writes only where there is none.

        Raises:
            PreconditionFailed: Another state was found, and the object differs from what was to be written. An equal
                object is no failure: an earlier attempt succeeded and its answer was lost, or a copy wrote the same.
            AwsUnavailable: S3 went on to ask for another attempt.
        """
        if if_match is None:
            write = {"Bucket": self._name, "Key": key, "Body": body, "ContentType": content_type}
            return str(self._s3.put_object(**write)["ETag"])
        etag = put_if_unchanged(self._s3, self._name, key, body, if_match, self._clock.sleep, ContentType=content_type)
        if etag is not None:
            return etag
        found = self.read(key)
        if found is None or found[0] != body:
            raise PreconditionFailed(key)
        return found[1]

    def put_json(self, key: str, value: object, *, if_match: str | None = None) -> str:
        """Write a value as one line of JSON and return the object's ETag; conditions and errors as in `put`."""
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return self.put(key, body + b"\n", content_type="application/json", if_match=if_match)

    def put_manifests(self, manifests: Mapping[str, object]) -> None:
        """Write the manifests of a decided run, by key and in order.

        A manifest that exists already was written by another copy of this run, or was rewritten since. It stays.
        """
        for key, manifest in manifests.items():
            try:
                self.put_json(key, manifest, if_match=NONE_YET)
            except PreconditionFailed:
                if self.read(key) is None:
                    raise

    def first_lines(self, key: str, most: int) -> list[bytes]:
        """Return the first lines of a part, at most so many."""
        with gzip.open(self._s3.get_object(Bucket=self._name, Key=key)["Body"]) as lines:
            return [line.rstrip(b"\n") for line in itertools.islice(lines, most)]

    def list(self, prefix: str) -> Iterator[tuple[str, float]]:
        """Yield the key and the time of each object under a prefix, in epoch seconds, in the order of the keys."""
        for row in list_objects(self._s3, self._name, prefix):
            yield row["Key"], row["LastModified"].timestamp()
