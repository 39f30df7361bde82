"""Decide what of the records that were read is landed: deduplicate, mask, transform, stop after `max_records`.

A row that is no JSON object in UTF-8 is never landed as a record. Its line is among the rejected ones, with the reason.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from connector.settings import GZIP_LEVEL
from connector.timestamps import iso_text
from connector.transform import REJECTED_SHARE, Scope, TransformError, check_rejected
from lightspeed.listing.records import Record
from lightspeed.listing.window import LOOKBACK
from lightspeed.request import parse_time
from lightspeed.response import mask_api_key
from subscribe.event import SubscribeRequest
from subscribe.storage.parts import Chunk, compress
from subscribe.sync.bookmark import HIDDEN, SHOWN
from subscribe.sync.read_plan import Read
from subscribe.sync.state import SyncState

if TYPE_CHECKING:
    from connector.transform import Transformers


_OFFSET = len("+02:00")


_FARTHEST_ZONE = timedelta(hours=15)
"""More than a shop's local time differs from UTC."""


class RecordProcessor:
    """Turns the records of one run into chunks.

    Attributes:
        stopped: Whether records were left out because `max_records` are landed.
    """

    def __init__(
        self,
        request: SubscribeRequest,
        state: SyncState,
        landed: Mapping[str, str],
        transformers: Transformers | None,
        bookmark: Mapping[str, str] | None,
        gzip_level: int = GZIP_LEVEL,
    ) -> None:
        """Take what decides over a record.

        Args:
            request: The event.
            state: The run's state; what was given to the transformer and rejected is counted in it.
            landed: Time of change of what earlier runs landed and this run may read again, by language and id.
            transformers: The entity transformer, if there is one.
            bookmark: The bookmark, as transformers see it.
            gzip_level: How much what is landed is compressed, 1 to 9.
        """
        self._request = request
        self._state = state
        self._landed = landed
        self._landed_late = {name.rpartition("/")[0] for name in landed if name.count("/") > 1}
        self._transformers = transformers
        self._bookmark = bookmark
        self._gzip_level = gzip_level
        self._first_rejection: TransformError | None = None
        self.stopped = False

    @property
    def plain(self) -> bool:
        """Whether records are only dropped or masked, which any thread may do at any time."""
        return self._transformers is None and self._request.max_records is None

    def of(self, records: list[Record], read: Read) -> Chunk:
        """Return what is landed of a page."""
        records, recent = self.deduplicate(records, read)
        return self.of_rows(records, read.language, recent)

    def of_rows(self, rows: list[Record], language: str, recent: dict[str, str] | None = None) -> Chunk:
        """Return what is landed of rows that were not landed before; a row that is no record is rejected."""
        odd = [row for row in rows if row.reject_reason]
        texts = [row.text for row in rows if not row.reject_reason] if odd else [row.text for row in rows]
        if self._request.entity == "account":
            texts = [mask_api_key(text) for text in texts]
        rejected = [_odd_line(row) for row in odd]
        if self._transformers is not None:
            texts = self._transformed(self._transformers, texts, language, rejected)
        room = self.room()
        if room is not None and len(texts) > room:
            self.stop()
            texts = texts[:room]
        return compress(texts, recent, rejected, len(odd), _newest_change(rows), level=self._gzip_level)

    def deduplicate(self, records: list[Record], read: Read) -> tuple[list[Record], dict[str, str]]:
        """Drop what earlier runs have landed; return besides what may come again in the next.

        A record that changed a moment ago may change again within the same second. It is remembered with a digest.

        A first run reads by time of creation, so it sees records that changed after its window's end. In several
        languages they are left to the next run: one language may show a record before its change, another one after it.
        """
        if self._request.mode != "incremental":
            return records, {}
        state = self._state
        records = self._never_updated_once(records, read)
        if state.window_start is None and len(self._request.languages or ()) > 1:
            end = parse_time(state.window_end)
            kept = [record for record in records if not _is_after(record.changed, end)]
            if len(kept) < len(records):
                reason = "records changed while they were read in several languages; the next run reads them"
                state.unverified_reason = state.unverified_reason or reason
            records = kept
        overlap = None if state.remembers_all else state.surely_passed - LOOKBACK
        names = [f"{read.language}/{record.id}" for record in records]
        named = dict(zip(names, records, strict=True))
        recent = {name: record.changed for name, record in named.items() if record.changed}
        if overlap is not None:
            recent = still_recent(recent, overlap)
        passed = state.surely_passed
        recent = {
            _with_digest(name, named[name]) if _is_after(changed, passed) else name: changed
            for name, changed in recent.items()
        }
        new = [record for name, record in zip(names, records, strict=True) if not self._is_landed(name, record)]
        return new, recent

    def _never_updated_once(self, records: list[Record], read: Read) -> list[Record]:
        """Take records without a time of change from one list only, and note whether the list of changes holds them.

        That list holds them in every window, or in none. If it does, those count that were created in the window.
        """
        state = self._state
        if read.endpoint.incremental != "updated_at_min":
            return records
        found = any(record.never_updated for record in records)
        if read.by_creation:
            state.never_updated = HIDDEN if found else state.never_updated
            return [record for record in records if record.never_updated]
        if not found:
            return records
        if state.window_start is None:
            state.never_updated = state.never_updated or HIDDEN
            return records
        state.never_updated = SHOWN
        start, kept = parse_time(state.window_start), []
        for record in records:
            created = _moment(record.changed) if record.never_updated else start
            if created is None:
                reason = "records have no time that can be read, so every run that finds them stores them again"
                state.unverified_reason = state.unverified_reason or reason
            if created is None or created >= start:
                kept.append(record)
        return kept

    def _is_landed(self, name: str, record: Record) -> bool:
        landed = self._landed.get(name)
        if landed is None:  # bookmarks of earlier versions name records without their language
            landed = self._landed.get(str(record.id))
        if name in self._landed_late and record.changed:
            landed = self._landed.get(_with_digest(name, record), landed)
        return landed == (record.changed or "")

    def room(self) -> int | None:
        """Return how many more records `max_records` lets in, or `None` for any number."""
        most = self._request.max_records
        return None if most is None else max(0, most - self._state.records)

    def stop(self) -> None:
        """Note that records were left out."""
        self.stopped = True
        self._state.unverified_reason = self._state.unverified_reason or "stopped after max_records"

    def check_rejected(self, *, final: bool) -> None:
        """Fail a run of which too much was rejected.

        Raises:
            TooManyRejected: So it was.
        """
        percent = self._request.max_rejected_percent
        share = REJECTED_SHARE if percent is None else percent / 100
        state = self._state
        check_rejected(state.transformed, state.rejected, share=share, first=self._first_rejection, final=final)

    def _transformed(
        self, transformers: Transformers, texts: list[bytes], language: str, rejected: list[bytes]
    ) -> list[bytes]:
        scope = Scope(
            connection=self._request.connection,
            entity=self._request.entity,
            language=language,
            bookmark=self._bookmark,
            now=self._state.started,
            seed=self._state.run_id,
        )
        transformed = []
        before = len(rejected)
        for text in texts:
            outcome = transformers.records(text, scope)
            transformed += outcome.records
            if outcome.line is not None:
                rejected.append(outcome.line)
                self._first_rejection = self._first_rejection or outcome.rejection
        self._state.transformed += len(texts)
        self._state.rejected += len(rejected) - before
        self.check_rejected(final=False)
        return transformed


def _odd_line(row: Record) -> bytes:
    """Return the line for a row that is no JSON object in UTF-8: what was sent, as text, and the reason."""
    return msgspec.json.encode({"record": row.text.decode(errors="backslashreplace"), "reason": row.reject_reason})


def _newest_change(rows: list[Record]) -> str:
    """Return the newest time of change, ISO-8601 UTC; empty if no row has one.

    Texts with the same offset from UTC sort like their times, so only one of each offset is parsed.
    """
    newest: dict[str, str] = {}
    for row in rows:
        changed = row.changed
        if changed and changed > newest.get(changed[-_OFFSET:], ""):
            newest[changed[-_OFFSET:]] = changed
    return max((_iso(changed) for changed in newest.values()), default="")


def _iso(changed: str) -> str:
    try:
        return iso_text(parse_time(changed))
    except ValueError:
        return ""


def _with_digest(name: str, record: Record) -> str:
    """Return under which name a record is remembered that may change again within the second of its last change."""
    return f"{name}/{hashlib.blake2b(record.text, digest_size=8).hexdigest()}"


def _comes_again(changed: str, start: datetime) -> bool:
    moment = _moment(changed)
    return moment is not None and moment >= start


@functools.lru_cache(maxsize=1024)
def _moment(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def _is_after(changed: str | None, end: datetime) -> bool:
    moment = _moment(changed)
    return moment is not None and moment > end


def still_recent(recent: Mapping[str, str], start: datetime | None) -> dict[str, str]:
    """Return the records that a window from this time on will hold again; all of them if it has no start."""
    if start is None:
        return dict(recent)
    day = (start - _FARTHEST_ZONE).date().isoformat()
    return {
        record: changed for record, changed in recent.items() if changed[:10] >= day and _comes_again(changed, start)
    }
