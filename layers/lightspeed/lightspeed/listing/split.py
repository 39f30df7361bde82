"""Read a list in parts that each fit on one page, so that neither order nor paging matters.

A part is a stretch of time within the list's closed window. The reader counts its rows, then asks for its page. The
part is complete if the page holds as many different ids as were counted. If the page is full, the reader cuts the part
at times that the page shows.

What proves the list:

1. **Each part is complete.** Rows leave a closed window, but none enters. So the page gives only rows that were
   counted. If it gives as many as were counted, it gives all of them. The order of the rows does not matter.
2. **The parts cover the window.** A shop may leave out the first or the last second of a filter, or both, or only a
   fraction of them. So neighbours share two seconds, and each second lies inside one of them. A record that comes in
   both parts is dropped once, by its id.
3. **No record enters a part after it was read.** A record that is in the window at the end was always there. Its time
   did not change, so it was in its part when that part was read.
4. **The counts are not trusted alone.** A page with more rows than counted shows that the count is too low. The first
   page of the reading shows how many rows the shop gives on one page. A page with that many rows counts as full, even
   if its count says that no row follows. The number of all rows must lie between the counts of the whole list before
   and after.

A part of three seconds cannot be cut further. In a window by `updated_at` it is cut by `created_at` too, unless the
user filters by that. If that does not help, the part is dense: more rows carry the same seconds than fit on one page.
The reader reads its pages in rounds, until as many different ids came as the shop counts. If too few come, the
checkpoint holds the reason.

Two kinds of parts are read page by page, from the first page to the last and back:

- the whole list of a shop that ignores the filter, and so gives the same rows for every part,
- a dense part that has too many rows or changes too often (`MAX_DENSE_ROWS`, `MAX_DENSE_TRIES`).

A row that moves on the way there is met on the way back. This proves nothing, and the checkpoint holds the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from lightspeed.errors import LightspeedError
from lightspeed.failures import is_page_timeout
from lightspeed.listing.budget import RequestBudget, UnlimitedBudget
from lightspeed.listing.checkpoint import ListCheckpoint, SplitCheckpoint
from lightspeed.listing.id_log import IdLog
from lightspeed.listing.proof import MIXED_IDS, NO_ID
from lightspeed.listing.records import Record, ids_of, lack_ids, split_repeated, times_of
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.window import Window
from lightspeed.request import format_time, parse_time

MAX_DENSE_ROWS = 2500
"""The most rows of a dense part that is read in rounds; ten pages."""

MAX_DENSE_TRIES = 20
"""How often a dense part may be started. After that it is read page by page, and nothing is proved."""

MAX_ROUNDS = 15
"""The most rounds through a dense part. In random order, each round misses a third of the rows that are still missing.
"""

MAX_PART_ATTEMPTS = 2
"""How often a part is counted and read if its page holds fewer rows than counted."""

MAX_DOUBTFUL_PARTS = 8
"""How many parts may differ from their count. From then on, parts are read without a count, and nothing is proved."""

ROWS_PER_CUT = 16
"""A full page is cut into at most one part for so many rows. Fewer rows show too little of where the times lie."""

MAX_IDLE_ROUNDS = 3
"""The rounds in a row without a new row after which a dense part is given up."""

_SECOND = timedelta(seconds=1)
_EARLIEST, _LATEST = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""The bounds of a stretch that has none of its own."""

_Processed = TypeVar("_Processed")
_Bounds = tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of the window, bounds included.

    Attributes:
        main: Bounds by the window's own time.
        created: Bounds by `created_at`, if the stretch is cut by both times.
    """

    main: _Bounds
    created: _Bounds = (None, None)

    @classmethod
    def unpack(cls, texts: tuple[str | None, ...]) -> _Part:
        first, last, created_first, created_last = [parse_time(text) if text else None for text in texts]
        return cls((first, last), (created_first, created_last))

    def pack(self) -> tuple[str | None, ...]:
        return tuple(format_time(each) if each is not None else None for each in (*self.main, *self.created))


class _FilterIgnored(Exception):
    """The shop gives rows of other parts too."""


class SplitReader(Generic[_Processed]):
    """Reads one list of a closed window in parts.

    Args:
        shop_list: The list, of a closed window.
        checkpoint: Where to go on; the reader stores its progress there and in `checkpoint.split`.
        process: Called with the records of a part; `pages` yields its result.

    Raises:
        ValueError: The list has no window.
    """

    def __init__(
        self,
        shop_list: ShopList,
        *,
        checkpoint: ListCheckpoint,
        process: Callable[[list[Record]], _Processed],
        budget: RequestBudget | None = None,
    ) -> None:
        if shop_list.window is None:
            raise ValueError("only a list with a window is read in parts")
        self._list = shop_list
        self._window = shop_list.window
        self._whole = _Part((self._window.start, self._window.end))
        self._process = process
        self._budget = budget or UnlimitedBudget()
        self._clock = shop_list.client.transport.clock
        self._ids = IdLog(checkpoint.ids)
        self.checkpoint = checkpoint
        self._split = checkpoint.split = checkpoint.split or SplitCheckpoint()
        self._expected: dict[_Part, int] = {}  # rows that a part probably has; not kept between processes

    def pages(self) -> Generator[_Processed]:
        """Yield the result of `process` for each part. After each, `checkpoint` is up to date but for its packed ids.

        Raises:
            LightspeedError: A request failed. Parts that were yielded before stay read.
            Exception: Whatever the budget raises.
        """
        checkpoint, split = self.checkpoint, self._split
        try:
            if split.count_before is None:
                self._begin()
            while split.parts:
                self._budget.wait_for_room()
                part = _Part.unpack(split.parts[-1])
                if split.next_page:
                    yield from self._read_there_and_back(part)
                elif (records := self._read_or_cut(part)) is not None:
                    split.parts.pop()
                    checkpoint.rows_left = len(split.parts)
                    yield self._process(self._drop_repeated(records))
            checkpoint.count_after = self._list.count()
        finally:
            checkpoint.ids = self._ids.pack()
            checkpoint.rows_left = len(split.parts)
        checkpoint.note(split.unsure or (MIXED_IDS if self._ids.mixed else ""))
        before, after = checkpoint.counts
        read = checkpoint.read + checkpoint.unidentified
        if not after <= read <= before:
            counts = f"{before} before and {after} after"
            checkpoint.note(f"the list in parts holds {read} records, but the shop counts {counts}")

    def _begin(self) -> None:
        """Take the count that the reading starts from; the first part is the whole window."""
        checkpoint, split = self.checkpoint, self._split
        self._budget.wait_for_room()
        checkpoint.limit = self._list.limit
        split.parts = [self._whole.pack()]
        split.count_before = checkpoint.count_before = checkpoint.count_after = self._list.count()
        self._expected = {self._whole: split.count_before}

    def _read_or_cut(self, part: _Part) -> list[Record] | None:
        """Return the records of a part; `None` if the checkpoint now holds smaller parts or a page to read instead.

        If the shop ignores the filter, the part becomes the whole list, page by page.
        """
        split = self._split
        try:
            records, counted, complete = self._read_first_page(part)
            if complete:
                return records
            smaller = self._cut(part, records, counted)
            if not smaller:
                return self._read_dense(part)
        except _FilterIgnored:
            split.parts, split.tries, split.next_page = [self._whole.pack()], 0, 1
            return None
        split.parts[-1:] = [each.pack() for each in reversed(smaller)]
        self._expected |= smaller
        return None

    def _read_there_and_back(self, part: _Part) -> Iterator[_Processed]:
        """Read the pages of a part up to its end and back to the first; a later invocation goes on at `next_page`.

        The end is an empty page, or a page after the counted rows that shows no new id.
        """
        split = self._split
        counted = self._count(part)
        while split.next_page:
            self._budget.wait_for_room()
            records = self._records(part, abs(split.next_page))
            if split.next_page < 0:  # rows without an id were kept on the way there
                records = [record for record in records if record.id is not None]
            new = self._drop_repeated(records)
            at_end = not records or (not ids_of(new) and split.next_page * self._full > counted)
            split.next_page = -split.next_page if at_end and split.next_page > 0 else split.next_page + 1
            yield self._process(new)
        split.parts.pop()

    def _read_first_page(self, part: _Part) -> tuple[list[Record], int, bool]:
        """Return the records of a part's first page, the count before it, and whether the part is done.

        A page that is not full has all rows of its part. If it has fewer than counted, smaller parts may fit their
        counts. If it has more, the count is wrong, because no row enters a part.
        """
        split, expected = self._split, self._expected.pop(part, 0)
        if 2 * expected > 3 * self._full:  # full even with a third fewer rows, so no count is needed
            records = self._first_page(part)
            if len(records) >= self._full:
                return records, expected, False
        for attempt in range(MAX_PART_ATTEMPTS):
            if attempt:
                self._budget.wait_for_room()
            counted = 0 if split.unsure else self._count(part)
            records = self._first_page(part)
            if len(records) >= self._full:
                return records, counted, False
            ids = ids_of(records)
            rows = len(set(ids)) + len(records) - len(ids)
            if rows >= counted:
                break
        if rows != counted and not split.unsure:
            reason = f"the shop counts {counted} records of a stretch of time, but gives {rows}"
            self._note_doubtful_part(reason)
            if rows > counted:
                self.checkpoint.note(reason)
        return records, counted, rows >= counted or bool(split.unsure)

    def _first_page(self, part: _Part) -> list[Record]:
        """Return the records of a part's first page; the first of all shows how many rows a page has."""
        records = self._records(part, 1)
        self._split.page_rows = self._split.page_rows or max(1, len(records))
        return records

    def _note_doubtful_part(self, reason: str) -> None:
        """Add 1 to the parts that differ from their count. From `MAX_DOUBTFUL_PARTS` on, counts are not used."""
        split = self._split
        split.doubtful += 1
        if split.doubtful >= MAX_DOUBTFUL_PARTS:
            split.unsure = split.unsure or reason

    @property
    def _full(self) -> int:
        """Rows that make a page full, so that its part may have more rows."""
        return min(self._split.page_rows or 1, self.checkpoint.limit)

    def _cut(self, part: _Part, records: list[Record], counted: int) -> dict[_Part, int]:
        """Return smaller parts, in order, with the rows that each probably has; none if the part is dense."""
        shown = _times(records, self._window.by)
        wanted = max(2, min(-(-3 * counted // (2 * self._full)), len(records) // ROWS_PER_CUT))
        stretches = _stretches(part.main, shown, wanted, counted)
        if stretches:
            return {_Part(each, part.created): rows for each, rows in stretches}
        if self._window.by == "created_at" or {"created_at_min", "created_at_max"} & set(self._list.parameters.query):
            return {}
        stretches = _stretches(part.created, _times(records, "created_at"), wanted, counted)
        return {_Part(part.main, each): rows for each, rows in stretches}

    def _read_dense(self, part: _Part) -> list[Record] | None:
        """Read a dense part in rounds, until as many different ids came as the shop counts.

        If rows leave meanwhile, the part is started again, each time with another page size. Otherwise a cache could
        give rows that have left in place of rows that are missing.

        Returns:
            `None` if the part is now read page by page: it has more than `MAX_DENSE_ROWS`, which would need too much
            memory, or changes too often.
        """
        counted = self._count(part)
        split = self._split
        split.tries += 1
        too_much = self._why_too_much(counted)
        if too_much or split.unsure:
            self.checkpoint.note(too_much)
            split.tries, split.next_page = 0, 1
            return None
        found, records, counted = self._read_rounds(part, counted)
        if len(found) != counted:
            reason = f"{counted} records carry the same second, and their pages do not show all of them"
            self.checkpoint.note(reason)
            self._note_doubtful_part(reason)
            records = self._read_round(part, counted)
            found |= _by_id(records)
        split.tries = 0
        return [*found.values(), *(record for record in records if record.id is None)]

    def _read_rounds(self, part: _Part, counted: int) -> tuple[dict[int | str, Record], list[Record], int]:
        """Read rounds of a dense part until all rows came.

        Gives up after `MAX_ROUNDS`, after `MAX_IDLE_ROUNDS` without a new row, or after `MAX_DENSE_TRIES`.

        Returns:
            The records by id since the count last changed, the rows of the last round, and the count.
        """
        split = self._split
        found: dict[int | str, Record] = {}
        records: list[Record] = []
        idle = 0
        for _ in range(MAX_ROUNDS):
            self._budget.wait_for_room()
            before, records = len(found), self._read_round(part, counted)
            found |= _by_id(records)
            count = self._count(part)
            if len(found) == counted == count:
                break
            idle = idle + 1 if len(found) == before else 0
            if idle == MAX_IDLE_ROUNDS or split.tries > MAX_DENSE_TRIES:
                break
            if count != counted:
                split.tries += 1
                found, counted = {}, count
        return found, records, counted

    def _why_too_much(self, counted: int) -> str:
        """Return why a dense part is read page by page; empty if it is read in rounds."""
        if counted > MAX_DENSE_ROWS:
            return f"{counted} records carry the same second, too many to show that all were read"
        if self._split.tries > MAX_DENSE_TRIES:
            return f"{counted} records carry the same second, and no invocation could read them often enough"
        return ""

    def _read_round(self, part: _Part, counted: int) -> list[Record]:
        """Read the pages of a dense part, up to a page that is not full or to the page after the counted ones."""
        found: list[Record] = []
        full = min(self._split.page_rows or 1, self._dense_page_size)
        for number in range(1, counted // full + 2):
            records = self._records(part, number, dense=True)
            found += records
            if len(found) > counted:
                self.checkpoint.note(f"the shop counts {counted} records of one second, but more follow")
            if len(records) < full:
                break
        return found

    @property
    def _dense_page_size(self) -> int:
        """Rows per page of a dense part; another number each time that the part is started."""
        limit, tries = self.checkpoint.limit, self._split.tries
        return limit - tries if limit > 2 * MAX_DENSE_TRIES else limit + tries

    def _drop_repeated(self, records: list[Record]) -> list[Record]:
        """Return the new records and store their ids. Neighbouring parts share seconds, so some records come twice."""
        if lack_ids(records):
            self.checkpoint.note(NO_ID)
        kept, _ = split_repeated(records, self._ids.repeated(ids_of(records)))
        ids = ids_of(kept)
        self._ids.add(ids)
        self.checkpoint.read += len(ids)
        self.checkpoint.unidentified += len(kept) - len(ids)
        return kept

    def _records(self, part: _Part, number: int, *, dense: bool = False) -> list[Record]:
        checkpoint = self.checkpoint
        first, last = part.main
        window = Window(self._window.by, first, last or self._window.end)
        while True:
            began = self._clock.monotonic()
            try:
                size = self._dense_page_size if dense else checkpoint.limit
                page = self._list.page(number, size, self._bounds(part))
            except LightspeedError as error:
                if checkpoint.limit == 1 or not is_page_timeout(error):
                    raise
                checkpoint.limit //= 2
                if number > 1:
                    raise  # a later page of another size would not begin where the page before it ended
                continue
            self._budget.record_latency(self._clock.monotonic() - began)
            parser = self._list.parser(window)
            records = parser.read(page)
            checkpoint.note(parser.unverified_reason)
            if parser.filters_ignored and not self._split.next_page and _mostly_outside(records, window):
                raise _FilterIgnored
            return records

    def _count(self, part: _Part) -> int:
        return self._list.count(self._bounds(part))

    def _bounds(self, part: _Part) -> dict[str, object]:
        query: dict[str, object] = {}
        for by, (first, last) in (("created_at", part.created), (self._window.by, part.main)):
            query |= {f"{by}_min": format_time(first)} if first is not None else {}
            query |= {f"{by}_max": format_time(last)} if last is not None else {}
        return query


def _by_id(records: list[Record]) -> dict[int | str, Record]:
    return {record.id: record for record in records if record.id is not None}


def _mostly_outside(records: list[Record], window: Window) -> bool:
    """Whether more than half of the records lie outside of a window. A single record may just carry a wrong time."""
    return 2 * sum(not window.contains(text) for text in _times(records, window.by)) > len(records)


def _times(records: list[Record], by: str) -> list[str]:
    """Return the times by which a filter selects records, as the shop wrote them."""
    return [each.updated if by == "updated_at" else each.created for each in map(times_of, records)]


def _stretches(bounds: _Bounds, shown: list[str], wanted: int, counted: int) -> list[tuple[_Bounds, int]]:
    """Cut a stretch. Return the smaller stretches, in order, with the rows that each probably has.

    Returns no stretch if no time on the page lets it be cut.

    If the page is sorted by time, it shows one end of the stretch. Then one cut parts the rows of the page from the
    others. In any other order, the page is a sample, and the cuts divide it evenly.

    Args:
        bounds: First and last second of the stretch.
        shown: The times on its page.
        wanted: How many smaller stretches to make, 2 or more.
        counted: The rows of the stretch.
    """
    first, last = bounds
    low, high, least = first or _EARLIEST, last or _LATEST, 2 * _SECOND
    times = [moment for moment in map(_moment, shown) if moment is not None and low <= moment <= high]
    if not times or high - low <= least:
        return []
    rest = max(0, counted - len(times))
    ascending = sorted(times)
    if times == ascending:
        cuts, rows = [times[-1] - _SECOND], [len(times), rest]
    elif times == ascending[::-1]:
        cuts, rows = [times[-1] + _SECOND], [rest, len(times)]
    else:
        cuts = [ascending[(len(times) - 1) * number // wanted] for number in range(1, wanted)]
        rows = [counted // wanted] * wanted
    found: list[_Bounds] = []
    for cut in sorted({max(low + least, min(cut, high - _SECOND)) for cut in cuts}):
        found.append((first, cut))
        first = cut - _SECOND
    return list(zip([*found, (first, last)], rows, strict=False))


def _moment(text: str) -> datetime | None:
    try:
        return parse_time(text).astimezone(UTC).replace(microsecond=0)
    except ValueError:
        return None
