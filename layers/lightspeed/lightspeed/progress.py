"""How far the reading of one list has come, and which of the records that were read could come again."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from lightspeed.parameters import PAGE_LIMIT

TAIL = 4000
"""How many ids are carried from one process to the next."""

_SHORT, _LONG = "I", "Q"


@dataclass(slots=True)
class Progress:
    """How far the reading of one list has come; enough to go on in another process.

    Attributes:
        rows_left: Rows from the front that are not read yet; `None` before the first count.
        count_before: The shop's count when the reading started.
        count_after: The shop's latest count.
        read: Records read so far, each once.
        sum: Of their ids, order aside, to compare two passes.
        limit: Rows per page that the shop still manages.
        tail: Ids of the records read last, at most `TAIL`, to know them again.
        reach: How many of the last ids could come again when this was saved.
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
    reach: int = 0
    doubt: str = ""
    check: Progress | None = None

    @property
    def removed(self) -> int:
        """How many rows left the list since the reading started, as far as was counted."""
        return max(0, (self.count_before or 0) - (self.count_after or 0))


class Ids:
    """The ids that were read, in order, and which of them could come again.

    They are kept as plain numbers, four bytes each, or eight once one of them needs it.
    """

    def __init__(self, tail: list[int | str]) -> None:
        """Take the ids that another process read last."""
        self._numbers = array(_SHORT)
        self._others: set[int | str] = set()
        self._marks: list[tuple[int, int]] = []
        self._resumed = frozenset(tail)
        self.last = tail

    def add(self, ids: list[int | str], removed_before: int) -> None:
        """Take the ids of a page, and how many rows had gone for sure before it was read."""
        if not self._marks or self._marks[-1][1] != removed_before:
            self._marks.append((len(self._numbers), removed_before))
        for identity in ids:
            if not (isinstance(identity, int) and self._keep(identity)):
                self._others.add(identity)
        self.last = [*self.last, *ids][-TAIL:]

    def _keep(self, number: int) -> bool:
        """Keep an id among the numbers; return whether it is one of at most eight bytes."""
        try:
            self._numbers.append(number)
        except OverflowError:
            if self._numbers.typecode == _LONG:
                return False
            self._numbers = array(_LONG, self._numbers)
            return self._keep(number)
        return True

    def reach(self, removed: int, limit: int) -> int:
        """Return how many of the last ids could stand on a page that is not read yet."""
        total, far = len(self._numbers), 0
        ends = [start for start, _ in self._marks[1:]] + [total]
        for (start, removed_then), end in zip(self._marks, ends, strict=False):
            gone = removed - removed_then
            if gone > 0 and gone + 2 * limit >= total - end:
                far = max(far, min(total - start, gone + 2 * limit))
        return far

    def known(self, removed: int, limit: int) -> frozenset[int | str]:
        """Return the ids that could come again."""
        far = self.reach(removed, limit)
        return self._resumed | frozenset(self._numbers[-far:] if far else ()) | frozenset(self._others)
