"""The lines and results of a file while it is published, under `publish/parts/<run>/` of the bucket."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from connector.aws.bucket import NONE_YET, Bucket
from lightspeed import Clock
from lightspeed.numbers import dumps, loads

Line = tuple[int, str]
"""Number, from 1, and text."""


class Workspace:
    """The objects of one run. A run publishes one upload.

    Args:
        run: The id of the run, made from the key and the version of the upload.
        clock: The clock for pauses between tries.
    """

    def __init__(self, client: Any, bucket: str, run: str, clock: Clock) -> None:
        self._client = client
        self._name = bucket
        self._bucket = Bucket(client, bucket, clock)
        self._prefix = f"publish/parts/{run}/"

    def claim(self, execution: str, replaces: str = "") -> bool:
        """Claim the run for an execution; return whether the run now belongs to it.

        Args:
            execution: The name of the execution.
            replaces: The name of a failed execution that this one replaces; empty for none.
        """
        if self._put("execution", execution.encode(), NONE_YET):
            return True
        holder, etag = self._read("execution")
        return holder == execution or (holder == replaces and self._put("execution", execution.encode(), etag))

    def store_segment(self, shard: int, segment: int, lines: Iterable[Line]) -> None:
        """Store the lines of a segment."""
        rows = ({"line": number, "text": text} for number, text in lines)
        self._bucket.put(self._prefix + f"lines-{_name(shard, segment)}", _encode(rows), "application/jsonl")

    def segment(self, shard: int, segment: int) -> list[Line]:
        """Return the lines of a segment."""
        text, _ = self._read(f"lines-{_name(shard, segment)}")
        return [(row["line"], row["text"]) for row in _decode(text)]

    def store_results(self, shard: int, segment: int, results: Mapping[int, dict[str, Any]], etag: str) -> bool:
        """Store the known results of a segment, by line, if no other copy of the step has stored results since.

        Args:
            shard: Number of the shard.
            segment: Number of the segment.
            results: The results, by line.
            etag: The ETag that `results` returned.

        Returns:
            Whether it stored them.
        """
        return self._put(f"results-{_name(shard, segment)}", _encode(results.values()), etag)

    def results(self, shard: int, segment: int) -> tuple[dict[int, dict[str, Any]], str]:
        """Return the known results of a segment, by line, and the ETag of their object; empty if there is none."""
        text, etag = self._read(f"results-{_name(shard, segment)}")
        return {row["line"]: row for row in _decode(text)}, etag

    def write(self, key: str, texts: Iterable[bytes], *, compress: bool) -> None:
        """Write an object of any size outside the workspace, piece by piece."""
        self._client.upload_fileobj(_Stream(_gzipped(texts) if compress else iter(texts)), self._name, key)

    def _put(self, name: str, body: bytes, etag: str) -> bool:
        """Write an object if its ETag is still `etag` (`NONE_YET` for no object); return whether it was written."""
        return self._bucket.replace(self._prefix + name, body, etag, "application/jsonl") is not None

    def _read(self, name: str) -> tuple[str, str]:
        found = self._bucket.read(self._prefix + name)
        return ("", NONE_YET) if found is None else (found.body.decode(), found.etag)


def _name(shard: int, segment: int) -> str:
    return f"{shard:03d}-{segment:05d}"


def _encode(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"\n".join(dumps(row) for row in rows)


def _decode(text: str) -> list[dict[str, Any]]:
    # `splitlines` would also split at separators that a JSON text may contain
    return [loads(line) for line in text.split("\n") if line]


class _Stream:
    """A file for `upload_fileobj` that reads from an iterator of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._read = bytearray()

    def read(self, size: int = -1) -> bytes:
        for piece in self._pieces:
            self._read += piece
            if 0 <= size <= len(self._read):
                break
        found = bytes(self._read[:size] if size >= 0 else self._read)
        del self._read[: len(found)]
        return found


def _gzipped(texts: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)  # 31 is the gzip format with the largest window
    for text in texts:
        yield packer.compress(text)
    yield packer.flush()
