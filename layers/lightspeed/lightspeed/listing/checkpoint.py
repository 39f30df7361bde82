"""The progress of reading one list: enough to go on in another process."""

from __future__ import annotations

from dataclasses import dataclass, field

from lightspeed.request import PAGE_LIMIT


@dataclass(slots=True)
class SplitCheckpoint:
    """The progress of reading a list in parts that each fit on one page.

    Attributes:
        parts: The parts to read, the next one last. Each is the first and last second by the window's time, then by
            `created_at`; `None` means no bound. A page cuts a part into at most 15, so there are a few hundred.
        page_rows: Rows that make a page full: the size that was asked for, or the smaller size that the shop gives.
        count_before: The shop's count before the first part was read.
        unsure: Why counts are not used any more, so that a part may miss records; empty if they are used.
        doubtful: How many parts differed from their count so far.
        tries: How often the next part was started, if it is dense; each time with another page size.
        next_page: The page to read next if the next part is read page by page: 1, 2, … to the end, then from there back
            to -1. Otherwise 0.
    """

    parts: list[tuple[str | None, ...]] = field(default_factory=list)
    page_rows: int | None = None
    count_before: int | None = None
    unsure: str = ""
    doubtful: int = 0
    tries: int = 0
    next_page: int = 0


@dataclass(slots=True)
class ListCheckpoint:
    """The progress of reading one list; enough to go on in another process.

    Attributes:
        rows_left: Rows from the front that are not read yet; `None` before the first count.
        count_before: The shop's count when the reading started.
        count_after: The shop's latest count.
        read: Different records that were read so far.
        sum: A sum of hashes of their ids, which does not depend on their order. It compares two passes.
        limit: Rows per page; smaller after a page that was too slow or too large.
        ids: The ids read so far, packed: two to three bytes each if the list is in their order, otherwise up to eight.
        asked_again: Whether pages were asked for twice, so that a cache may have answered with an old page.
        repeated: Rows that came again and were dropped.
        repeated_at: `createdAt` and `updatedAt` of such rows, for at most `MAX_REPEATED` of them.
        rises: How often the time of change rises from one row to the next, up to `ENOUGH_TURNS`.
        falls: How often the time of change falls from one row to the next, up to `ENOUGH_TURNS`.
        unverified_reason: Why the list is not proved, or empty.
        check: The progress of the second pass over a list that no window closes.
        split: The progress of reading in parts, if the pages do not prove the list.
        unidentified: Rows read so far that have no usable id, so that a repeated one cannot be noticed.
    """

    rows_left: int | None = None
    count_before: int | None = None
    count_after: int | None = None
    read: int = 0
    sum: int = 0
    limit: int = PAGE_LIMIT
    ids: bytes = b""
    asked_again: bool = False
    repeated: int = 0
    repeated_at: list[tuple[str, str]] = field(default_factory=list)
    rises: int = 0
    falls: int = 0
    unverified_reason: str = ""
    check: ListCheckpoint | None = None
    split: SplitCheckpoint | None = None
    unidentified: int = 0

    @property
    def counts(self) -> tuple[int, int]:
        """The shop's count when the reading started, and its latest count; 0 for a count that was not taken."""
        return self.count_before or 0, self.count_after or 0

    @property
    def fits_one_page(self) -> bool:
        """Whether all rows that were counted when the reading started fit on one page."""
        return self.counts[0] <= self.limit

    def note(self, reason: str) -> None:
        """Keep the first reason why the list is not proved; ignore an empty one."""
        self.unverified_reason = self.unverified_reason or reason

    @property
    def removed(self) -> int:
        """How many rows left the list since the reading started, by the shop's counts."""
        before, after = self.counts
        return max(0, before - after)
