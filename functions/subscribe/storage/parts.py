"""Join records to parts: gzip JSON Lines of about `PART_BYTES`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import deflate
import msgspec

from connector.settings import GZIP_LEVEL

PART_BYTES = 8 * 1024 * 1024
"""Compressed size at which a part is full: thirty thousand orders, 120 MB of JSON. Memory holds one part."""


class Part(msgspec.Struct, array_like=True, frozen=True):
    """A stored part. Its run, kind, number and hash make its key.

    Attributes:
        bytes: Size of the stored object.
        sha256: Of the stored object, hexadecimal.
    """

    records: int
    bytes: int
    sha256: str


def manifest_rows(parts: Iterable[tuple[str, Part]]) -> list[dict[str, Any]]:
    """Return the rows of a manifest for stored parts, which come with their keys."""
    return [{"key": key, **msgspec.structs.asdict(part)} for key, part in parts]


class Chunk(NamedTuple):
    """Compressed records, a piece of a part: JSON Lines as one gzip member."""

    member: bytes
    records: int


class FullPart(NamedTuple):
    """A part to store, and its bytes, which are not copied: memory holds a part once."""

    part: Part
    body: bytes | bytearray


def compress(texts: list[bytes], level: int = GZIP_LEVEL) -> Chunk:
    """Compress records, one per line, to a gzip member. A file of several members is one file for readers.

    The output depends only on the records and the level: the member holds no time.
    """
    if not texts:
        return Chunk(b"", 0)
    member = deflate.gzip_compress(b"\n".join([*texts, b""]), level)
    return Chunk(bytes(member), len(texts))  # `member` itself reserves memory for text that cannot be compressed


class PartBuffer:
    """Joins chunks to parts of `PART_BYTES`."""

    def __init__(self) -> None:
        self._body = bytearray()
        self._records = 0

    def add(self, new: Chunk) -> FullPart | None:
        """Add a chunk; return the part if it is full."""
        self._body += new.member
        self._records += new.records
        return self.flush() if len(self._body) >= PART_BYTES else None

    def flush(self) -> FullPart | None:
        """Return the remaining records as a part and empty the buffer; return `None` if there are none."""
        if not self._records:
            return None
        body = self._body
        part = Part(self._records, len(body), hashlib.sha256(body).hexdigest())
        self._body, self._records = bytearray(), 0
        return FullPart(part, body)
