"""The bundle's bucket: whole objects, listings, and writes that hold only under a condition."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from connector.aws import botocore_errors
from connector.aws.conflicts import conditional_write
from connector.chunks import each
from connector.storage_keys import MANIFESTS, RunFolder
from lightspeed import Clock, SystemClock

NONE_YET = ""
"""The ETag that means "there is no such object"."""

_NOT_FOUND = ("NoSuchKey", "404")
_CHANGED = ("PreconditionFailed", *_NOT_FOUND)


class PreconditionFailed(Exception):
    """A conditional write found another state than the one that it started from."""


class Stored(NamedTuple):
    """An object.

    Attributes:
        body: Its bytes.
        etag: Names this content of it.
        written: When it was written, if the answer says it: S3 does.
    """

    body: bytes
    etag: str
    written: datetime | None


class Bucket:
    """The bundle's bucket, seen as whole objects."""

    def __init__(self, s3: Any, name: str, clock: Clock | None = None) -> None:
        """Prepare; nothing is read yet.

        Args:
            s3: The S3 client.
            name: The bucket's name.
            clock: The clock for pauses between tries of a write; the machine's by default.
        """
        self._s3 = s3
        self._name = name
        self._clock = clock or SystemClock()

    def get(self, key: str) -> Stored:
        """Return an object that must be there.

        Raises:
            ClientError: `NoSuchKey`, or S3 refuses the call.
        """
        found = self._s3.get_object(Bucket=self._name, Key=key)
        return Stored(found["Body"].read(), found["ETag"], found.get("LastModified"))

    def read(self, key: str) -> Stored | None:
        """Return an object, or `None` if there is no such object."""
        found: Stored | None = botocore_errors.answer_unless(_NOT_FOUND, self.get, key=key)
        return found

    def body(self, key: str) -> bytes | None:
        """Return an object's bytes, or `None` if there is no such object."""
        found = self.read(key)
        return None if found is None else found.body

    def json(self, key: str) -> Any:
        """Return an object's JSON value, or `None` if there is no such object."""
        found = self.read(key)
        return None if found is None else json.loads(found.body)

    def read_json(self, key: str) -> tuple[Any, str] | None:
        """Return an object's JSON value and its ETag, or `None` if there is no such object."""
        found = self.read(key)
        return None if found is None else (json.loads(found.body), found.etag)

    def first_lines(self, key: str, most: int) -> list[bytes]:
        """Return the first lines of a part, at most so many."""
        with gzip.open(self._s3.get_object(Bucket=self._name, Key=key)["Body"]) as lines:
            return [line.rstrip(b"\n") for line in itertools.islice(lines, most)]

    def objects(self, prefix: str, start_after: str = "") -> Iterator[dict[str, Any]]:
        """Yield the objects under a prefix as S3 lists them, in the order of their keys.

        Args:
            prefix: The start of the keys.
            start_after: A key after which to start; empty for all.
        """
        more = {"StartAfter": start_after} if start_after else {}
        for page in self._pages(prefix, **more):
            yield from page.get("Contents", ())

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the folders right under a prefix, each with the prefix and its last slash."""
        for page in self._pages(prefix, Delimiter="/"):
            for row in page.get("CommonPrefixes", ()):
                yield row["Prefix"]

    def objects_of(self, prefixes: Sequence[str], after: str = "") -> list[dict[str, Any]]:
        """Return the objects under several prefixes, listed at once: of each prefix those after so much of a key."""
        found = each(lambda prefix: list(self.objects(prefix, prefix + after if after else "")), prefixes)
        return list(itertools.chain.from_iterable(found))

    def folders_of(self, prefixes: Sequence[str]) -> list[str]:
        """Return the folders right under several prefixes, listed at once."""
        return list(itertools.chain.from_iterable(each(lambda prefix: list(self.folders(prefix)), prefixes)))

    def manifest_folders(self, connection: str = "", entity: str = "") -> list[RunFolder]:
        """Return the folders of manifests; an empty name stands for every connection or entity."""
        folders = [f"{MANIFESTS}connection={connection}/"] if connection else self.folders_of([MANIFESTS])
        named = f"entity={entity.replace('/', '.')}/"
        folders = [folder + named for folder in folders] if entity else self.folders_of(folders)
        return [RunFolder.of(folder) for folder in self.folders_of(folders)]

    def _pages(self, prefix: str, **more: str) -> Iterator[dict[str, Any]]:
        yield from self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix, **more)

    def put(
        self, key: str, body: bytes | bytearray, content_type: str = "application/gzip", *, if_match: str | None = None
    ) -> str:
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
            return str(self._s3.put_object(**self._object(key, body, content_type))["ETag"])
        etag = self.replace(key, body, if_match, content_type)
        if etag is not None:
            return etag
        found = self.read(key)
        if found is None or found.body != body:
            raise PreconditionFailed(key)
        return found.etag

    def put_json(self, key: str, value: object, *, if_match: str | None = None) -> str:
        """Write a value as one line of JSON and return the object's ETag; conditions and errors as in `put`."""
        return self.put(key, json_line(value), "application/json", if_match=if_match)

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

    def replace(
        self, key: str, body: bytes | bytearray, etag: str, content_type: str = "application/json"
    ) -> str | None:
        """Write an object only over the state that was read.

        Args:
            key: The object's key.
            body: Its bytes.
            etag: The ETag that was read; `NONE_YET` if there was no object.
            content_type: Its media type.

        Returns:
            The new ETag, or `None` if the object has changed since.

        Raises:
            AwsUnavailable: Other writes of the key met every try.
        """
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        given = self._object(key, body, content_type) | condition
        answer = conditional_write(self._s3.put_object, _CHANGED, self._clock.sleep, **given)
        return None if answer is None else str(answer["ETag"])

    def _object(self, key: str, body: bytes | bytearray, content_type: str) -> dict[str, Any]:
        return {"Bucket": self._name, "Key": key, "Body": body, "ContentType": content_type}


def json_line(value: object) -> bytes:
    """Return a value as one line of JSON; half a surrogate pair, which UTF-8 lacks, stays an escape."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"
