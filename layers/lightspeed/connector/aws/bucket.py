"""The bundle's bucket: whole objects, listings and conditional writes."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from connector.aws import botocore_errors
from connector.aws.conflicts import conditional_write
from connector.concurrency import map_concurrently
from connector.storage_keys import MANIFESTS, RunFolder
from lightspeed import Clock, SystemClock

NONE_YET = ""
"""The ETag of an object that does not exist."""

_NOT_FOUND = ("NoSuchKey", "404")
_CHANGED = ("PreconditionFailed", *_NOT_FOUND)


class PreconditionFailed(Exception):
    """The object has changed since it was read."""


class Stored(NamedTuple):
    """An object of the bucket.

    Attributes:
        body: Its bytes.
        etag: The name of this version.
        written: The time of its last write. Only fakes of S3 leave it out.
    """

    body: bytes
    etag: str
    written: datetime | None


class Bucket:
    """The bundle's bucket.

    Args:
        s3: The S3 client.
        name: The bucket's name.
        clock: The clock of the pauses between the tries of a write.
    """

    def __init__(self, s3: Any, name: str, clock: Clock | None = None) -> None:
        self._s3 = s3
        self._name = name
        self._clock = clock or SystemClock()

    def get(self, key: str) -> Stored:
        """Return an object that has to exist.

        Raises:
            ClientError: The object does not exist (`NoSuchKey`), or S3 refuses the call.
        """
        found = self._s3.get_object(Bucket=self._name, Key=key)
        return Stored(found["Body"].read(), found["ETag"], found.get("LastModified"))

    def read(self, key: str) -> Stored | None:
        """Return an object, or `None` if it does not exist."""
        found: Stored | None = botocore_errors.answer_unless(_NOT_FOUND, self.get, key=key)
        return found

    def read_body(self, key: str) -> bytes | None:
        """Return an object's bytes, or `None` if it does not exist."""
        found = self.read(key)
        return None if found is None else found.body

    def read_json(self, key: str) -> Any:
        """Return an object's JSON value, or `None` if it does not exist."""
        found = self.read(key)
        return None if found is None else json.loads(found.body)

    def read_json_with_etag(self, key: str) -> tuple[Any, str] | None:
        """Return an object's JSON value and its ETag, or `None` if it does not exist."""
        found = self.read(key)
        return None if found is None else (json.loads(found.body), found.etag)

    def first_lines(self, key: str, most: int) -> list[bytes]:
        """Return the first lines of a part, at most `most`."""
        with gzip.open(self._s3.get_object(Bucket=self._name, Key=key)["Body"]) as lines:
            return [line.rstrip(b"\n") for line in itertools.islice(lines, most)]

    def objects(self, prefix: str, start_after: str = "") -> Iterator[dict[str, Any]]:
        """Yield S3's rows of the objects under a prefix, in the order of their keys.

        Args:
            prefix: The start of the keys.
            start_after: Only keys after this one; empty for all.
        """
        more = {"StartAfter": start_after} if start_after else {}
        for page in self._pages(prefix, **more):
            yield from page.get("Contents", ())

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the folders right under a prefix, each as a prefix with its last slash."""
        for page in self._pages(prefix, Delimiter="/"):
            for row in page.get("CommonPrefixes", ()):
                yield row["Prefix"]

    def objects_of(self, prefixes: Sequence[str], after: str = "") -> list[dict[str, Any]]:
        """Return S3's rows of the objects under several prefixes; of each prefix only those after `prefix + after`."""
        found = map_concurrently(lambda prefix: list(self.objects(prefix, prefix + after if after else "")), prefixes)
        return list(itertools.chain.from_iterable(found))

    def folders_of(self, prefixes: Sequence[str]) -> list[str]:
        """Return the folders right under several prefixes."""
        found = map_concurrently(lambda prefix: list(self.folders(prefix)), prefixes)
        return list(itertools.chain.from_iterable(found))

    def manifest_folders(self, connection: str = "", entity: str = "") -> list[RunFolder]:
        """Return the folders of manifests. An empty name means every connection or entity."""
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
            if_match: Write only over the object with this ETag. `NONE_YET` writes only a new object.

        Raises:
            PreconditionFailed: The condition does not hold, and the bucket has no object of this key with this body.
                Such an object is no failure: an earlier try wrote it and its answer was lost, or a copy of the run did.
            AwsUnavailable: Other writes of the key met every try.
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
        """Write a value as one line of JSON and return the object's ETag; see `put`."""
        return self.put(key, json_line(value), "application/json", if_match=if_match)

    def put_manifests(self, manifests: Mapping[str, object]) -> None:
        """Write the manifests of a decided run, by key and in order.

        A manifest that exists stays: another copy of this run wrote it, or `compact` or `forget` has rewritten it.
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
        """Write an object if it has not changed since it was read.

        Args:
            key: The object's key.
            body: Its bytes.
            etag: The ETag that was read, or `NONE_YET`.
            content_type: Its media type.

        Returns:
            The new ETag, or `None` if the object has changed.

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
    """Return a value as one line of JSON. Half a surrogate pair, which UTF-8 cannot hold, is written as an escape."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"
