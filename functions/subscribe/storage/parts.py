"""Records on their way into parts: gzip JSON Lines, joined until a part is full."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from zlib_ng import zlib_ng

from connector.settings import GZIP_LEVEL

PART_BYTES = 8 * 1024 * 1024
"""Compressed size at which a part is closed: thirty thousand orders, 120 MB of JSON. Memory holds one."""

_GZIP = 31


class Part(msgspec.Struct, array_like=True, frozen=True):
    """A stored part. Its key follows from its run, its kind, its number and its hash.

    Attributes:
        bytes: Size of the stored object.
        sha256: Of the stored object, hexadecimal.
    """

    records: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records, ready to become part of a part: JSON Lines in a separate gzip member.

    Attributes:
        recent: Time of change by id of those that the next incremental run will see again.
        rejected: Lines for what could not be transformed or is no record, not compressed yet.
        odd_rows: How many of the rejected lines are rows that are no JSON objects in UTF-8.
        newest_change: The newest time of change among its records, ISO-8601 UTC; empty if they have none.
    """

    member: bytes
    records: int
    recent: dict[str, str]
    rejected: list[bytes]
    odd_rows: int = 0
    newest_change: str = ""


def compress(
    texts: list[bytes],
    recent: dict[str, str] | None = None,
    rejected: list[bytes] | None = None,
    odd_rows: int = 0,
    newest_change: str = "",
    *,
    level: int = GZIP_LEVEL,
) -> Chunk:
    """Compress records, one per line. Gzip members that follow each other are one file for readers.

    The output depends on the records and the level only: the member holds no time.
    """
    member = zlib_ng.compress(b"\n".join([*texts, b""]), level, _GZIP) if texts else b""
    return Chunk(member, len(texts), recent or {}, rejected or [], odd_rows, newest_change)


class PartWriter:
    """Joins chunks to parts of `PART_BYTES` and stores each as soon as it is full."""

    def __init__(self, store: Callable[[int, str, bytes], None], next_number: int) -> None:
        """Prepare.

        Args:
            store: Stores a part: its number, its SHA-256 and its bytes.
            next_number: Number of the first part.
        """
        self._store = store
        self._number = next_number
        self._body = bytearray()
        self._records = 0

    def add(self, new: Chunk) -> Part | None:
        """Take a chunk; return the part that was stored because it is full, if there is one."""
        self._body += new.member
        self._records += new.records
        return self.flush() if len(self._body) >= PART_BYTES else None

    def flush(self) -> Part | None:
        """Store what is left as a part; return `None` if nothing is left."""
        if not self._records:
            return None
        part = Part(self._records, len(self._body), hashlib.sha256(self._body).hexdigest())
        self._store(self._number, part.sha256, bytes(self._body))
        self._number += 1
        self._body = bytearray()
        self._records = 0
        return part
