"""Store the records of a run in a language and, separately, what was rejected, as parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from connector.aws.bucket import Bucket
from connector.storage_keys import Kind, RunPlace
from subscribe.storage.parts import Chunk, FullPart, Part, PartBuffer, compress
from subscribe.sync.step import Step


class Stored(NamedTuple):
    """A part that was stored."""

    kind: Kind
    part: Part


class Writer:
    """Joins records of one language to parts, and stores each part as soon as it is full.

    Attributes:
        language: The language.
    """

    def __init__(self, bucket: Bucket, place: RunPlace, numbers: Mapping[Kind, int]) -> None:
        """Take where the parts go, and the number of the next part of each kind; nothing is written yet."""
        self._bucket = bucket
        self._place = place
        self._numbers = dict(numbers)
        self._open: dict[Kind, PartBuffer] = {kind: PartBuffer() for kind in numbers}
        self.language = place.language

    def add(self, step: Step) -> list[Stored]:
        """Take the records of a step; return the parts that were stored because they are full."""
        chunks: dict[Kind, Chunk] = {"raw": step.chunk, "rejected": compress(step.rejected)}
        return self._store({kind: self._open[kind].add(chunk) for kind, chunk in chunks.items()})

    def flush(self) -> list[Stored]:
        """Store what is left, and return those parts."""
        return self._store({kind: buffer.flush() for kind, buffer in self._open.items()})

    def _store(self, full: Mapping[Kind, FullPart | None]) -> list[Stored]:
        stored = []
        for kind, found in full.items():
            if found is not None:
                self._bucket.put(self._place.part(kind, self._numbers[kind], found.part.sha256), found.body)
                self._numbers[kind] += 1
                stored.append(Stored(kind, found.part))
        return stored
