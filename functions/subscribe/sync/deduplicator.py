"""Drop the records of a page that earlier reads of the run gave, or that earlier runs stored.

A bookmark keeps the time of change of each record that later runs may read again (`recent`), by a name: language and
id. If the record may change without another time of change, the name also has a digest of the record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from lightspeed.listing.id_log import IdLog
from lightspeed.listing.records import Record, ids_of, split_repeated
from lightspeed.listing.window import LOOKBACK
from subscribe.event import SubscribeRequest
from subscribe.sync.bookmark import HIDDEN, NEVER_UPDATED, SHOWN, keep_recent, parse_shop_time
from subscribe.sync.read_plan import Read, may_be_read_by_creation
from subscribe.sync.state import SyncState
from subscribe.sync.step import EMPTY_STEP, Step

_UNREADABLE_TIME = "records have no time that can be read, so every run that finds them stores them again"
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
"""A time as the shop writes it."""


class Deduplicator:
    """Drops records that are stored already. It reads the run's state; only the run writes it.

    Args:
        stored: Times of change of records that earlier runs stored and this run may read again, by name.
    """

    def __init__(self, request: SubscribeRequest, state: SyncState, stored: Mapping[str, str]) -> None:
        self._request = request
        self._state = state
        self._stored = stored
        self._has_digest = {name.rpartition("/")[0] for name in stored if name.count("/") > 1}
        self._unpacked_ids = b"", IdLog()  # ids of the state, packed and unpacked, to unpack them once a read

    def deduplicate(self, records: list[Record], read: Read) -> tuple[list[Record], Step]:
        """Drop records that earlier reads gave or earlier runs stored; return the others and the page's step so far.

        A first run reads by time of creation, so it sees records that changed after its window's end. If it reads in
        several languages, it leaves those records to the next run. Otherwise one language may show a record before its
        change, and another language after it.
        """
        repeated = self.read_before(read, ids_of(records)) if read.operation == "list" else set()
        if repeated:
            records, _ = split_repeated(records, repeated)
        if self._request.mode != "incremental":
            return records, EMPTY_STEP
        state = self._state
        records, never_updated, reason = self._drop_repeated_never_updated(records, read)
        if state.window_start is None and len(self._request.languages or ()) > 1:
            kept = [record for record in records if not _is_after(record.changed_at, state.end)]
            if len(kept) < len(records):
                reason = reason or "records changed while they were read in several languages; the next run reads them"
            records = kept
        names = [f"{read.language}/{record.id}" for record in records]
        recent = self._recent_of(dict(zip(names, records, strict=True)), read)
        new = [record for name, record in zip(names, records, strict=True) if not self._is_stored(name, record)]
        if state.start is not None and not read.by_creation and any(map(_has_unreadable_time, new)):
            reason = reason or _UNREADABLE_TIME
        return new, Step(recent=recent, never_updated=never_updated, unverified_reason=reason)

    def read_before(self, read: Read, ids: Iterable[int | str]) -> set[int | str]:
        """Return those of the ids that an earlier read of this run gave."""
        packed = self._state.read_ids.get(read.place)
        if packed is None:
            return set()
        if self._unpacked_ids[0] is not packed:
            self._unpacked_ids = packed, IdLog(packed)
        return self._unpacked_ids[1].repeated(ids)

    def _recent_of(self, named: Mapping[str, Record], read: Read) -> dict[str, str]:
        """Return the times of change, by name, of the records that the next run may read again.

        A change may be seen up to `LOOKBACK` late, so a record that changed since then may change again within the same
        second. A malformed time shows no change. The name of such a record has a digest.
        """
        passed, mark = self._state.surely_passed, NEVER_UPDATED if may_be_read_by_creation(read) else ""
        recent = {
            name: record.changed_at + mark if record.never_updated else record.changed_at
            for name, record in named.items()
            if record.changed_at
        }
        if not self._state.remembers_all:
            recent = keep_recent(recent, passed - LOOKBACK)
        return {
            _with_digest(name, named[name]) if _may_change_unseen(named[name], passed - LOOKBACK) else name: changed
            for name, changed in recent.items()
        }

    def _drop_repeated_never_updated(self, records: list[Record], read: Read) -> tuple[list[Record], str, str]:
        """Drop records without a time of change that another list or an earlier run gives.

        A list that is filtered by time of change shows such records in every window or in none. If it shows them, a run
        keeps those that were created in its window.

        Returns:
            The other records; `SHOWN` or `HIDDEN` if this page shows such a record, else empty; and why the run cannot
            be verified, or empty.
        """
        state = self._state
        has_never_updated = any(record.never_updated for record in records)
        if read.endpoint.incremental != "updated_at_min":
            return records, "", ""
        if read.by_creation:
            return [record for record in records if record.never_updated], HIDDEN if has_never_updated else "", ""
        if not has_never_updated:
            return records, "", ""
        start, kept, reason = state.start, [], ""
        if start is None:
            return records, state.never_updated or HIDDEN, ""
        for record in records:
            created = parse_shop_time(record.changed_at) if record.never_updated else start
            if created is None:
                reason = _UNREADABLE_TIME
            if created is None or created >= start:
                kept.append(record)
        return kept, SHOWN, reason

    def _is_stored(self, name: str, record: Record) -> bool:
        stored = self._stored_time(name, record)
        if stored is None:
            return False
        if record.never_updated:
            stored = stored.removesuffix(NEVER_UPDATED)
        if stored == (record.changed_at or ""):
            return True
        moment = parse_shop_time(stored)  # the shop may change the offset of a time: summer time, another server
        return moment is not None and moment == parse_shop_time(record.changed_at)

    def _stored_time(self, name: str, record: Record) -> str | None:
        """Return the time of change with which an earlier run stored the record; `None` if none did."""
        stored = self._stored.get(name)
        if stored is None:  # bookmarks of earlier versions name records without their language
            stored = self._stored.get(str(record.id))
        if name in self._has_digest and record.changed_at:
            earlier_format = f"{name}/{_digest(record.text)}"
            stored = self._stored.get(_with_digest(name, record), self._stored.get(earlier_format, stored))
        return stored


def _with_digest(name: str, record: Record) -> str:
    """Return the name in `recent` of a record that may change without another time of change.

    The digest does not depend on the offset from UTC that the shop writes times with.
    """
    return f"{name}/{_digest(_TIME.sub(_in_utc, record.text))}"


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _in_utc(found: re.Match[bytes]) -> bytes:
    moment = parse_shop_time(found[0].decode())
    return found[0] if moment is None else moment.astimezone(UTC).isoformat().encode()


def _may_change_unseen(record: Record, passed: datetime) -> bool:
    """Whether a record may change again without another time of change, if only times up to `passed` are over."""
    moment = parse_shop_time(record.changed_at)
    return moment is None or moment > passed


def _has_unreadable_time(record: Record) -> bool:
    """Whether a record cannot be remembered, because its time of change is no time."""
    try:
        datetime.fromisoformat(record.changed_at or "")  # takes a third of the time of `parse_shop_time`
    except ValueError:
        return not record.reject_reason
    return False


def _is_after(changed: str | None, end: datetime) -> bool:
    moment = parse_shop_time(changed)
    return moment is not None and moment > end
