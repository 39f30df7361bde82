"""Store the records of a run in one language as parts, and the rejected lines as other parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from connector.aws.bucket import Bucket
from connector.storage_keys import Kind, RunPlace
from subscribe.storage.parts import Chunk, FullPart, Part, PartBuffer, compress
from subscribe.sync.step import Step


class StoredPart(NamedTuple):
    """A part that was stored."""

    kind: Kind
    part: Part


class Writer:
    """Joins records of one language to parts, and stores each part as soon as it is full.

    Args:
        bucket: The bundle's bucket.
        place: The run's place in the bucket, with its language.
        numbers: The number of the next part, by kind.

    Attributes:
        language: The language of the records.
    """

    def __init__(self, bucket: Bucket, place: RunPlace, numbers: Mapping[Kind, int]) -> None:
        self._bucket = bucket
        self._place = place
        self._numbers = dict(numbers)
        self._buffers: dict[Kind, PartBuffer] = {kind: PartBuffer() for kind in numbers}
        self.language = place.language

    def add(self, step: Step) -> list[StoredPart]:
        """Add the records of a step; store and return the parts that are full."""
        chunks: dict[Kind, Chunk] = {"raw": step.chunk, "rejected": compress(step.rejected)}
        return self._store({kind: self._buffers[kind].add(chunk) for kind, chunk in chunks.items()})

    def flush(self) -> list[StoredPart]:
        """Store and return the remaining records as parts."""
        return self._store({kind: buffer.flush() for kind, buffer in self._buffers.items()})

    def _store(self, full: Mapping[Kind, FullPart | None]) -> list[StoredPart]:
        stored = []
        for kind, found in full.items():
            if found is not None:
                self._bucket.put(self._place.part(kind, self._numbers[kind], found.part.sha256), found.body)
                self._numbers[kind] += 1
                stored.append(StoredPart(kind, found.part))
        return stored
