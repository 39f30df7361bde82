"""Read a whole list of the shop without missing a record, and say honestly whether that was shown.

The API has numbered pages, no cursor and no documented order, and the shop changes while it is read. The argument:

1. The list is asked for in a closed window of the past, `updated_at_max` or `created_at_max` a few seconds ago. A
   record that changes or goes leaves such a window, none can enter it: the list only shrinks.
2. So a row only ever moves towards the front.
3. Pages are read from the last to the first. A row that moves goes to a page that is not read yet: it may come twice
   and is dropped by its id, but it is never missed. (Invariant: whatever stands behind `rows_left` was read.)
4. Several pages are read at once and counted afterwards. In a list that only shrinks an equal count says that nothing
   moved, so the pages are one picture; otherwise they are thrown away and fewer are read at once, at last one by one.
   The next pages are asked for before that count: they are kept if these were, and their own count is the same again.
   (Invariant: what is yielded was verified so, and `read` counts it once.)
5. A row read before can come again only if at least as many rows went as stand between: the ids within that reach are
   remembered, not all of them. From one process to the next only the last ids go along; where they do not reach, it
   is said.
6. A list that fits on one page, with room left, is read at one instant, window or not. A list that no window closes
   is read twice; if ids and counts agree, that is taken for an instant, if not, it is said.
7. At the end no fewer records were read than the shop counts; fewer means that its pages are smaller than asked.
   Rows outside the window, or that do not obey a filter, mean that the shop ignored it. All this is said, not believed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar

from lightspeed.catalogue.model import Endpoint
from lightspeed.client import Client
from lightspeed.errors import LightspeedError
from lightspeed.listing.budget import RequestBudget, UnlimitedBudget
from lightspeed.listing.checkpoint import Ids, ListCheckpoint
from lightspeed.listing.records import Record, RecordParser, Window
from lightspeed.request import PAGE_LIMIT, Parameters, Request
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

_PAGING = ("page", "limit", "fields")
_SUM_BITS = (1 << 64) - 1

_Digest = TypeVar("_Digest")


@dataclass(frozen=True, slots=True)
class _Fetched(Generic[_Digest]):
    number: int
    removed_before: int
    ids: list[int | str]
    sum: int
    digest: _Digest


@dataclass(frozen=True, slots=True)
class _Batch(Generic[_Digest]):
    """Pages that were asked for at once, downwards from the one with the number `last`.

    Attributes:
        room: How many requests there was room for, these and their count included.
    """

    last: int
    pages: list[Future[_Fetched[_Digest] | None]]
    room: int

    def drop(self) -> None:
        """Send nothing more of it, and wait for what was sent: only then the quota is known."""
        sent = [page for page in self.pages if not page.cancel()]
        for page in sent:
            page.exception()


class ListReader(Generic[_Digest]):
    """Reads one list, from the last page to the first."""

    def __init__(  # noqa: PLR0913 - a list, where it stands and how to go on
        self,
        client: Client,
        endpoint: Endpoint,
        parameters: Parameters,
        *,
        language: str,
        window: Window | None,
        closed: bool,
        progress: ListCheckpoint,
        digest: Callable[[list[Record]], _Digest],
        gate: RequestBudget | None = None,
        batch: int = BATCH,
        ahead: bool = True,
    ) -> None:
        """Prepare a reading; nothing is sent yet.

        Args:
            client: Of the shop.
            endpoint: The list's row.
            parameters: Path and query; a `limit` in the query is the page size.
            language: The language to read in.
            window: The closed window, or `None` where the list has no time filter.
            closed: Whether it is sure that no row can enter the list while it is read.
            progress: Where to go on, and where progress is written to.
            digest: Makes of the new records of a page what is yielded; called in a fetching thread.
            gate: Decides how far to go.
            batch: The most pages between two counts.
            ahead: Whether to ask for the next batch while one is counted and yielded; twice as many digests are then
                held. Not for a reading that may be left before its end: those pages would be asked for in vain.
        """
        self._client = client
        self._endpoint = endpoint
        self._parameters = parameters
        self._language = language
        self._window = window
        self._closed = closed
        self._digest = digest
        self._gate = gate or UnlimitedBudget()
        self._batch = self._size = batch
        self._ahead = ahead
        given = parameters.query.get("limit")
        self._limit = PAGE_LIMIT if given is None else int(str(given))
        self._ids = Ids(progress, self._limit)
        filters = self._count_request().query if self._paged else {}
        relations = frozenset(
            known.name for known in endpoint.filters if known.type == "id" and known.name != "since_id"
        )
        self._heads = RecordParser(window, filters, relations)
        self.progress = progress

    @property
    def _paged(self) -> bool:
        return "page" in self._endpoint.filter_names

    @property
    def _one_page(self) -> bool:
        return (self.progress.count_before or 0) <= self.progress.limit

    def begin(self) -> None:
        """Take the count that the reading starts or goes on from; a list without pages has none."""
        if not self._paged:
            return
        progress = self.progress
        count = self._client.count(self._count_request())
        if progress.rows_left is None:
            progress.rows_left = progress.count_before = count
            progress.limit = self._limit
        progress.count_after = count

    def pages(self) -> Generator[_Digest]:
        """Yield the digest of the new records of each page once it is verified; `progress` is true after each.

        Raises:
            LightspeedError: As the client raises it; what was yielded before stays read.
            Exception: Whatever the gate raises.
        """
        progress = self.progress
        if not self._paged:
            if progress.rows_left is None:
                yield self._unpaged()
            return
        if progress.rows_left is None:
            self.begin()
        try:
            yield from self._batches()
        finally:
            self._save()
        whole = self._one_page and (self._closed or progress.read < progress.limit)
        if whole and progress.read >= (progress.count_before or 0):
            return
        if self._one_page:
            progress.count_after = self._client.count(self._count_request())
        if progress.read < (progress.count_after or 0):
            self._doubt(f"the shop counts {progress.count_after} records but gave {progress.read}")
        if not self._closed and not whole and not progress.doubt:
            self._compare()

    def _unpaged(self) -> _Digest:
        page = self._client.page(self._client.build(self._endpoint.name, "list", self._parameters, self._language))
        fetched = self._fetched(1, self._heads.read(page), frozenset(), 0)
        self._advance(fetched)
        return fetched.digest

    def _batches(self) -> Iterator[_Digest]:
        progress = self.progress
        batch: _Batch[_Digest] | None = None
        pool = ThreadPoolExecutor(THREADS)
        try:
            while progress.rows_left:
                last = -(-progress.rows_left // progress.limit)
                if batch is None:
                    room = self._gate.room()
                    if self._one_page:
                        yield self._one(last)
                        continue
                    size = min(self._size, last, room - 1)
                    batch = self._ask(pool, last, size if size > 1 else 0, room)
                ahead = self._ask_ahead(pool, batch)
                fetched, error = self._taken(batch) if batch.pages else self._single(last)
                if ahead is not None and len(fetched) < len(batch.pages):
                    ahead.drop()
                    ahead = None
                for page in fetched:
                    self._advance(page)
                    yield page.digest
                if error is not None:
                    self._shrink_or_raise(error)
                batch = ahead
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask(self, pool: Executor, last: int, size: int, room: int) -> _Batch[_Digest]:
        known, removed = self._known(), self.progress.removed
        numbers = range(last, last - size, -1)
        return _Batch(last, [pool.submit(self._fetch, number, known, removed) for number in numbers], room)

    def _ask_ahead(self, pool: Executor, batch: _Batch[_Digest]) -> _Batch[_Digest] | None:
        """Ask for the pages after a batch that is not counted yet, if there is room besides and the list is calm."""
        last = batch.last - len(batch.pages)
        room = min(batch.room - len(batch.pages) - 1, self._gate.left())
        size = min(self._size, last, room - 1)
        calm = bool(batch.pages) and self._size == self._batch
        return self._ask(pool, last, size, room) if self._ahead and calm and size > 0 else None

    def _one(self, number: int) -> _Digest:
        """Read the only page of a list: one instant, so nothing has to be counted."""
        while True:
            try:
                records = self._records(self._page_request(number))
                break
            except LightspeedError as error:
                self._shrink_or_raise(error)
                number = -(-(self.progress.rows_left or 1) // self.progress.limit)
        fetched = self._fetched(number, records, frozenset(), self.progress.removed)
        self._advance(fetched)
        return fetched.digest

    def _single(self, number: int) -> tuple[list[_Fetched[_Digest]], LightspeedError | None]:
        """Read one page, then count: what could have come again until then is dropped from it."""
        removed = self.progress.removed
        try:
            records = self._records(self._page_request(number))
        except LightspeedError as error:
            return [], error
        self._moved()
        self._size = min(self._batch, 4)
        return [self._fetched(number, records, self._known(), removed)], None

    def _taken(self, batch: _Batch[_Digest]) -> tuple[list[_Fetched[_Digest]], LightspeedError | None]:
        """Wait for a batch and count; nothing is returned of one in which something moved.

        The batch ends early, before a page that failed or for which there is no room any more.
        """
        fetched: list[_Fetched[_Digest]] = []
        error: LightspeedError | None = None
        for future in batch.pages:
            try:
                page = future.result()
            except LightspeedError as failure:
                error, page = failure, None
            if page is None:
                batch.drop()
                break
            fetched.append(page)
        size = len(batch.pages)
        if fetched and self._moved():
            self._size = max(1, size // 4)
            return [], error
        self._size = min(self._batch, max(self._size, size * 2))
        return fetched, error

    def _fetch(self, number: int, known: frozenset[int | str], removed: int) -> _Fetched[_Digest] | None:
        if self._gate.left() < 1:
            return None
        return self._fetched(number, self._records(self._page_request(number)), known, removed)

    def _records(self, request: Request) -> list[Record]:
        began = time.perf_counter()
        records = self._heads.read(self._client.page(request))
        self._gate.took(time.perf_counter() - began)
        return records

    def _fetched(
        self, number: int, records: list[Record], known: frozenset[int | str], removed: int
    ) -> _Fetched[_Digest]:
        if known:
            records = [record for record in records if record.id is None or record.id not in known]
        ids = [record.id for record in records if record.id is not None]
        if len(set(ids)) < len(records):
            records, ids = self._once(records)
        total = sum(_scatter(identity) for identity in ids) if not self._closed else 0
        return _Fetched(number, removed, ids, total & _SUM_BITS, self._digest(records))

    def _once(self, records: list[Record]) -> tuple[list[Record], list[int | str]]:
        """Return a page's records without those that stand on it twice; those without id cannot be told apart."""
        if any(record.id is None and not record.reject_reason for record in records):
            self._doubt("records carry no id, so one that came twice could not be told")
        first = {record.id: record for record in reversed(records) if record.id is not None}
        kept = [record for record in records if record.id is None or first[record.id] is record]
        return kept, [record.id for record in kept if record.id is not None]

    def _advance(self, page: _Fetched[_Digest]) -> None:
        progress = self.progress
        progress.rows_left = (page.number - 1) * progress.limit
        progress.read += len(page.ids)
        progress.sum = (progress.sum + page.sum) & _SUM_BITS
        self._ids.add(page.ids, page.removed_before)
        progress.doubt = progress.doubt or self._heads.unverified_reason

    def _save(self) -> None:
        self.progress.tail = self._ids.last()
        self.progress.marks = self._ids.marks()

    def _known(self) -> frozenset[int | str]:
        removed = self.progress.removed
        if not self._ids.suffice(removed):
            self._doubt("more rows left the list than ids were remembered of those read in earlier invocations")
        return self._ids.known(removed)

    def _moved(self) -> bool:
        """Count, and return whether rows left or entered since the last count."""
        progress = self.progress
        before, progress.count_after = progress.count_after, self._client.count(self._count_request())
        return before != progress.count_after

    def _shrink_or_raise(self, error: LightspeedError) -> None:
        """Ask for fewer rows a page if that can help; pages of a divisor of the size end where the larger ones did."""
        limit = self.progress.limit
        if limit == 1 or not is_page_timeout(error):
            raise error
        self.progress.limit = next(limit // factor for factor in range(2, limit + 1) if limit % factor == 0)

    def _compare(self) -> None:
        """Read the list once more, ids only, and compare."""
        progress = self.progress
        progress.check = progress.check or ListCheckpoint()
        query = {**self._parameters.query, "fields": "id"}
        second = ListReader(
            self._client,
            self._endpoint,
            Parameters(self._parameters.path, query),
            language=self._language,
            window=self._window,
            closed=False,
            progress=progress.check,
            digest=len,
            gate=self._gate,
            batch=self._batch,
            ahead=self._ahead,
        )
        if progress.check.rows_left is None:
            second.begin()
        try:
            for _ in second._batches():
                pass
        finally:
            second._save()
        first = (progress.read, progress.sum, progress.count_after)
        if first != (progress.check.read, progress.check.sum, progress.check.count_after):
            self._doubt("no time filter closes the list, and it changed between two passes")

    def _count_request(self) -> Request:
        query = {name: value for name, value in self._parameters.query.items() if name not in _PAGING}
        return self._request("count", query)

    def _page_request(self, number: int) -> Request:
        return self._request("list", {**self._parameters.query, "limit": self.progress.limit, "page": number})

    def _request(self, operation: str, query: dict[str, object]) -> Request:
        window = self._window.query if self._window is not None else {}
        parameters = Parameters(self._parameters.path, {**query, **window})
        return self._client.build(self._endpoint.name, operation, parameters, self._language)

    def _doubt(self, reason: str) -> None:
        self.progress.doubt = self.progress.doubt or reason


def _scatter(identity: int | str) -> int:
    """Return 64 bits of an id, spread so that sums of different sets differ."""
    return int.from_bytes(blake2b(str(identity).encode(), digest_size=8).digest(), "big")
