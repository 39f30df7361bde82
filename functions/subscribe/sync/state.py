"""The state of a run of mode full or incremental between two invocations."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from connector.storage_keys import Kind
from connector.timestamps import iso_text
from lightspeed.listing.checkpoint import ListCheckpoint, SplitCheckpoint
from lightspeed.listing.id_log import IdLog
from lightspeed.listing.opening import Opening, read_up_to, visible_until
from lightspeed.listing.window import LOOKBACK
from lightspeed.request import parse_time
from subscribe.run.cursor import RunState
from subscribe.storage.parts import Part
from subscribe.sync.bookmark import MAX_REMEMBERED, SHOWN, keep_recent
from subscribe.sync.step import STOPPED, Step

UNDATED_SECONDS = 7200.0
"""How far two clocks may drift apart between runs while no answer has a date. The next window reaches back as far."""


class ReadMark(msgspec.Struct, array_like=True):
    """A copy of the state at the beginning of a read, to discard what the read stored.

    Attributes:
        parts: Number of parts by language.
        rejected_parts: Number of rejected parts by language.
        records: As in the state.
        transformed: As in the state.
        rejected: As in the state.
        odd_rows: As in the state.
        recent: As in the state.
    """

    parts: dict[str, int]
    rejected_parts: dict[str, int]
    records: int
    transformed: int
    rejected: int
    odd_rows: int
    recent: dict[str, str]


class SyncState(RunState, array_like=True):
    """The progress of a run.

    Attributes:
        window_start: Start of an incremental run's window, ISO-8601 UTC; `None` for the beginning.
        window_end: End of every window, ISO-8601 UTC.
        bookmark_until: Time of the bookmark that the run started from, or `None`.
        bookmark_run: The run that moved that bookmark.
        position: Which of the run's reads is under way.
        checkpoint: The checkpoint of that read; `None` before it began.
        parts: Parts stored so far, by language, in order.
        records: Number of records stored so far.
        count_before: Sum of the shop's counts when the reads began.
        count_after: Sum of the shop's counts when the reads ended.
        unverified_reason: Why completeness cannot be shown; empty for no reason.
        recent: Times of change of the records that the next run may read again, by language and id.
        pending: Parents of the current page with nested records that are not stored yet.
        transformed: How many records the entity transformer got so far.
        rejected: How many of them it rejected.
        rejected_parts: Parts of rejected records so far, by language, in order.
        mark: The state before the current read; `None` before the read began.
        odd_rows: Number of rows so far that are no JSON objects in UTF-8; the rejected parts hold them.
        may_have_missed: Whether a record may be missing, because a list of this run could not be proved.
        remembers_all: Whether `recent` holds every record of the window, so that the window can be read again.
        rows_given: The most rows of a page of nested records so far.
        opened: Our time when the window was opened, ISO-8601 UTC; empty before, and in states of earlier versions.
        least_skew: The smallest believed skew of the shop's clock so far, seconds; `None` if no answer had a date.
        earlier_skew: The skew that the run before found, for a run without dates in its answers.
        created_start: Start of the stretch to read by time of creation too, ISO-8601 UTC; empty for none.
        created_end: End of that stretch, ISO-8601 UTC; empty before it is set.
        never_updated: As in the bookmark.
        is_open: Whether the window may end in the shop's future, so that records may enter it.
        newest_change: The newest time of change among the run's records, ISO-8601 UTC; empty if they have none.
        read_ids: Packed ids of ended reads by `Read.place`, for places that another read may cover too.
    """

    window_start: str | None = None
    window_end: str = ""
    bookmark_until: str | None = None
    bookmark_run: str = ""
    position: int = 0
    checkpoint: ListCheckpoint | None = None
    parts: dict[str, list[Part]] = msgspec.field(default_factory=dict)
    records: int = 0
    count_before: int | None = None
    count_after: int | None = None
    unverified_reason: str = ""
    recent: dict[str, str] = msgspec.field(default_factory=dict)
    pending: list[int | str] = msgspec.field(default_factory=list)
    transformed: int = 0
    rejected: int = 0
    rejected_parts: dict[str, list[Part]] = msgspec.field(default_factory=dict)
    odd_rows: int = 0
    mark: ReadMark | None = None
    may_have_missed: bool = False
    remembers_all: bool = False
    rows_given: int = 0
    opened: str = ""
    least_skew: float | None = None
    is_open: bool = False
    earlier_skew: float = 0.0
    created_start: str = ""
    created_end: str = ""
    never_updated: str = ""
    newest_change: str = ""
    read_ids: dict[str, bytes] = msgspec.field(default_factory=dict)

    @property
    def start(self) -> datetime | None:
        """The start of an incremental run's window; `None` for the beginning."""
        return parse_time(self.window_start) if self.window_start else None

    @property
    def end(self) -> datetime:
        """The end of every window."""
        return parse_time(self.window_end)

    @property
    def skew(self) -> float:
        """The smallest believed skew of the shop's clock, seconds; that of the run before if no answer had a date."""
        return self.earlier_skew if self.least_skew is None else self.least_skew

    @property
    def read_up_to(self) -> datetime:
        """The time up to which the run has read: the window's end, or an earlier time that the shop's answers give."""
        return read_up_to(self.end, parse_time(self.opened), self.skew) if self.opened else self.end

    @property
    def surely_passed(self) -> datetime:
        """The time up to which every change was visible when the window opened, even if the shop's dates are ahead."""
        end = self.end
        if not self.opened:
            return end
        undated = UNDATED_SECONDS if self.least_skew is None else 0.0
        return min(end, visible_until(parse_time(self.opened), min(0.0, self.skew) - undated))

    def parts_of(self, kind: Kind) -> dict[str, list[Part]]:
        """Return the parts of a kind by language, in order."""
        return self.parts if kind == "raw" else self.rejected_parts

    def room(self, most: int | None) -> int | None:
        """Return how many more records `max_records` allows, or `None` for any number."""
        return None if most is None else max(0, most - self.records)

    def update_skew(self, skew: float | None) -> None:
        """Keep the smallest skew; `skew` is the smallest of this invocation's answers so far."""
        if skew is not None:
            self.least_skew = skew if self.least_skew is None else min(self.least_skew, skew)

    def leave_unverified(self, reason: str) -> None:
        """Keep why completeness cannot be shown; the first reason stays."""
        self.unverified_reason = self.unverified_reason or reason

    def apply(self, step: Step) -> None:
        """Apply a step of a read. The run adds the parts itself."""
        self.checkpoint = step.checkpoint or self.checkpoint
        self.records += step.chunk.records
        self.odd_rows += step.odd_rows
        self.transformed += step.transformed
        self.rejected += len(step.rejected) - step.odd_rows
        self.newest_change = max(self.newest_change, step.newest_change)
        self.pending = self.pending if step.pending is None else step.pending
        self.rows_given = max(self.rows_given, step.rows_given)
        self.never_updated = step.never_updated or self.never_updated
        self.may_have_missed |= step.may_have_missed
        self.leave_unverified(step.unverified_reason)
        if step.stopped:
            self.leave_unverified(STOPPED)
        if step.counts is not None:
            before, after = step.counts
            self.count_before, self.count_after = (self.count_before or 0) + before, (self.count_after or 0) + after
        self._remember(step.recent)
        if step.forgotten:
            name = f"{step.forgotten}/"
            self.recent = {known: time for known, time in self.recent.items() if not f"{known}/".startswith(name)}

    def open(self, opening: Opening[object]) -> None:
        """Keep the window that the shop's first answers gave."""
        self.window_end, self.is_open = iso_text(opening.end), not opening.closed
        self.opened = iso_text(opening.opened)

    def add_read_ids(self, place: str, ids: Iterable[int | str]) -> None:
        """Add the ids that a read gave."""
        log = IdLog(self.read_ids.get(place, b""))
        log.add(list(ids))
        self.read_ids[place] = log.pack()

    def begin_by_creation(self) -> bool:
        """Set the end of the stretch to read by time of creation; return whether the stretch must be read.

        It ends `LOOKBACK` before `surely_passed`, so no record enters it, even if the window of changes is open.
        """
        if self.never_updated == SHOWN:
            return False
        self.created_end = self.created_end or iso_text(self.surely_passed - LOOKBACK)
        return parse_time(self.created_start) <= parse_time(self.created_end)

    def mark_read(self) -> None:
        """Keep a copy of the state where a read begins."""
        self.mark = ReadMark(
            {language: len(parts) for language, parts in self.parts.items()},
            {language: len(parts) for language, parts in self.rejected_parts.items()},
            self.records,
            self.transformed,
            self.rejected,
            self.odd_rows,
            dict(self.recent),
        )

    def discard_read(self) -> None:
        """Go back to the mark. The run then reads the list again, split into pieces that each fit on one page.

        No manifest will name the parts that were stored since the mark, so no reader sees them.
        """
        self.pending, self.checkpoint = [], ListCheckpoint(split=SplitCheckpoint())
        mark = self.mark
        if mark is None:
            return
        for stored, kept in ((self.parts, mark.parts), (self.rejected_parts, mark.rejected_parts)):
            for language, parts in stored.items():
                del parts[kept.get(language, 0) :]
        self.records, self.transformed = mark.records, mark.transformed
        self.rejected, self.odd_rows = mark.rejected, mark.odd_rows
        self.recent = dict(mark.recent)

    def _remember(self, recent: dict[str, str]) -> None:
        """Keep records that the next run may read again; of a window with too many records, only the recent ones."""
        self.recent.update(recent)
        if self.remembers_all and len(self.recent) > MAX_REMEMBERED:
            self.remembers_all = False
            self.recent = keep_recent(self.recent, self.surely_passed - LOOKBACK)
