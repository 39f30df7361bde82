"""Store the parts of a run: records and, separately, what was rejected, one language after the other."""

from __future__ import annotations

from connector.storage_keys import Kind, RunPlace
from lightspeed.listing.window import LOOKBACK
from subscribe.event import SubscribeRequest
from subscribe.storage.bucket import Bucket
from subscribe.storage.parts import Chunk, Part, PartWriter, compress
from subscribe.sync.bookmark import MOST_REMEMBERED
from subscribe.sync.processor import still_recent
from subscribe.sync.state import ReadMark, SyncState


class Writer:
    """Writes the parts of a run and notes them in the run's state."""

    def __init__(self, bucket: Bucket, request: SubscribeRequest, state: SyncState) -> None:
        """Take where the parts go; nothing is written yet."""
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
        _append(records[1], records[0].add(new))
        if new.rejected:
            _append(rejected[1], rejected[0].add(compress(new.rejected)))
        self._state.records += new.records
        self._state.odd_rows += new.odd_rows
        self._state.newest_change = max(self._state.newest_change, new.newest_change)
        self.remember(new.recent)

    def remember(self, recent: dict[str, str]) -> None:
        """Note what the next run will see again; a window with too many records is not remembered as a whole."""
        state = self._state
        state.recent.update(recent)
        if state.remembers_all and len(state.recent) > MOST_REMEMBERED:
            state.remembers_all = False
            state.recent = still_recent(state.recent, state.surely_passed - LOOKBACK)

    def flush(self) -> None:
        """Write what is left."""
        for writer, parts in self._open:
            _append(parts, writer.flush())
        self._open, self._language = [], ""

    def mark(self) -> None:
        """Note where a read begins; what was taken before is written first."""
        self.flush()
        state = self._state
        state.mark = ReadMark(
            {language: len(parts) for language, parts in state.parts.items()},
            {language: len(parts) for language, parts in state.rejected_parts.items()},
            state.records,
            state.transformed,
            state.rejected,
            state.odd_rows,
            dict(state.recent),
        )

    def discard_read(self) -> None:
        """Forget what was stored since the mark. No manifest will name those parts, so no reader sees them."""
        state, mark = self._state, self._state.mark
        self._open, self._language = [], ""
        if mark is None:
            return
        for stored, kept in ((state.parts, mark.parts), (state.rejected_parts, mark.rejected_parts)):
            for language, parts in stored.items():
                del parts[kept.get(language, 0) :]
        state.records, state.transformed = mark.records, mark.transformed
        state.rejected, state.odd_rows = mark.rejected, mark.odd_rows
        state.recent = dict(mark.recent)

    def place(self, language: str) -> RunPlace:
        """Return where the run's objects in a language are."""
        request, state = self._request, self._state
        return RunPlace(request.connection, request.entity, language, state.started[:10], state.run_id)

    def parts(self, kind: Kind, language: str) -> list[tuple[str, Part]]:
        """Return the keys and parts of a kind in a language, in order."""
        place, parts = self.place(language), self._stored(kind).get(language, ())
        return [(place.part(kind, number, part.sha256), part) for number, part in enumerate(parts)]

    def _stored(self, kind: Kind) -> dict[str, list[Part]]:
        return self._state.parts if kind == "raw" else self._state.rejected_parts

    def _begin(self, language: str) -> None:
        self._language = language
        self._open = [self._writer("raw", language), self._writer("rejected", language)]

    def _writer(self, kind: Kind, language: str) -> tuple[PartWriter, list[Part]]:
        place, parts = self.place(language), self._stored(kind).setdefault(language, [])

        def store(number: int, sha256: str, body: bytes) -> None:
            self._bucket.put(place.part(kind, number, sha256), body)

        return PartWriter(store, len(parts)), parts


def _append(parts: list[Part], part: Part | None) -> None:
    if part is not None:
        parts.append(part)
