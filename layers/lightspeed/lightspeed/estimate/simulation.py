"""A run on a virtual clock: every request that `reading` would send in a shop that does not change, and every wait.

Nothing is sent. Batches, counts, the second pass over a list that no window closes and the count with which each
further invocation resumes are those of `reading`; when an invocation ends is decided by the quota and by its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from lightspeed.listing.budget import UNBOUNDED
from lightspeed.listing.reader import BATCH, PARENTS_AT_ONCE, THREADS
from lightspeed.quota import REQUESTS_PER_SECOND
from lightspeed.request import PAGE_LIMIT

INVOCATION_SECONDS = 900
"""The longest that one invocation lasts, as the template sets it."""

_PATIENCE_SECONDS = 5
_ENDING_SECONDS = 5
_PAGE_AND_COUNT = 2
_LENGTHS = {"5 minutes": 300, "hour": 3600, "day": 86_400}

Operation = Literal["get", "list", "each"]
Kind = Literal["pages", "counts", "children", "single"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a run, counted.

    Attributes:
        operation: `get`, `list`, or `each`: the nested records of every parent.
        entity: Whose list is walked: the parent's for `each`.
        language: The language that it is read in.
        rows: What the shop counts, parents for `each`; `None` for a record, and for a list without pages and count.
        closed: Whether a window makes sure that no row enters the list while it is read.
        limit: Rows per page.
        batch: The most pages between two counts.
    """

    operation: Operation
    entity: str
    language: str
    rows: int | None = None
    closed: bool = False
    limit: int = PAGE_LIMIT
    batch: int = BATCH


@dataclass(slots=True)
class VirtualWindow:
    """One window of the quota while time passes.

    Attributes:
        name: `5 minutes`, `hour` or `day`.
        limit: Requests per window.
        reserve: How many of them are left for others.
        remaining: Requests left, the reserve included.
        reset_at: When it starts anew, in seconds of the run.
    """

    name: str
    limit: int
    reserve: float
    remaining: int
    reset_at: float

    @property
    def room(self) -> float:
        """How many requests may be sent above the reserve."""
        return self.remaining - self.reserve

    def at(self, now: float) -> None:
        """Start anew as often as that has come due."""
        while now >= self.reset_at:
            self.remaining = self.limit
            self.reset_at += _LENGTHS.get(self.name, _LENGTHS["day"])


class VirtualRun:
    """Counts what a run sends and how long it takes.

    Attributes:
        requests: By kind.
        landed: Records of each list or record read.
        now: Seconds since the run began.
        worked_seconds: Of all invocations together, waits between them left out.
        invocations: So far.
        waited: Seconds waited for each window of the quota.
    """

    def __init__(self, windows: list[VirtualWindow], page_seconds: float, most: int | None = None) -> None:
        """Begin with the first invocation.

        Args:
            windows: Of the quota, shortest first; changed as the run goes on. Each leaves room for three requests.
            page_seconds: How long each answer takes.
            most: How many records the run stops after, if it does.
        """
        self.requests: dict[str, int] = {"pages": 0, "counts": 0, "children": 0, "single": 0}
        self.landed: list[int] = []
        self.now = self.worked_seconds = 0.0
        self.invocations = 1
        self.waited: dict[str, float] = {}
        self._windows = windows
        self._page_seconds = page_seconds
        self._most = most
        self._began = 0.0
        self._paced = -1.0

    @property
    def total(self) -> int:
        """Requests so far."""
        return sum(self.requests.values())

    def read(self, reading: Reading, *, recounts: bool = False) -> None:
        """Carry out one reading.

        Args:
            reading: What to read.
            recounts: Whether its list is counted once more at the beginning.
        """
        if self._left() == 0:
            return
        self._room()
        if reading.rows is None:
            self._send("single" if reading.operation == "get" else "pages")
            self.landed.append(1 if reading.operation == "get" else 0)
            return
        for _ in range(1 + recounts):
            self._send("counts")
        if reading.operation == "each":
            self._list(replace(reading, batch=1), self._children)
        else:
            self._list(reading, self._land)

    def _list(self, reading: Reading, handle: Callable[[int], bool]) -> None:
        rows, limit = reading.rows or 0, reading.limit
        if not self._pages(reading, handle):
            return
        one_page = rows <= limit
        if one_page and (reading.closed or rows < limit):
            return
        if one_page:
            self._send("counts")
        if not reading.closed:
            self._send("counts")
            self._pages(reading, lambda _: True)

    def _pages(self, reading: Reading, handle: Callable[[int], bool]) -> bool:
        """Send the pages of a list from the last on; return whether it was read to its front.

        Args:
            reading: Of a list.
            handle: Told the rows of each page; says whether to go on.
        """
        rows, limit, batch = reading.rows or 0, reading.limit, reading.batch
        last, size = -(-rows // limit), batch
        if last == 1:
            self._room(counts=1)
            self._send("pages")
            handle(rows)
            return True
        room = 0
        while last:
            ahead = self._most is None and size == batch > 1
            room = min(room, self._left_now())
            if not ahead or room < _PAGE_AND_COUNT:
                ahead, invocation = False, self.invocations
                room = self._room(counts=1)
                size = batch if self.invocations > invocation else size
            pages = max(1, min(size, last, room - 1))
            self._send("pages", pages)
            self._send("counts")
            room -= pages + 1
            size = size if ahead else min(batch, max(size, pages * 2) if pages > 1 else 4)
            for number in range(last, last - pages, -1):
                if not handle(min(limit, rows - (number - 1) * limit)) and number > 1:
                    return False
            last -= pages
        return True

    def _land(self, rows: int) -> bool:
        left = self._left()
        self.landed.append(rows if left is None else min(rows, left))
        return self._left() != 0

    def _children(self, parents: int) -> bool:
        while parents:
            group = min(PARENTS_AT_ONCE, self._room(counts=1), parents)
            self._send("children", group)
            parents -= group
        return True

    def _left(self) -> int | None:
        return None if self._most is None else max(0, self._most - sum(self.landed))

    def _send(self, kind: Kind, requests: int = 1) -> None:
        """Let so many answers come, several at once, at no more than the shop's requests per second."""
        self.requests[kind] += requests
        for window in self._windows:
            window.remaining -= requests
        self._paced = max(self._paced, self.now - 1) + requests / REQUESTS_PER_SECOND
        self._pass(max(-(-requests // THREADS) * self._page_seconds, self._paced - self.now))

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        for window in self._windows:
            window.at(self.now)

    def _room(self, *, counts: int = 0) -> int:
        """Return how many requests may be sent now, after ending the invocation and waiting where that is called for.

        Args:
            counts: How many requests a further invocation needs to resume here.
        """
        while True:
            self._pass(0)
            short = [window for window in self._windows if window.room < _PAGE_AND_COUNT]
            latest = max(short, key=lambda window: window.reset_at, default=None)
            wait = 0.0 if latest is None else latest.reset_at - self.now
            left = INVOCATION_SECONDS - _ENDING_SECONDS - (self.now - self._began)
            if wait <= _PATIENCE_SECONDS and left >= 2 * self._page_seconds:
                break
            if latest is not None and wait > _PATIENCE_SECONDS:
                self.waited[latest.name] = self.waited.get(latest.name, 0) + wait
            self.end_invocation()
            self._pass(wait if wait > _PATIENCE_SECONDS else 0)
            self._began = self.now
            self.invocations += 1
            self._send("counts", counts)
        if wait:
            self._pass(wait)
            return _PAGE_AND_COUNT
        return self._left_now()

    def _left_now(self) -> int:
        """Return how many requests time and quota leave room for, 0 if none."""
        left = INVOCATION_SECONDS - _ENDING_SECONDS - (self.now - self._began)
        if left < 2 * self._page_seconds:
            return 0
        by_time = (
            max(_PAGE_AND_COUNT, int((left / self._page_seconds - 1) * THREADS)) if self._page_seconds else UNBOUNDED
        )
        return min([by_time, *(max(0, int(window.room)) for window in self._windows)])

    def end_invocation(self) -> None:
        """Add the time of the invocation that ends here to what was worked."""
        self.worked_seconds += self.now - self._began
        self._began = self.now
