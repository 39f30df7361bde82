"""Store the records of a run as parts, and the rejected lines as other parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from connector.aws.bucket import Bucket
from connector.storage_keys import Kind, RunPlace
from subscribe.storage.parts import Chunk, FullPart, Part, PartBuffer, compress
from subscribe.sync.state import SyncState
from subscribe.sync.step import Step


class StoredPart(NamedTuple):
    """A part that was stored."""

    kind: Kind
    language: str
    part: Part


class Writer:
    """Joins records to parts, and stores each part as soon as it is full. A part holds one language.

    Args:
        state: The run's state, with the parts that are stored so far. Only the run writes it.
        place_of: Returns the run's place in the bucket for a language.
    """

    def __init__(self, bucket: Bucket, state: SyncState, place_of: Callable[[str], RunPlace]) -> None:
        self._bucket = bucket
        self._state = state
        self._place_of = place_of
        self._language = ""
        self.discard()

    def add(self, step: Step, language: str) -> list[StoredPart]:
        """Add the records of a step; store and return full parts, and remaining records of another language."""
        stored = [] if language == self._language else self.flush()
        self._language = language
        chunks: dict[Kind, Chunk] = {"raw": step.chunk, "rejected": compress(step.rejected)}
        return stored + self._store({kind: self._buffers[kind].add(chunk) for kind, chunk in chunks.items()})

    def flush(self) -> list[StoredPart]:
        """Store and return the remaining records as parts."""
        return self._store({kind: buffer.flush() for kind, buffer in self._buffers.items()})

    def discard(self) -> None:
        """Drop the remaining records."""
        self._buffers: dict[Kind, PartBuffer] = {"raw": PartBuffer(), "rejected": PartBuffer()}

    def _store(self, full: Mapping[Kind, FullPart | None]) -> list[StoredPart]:
        stored = []
        for kind, found in full.items():
            if found is not None:
                number = len(self._state.parts_of(kind).get(self._language, ()))
                self._bucket.put(self._place_of(self._language).part(kind, number, found.part.sha256), found.body)
                stored.append(StoredPart(kind, self._language, found.part))
        return stored
