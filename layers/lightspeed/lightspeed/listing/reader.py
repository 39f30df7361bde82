"""Read a whole list of the shop page by page, and prove that no record is missing, or say what cannot be proved.

The API has numbered pages, no cursor and no documented order. The shop changes while it is read. A list is read in a
closed window of the past, `updated_at_max` or `created_at_max` some seconds ago. A record can leave such a window, but
none can enter it. So the list only shrinks: everything that is read was in the list at the first count.

How pages are read (this is fast, and proves nothing yet):

1. Pages are read from the last to the first. In a list whose order does not change, a row only moves to the front, to
   a page that is not read yet. It may come twice and is then dropped by its id.
2. Several pages are read at once and counted afterwards. If the count changed, they are thrown away and fewer are read
   at once, at last one by one. The pages of the next batch are asked for before that count.

What proves that the list is complete:

A. **As many different ids as the shop counted at first.** All of them were in the list then, and the list held no
   others. So they are the list. This holds for any order, for ties, and for pages that are ignored, cached or repeated.
   It needs a count that is right, see C.
B. If rows left meanwhile, fewer ids than that are known, and A cannot tell rows that left from rows that were missed.
   Then no page may have been asked for twice, because a cache could have given an old one. And the order must be
   known: at least `ENOUGH_ROWS` ids rise or fall without exception over all pages, while the times of change turn at
   least `ENOUGH_TURNS` times each way. So the list is sorted by id or by time of creation, and neither changes. If
   two rows of one second swap places, one comes twice in place of the other. So every second of a row that came twice
   is read once more, on one page: all its rows must be known. A page before the last one must be full.
C. A count is not believed alone. A count that is too low shows itself by rows behind its end: the last page holds more
   rows than counted, or, if the last page is full, the page after it is not empty. A count that is too high shows
   itself by an empty page at the end. A count that rises in a closed window is wrong.
D. A list that no window closes is read twice. Both passes give the same ids, and the count between them is their
   number. A record that both passes gave was there at the time of that count. So they are the list of that instant.
   The second pass asks for ids only, so its pages come from no cache that a first pass of whole records filled. A cache
   that is older than both passes cannot be seen. A record that leaves such a list and comes back cannot be seen.

What is not proved makes the list unstable: `UnstableList` is raised, and the caller reads the list again in parts that
do not depend on order or paging (`split.py`). Without recovery the checkpoint holds the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Generic, TypeVar

from lightspeed.catalogue.model import Endpoint
from lightspeed.client import Client
from lightspeed.errors import LightspeedError
from lightspeed.listing.budget import RequestBudget, UnlimitedBudget
from lightspeed.listing.checkpoint import IdLog, ListCheckpoint
from lightspeed.listing.records import Record, RecordParser, Window
from lightspeed.listing.stability import (
    ENOUGH_TURNS,
    REPEATED,
    UnstableList,
    times_of,
    turns,
    why_order_is_unknown,
)
from lightspeed.quota import Clock, SystemClock
from lightspeed.request import PAGE_LIMIT, Parameters, Request, format_time, parse_time
from lightspeed.transport import is_page_timeout

THREADS = 10
"""Pages in flight: what twenty requests a second need of a shop that takes half a second for each. How many it
tolerates is not known; the pacing holds them under its requests per second."""

CONNECTIONS = THREADS + 1
"""Requests in flight: pages, and a count beside them."""

BATCH = 64
"""The most pages between two counts: a count is then 1.6 % of the requests."""

TRANSFORMED_BATCH = 8
"""The same where whole records are held until they are counted, to be transformed."""

PARENTS_AT_ONCE = 40
"""Parents whose nested records are read between two looks at quota and time."""

_ONE_PAGE_ATTEMPTS = 3
_SECOND = timedelta(seconds=1)

_PAGING = ("page", "limit", "fields")
_SUM_BITS = (1 << 64) - 1

_Processed = TypeVar("_Processed")


@dataclass(frozen=True, slots=True)
class _Fetched(Generic[_Processed]):
    """A page as it was read.

    Attributes:
        number: Of the page, from 1.
        rows: How many rows it had.
        ids: Of its new records.
        repeated: Records that were dropped because they were read before.
        sum: Of the ids, for two passes.
        turns: How often the time of change rises and falls from row to row.
        processed: What `process` made of the new records.
    """

    number: int
    rows: int
    ids: list[int | str]
    repeated: list[Record]
    sum: int
    turns: tuple[int, int]
    processed: _Processed


@dataclass(frozen=True, slots=True)
class _Batch(Generic[_Processed]):
    """Pages that were asked for at once, downwards from the one with the number `last`.

    Attributes:
        room: How many requests there was room for, these and their count included.
    """

    last: int
    pages: list[Future[_Fetched[_Processed] | None]]
    room: int

    def drop(self) -> None:
        """Send nothing more of it, and wait for what was sent: only then the quota is known."""
        sent = [page for page in self.pages if not page.cancel()]
        for page in sent:
            page.exception()


class ListReader(Generic[_Processed]):
    """Reads one list, from the last page to the first."""

    def __init__(  # noqa: PLR0913 - a list, how far it was read, and how to go on
        self,
        client: Client,
        endpoint: Endpoint,
        parameters: Parameters,
        *,
        language: str,
        window: Window | None,
        stable: bool,
        checkpoint: ListCheckpoint,
        process: Callable[[list[Record]], _Processed],
        gate: RequestBudget | None = None,
        batch: int = BATCH,
        ahead: bool = True,
        recoverable: bool = False,
        clock: Clock | None = None,
        executor: Callable[[], Executor] | None = None,
    ) -> None:
        """Prepare a reading; nothing is sent yet.

        Args:
            client: Of the shop.
            endpoint: The list's row.
            parameters: Path and query; a `limit` in the query is the page size.
            language: The language to read in.
            window: The closed window, or `None` where the list has no time filter.
            stable: Whether it is sure that no row can enter the list while it is read.
            checkpoint: Where to go on, and where progress is written to.
            process: Makes of the new records of a page what is yielded; called in a fetching thread.
            gate: Decides how far to go.
            batch: The most pages between two counts.
            ahead: Whether to ask for the next batch while one is counted and yielded; twice as many pages are then
                held. Not for a reading that may be left before its end: those pages would be asked for in vain.
            recoverable: Whether the caller reads an unstable list of a closed window again in parts. If not, the
                reading goes on and the checkpoint holds the reason.
            clock: Measures how long a page takes.
            executor: Makes the pool of fetching threads; `THREADS` of them unless given.
        """
        self._client = client
        self._endpoint = endpoint
        self._parameters = parameters
        self._language = language
        self._window = window
        self._stable = stable
        self._process = process
        self._gate = gate or UnlimitedBudget()
        self._batch = self._size = batch
        self._ahead = ahead
        self._recoverable = recoverable and stable and window is not None
        self._clock = clock or SystemClock()
        self._executor = executor or (lambda: ThreadPoolExecutor(THREADS))
        given = parameters.query.get("limit")
        self._limit = PAGE_LIMIT if given is None else int(str(given))
        self._ids = IdLog(checkpoint.ids)
        filters = self._count_request().query if self._paged else {}
        relations = frozenset(
            known.name for known in endpoint.filters if known.type == "id" and known.name != "since_id"
        )
        self._parser = RecordParser(window, filters, relations)
        self.checkpoint = checkpoint

    @property
    def window(self) -> Window | None:
        """The closed window, or `None` where the list has no time filter."""
        return self._window

    @property
    def _paged(self) -> bool:
        return "page" in self._endpoint.filter_names

    @property
    def _one_page(self) -> bool:
        return (self.checkpoint.count_before or 0) <= self.checkpoint.limit

    def begin(self) -> None:
        """Take the count that the reading starts or goes on from; a list without pages has none.

        Raises:
            UnstableList: The count rose, which it cannot in a closed window.
            LightspeedError: As the client raises it.
        """
        if not self._paged:
            return
        checkpoint = self.checkpoint
        count = self._client.count(self._count_request())
        if checkpoint.rows_left is None:
            checkpoint.rows_left = checkpoint.count_before = count
            checkpoint.limit = self._limit
        self._take_count(count)

    def count_in(self, window: Window) -> int | None:
        """Return the shop's count of the list in another window; `None` if it cannot be asked for.

        Raises:
            LightspeedError: As the client raises it.
        """
        if not {"page", f"{window.by}_min", f"{window.by}_max"} <= set(self._endpoint.filter_names):
            return None
        query = {name: value for name, value in self._parameters.query.items() if name not in _PAGING}
        return self._client.count(self._plain_request("count", {**query, **window.query}))

    def pages(self) -> Generator[_Processed]:
        """Yield what `process` makes of the new records of each page; `checkpoint` is true after each.

        Raises:
            UnstableList: The pages cannot be shown to be the list; the caller asked for it with `recoverable`.
            LightspeedError: As the client raises it; what was yielded before stays read.
            Exception: Whatever the gate raises.
        """
        checkpoint = self.checkpoint
        if not self._paged:
            if checkpoint.rows_left is None:
                yield self._unpaged()
            return
        if checkpoint.rows_left is None:
            self.begin()
        checkpoint.asked_again = checkpoint.asked_again or checkpoint.read > 0
        try:
            unchecked = checkpoint.read == 0 and checkpoint.rows_left == checkpoint.count_before
            if unchecked and (self._ahead or not checkpoint.rows_left):
                self._check_end()
                unchecked = False
            for processed in self._batches():
                yield processed
                if unchecked:  # a reading that may be left before its end asks only now for a page more
                    self._check_end()
                    unchecked = False
        finally:
            self._save()
        if checkpoint.limit < self._limit:
            self._check_end()  # the last page that was counted on may have become several smaller ones
        if self._stable:
            self._prove()
        else:
            self._prove_instant()

    def _prove(self) -> None:
        """Show that a list of a closed window was read completely; the module says how."""
        checkpoint = self.checkpoint
        if checkpoint.read == checkpoint.count_before:
            return
        if checkpoint.unidentified and checkpoint.read + checkpoint.unidentified == checkpoint.count_before:
            self._note("records carry no id, so one that came twice cannot be known")  # parts could not show it either
            return
        if not self._ahead and (checkpoint.count_before or 0) % checkpoint.limit == 0:
            self._unstable("rows left the list before its end was looked at")
            return
        if checkpoint.read > (checkpoint.count_before or 0):
            self._unstable(f"the shop counts {checkpoint.count_before} records but gave {checkpoint.read}")
            return
        self._take_count(self._client.count(self._count_request()))
        if checkpoint.read < (checkpoint.count_after or 0):
            self._unstable(f"the shop counts {checkpoint.count_after} records but gave {checkpoint.read}")
            return
        by_update = self._window is not None and self._window.by == "updated_at"
        reason = why_order_is_unknown(checkpoint, self._ids, by_update=by_update) or self._look_again(by_update)
        if reason:
            self._unstable(reason)

    def _prove_instant(self) -> None:
        """Show that a list that rows may enter was read as it was at one instant."""
        checkpoint = self.checkpoint
        if checkpoint.read == checkpoint.count_before == 0:
            return  # its first page was empty
        if checkpoint.check is None:
            if self._one_page:
                checkpoint.count_after = self._client.count(self._count_request())
            if checkpoint.read != checkpoint.count_after:
                self._note(f"the shop counts {checkpoint.count_after} records but gave {checkpoint.read}")
        if not checkpoint.unverified_reason:
            self._compare()

    def _look_again(self, by_update: bool) -> str:
        """Read the seconds of the rows that came twice once more; return why the list is unstable, or nothing.

        Only there two rows of one second can have swapped places.
        """
        names = ["created_at", *(["updated_at"] if by_update else [])]
        if self.checkpoint.repeated and not {f"{name}_{end}" for name in names for end in ("min", "max")} <= set(
            self._endpoint.filter_names
        ):
            return "rows left the list while it was read, and rows came again"
        seconds = {
            (name, time)
            for pair in self.checkpoint.repeated_at
            for name, time in zip(("created_at", "updated_at"), pair, strict=True)
            if name in names
        }
        for name, text in sorted(seconds):
            try:
                second = parse_time(text)
            except ValueError:
                return "rows came again whose time cannot be read"
            window = self._window.query if self._window is not None else {}
            query = {
                **self._parameters.query,
                **window,
                f"{name}_min": format_time(second),
                f"{name}_max": format_time(second + _SECOND),
            }
            page = self._client.page(self._plain_request("list", {**query, "limit": self.checkpoint.limit}))
            records = RecordParser(None, {}, frozenset()).read(page)
            ids = [record.id for record in records if record.id is not None]
            if len(records) >= self.checkpoint.limit or len(self._ids.repeated(ids)) < len(records):
                return "rows of one second swap their places while the list is read"
        return ""

    def _check_end(self) -> None:
        """Show that nothing is behind the counted rows, where the last page would not show it."""
        checkpoint = self.checkpoint
        count = checkpoint.count_before or 0
        if count % checkpoint.limit and checkpoint.limit == self._limit:
            return
        page = self._client.page(self._page_request(count // checkpoint.limit + 1))
        if len(page.records) + len(page.rejects) > count % checkpoint.limit:
            self._unstable(f"the shop counts {count} records, but more follow")

    def _unpaged(self) -> _Processed:
        page = self._client.page(self._client.build(self._endpoint.name, "list", self._parameters, self._language))
        fetched = self._fetched(1, self._parser.read(page))
        self._advance(fetched)
        return fetched.processed

    def _batches(self) -> Iterator[_Processed]:
        checkpoint = self.checkpoint
        batch: _Batch[_Processed] | None = None
        pool = self._executor()
        try:
            while checkpoint.rows_left:
                last = -(-checkpoint.rows_left // checkpoint.limit)
                if batch is None:
                    room = self._gate.room()
                    if self._one_page:
                        yield self._read_only_page()
                        continue
                    size = min(self._size, last, room - 1)
                    batch = self._submit(pool, last, size if size > 1 else 0, room)
                ahead = self._submit_ahead(pool, batch)
                fetched, error = self._collect(batch) if batch.pages else self._read_one_page(last)
                if len(fetched) < len(batch.pages):
                    checkpoint.asked_again = True
                if ahead is not None and len(fetched) < len(batch.pages):
                    ahead.drop()
                    ahead = None
                for page in fetched:
                    if page.rows < checkpoint.limit and page.number * checkpoint.limit <= (checkpoint.count_after or 0):
                        self._page_is_short(page)
                    self._advance(page)
                    yield page.processed
                if error is not None:
                    self._shrink_or_raise(error)
                batch = ahead
        finally:
            pool.shutdown(cancel_futures=True)

    def _submit(self, pool: Executor, last: int, size: int, room: int) -> _Batch[_Processed]:
        numbers = range(last, last - size, -1)
        return _Batch(last, [pool.submit(self._fetch, number) for number in numbers], room)

    def _submit_ahead(self, pool: Executor, batch: _Batch[_Processed]) -> _Batch[_Processed] | None:
        """Ask for the pages after a batch that is not counted yet, if there is room besides and the list is calm."""
        last = batch.last - len(batch.pages)
        room = min(batch.room - len(batch.pages) - 1, self._gate.left())
        size = min(self._size, last, room - 1)
        calm = bool(batch.pages) and self._size == self._batch
        return self._submit(pool, last, size, room) if self._ahead and calm and size > 0 else None

    def _read_only_page(self) -> _Processed:
        """Read the only page of a list, at one instant; again if the count before it does not fit."""
        checkpoint = self.checkpoint
        for attempt in range(_ONE_PAGE_ATTEMPTS):
            if attempt:
                count = self._client.count(self._count_request())
                self._take_count(count)
                checkpoint.count_before = count
            while True:
                number = -(-(checkpoint.rows_left or 1) // checkpoint.limit)
                try:
                    records = self._records(self._page_request(number))
                    break
                except LightspeedError as error:
                    self._shrink_or_raise(error)
            if not self._one_page or len(records) >= (checkpoint.count_before or 0):
                break
        fetched = self._fetched(number, records)
        self._advance(fetched)
        return fetched.processed

    def _read_one_page(self, number: int) -> tuple[list[_Fetched[_Processed]], LightspeedError | None]:
        """Read one page, then count."""
        try:
            records = self._records(self._page_request(number))
        except LightspeedError as error:
            return [], error
        self._list_changed()
        self._size = min(self._batch, 4)
        return [self._fetched(number, records)], None

    def _collect(self, batch: _Batch[_Processed]) -> tuple[list[_Fetched[_Processed]], LightspeedError | None]:
        """Wait for a batch and count; nothing is returned of one in which something moved.

        The batch ends early, before a page that failed, for which there is no room any more, or that is empty.
        """
        fetched: list[_Fetched[_Processed]] = []
        error: LightspeedError | None = None
        empty = 0
        for future in batch.pages:
            try:
                page = future.result()
            except LightspeedError as failure:
                error, page = failure, None
            if page is None:
                batch.drop()
                break
            if page.rows == 0:
                batch.drop()
                empty = page.number
                break
            fetched.append(page)
        size = len(batch.pages)
        if (fetched or empty) and self._list_changed():
            self._size = max(1, size // 4)
            return [], error
        if empty:
            self._unstable(f"the shop counts {self.checkpoint.count_after} records, but page {empty} is empty")
            self._find_end(empty)
            return [], error
        self._size = min(self._batch, max(self._size, size * 2))
        return fetched, error

    def _find_end(self, empty: int) -> None:
        """Go on from the last page that is not empty."""
        low, high = 0, empty
        while high - low > 1:
            middle = (low + high) // 2
            page = self._client.page(self._page_request(middle))
            low, high = (middle, high) if page.records or page.rejects else (low, middle)
        self.checkpoint.rows_left = low * self.checkpoint.limit

    def _fetch(self, number: int) -> _Fetched[_Processed] | None:
        if self._gate.left() < 1:
            return None
        return self._fetched(number, self._records(self._page_request(number)))

    def _records(self, request: Request) -> list[Record]:
        began = self._clock.monotonic()
        records = self._parser.read(self._client.page(request))
        self._gate.took(self._clock.monotonic() - began)
        return records

    def _fetched(self, number: int, records: list[Record]) -> _Fetched[_Processed]:
        rows, turned = len(records), turns(records)
        ids = [record.id for record in records if record.id is not None]
        known = self._ids.repeated(ids)
        repeated: list[Record] = []
        if known or len(set(ids)) < rows:
            records, ids, repeated = self._once(records, known)
        total = sum(_scatter(identity) for identity in ids) if not self._stable else 0
        return _Fetched(number, rows, ids, repeated, total & _SUM_BITS, turned, self._process(records))

    def _once(self, records: list[Record], known: set[int | str]) -> tuple[list[Record], list[int | str], list[Record]]:
        """Return the records of a page that are new, their ids, and those that came before or come twice on it."""
        if any(record.id is None and not record.reject_reason for record in records):
            self._note("records carry no id, so one that came twice cannot be known")
        seen = set(known)
        kept, repeated = [], []
        for record in records:
            if record.id is not None and record.id in seen:
                repeated.append(record)
                continue
            if record.id is not None:
                seen.add(record.id)
            kept.append(record)
        return kept, [record.id for record in kept if record.id is not None], repeated

    def _advance(self, page: _Fetched[_Processed]) -> None:
        checkpoint = self.checkpoint
        count, before = checkpoint.count_before, (page.number - 1) * checkpoint.limit
        checkpoint.rows_left = before
        checkpoint.sum = (checkpoint.sum + page.sum) & _SUM_BITS
        twice = self._ids.add(page.ids)
        checkpoint.read += len(page.ids) - twice
        checkpoint.repeated += len(page.repeated)
        checkpoint.unidentified += page.rows - len(page.ids) - len(page.repeated)
        checkpoint.rises = min(ENOUGH_TURNS, checkpoint.rises + page.turns[0])
        checkpoint.falls = min(ENOUGH_TURNS, checkpoint.falls + page.turns[1])
        if page.repeated:
            times = [times_of(record) for record in page.repeated]
            pairs = [(each.created, each.updated) for each in times]
            checkpoint.repeated_at += pairs[: REPEATED - len(checkpoint.repeated_at)]
        if self._parser.unverified_reason:
            self._note(self._parser.unverified_reason)
        if twice or (self._stable and checkpoint.repeated > checkpoint.removed):
            self._unstable("a record came twice though no record left the list before it")
        if self._stable and count is not None and before + page.rows > count:
            self._unstable(f"the shop counts {count} records, but more follow")

    def _page_is_short(self, page: _Fetched[_Processed]) -> None:
        """Take it that a page which later rows follow has fewer rows than were asked for."""
        if self._stable:
            self._unstable(f"page {page.number} has {page.rows} rows, though more follow")

    def _save(self) -> None:
        self.checkpoint.ids = self._ids.pack()

    def _take_count(self, count: int) -> None:
        checkpoint = self.checkpoint
        before, checkpoint.count_after = checkpoint.count_after, count
        if self._stable and before is not None and count > before:
            self._unstable("the shop counts more records than before in a closed window")

    def _list_changed(self) -> bool:
        """Count, and return whether rows left or entered since the last count."""
        before = self.checkpoint.count_after
        self._take_count(self._client.count(self._count_request()))
        return before != self.checkpoint.count_after

    def _shrink_or_raise(self, error: LightspeedError) -> None:
        """Ask for fewer rows a page if that can help; pages of a divisor of the size end where the larger ones did."""
        limit = self.checkpoint.limit
        if limit == 1 or not is_page_timeout(error):
            raise error
        self.checkpoint.limit = next(limit // factor for factor in range(2, limit + 1) if limit % factor == 0)

    def _compare(self) -> None:
        """Read the list once more, ids only, and compare; the last count of the first pass is the one between both."""
        checkpoint = self.checkpoint
        count = checkpoint.count_after
        if checkpoint.check is None:
            checkpoint.check = ListCheckpoint(count, count, count, limit=checkpoint.limit)
        query = {**self._parameters.query, "fields": "id"}
        second = ListReader(
            self._client,
            self._endpoint,
            Parameters(self._parameters.path, query),
            language=self._language,
            window=self._window,
            stable=False,
            checkpoint=checkpoint.check,
            process=len,
            gate=self._gate,
            batch=self._batch,
            ahead=self._ahead,
            clock=self._clock,
            executor=self._executor,
        )
        try:
            for _ in second._batches():
                pass
        finally:
            second._save()
        check = checkpoint.check
        if not checkpoint.read == check.read == check.count_before or checkpoint.sum != check.sum:
            self._note("no time filter closes the list, and it changed between two passes")
        elif check.unverified_reason:
            self._note(check.unverified_reason)

    def _count_request(self) -> Request:
        query = {name: value for name, value in self._parameters.query.items() if name not in _PAGING}
        return self._request("count", query)

    def _page_request(self, number: int) -> Request:
        return self._request("list", {**self._parameters.query, "limit": self.checkpoint.limit, "page": number})

    def _request(self, operation: str, query: dict[str, object]) -> Request:
        window = self._window.query if self._window is not None else {}
        return self._plain_request(operation, {**query, **window})

    def _plain_request(self, operation: str, query: dict[str, object]) -> Request:
        return self._client.build(
            self._endpoint.name, operation, Parameters(self._parameters.path, query), self._language
        )

    def _unstable(self, reason: str) -> None:
        if self._recoverable:
            raise UnstableList(reason)
        self._note(reason)

    def _note(self, reason: str) -> None:
        self.checkpoint.unverified_reason = self.checkpoint.unverified_reason or reason


def _scatter(identity: int | str) -> int:
    """Return 64 bits of an id, spread so that sums of different sets differ."""
    return int.from_bytes(blake2b(str(identity).encode(), digest_size=8).digest(), "big")
