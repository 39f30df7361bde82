"""Where a run's objects lie in S3, and how they get there.

Parts are numbered in the order they are written and named by their run, so that a repeated invocation overwrites the
same keys. The manifest is written last and once: without it a run does not exist for readers.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from botocore.exceptions import ClientError
from isal import isal_zlib

PART_BYTES = 8 * 1024 * 1024
"""A part is closed when it holds this much, compressed: twenty thousand orders, 80 MB of JSON. Memory holds one."""

_CONDITION_FAILED = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
_GZIP = 31
_LEVEL = 2


class Part(msgspec.Struct, array_like=True, frozen=True):
    """A part as it is stored; its key follows from its run's prefix and its number.

    Attributes:
        bytes: Of the stored object.
        sha256: Of the stored object, hexadecimal.
    """

    records: int
    bytes: int
    sha256: str


class PreconditionFailed(Exception):
    """An object that is written only once, or only from a known state, is there already or has changed."""


def run_prefix(connection: str, entity: str, language: str, date: str, run_id: str) -> str:
    """Return where the objects of a run in one language lie, with a slash at the end."""
    name = entity.replace("/", ".")
    return f"raw/connection={connection}/entity={name}/language={language}/date={date}/run={run_id}/"


def part_key(prefix: str, number: int) -> str:
    """Return the key of a part; numbers start at 0."""
    return f"{prefix}part-{number:05}.jsonl.gz"


def manifest_key(prefix: str) -> str:
    """Return the key of a run's manifest."""
    return f"{prefix}_manifest.json"


def bookmark_key(connection: str, subscription: str) -> str:
    """Return the key of a bookmark."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.json"


def rejected_key(prefix: str, number: int) -> str:
    """Return the key of a part of records that a transformer rejected; numbers start at 0."""
    return f"{prefix}rejected-{number:05}.jsonl.gz"


def tombstones_key(prefix: str, number: int) -> str:
    """Return the key of a part that names deleted records; numbers start at 0."""
    return f"{prefix}deleted-{number:05}.jsonl.gz"


def ids_key(connection: str, subscription: str) -> str:
    """Return the key of the index of ids that reconcile runs compare with."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.ids.jsonl.gz"


def turn_key(connection: str, subscription: str) -> str:
    """Return the key of the note which reconcile run is under way."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.ids.turn"


def kept_key(run_id: str, digest: str) -> str:
    """Return the key of what a reconcile run keeps between two invocations, by its content."""
    return f"state/passes/{run_id}/{digest}.jsonl.gz"


def run_key(run_id: str) -> str:
    """Return the key of the last result of a run."""
    return f"state/runs/{run_id}.json"


class Bucket:
    """The bundle's bucket, seen as whole objects."""

    def __init__(self, s3: Any, name: str) -> None:
        """Take the client and the bucket's name; nothing is read yet."""
        self._s3 = s3
        self._name = name

    def read_json(self, key: str) -> tuple[Any, str] | None:
        """Return an object's JSON value and its ETag, or `None` if there is no such object."""
        found = self.read(key)
        return None if found is None else (json.loads(found[0]), found[1])

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Return an object's bytes and its ETag, or `None` if there is no such object."""
        try:
            answer = self._s3.get_object(Bucket=self._name, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        return answer["Body"].read(), answer["ETag"]

    def write_json(self, key: str, value: object, *, etag: str | None = None, once: bool = False) -> str:
        """Write an object and return its ETag.

        Args:
            key: Where.
            value: Of which JSON is made.
            etag: Write only over the object that has this ETag; empty: only where there is none.
            once: Write only where there is none.

        Raises:
            AlreadyWritten: The condition does not hold.
        """
        body = json.dumps(value, ensure_ascii=False, indent=1).encode()
        return self.write(key, body, content_type="application/json", etag="" if once else etag)

    def write(self, key: str, body: bytes, *, content_type: str = "application/gzip", etag: str | None = None) -> str:
        """Write an object's bytes and return its ETag; `etag` as in `write_json`.

        Raises:
            AlreadyWritten: The condition does not hold.
        """
        condition = {} if etag is None else {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            answer = self._s3.put_object(Bucket=self._name, Key=key, Body=body, ContentType=content_type, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] in _CONDITION_FAILED:
                raise PreconditionFailed(key) from error
            raise
        return str(answer["ETag"])

    def write_manifests(self, manifests: Mapping[str, object]) -> None:
        """Write the manifests of a run by key, in order; one that is there already says the same and stays."""
        for key, manifest in manifests.items():
            with contextlib.suppress(PreconditionFailed):
                self.write_json(key, manifest, once=True)

    def write_part(self, key: str, body: bytes | bytearray) -> None:
        """Write a part, over an earlier one of the same run as long as no manifest names that.

        Raises:
            AlreadyWritten: The run has its manifest: it was invoked twice at once, and the other was faster.
        """
        part = {"Bucket": self._name, "Key": key, "Body": body, "ContentType": "application/gzip"}
        try:
            self._s3.put_object(**part, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in _CONDITION_FAILED:
                raise
            if self.read_json(manifest_key(key[: key.rindex("/") + 1])) is not None:
                raise PreconditionFailed(key) from error
            self._s3.put_object(**part)

    def first_records(self, key: str, most: int) -> list[bytes]:
        """Return the text of the first records of a part, at most so many."""
        with gzip.open(self._s3.get_object(Bucket=self._name, Key=key)["Body"]) as lines:
            return [line.rstrip(b"\n") for line in itertools.islice(lines, most)]

    def manifests(self, prefix: str) -> list[tuple[float, str]]:
        """Return when each manifest under a prefix was written, in epoch seconds, and its key; oldest first."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix)
        found = (item for page in pages for item in page.get("Contents", ()))
        written = (item for item in found if item["Key"].endswith(manifest_key("/")))
        return sorted((item["LastModified"].timestamp(), item["Key"]) for item in written)

    def delete_parts_but(self, prefix: str, keep: Iterable[str], *, kind: str = "") -> None:
        """Delete the parts of a run that an invocation left which did not come to its end."""
        wanted = set(keep)
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix + kind)
        for page in pages:
            for found in page.get("Contents", ()):
                if found["Key"] not in wanted and found["Key"].endswith(".jsonl.gz"):
                    self._s3.delete_object(Bucket=self._name, Key=found["Key"])


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records, ready to become part of a part: JSON Lines in a gzip member of its own.

    Attributes:
        recent: Time of change by id of those that the next incremental run will see again.
        rejected: Lines for what could not be transformed or is no record, not compressed yet.
        odd_rows: How many of the rejected lines are rows that are no JSON objects in UTF-8.
    """

    member: bytes
    records: int
    recent: dict[str, str]
    rejected: list[bytes]
    odd_rows: int = 0


def chunk(
    texts: list[bytes],
    recent: dict[str, str] | None = None,
    rejected: list[bytes] | None = None,
    odd_rows: int = 0,
) -> Chunk:
    """Compress records, one a line; readers take gzip members one after another for one file."""
    member = isal_zlib.compress(b"\n".join([*texts, b""]), _LEVEL, _GZIP) if texts else b""
    return Chunk(member, len(texts), recent or {}, rejected or [], odd_rows)


class PartWriter:
    """Joins chunks to parts of `PART_BYTES` and writes each as soon as it is full."""

    def __init__(self, bucket: Bucket, key: Callable[[int], str], next_number: int) -> None:
        """Take what names a part by its number, and the number of the first."""
        self._bucket = bucket
        self._key = key
        self._number = next_number
        self._body = bytearray()
        self._records = 0

    def add(self, new: Chunk) -> Part | None:
        """Take a chunk; return the part that was written because it is full, if one was."""
        self._body += new.member
        self._records += new.records
        return self.flush() if len(self._body) >= PART_BYTES else None

    def flush(self) -> Part | None:
        """Write what is there as a part; `None` if nothing is."""
        if not self._records:
            return None
        part = Part(self._records, len(self._body), hashlib.sha256(self._body).hexdigest())
        self._bucket.write_part(self._key(self._number), self._body)
        self._number += 1
        self._body = bytearray()
        self._records = 0
        return part
