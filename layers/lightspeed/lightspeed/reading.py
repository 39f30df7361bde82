"""Read a whole list of the shop without missing a record, and say honestly whether that was shown.

The API has numbered pages, no cursor and no documented order, and the shop changes while it is read. The argument:

1. The list is asked for in a closed window of the past, `updated_at_max` or `created_at_max` a few seconds ago. A
   record that changes or goes leaves such a window, none can enter it: the list only shrinks.
2. So a row only ever moves towards the front.
3. Pages are read from the last to the first. A row that moves goes to a page that is not read yet: it may come twice
   and is dropped by its id, but it is never missed.
4. A list that fits on one page is read at one instant, window or not.
5. Hence at the end the records read are no fewer than the shop's count; fewer means that the shop gave smaller pages
   than asked, and rows outside the window that it ignored the filter. Either is reported, not believed.

A list that no time filter closes can also grow while its pages are read, so over several pages it is not `verified`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from lightspeed.client import Client
from lightspeed.endpoints import Endpoint
from lightspeed.errors import LightspeedError
from lightspeed.parameters import PAGE_LIMIT, Parameters, Request, format_time, parse_time
from lightspeed.transport import too_large


class _Head(msgspec.Struct):
    """What is decoded of a record; the rest is only sliced."""

    id: int | str | None = None
    createdAt: str | None = None  # noqa: N815 - the shop's spelling
    updatedAt: str | None = None  # noqa: N815 - the shop's spelling


_HEAD = msgspec.json.Decoder(_Head, strict=False)


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a list.

    Attributes:
        text: Its JSON text as the shop sent it.
        id: Its id as text, or `None` where it has none.
        changed: `updatedAt`, or else `createdAt`, as the shop wrote it; `None` where it has neither.
    """

    text: bytes
    id: str | None
    changed: str | None


@dataclass(frozen=True, slots=True)
class Window:
    """A closed stretch of the past, both ends included, by one of the list's time filters.

    Attributes:
        by: `updated_at` or `created_at`.
        start: UTC, or `None` for the beginning.
        end: UTC; whole seconds.
    """

    by: Literal["updated_at", "created_at"]
    start: datetime | None
    end: datetime

    @property
    def query(self) -> dict[str, str]:
        """The filters that ask for it."""
        query = {f"{self.by}_max": format_time(self.end)}
        return query if self.start is None else {f"{self.by}_min": format_time(self.start), **query}

    def holds(self, record: _Head) -> bool:
        """Whether a record lies in it; one without that time cannot be judged and passes."""
        text = record.updatedAt if self.by == "updated_at" else record.createdAt
        if not text:
            return True
        try:
            moment = parse_time(text)
        except ValueError:
            return True
        return moment <= self.end and (self.start is None or moment >= self.start)


@dataclass(slots=True)
class Progress:
    """How far the reading of one list has come; enough to go on in another process.

    Attributes:
        rows_left: Rows from the front that are not read yet; `None` before the first count.
        count_before: The shop's count when the reading started.
        count_after: The shop's latest count.
        read: Records read so far, each once.
        limit: Rows per page that the shop still manages.
        tail: Ids of the records read last, at most `TAIL`, to know them again.
        doubt: Why completeness cannot be shown, or empty.
    """

    rows_left: int | None = None
    count_before: int | None = None
    count_after: int | None = None
    read: int = 0
    limit: int = PAGE_LIMIT
    tail: list[str] = field(default_factory=list)
    doubt: str = ""

    @property
    def done(self) -> bool:
        """Whether every page was read."""
        return self.rows_left == 0


TAIL = 1000
"""How many ids are carried from one process to the next."""


class ListReader:
    """Reads one list, page by page, from the last page to the first."""

    def __init__(
        self,
        client: Client,
        endpoint: Endpoint,
        parameters: Parameters,
        *,
        language: str,
        window: Window | None,
        closed: bool,
        progress: Progress,
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
        """
        self._client = client
        self._endpoint = endpoint
        self._language = language
        self._parameters = parameters
        self._window = window
        self._closed = closed
        self._seen = set(progress.tail)
        self.progress = progress

    def begin(self) -> None:
        """Take the count that the reading starts or goes on from; a list without pages has none."""
        if "page" not in self._endpoint.filter_names:
            return
        progress = self.progress
        count = self._client.count(self._count_request())
        if progress.rows_left is None:
            progress.rows_left = progress.count_before = count
        elif progress.count_after is not None and progress.count_after - count > len(progress.tail):
            self._doubt("more records left the window between two invocations than were remembered")
        progress.count_after = count

    def pages(self) -> Iterator[list[Record]]:
        """Yield the new records of each page; `progress` is true after each.

        Raises:
            LightspeedError: As the client raises it; what was yielded before stays read.
        """
        progress = self.progress
        if "page" not in self._endpoint.filter_names:
            yield self._unpaged()
            return
        if progress.rows_left is None:
            self.begin()
        one_page = progress.rows_left is not None and progress.rows_left <= progress.limit and not progress.read
        while progress.rows_left:
            yield self._next_page()
        if one_page and progress.read >= (progress.count_before or 0):
            return
        if not self._closed and not one_page:
            self._doubt("rows may have entered the list while its pages were read: no time filter closes it")
        progress.count_after = self._client.count(self._count_request())
        if progress.read < progress.count_after:
            self._doubt(f"the shop counts {progress.count_after} records but gave {progress.read}")

    def _unpaged(self) -> list[Record]:
        page = self._client.page(self._client.build(self._endpoint.name, "list", self._parameters, self._language))
        self.progress.rows_left = 0
        return self._new(page.records)

    def _next_page(self) -> list[Record]:
        progress = self.progress
        assert progress.rows_left  # noqa: S101 - the caller's loop condition, for the type checker
        while True:
            number = -(-progress.rows_left // progress.limit)
            try:
                page = self._client.page(self._page_request(number))
                break
            except LightspeedError as error:
                smaller = _largest_proper_divisor(progress.limit)
                if smaller is None or not too_large(error):
                    raise
                progress.limit = smaller
        progress.rows_left = (number - 1) * progress.limit
        return self._new(page.records)

    def _new(self, texts: list[bytes]) -> list[Record]:
        records = []
        for text in texts:
            head = _HEAD.decode(text)
            identity = None if head.id is None else str(head.id)
            if identity is None:
                self._doubt("records carry no id, so one that came twice could not be told")
            elif identity in self._seen:
                continue
            else:
                self._seen.add(identity)
            if self._window is not None and not self._window.holds(head):
                self._doubt(f"the shop ignores its filter {self._window.by}: record {identity} lies outside the window")
            records.append(Record(text, identity, head.updatedAt or head.createdAt))
        self.progress.read += len(records)
        self.progress.tail = [*self.progress.tail, *(r.id for r in records if r.id is not None)][-TAIL:]
        return records

    def _count_request(self) -> Request:
        query = {key: value for key, value in self._parameters.query.items() if key not in ("limit", "fields")}
        return self._request("count", query)

    def _page_request(self, number: int) -> Request:
        return self._request("list", {**self._parameters.query, "limit": self.progress.limit, "page": number})

    def _request(self, operation: str, query: dict[str, object]) -> Request:
        window = self._window.query if self._window is not None else {}
        parameters = Parameters(self._parameters.path, {**query, **window})
        return self._client.build(self._endpoint.name, operation, parameters, self._language)

    def _doubt(self, reason: str) -> None:
        self.progress.doubt = self.progress.doubt or reason


def _largest_proper_divisor(number: int) -> int | None:
    """Return the next smaller page size whose pages end where the larger ones do; `None` after 1."""
    return next((number // factor for factor in range(2, number + 1) if number % factor == 0), None)
