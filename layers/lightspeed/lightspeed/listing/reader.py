"""Read a whole list of the shop page by page; `proof.py` explains why no record is missing.

How pages are read (this is fast, and proves nothing yet):

1. Pages are read from the last to the first. In a list whose order does not change, a row moves only if a row before it
   leaves. It moves towards the front, to a page that is not read yet. If it comes twice, its id shows that.
2. Several pages, a batch, are read at once, and then the list is counted. If the count changed, the batch is thrown
   away. The next batch is a quarter as large, at least one page. Each batch without a change doubles the next one.
3. If nothing has changed so far, the next batch is asked for before that count.
4. If a page is too slow or too large, it is asked for again with fewer rows, and so are all pages after it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from lightspeed.errors import LightspeedError
from lightspeed.failures import is_page_timeout
from lightspeed.listing.budget import RequestBudget, UnlimitedBudget
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.proof import NO_ID, ListProof, PageFacts, rises_and_falls
from lightspeed.listing.records import Record, ids_of, lack_ids, split_repeated
from lightspeed.listing.shop_list import ShopList
from lightspeed.request import PAGE_LIMIT
from lightspeed.response import Page

THREADS = 10
"""Pages in flight: twenty requests a second keep ten in flight if each takes half a second. How many the shop tolerates
is not known; the pacing keeps them under its limit per second."""

CONNECTIONS = THREADS + 1
"""Requests in flight: pages, and a count beside them."""

PROCESSED_AT_ONCE = 2
"""Pages that are processed at once. A Lambda function of up to 3 GB has two processors. More pages would take turns,
and each holds up to three megabytes of memory and of the processor's cache."""

BATCH = 64
"""The most pages between two counts: a count is then 1.6 % of the requests."""

TRANSFORMED_BATCH = 8
"""The most pages between two counts if whole records are held until the count, to be transformed."""

_ONE_PAGE_ATTEMPTS = 3

_SIZE_AFTER_ONE = 4
"""Pages of the batch that follows a page that was read alone."""

_Processed = TypeVar("_Processed")


@dataclass(frozen=True, slots=True)
class _Fetched(Generic[_Processed]):
    """A page that was read, and the result of `process` for its new records."""

    facts: PageFacts
    processed: _Processed


@dataclass(frozen=True, slots=True)
class _Batch(Generic[_Processed]):
    """Pages that were asked for at once.

    Attributes:
        last: The number of the first of them; the other pages follow downwards.
        pages: The pages to come, in that order; `None` for a page that was not asked for, because the budget had no
            room for it any more.
        room: Requests that the budget had room for, these pages and their count included.
    """

    last: int
    pages: list[Future[_Fetched[_Processed] | None]]
    room: int

    def drop(self) -> None:
        """Cancel the pages that are not sent yet, and wait for the others: only then is the quota known."""
        sent = [page for page in self.pages if not page.cancel()]
        for page in sent:
            page.exception()


class ListReader(Generic[_Processed]):
    """Reads one list, from the last page to the first.

    Args:
        stable: Whether no row can enter the list while it is read.
        checkpoint: Where to go on; the reader stores its progress there.
        process: Called with the new records of a page, in a fetching thread; `pages` yields its result.
        max_pages: The most pages between two counts.
        read_ahead: Whether to ask for the next batch while one is counted and yielded. Twice as many pages are then
            held. Not for a reading that may end early: it would ask for those pages in vain.
        recoverable: Whether the caller reads an unstable list of a closed window again in parts. If not, the reading
            goes on and the checkpoint holds the reason.
        executor: Makes the pool of fetching threads; by default one of `THREADS` threads.
    """

    def __init__(  # noqa: PLR0913 - a list, how far it was read, and how to go on
        self,
        shop_list: ShopList,
        *,
        stable: bool,
        checkpoint: ListCheckpoint,
        process: Callable[[list[Record]], _Processed],
        budget: RequestBudget | None = None,
        max_pages: int = BATCH,
        read_ahead: bool = True,
        recoverable: bool = False,
        executor: Callable[[], Executor] | None = None,
    ) -> None:
        self.shop_list = shop_list
        self.checkpoint = checkpoint
        self._stable = stable
        self._process = process
        self._budget = budget or UnlimitedBudget()
        self._max_pages = max_pages
        self._next_size = max_pages  # pages of the next batch; fewer after a change
        self._reads_ahead = read_ahead
        self._clock = shop_list.client.transport.clock
        self._executor = executor or (lambda: ThreadPoolExecutor(THREADS))
        self._processors = threading.Semaphore(PROCESSED_AT_ONCE)
        self._started_here = False  # whether this process took the first count
        self._parser = shop_list.parser(shop_list.window)
        self._proof = ListProof(shop_list, checkpoint, stable=stable, recoverable=recoverable)

    def begin(self) -> None:
        """Take the count that the reading starts or goes on from; a list without pages has none.

        Raises:
            UnstableList: The count of a closed window rose.
            LightspeedError: A request failed.
        """
        if not self.shop_list.paged:
            return
        checkpoint = self.checkpoint
        count = self._proof.count()
        if checkpoint.rows_left is None:
            checkpoint.rows_left = checkpoint.count_before = count
            checkpoint.limit = self.shop_list.limit
            self._started_here = True

    def pages(self) -> Generator[_Processed]:
        """Yield the result of `process` for each page.

        After each page, `checkpoint` is up to date but for its packed ids. The generator packs them when it ends or is
        closed.

        Raises:
            UnstableList: The pages do not prove the list, and `recoverable` is set.
            LightspeedError: A request failed. Pages that were yielded before stay read.
            Exception: Whatever the budget raises.
        """
        if not self.shop_list.paged:
            yield from self._read_whole()
            return
        checkpoint, proof = self.checkpoint, self._proof
        if checkpoint.rows_left is None:
            self.begin()
        # an earlier process may have asked for the next pages already
        checkpoint.asked_again |= not self._started_here
        end_unseen = checkpoint.rows_left == checkpoint.count_before  # no page was read yet
        # before rows leave the list; a list that counts no row has no other page to read
        if end_unseen and (self._reads_ahead or not checkpoint.rows_left):
            proof.check_end()
            end_unseen = False
        for processed in self._batches():
            yield processed
            if end_unseen:
                proof.check_end()  # not earlier: a reading that ends after its first page needs no other page
                end_unseen = False
        if checkpoint.limit < self.shop_list.limit:
            proof.check_end()  # the last page may have become several smaller ones
        if self._stable:
            proof.conclude(end_seen=self._reads_ahead)
        elif proof.needs_second_pass():
            self._read_again()

    def _read_whole(self) -> Iterator[_Processed]:
        """Read a list without pages in one request, unless an earlier process did."""
        checkpoint = self.checkpoint
        if checkpoint.rows_left is None:
            processed = self._process_alone(1, self._parser.read(self.shop_list.whole()))
            checkpoint.ids = self._proof.ids.pack()
            yield processed

    def _batches(self) -> Iterator[_Processed]:
        """Yield the result of `process` for each page that is left, from the last to the first."""
        checkpoint = self.checkpoint
        batch: _Batch[_Processed] | None = None
        pool = self._executor()
        try:
            while checkpoint.rows_left:
                if batch is None:
                    room = self._budget.wait_for_room()
                    if checkpoint.fits_one_page:
                        yield self._read_only_page()
                        continue
                    last = self._last_page()
                    size = min(self._next_size, last, room - 1)  # the count takes a request too
                    if size <= 1:
                        yield from self._read_counted(last)
                        continue
                    batch = self._submit(pool, last, size, room)
                following = self._submit_following(pool, batch)
                fetched, error = self._collect(batch)
                if len(fetched) < len(batch.pages):  # the missing pages must be read before the following batch
                    checkpoint.asked_again = True
                    if following is not None:
                        following.drop()
                        following = None
                for page in fetched:
                    self._advance(page)
                    yield page.processed
                if error is not None:
                    self._shrink_or_raise(error)
                batch = following
        finally:
            pool.shutdown(cancel_futures=True)
            checkpoint.ids = self._proof.ids.pack()

    def _last_page(self) -> int:
        """Return the number of the last page with rows that are not read yet."""
        return -(-(self.checkpoint.rows_left or 1) // self.checkpoint.limit)

    def _submit(self, pool: Executor, last: int, size: int, room: int) -> _Batch[_Processed]:
        """Ask for `size` pages, from the number `last` downwards."""
        numbers = range(last, last - size, -1)
        return _Batch(last, [pool.submit(self._fetch, number) for number in numbers], room)

    def _submit_following(self, pool: Executor, batch: _Batch[_Processed]) -> _Batch[_Processed] | None:
        """Ask for the next batch before this one is counted, if the quota has room and the list did not change lately.

        A change makes batches smaller, so the full size shows that there was none.
        """
        last = batch.last - len(batch.pages)
        room = min(batch.room - len(batch.pages) - 1, self._budget.left())  # 1 for the count of this batch
        size = min(self._next_size, last, room - 1)
        if not self._reads_ahead or self._next_size < self._max_pages or size < 1:
            return None
        return self._submit(pool, last, size, room)

    def _read_only_page(self) -> _Processed:
        """Read the only page of a list. If it has fewer rows than were counted, count and read again.

        If the page is too slow, it becomes several smaller pages. Then this reads only the last of them.
        """
        checkpoint = self.checkpoint
        for attempt in range(_ONE_PAGE_ATTEMPTS):
            if attempt:
                checkpoint.count_before = self._proof.count()
            number, records = self._read_last_page()
            if not checkpoint.fits_one_page or len(records) >= checkpoint.counts[0]:
                break
        return self._process_alone(number, records)

    def _read_last_page(self) -> tuple[int, list[Record]]:
        """Return the number and the rows of the last page; ask for fewer rows until the shop gives it in time."""
        while True:
            number = self._last_page()
            try:
                return number, self._records(number)
            except LightspeedError as error:
                self._shrink_or_raise(error)

    def _read_counted(self, number: int) -> Iterator[_Processed]:
        """Read one page, then count. If the page is too slow, yield nothing: its rows are left for smaller pages."""
        try:
            records = self._records(number)
        except LightspeedError as error:
            self._shrink_or_raise(error)
            return
        self._proof.count()
        self._next_size = min(self._max_pages, _SIZE_AFTER_ONE)
        yield self._process_alone(number, records)

    def _collect(self, batch: _Batch[_Processed]) -> tuple[list[_Fetched[_Processed]], LightspeedError | None]:
        """Wait for a batch, then count; return its pages, or none if the count changed, and the error that ended it.

        A batch ends early before a page that failed, is empty, or was not asked for.
        """
        fetched: list[_Fetched[_Processed]] = []
        error: LightspeedError | None = None
        for future in batch.pages:
            try:
                page = future.result()
            except LightspeedError as failure:
                error, page = failure, None
            if page is None or page.facts.rows == 0:
                batch.drop()
                break
            fetched.append(page)
        size, before = len(batch.pages), self.checkpoint.count_after
        if (fetched or page is not None) and self._proof.count() != before:
            self._next_size = max(1, size // 4)
            return [], error
        if page is not None and page.facts.rows == 0:
            empty = page.facts.number
            self._proof.raise_or_note(f"the shop counts {before} records, but page {empty} is empty")
            self._find_end(empty)
            return [], None
        self._next_size = min(self._max_pages, max(self._next_size, size * 2))
        return fetched, error

    def _find_end(self, empty: int) -> None:
        """Find the last page before the page `empty` that has rows, by binary search, and go on from there."""
        low, high = 0, empty
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._records(middle) else (low, middle)
        self.checkpoint.rows_left = low * self.checkpoint.limit

    def _fetch(self, number: int) -> _Fetched[_Processed] | None:
        """Read a page of a batch in a thread of the pool; return `None` if the budget has no room for it any more."""
        if self._budget.left() < 1:
            return None
        page = self._page(number)
        with self._processors:
            return self._process_new(number, self._parser.read(page))

    def _records(self, number: int) -> list[Record]:
        return self._parser.read(self._page(number))

    def _page(self, number: int) -> Page:
        began = self._clock.monotonic()
        page = self.shop_list.page(number, self.checkpoint.limit)
        self._budget.record_latency(self._clock.monotonic() - began)
        return page

    def _process_new(self, number: int, records: list[Record]) -> _Fetched[_Processed]:
        """Drop the records that came before, and process the others."""
        rows, ids = len(records), ids_of(records)
        rises, falls = rises_and_falls(records) if self._proof.needs_turns else (0, 0)
        known = self._proof.ids.repeated(ids)
        repeated: list[Record] = []
        if known or len(set(ids)) < rows:  # a row came before or twice, or has no id
            if lack_ids(records):
                self.checkpoint.note(NO_ID)
            records, repeated = split_repeated(records, known)
            ids = ids_of(records)
        return _Fetched(PageFacts(number, rows, ids, repeated, rises, falls), self._process(records))

    def _process_alone(self, number: int, records: list[Record]) -> _Processed:
        page = self._process_new(number, records)
        self._advance(page)
        return page.processed

    def _advance(self, page: _Fetched[_Processed]) -> None:
        self.checkpoint.note(self._parser.unverified_reason)
        self._proof.add_page(page.facts)

    def _shrink_or_raise(self, error: LightspeedError) -> None:
        """Make pages smaller if that can help. The new size divides the old one, so the old page borders remain."""
        limit = self.checkpoint.limit
        if limit == 1 or not is_page_timeout(error):
            raise error
        self.checkpoint.limit = next(limit // factor for factor in range(2, limit + 1) if limit % factor == 0)

    def _read_again(self) -> None:
        """Read the ids of the list once more, and compare. The last count of the first pass lies between both."""
        checkpoint, count = self.checkpoint, self.checkpoint.count_after
        if checkpoint.check is None:
            limit = second_size(checkpoint.limit)
            checkpoint.check = ListCheckpoint(rows_left=count, count_before=count, count_after=count, limit=limit)
        second = ListReader(
            self.shop_list.ids_only,
            stable=False,
            checkpoint=checkpoint.check,
            process=len,
            budget=self._budget,
            max_pages=self._max_pages,
            read_ahead=self._reads_ahead,
            executor=self._executor,
        )
        for _ in second._batches():
            pass
        self._proof.compare(checkpoint.check)


def second_size(limit: int) -> int:
    """Return the rows per page of the second pass, for `limit` rows per page of the first.

    A cache that ignores `fields` has no page of another size. Pages of another size also end at other rows.
    """
    return limit + 1 if limit < PAGE_LIMIT else PAGE_LIMIT - 1
