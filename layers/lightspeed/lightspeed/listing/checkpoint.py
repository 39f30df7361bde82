"""How far the reading of one list has come, and which ids were read."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain
from operator import gt, lt, sub

import msgspec

from lightspeed.request import PAGE_LIMIT

_SHORT, _LONG = "I", "Q"
"""Types of an `array` with four and with eight bytes for each id."""

_LONGEST = 1 << 64
_ASCENDING, _DESCENDING, _UNORDERED, _JSON = b"adux"
"""The first byte of packed ids: how the rest is to be read."""


@dataclass(slots=True)
class SplitCheckpoint:
    """How far a list was read in parts that each fit on one page.

    Attributes:
        parts: Parts that are not read yet, the next one last. Each is the first and last second by the window's time,
            then by `created_at`; `None` means no bound. A page cuts a part into at most 15, so there are few hundred.
        page_rows: Rows that make a page full: the size that was asked for, or the smaller size that the shop gives.
        count_before: The shop's count when the first part was read.
        unsure: Why a part may not be whole, or empty. The other parts are read all the same, and not counted.
        doubtful: How many parts differed from their count so far.
        tries: How often the part that is read next was begun, if it is dense; each time with another page size.
        next_page: Of the part that is read next, if it is read page by page: 1, 2, … to the end, then from there back
            to -1. Else 0.
        first_included: Whether a row in the first second of a part was seen, so that the shop's filter includes it.
    """

    parts: list[tuple[str | None, ...]] = field(default_factory=list)
    page_rows: int | None = None
    count_before: int | None = None
    unsure: str = ""
    doubtful: int = 0
    tries: int = 0
    first_included: bool = False
    next_page: int = 0


@dataclass(slots=True)
class ListCheckpoint:
    """How far the reading of one list has come; enough to go on in another process.

    Attributes:
        rows_left: Rows from the front that are not read yet; `None` before the first count.
        count_before: The shop's count when the reading started.
        count_after: The shop's latest count.
        read: Records read so far, each once.
        sum: Of their ids, whatever their order, to compare two passes.
        limit: Rows per page that the shop still manages.
        ids: The ids read so far, packed: two to three bytes each for a list in the order of ids, else up to eight.
        asked_again: Whether pages were asked for a second time, so that a cache may have given an old one.
        repeated: Rows that came again and were dropped.
        repeated_at: `createdAt` and `updatedAt` of such rows, at most `MOST_REPEATED`.
        rises: How often the time of change rises from one row to the next, up to `ENOUGH_TURNS`.
        falls: How often it falls, up to the same bound.
        unverified_reason: Why completeness cannot be shown, or empty.
        check: Of the second pass over a list that no window closes.
        split: Of a list that is read in parts, because its pages are not stable.
        unidentified: Rows read so far that have no usable id, so that one that came twice cannot be known.
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
        """The shop's count when the reading started, and its latest one; 0 for one that was not taken."""
        return self.count_before or 0, self.count_after or 0

    @property
    def fits_one_page(self) -> bool:
        """Whether all rows that were counted when the reading started fit on one page."""
        return self.counts[0] <= self.limit

    def note(self, reason: str) -> None:
        """Keep the first reason why the list is not verified; empty for none."""
        self.unverified_reason = self.unverified_reason or reason

    @property
    def removed(self) -> int:
        """How many rows left the list since the reading started, as far as was counted."""
        before, after = self.counts
        return max(0, before - after)


class IdLog:
    """The ids that were read, from the end of the list to its front.

    While they rise or fall without exception they are kept as plain numbers of four or eight bytes. A set is kept only
    for a list in another order. Threads may ask while one thread adds.
    """

    def __init__(self, packed: bytes = b"") -> None:
        """Take what earlier processes read."""
        self._ids: array[int] = array(_SHORT)
        self._set: set[int | str] | None = None
        self._rising: bool | None = None
        if packed:
            self._unpack(packed)

    def __len__(self) -> int:
        return len(self._ids) if self._set is None else len(self._set)

    def __iter__(self) -> Iterator[int | str]:
        return iter(self._ids if self._set is None else self._set)

    @property
    def ordered(self) -> bool:
        """Whether every id is beyond the one before it, in one direction."""
        return self._set is None

    @property
    def mixed(self) -> bool:
        """Whether some ids are numbers and others are numbers written as text: one record may have come as both."""
        kinds = {type(identity) for identity in self._set or () if isinstance(identity, int) or identity.isdecimal()}
        return len(kinds) > 1

    def repeated(self, ids: Iterable[int | str]) -> set[int | str]:
        """Return those of the ids that were read before."""
        known = self._set
        if known is not None:
            return known.intersection(ids)
        log, rising = self._ids, self._rising
        if not log:
            return set()
        last = log[-1]
        found: set[int | str] = set()
        for identity in ids:
            if not isinstance(identity, int):
                continue
            if (rising is not False and identity <= last) or (rising is not True and identity >= last):
                place = bisect_left(log, -identity, key=int.__neg__) if rising is False else bisect_left(log, identity)
                if place < len(log) and log[place] == identity:
                    found.add(identity)
        return found

    def add(self, ids: list[int | str]) -> int:
        """Take the new ids of a page, in the list's order; return how many of them were read before after all.

        Pages are asked about while others are read, so two pages may both show an id as new.
        """
        new = ids[::-1]
        if self._set is None and not self._in_order(new):
            self._set = set(self._ids)
        if self._set is not None:
            before = len(self._set)
            self._set.update(new)
            return before + len(new) - len(self._set)
        before = len(self._ids)
        try:
            self._ids.extend(new)  # type: ignore[arg-type]
        except OverflowError:  # an id needs eight bytes; those before it are in the array already
            self._ids = array(_LONG, [*self._ids[:before], *new])  # type: ignore[list-item]
        return 0

    def pack(self) -> bytes:
        """Return the ids in few bytes."""
        if self._set is None:
            numbers, kind = self._ids, _DESCENDING if self._rising is False else _ASCENDING
        elif all(isinstance(identity, int) and 0 <= identity < _LONGEST for identity in self._set):
            numbers = array(_LONG, sorted(identity for identity in self._set if isinstance(identity, int)))
            kind = _UNORDERED
        else:
            return bytes([_JSON]) + zlib.compress(msgspec.json.encode(list(self._set)))
        if kind == _DESCENDING:
            numbers = numbers[::-1]
        steps = array(_LONG, map(sub, numbers, chain((0,), numbers)))  # no list: of a million ids it takes 50 MB
        return bytes([kind]) + zlib.compress(steps)

    def _unpack(self, packed: bytes) -> None:
        kind, body = packed[0], zlib.decompress(packed[1:])
        if kind == _JSON:
            self._set = set(msgspec.json.decode(body, type=list[int | str]))
            return
        steps = array(_LONG)
        steps.frombytes(body)
        if kind == _UNORDERED:
            self._set = set(accumulate(steps))
            return
        numbers = array(_LONG, accumulate(steps))
        top = numbers[-1] if numbers else 0
        if kind == _DESCENDING:
            numbers.reverse()
        self._rising = None if len(numbers) < 2 else kind == _ASCENDING
        self._ids = array(_SHORT, numbers) if top < 1 << 32 else numbers

    def _in_order(self, new: list[int | str]) -> bool:
        """Whether ids go on in the direction of those before; the first two decide it."""
        if not all(isinstance(identity, int) and 0 <= identity < _LONGEST for identity in new):
            return False
        numbers: list[int] = [*self._ids[-1:], *new]  # type: ignore[list-item]
        if self._rising is None and len(numbers) > 1:
            self._rising = numbers[1] > numbers[0]
        return _all_steps(numbers, rising=self._rising is not False)


def _all_steps(numbers: list[int], *, rising: bool) -> bool:
    return all(map(lt if rising else gt, numbers, numbers[1:]))
