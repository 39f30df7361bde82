"""How far the reading of one list has come, and which of the records that were read could come again."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from lightspeed.request import PAGE_LIMIT

TAIL = 4000
"""How many ids are carried from one process to the next."""

MARKS = 32
"""How many times at which rows were found gone are carried from one process to the next."""

_SHORT, _LONG = "I", "Q"
_LONGEST = 1 << 64


@dataclass(slots=True)
class ListCheckpoint:
    """How far the reading of one list has come; enough to go on in another process.

    Attributes:
        rows_left: Rows from the front that are not read yet; `None` before the first count.
        count_before: The shop's count when the reading started.
        count_after: The shop's latest count.
        read: Records read so far, each once.
        sum: Of their ids, order aside, to compare two passes.
        limit: Rows per page that the shop still manages.
        tail: Ids of the records read last, at most `TAIL`, to know them again.
        marks: Before which of the ids read how many rows had gone for sure, oldest first, at most `MARKS` times.
        doubt: Why completeness cannot be shown, or empty.
        check: Of the second pass over a list that no window closes.
    """

    rows_left: int | None = None
    count_before: int | None = None
    count_after: int | None = None
    read: int = 0
    sum: int = 0
    limit: int = PAGE_LIMIT
    tail: list[int | str] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)
    doubt: str = ""
    check: ListCheckpoint | None = None

    @property
    def removed(self) -> int:
        """How many rows left the list since the reading started, as far as was counted."""
        return max(0, (self.count_before or 0) - (self.count_after or 0))


class Ids:
    """The ids that were read, in order, and which of them could come again.

    They are kept as plain numbers, four bytes each or eight once one of them needs it, and as they are once one of them
    is no such number. Of those that earlier processes read the last are known, of the others how many there are.
    """

    def __init__(self, progress: ListCheckpoint, limit: int) -> None:
        """Take what earlier processes read.

        Args:
            progress: Of the list.
            limit: The most rows that a page had. A row that comes again has moved by as many rows as stand between,
                give or take a page where it stood and one where it stands.
        """
        self._forgotten = progress.read - len(progress.tail)
        self._marks = list(progress.marks)
        self._slack = 2 * limit
        self._ids: array[int] | list[int | str] = array(_SHORT)
        self._keep(progress.tail)

    def add(self, ids: list[int | str], removed_before: int) -> None:
        """Take the ids of a page, and how many rows had gone for sure before it was read."""
        if not self._marks or self._marks[-1][1] != removed_before:
            self._marks.append((self._total, removed_before))
        self._keep(ids)

    def known(self, removed: int) -> frozenset[int | str]:
        """Return the ids that could come again, as far as they are known."""
        far = self._reach(removed)
        return frozenset(self._ids[-far:] if far else ())

    def suffice(self, removed: int) -> bool:
        """Whether every id that could come again is known."""
        return self._reach(removed) <= len(self._ids)

    def last(self) -> list[int | str]:
        """Return the last ids, at most `TAIL`."""
        return list(self._ids[-TAIL:])

    def marks(self) -> list[tuple[int, int]]:
        """Return how many rows had gone before which id, at most `MARKS` times, joined where that is farthest off."""
        marks = self._marks
        while len(marks) > MARKS:
            ends = [start for start, _ in marks[2:]] + [self._total]
            off = [self._total - end + then for (_, then), end in zip(marks, ends, strict=False)]
            joined = off.index(max(off))
            marks = marks[: joined + 1] + marks[joined + 2 :]
        return marks

    @property
    def _total(self) -> int:
        return self._forgotten + len(self._ids)

    def _reach(self, removed: int) -> int:
        """Return how many of the last ids could stand on a page that is not read yet."""
        total, far = self._total, 0
        ends = [start for start, _ in self._marks[1:]] + [total]
        for (start, removed_then), end in zip(self._marks, ends, strict=False):
            gone = removed - removed_then
            if gone > 0 and gone + self._slack >= total - end:
                far = max(far, min(total - start, gone + self._slack))
        return far

    def _keep(self, ids: list[int | str]) -> None:
        for identity in ids:
            try:
                self._ids.append(identity)  # type: ignore[arg-type]
            except (OverflowError, TypeError):
                self._ids = _wider(self._ids, identity)


def _wider(ids: array[int] | list[int | str], identity: int | str) -> array[int] | list[int | str]:
    """Return the ids and one more that needs more room than they have."""
    if isinstance(identity, int) and 0 <= identity < _LONGEST:
        return array(_LONG, [*ids, identity])
    return [*ids, identity]
