"""Records on their way into parts: gzip JSON Lines, joined until a part is full."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import deflate
import msgspec

from connector.settings import GZIP_LEVEL

PART_BYTES = 8 * 1024 * 1024
"""Compressed size at which a part is closed: thirty thousand orders, 120 MB of JSON. Memory holds one."""


class Part(msgspec.Struct, array_like=True, frozen=True):
    """A stored part. Its key follows from its run, its kind, its number and its hash.

    Attributes:
        bytes: Size of the stored object.
        sha256: Of the stored object, hexadecimal.
    """

    records: int
    bytes: int
    sha256: str


def listed(parts: Iterable[tuple[str, Part]]) -> list[dict[str, Any]]:
    """Return stored parts, each with its key, as a manifest lists them."""
    return [{"key": key, **msgspec.structs.asdict(part)} for key, part in parts]


class Chunk(NamedTuple):
    """Some records, ready to become part of a part: JSON Lines in a separate gzip member."""

    member: bytes
    records: int


class FullPart(NamedTuple):
    """A part that is ready to be stored, and its bytes. They are not copied: memory holds a part once."""

    part: Part
    body: bytes | bytearray


def compress(texts: list[bytes], level: int = GZIP_LEVEL) -> Chunk:
    """Compress records, one per line. Gzip members that follow each other are one file for readers.

    The output depends on the records and the level only: the member holds no time.
    """
    if not texts:
        return Chunk(b"", 0)
    member = deflate.gzip_compress(b"\n".join([*texts, b""]), level)
    return Chunk(bytes(member), len(texts))  # the buffer of `member` holds room for a page that cannot be compressed


class PartBuffer:
    """Joins chunks to parts of `PART_BYTES`."""

    def __init__(self) -> None:
        """Start empty."""
        self._body = bytearray()
        self._records = 0

    def add(self, new: Chunk) -> FullPart | None:
        """Take a chunk; return the part that is full now, if there is one."""
        self._body += new.member
        self._records += new.records
        return self.flush() if len(self._body) >= PART_BYTES else None

    def flush(self) -> FullPart | None:
        """Return what is left as a part, and start empty again; return `None` if nothing is left."""
        if not self._records:
            return None
        body = self._body
        part = Part(self._records, len(body), hashlib.sha256(body).hexdigest())
        self._body, self._records = bytearray(), 0
        return FullPart(part, body)
