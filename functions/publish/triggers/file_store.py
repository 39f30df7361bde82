"""Where the lines of a file and their results lie while it is published: `publish/parts/<run>/` in the bucket."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

Line = tuple[int, str]
"""Number, from 1, and text."""

_MISSING = ("NoSuchKey", "404")
_EXISTS = ("PreconditionFailed", "ConditionalRequestConflict")


class Workspace:
    """The objects of one run."""

    def __init__(self, client: Any, bucket: str, run: str) -> None:
        """Prepare; nothing is read.

        Args:
            client: Of S3.
            bucket: The bundle's bucket.
            run: Names the upload of a file.
        """
        self._client = client
        self._bucket = bucket
        self._prefix = f"publish/parts/{run}/"

    def begin(self, execution: str) -> bool:
        """Claim the run for an execution; return whether it is its own."""
        key = self._prefix + "execution"
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=execution.encode(), IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in _EXISTS:
                raise
            return self._read(key) == execution
        return True

    def keep_segment(self, part: int, segment: int, lines: Iterable[Line]) -> None:
        """Store the lines of a segment."""
        self._keep(f"lines-{part:03d}-{segment:05d}", ({"line": number, "text": text} for number, text in lines))

    def segment(self, part: int, segment: int) -> list[Line]:
        """Return the lines of a segment."""
        rows = self._rows(f"lines-{part:03d}-{segment:05d}")
        return [(row["line"], row["text"]) for row in rows]

    def keep_results(self, part: int, segment: int, results: Mapping[int, dict[str, Any]]) -> None:
        """Store the results of a segment as far as they are known, by line."""
        self._keep(f"results-{part:03d}-{segment:05d}", results.values())

    def results(self, part: int, segment: int) -> dict[int, dict[str, Any]]:
        """Return the results of a segment that are known, by line."""
        return {row["line"]: row for row in self._rows(f"results-{part:03d}-{segment:05d}")}

    def write(self, key: str, texts: Iterable[bytes], *, packed: bool) -> None:
        """Write an object of any size, piece by piece."""
        self._client.upload_fileobj(_Stream(_packed(texts) if packed else iter(texts)), self._bucket, key)

    def _keep(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        body = "\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body.encode())

    def _rows(self, name: str) -> list[dict[str, Any]]:
        # not splitlines: it also splits at separators that may stand inside JSON text
        return [json.loads(line) for line in self._read(self._prefix + name).split("\n") if line]

    def _read(self, key: str) -> str:
        try:
            found: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
            return ""
        return found.decode()


class _Stream:
    """A file to read from, over pieces that are made while it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        parts = [self._left]
        length = len(self._left)
        while size < 0 or length < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            parts.append(piece)
            length += len(piece)
        whole = b"".join(parts)
        cut = len(whole) if size < 0 else size
        self._left = whole[cut:]
        return whole[:cut]


def _packed(texts: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    for text in texts:
        yield packer.compress(text)
    yield packer.flush()
