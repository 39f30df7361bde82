"""Land a run: parts and, beside them, what a transformer rejected, one language after the other."""

from __future__ import annotations

from collections.abc import Iterable

from subscribe.event import SubscribeRequest
from subscribe.run.cursor import RunState
from subscribe.storage.bucket import Bucket, Chunk, Part, PartWriter, chunk, part_key, rejected_key, run_prefix


class Writer:
    """Writes what a run lands and keeps account of it in the run's state."""

    def __init__(self, bucket: Bucket, request: SubscribeRequest, state: RunState) -> None:
        """Take where it goes; nothing is written yet."""
        self._bucket = bucket
        self._request = request
        self._state = state
        self._open: list[tuple[PartWriter, list[Part]]] = []
        self._language = ""

    def add(self, language: str, new: Chunk) -> None:
        """Take a chunk; what another language left unwritten is written first."""
        if language != self._language:
            self.flush()
            self._begin(language)
        records, rejected = self._open
        _keep(records[1], records[0].add(new))
        if new.rejected:
            _keep(rejected[1], rejected[0].add(chunk(new.rejected)))
        self._state.records += new.records
        self._state.odd_rows += new.odd_rows
        self._state.recent.update(new.recent)

    def flush(self) -> None:
        """Write what is there."""
        for writer, parts in self._open:
            _keep(parts, writer.flush())
        self._open, self._language = [], ""

    def prefix(self, language: str) -> str:
        """Return where the run's objects in a language lie."""
        request, state = self._request, self._state
        return run_prefix(request.connection, request.entity, language, state.started[:10], state.run_id)

    def parts(self, language: str) -> list[tuple[str, Part]]:
        """Return the keys and parts of a language, in order."""
        prefix = self.prefix(language)
        return [(part_key(prefix, number), part) for number, part in enumerate(self._state.parts.get(language, ()))]

    def rejected(self, language: str) -> list[tuple[str, Part]]:
        """Return the keys and parts of what was rejected of a language, in order."""
        prefix, parts = self.prefix(language), self._state.rejected_parts.get(language, ())
        return [(rejected_key(prefix, number), part) for number, part in enumerate(parts)]

    def drop_leftovers(self, languages: Iterable[str]) -> None:
        """Delete the parts that an invocation left which did not come to its end."""
        for language in languages:
            keep = (key for key, _ in (*self.parts(language), *self.rejected(language)))
            self._bucket.delete_parts_but(self.prefix(language), keep)

    def _begin(self, language: str) -> None:
        prefix, state = self.prefix(language), self._state
        parts = state.parts.setdefault(language, [])
        rejected = state.rejected_parts.setdefault(language, [])
        self._language = language
        self._open = [
            (PartWriter(self._bucket, lambda number: part_key(prefix, number), len(parts)), parts),
            (PartWriter(self._bucket, lambda number: rejected_key(prefix, number), len(rejected)), rejected),
        ]


def _keep(parts: list[Part], part: Part | None) -> None:
    if part is not None:
        parts.append(part)
