"""Decide what of the records that were read is stored: deduplicate, mask, transform, stop after `max_records`.

A row that is no JSON object in UTF-8 is never stored as a record. Its line is among the rejected ones, with the reason.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from connector.settings import GZIP_LEVEL
from connector.timestamps import iso_text
from connector.transform import Scope, TransformError
from lightspeed.json_text import mask_api_key
from lightspeed.listing.checkpoint import IdLog
from lightspeed.listing.records import Record, ids_of, split_repeated
from lightspeed.listing.window import LOOKBACK
from subscribe.event import SubscribeRequest
from subscribe.storage.parts import compress
from subscribe.sync.bookmark import HIDDEN, NEVER_UPDATED, SHOWN, still_recent, time_of
from subscribe.sync.read_plan import Read, may_be_read_by_creation
from subscribe.sync.state import SyncState
from subscribe.sync.step import NOTHING, Step

if TYPE_CHECKING:
    from connector.transform.transformer import Transformers


_OFFSET = len("+02:00")
_UNREADABLE_TIME = "records have no time that can be read, so every run that finds them stores them again"
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
"""A time as the shop writes it."""


class RecordProcessor:
    """Turns the records of one run into steps. It reads the run's state, and only the run writes it."""

    def __init__(
        self,
        request: SubscribeRequest,
        state: SyncState,
        stored: Mapping[str, str],
        transformers: Transformers | None,
        bookmark: Mapping[str, str] | None,
        gzip_level: int = GZIP_LEVEL,
    ) -> None:
        """Take what decides over a record.

        Args:
            request: The event.
            state: The run's state, to look at.
            stored: Time of change of what earlier runs stored and this run may read again, by language and id.
            transformers: The entity transformer, if there is one.
            bookmark: The bookmark, as transformers see it.
            gzip_level: How much what is stored is compressed, 1 to 9.
        """
        self._request = request
        self._state = state
        self._stored = stored
        self._has_digest = {name.rpartition("/")[0] for name in stored if name.count("/") > 1}  # see `_with_digest`
        self._transformers = transformers
        self._bookmark = bookmark
        self._gzip_level = gzip_level
        self._given = b"", IdLog()  # packed ids that the state holds, and the same unpacked: it is done once a reading

    @property
    def plain(self) -> bool:
        """Whether records are only dropped or masked, which any thread may do at any time."""
        return self._transformers is None and self._request.max_records is None

    def step_of(self, records: list[Record], read: Read) -> Step:
        """Return what is stored of a page."""
        fresh, noted = self.deduplicate(records, read)
        return self.step_of_rows(fresh, read.language, noted)

    def step_of_rows(self, rows: list[Record], language: str, noted: Step = NOTHING) -> Step:
        """Return what is stored of rows that were not stored before; a row that is no record is rejected.

        Args:
            rows: The rows.
            language: The language that they were read in.
            noted: What else there is to say of them.
        """
        odd = [row for row in rows if row.reject_reason]
        texts = [row.text for row in rows if not row.reject_reason] if odd else [row.text for row in rows]
        if self._request.entity == "account":
            texts = [mask_api_key(text) for text in texts]
        rejected, first, given = [_rejected_line(row) for row in odd], None, 0
        if self._transformers is not None:
            given = len(texts)
            texts, lines, first = self._transformed(self._transformers, texts, language)
            rejected += lines
        room = self._state.room(self._request.max_records)
        stopped = room is not None and len(texts) > room
        return replace(
            noted,
            chunk=compress(texts[:room], self._gzip_level),
            rejected=rejected,
            odd_rows=len(odd),
            transformed=given,
            first_rejection=first,
            newest_change=_newest_change(rows),
            stopped=stopped,
        )

    def deduplicate(self, records: list[Record], read: Read) -> tuple[list[Record], Step]:
        """Drop what earlier readings gave and earlier runs have stored; return the rest, and what is noted of the page.

        A first run reads by time of creation, so it sees records that changed after its window's end. In several
        languages they are left to the next run. If not, one language may show a record before its change, another one
        after it.
        """
        given = self.given_before(read, ids_of(records)) if read.operation == "list" else set()
        if given:
            records, _ = split_repeated(records, given)
        if self._request.mode != "incremental":
            return records, NOTHING
        state = self._state
        records, never_updated, reason = self._drop_repeated_never_updated(records, read)
        if state.window_start is None and len(self._request.languages or ()) > 1:
            kept = [record for record in records if not _is_after(record.changed, state.end)]
            if len(kept) < len(records):
                reason = reason or "records changed while they were read in several languages; the next run reads them"
            records = kept
        names = [f"{read.language}/{record.id}" for record in records]
        recent = self._remembered(dict(zip(names, records, strict=True)), read)
        new = [record for name, record in zip(names, records, strict=True) if not self._is_stored(name, record)]
        if state.start is not None and not read.by_creation and any(map(_has_unreadable_time, new)):
            reason = reason or _UNREADABLE_TIME
        return new, Step(recent=recent, never_updated=never_updated, unverified_reason=reason)

    def given_before(self, read: Read, ids: Iterable[int | str]) -> set[int | str]:
        """Return which of some records an earlier reading of this run gave."""
        packed = self._state.given.get(read.place)
        if packed is None:
            return set()
        if self._given[0] is not packed:
            self._given = packed, IdLog(packed)
        return self._given[1].repeated(ids)

    def _remembered(self, named: Mapping[str, Record], read: Read) -> dict[str, str]:
        """Return the time of change, by name, of the records that the next run may read again.

        A record that changed a moment ago may change again within the same second, and a time that cannot be read shows
        no change. The name of such a record has a digest.
        """
        passed, mark = self._state.surely_passed, NEVER_UPDATED if may_be_read_by_creation(read) else ""
        recent = {
            name: record.changed + mark if record.never_updated else record.changed
            for name, record in named.items()
            if record.changed
        }
        if not self._state.remembers_all:
            recent = still_recent(recent, passed - LOOKBACK)
        return {
            _with_digest(name, named[name]) if _may_change_unseen(named[name], passed) else name: changed
            for name, changed in recent.items()
        }

    def _drop_repeated_never_updated(self, records: list[Record], read: Read) -> tuple[list[Record], str, str]:
        """Leave out records without a time of change that another list or an earlier window gives.

        A list in a window of changes holds such records in every window, or in none. If it holds them, a run takes
        those that were created in its window.

        Returns:
            The records that are left; `SHOWN` or `HIDDEN` if this page shows which of both it is, else empty; and why
            the run cannot be verified, or empty.
        """
        state = self._state
        found = any(record.never_updated for record in records)
        if read.endpoint.incremental != "updated_at_min":
            return records, "", ""
        if read.by_creation:
            return [record for record in records if record.never_updated], HIDDEN if found else "", ""
        if not found:
            return records, "", ""
        start, kept, reason = state.start, [], ""
        if start is None:
            return records, state.never_updated or HIDDEN, ""
        for record in records:
            created = time_of(record.changed) if record.never_updated else start
            if created is None:
                reason = _UNREADABLE_TIME
            if created is None or created >= start:
                kept.append(record)
        return kept, SHOWN, reason

    def _is_stored(self, name: str, record: Record) -> bool:
        stored = self._stored.get(name)
        if stored is None:  # bookmarks of earlier versions name records without their language
            stored = self._stored.get(str(record.id))
        if name in self._has_digest and record.changed:
            as_sent = f"{name}/{_digest(record.text)}"  # of bookmarks of earlier versions
            stored = self._stored.get(_with_digest(name, record), self._stored.get(as_sent, stored))
        if stored is not None and record.never_updated:
            stored = stored.removesuffix(NEVER_UPDATED)
        if stored is None or stored == (record.changed or ""):
            return stored is not None
        moment = time_of(stored)  # the shop may write the same time with another offset: summer time, another server
        return moment is not None and moment == time_of(record.changed)

    def _transformed(
        self, transformers: Transformers, texts: list[bytes], language: str
    ) -> tuple[list[bytes], list[bytes], TransformError | None]:
        """Return the transformed records, the lines of the rejected ones, and the first rejection."""
        scope = Scope(
            connection=self._request.connection,
            entity=self._request.entity,
            language=language,
            bookmark=self._bookmark,
            now=self._state.started,
            seed=self._state.run_id,
        )
        outcomes = [transformers.records(text, scope) for text in texts]
        return (
            [record for outcome in outcomes for record in outcome.records],
            [outcome.line for outcome in outcomes if outcome.line is not None],
            next((outcome.rejection for outcome in outcomes if outcome.rejection is not None), None),
        )


def _rejected_line(row: Record) -> bytes:
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
    times = map(time_of, newest.values())
    return max((iso_text(time) for time in times if time is not None), default="")


def _with_digest(name: str, record: Record) -> str:
    """Return under which name a record is remembered that may change again within the second of its last change.

    The name is the same, whatever the offset from UTC that the shop writes times with.
    """
    return f"{name}/{_digest(_TIME.sub(_in_utc, record.text))}"


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _in_utc(found: re.Match[bytes]) -> bytes:
    moment = time_of(found[0].decode())
    return found[0] if moment is None else moment.astimezone(UTC).isoformat().encode()


def _may_change_unseen(record: Record, passed: datetime) -> bool:
    """Whether a record may change without another time of change, seen from a time that has passed."""
    moment = time_of(record.changed)
    return moment is None or moment > passed


def _has_unreadable_time(record: Record) -> bool:
    """Whether a record cannot be remembered, because its time of change is no time."""
    try:
        datetime.fromisoformat(record.changed or "")  # takes a third of the time of `time_of`
    except ValueError:
        return not record.reject_reason
    return False


def _is_after(changed: str | None, end: datetime) -> bool:
    moment = time_of(changed)
    return moment is not None and moment > end
