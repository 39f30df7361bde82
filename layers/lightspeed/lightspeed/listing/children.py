"""Read a nested entity for many parents. Its rows carry no parent id, and the API lists them per parent only.

A 404 for the nested records of a parent that was just listed proves nothing, because it may be temporary. The request
is repeated. The records are gone only if the shop answers 404 for the parent too.

A parent costs one request if its page surely holds all of its rows: fewer than `DEFAULT_LIMIT`, and fewer than the shop
gave on another page of nested records. A shop may give fewer rows than it is asked for, and fewer of one entity than of
another. A page of parents only shows that a page may have `SMALL_PAGE` rows.

A page with more rows is counted and read again. If both pages give the same ids, as many as the count between them,
they are the list of that instant. Otherwise the list is read page by page. An empty list in an unusual form, such as a
bare `[]`, is counted too.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from lightspeed.catalogue.entities import parent_of
from lightspeed.catalogue.model import Endpoint
from lightspeed.client import Client
from lightspeed.errors import BrokenResponse, NotFound, UnknownLanguage
from lightspeed.json_text import with_first_member
from lightspeed.listing.budget import RequestBudget
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.proof import NO_ID
from lightspeed.listing.reader import THREADS, ListReader
from lightspeed.listing.records import Record, RecordParser, lack_ids
from lightspeed.listing.shop_list import ShopList
from lightspeed.request import PAGE_LIMIT, Parameters, Request
from lightspeed.response import Page

PARENTS_AT_ONCE = 40
"""The most parents between two checks of quota and time."""

DEFAULT_LIMIT = 50
"""Rows per page if the shop ignores `limit` (three independent clients agree)."""

SMALL_PAGE = 10
"""No known list limits its pages to fewer rows. Most orders and products have fewer nested records."""


class ChildLists:
    """The lists of a nested entity, one for each parent.

    Attributes:
        unverified_reason: Why it is not certain that all records were read, or empty.
        rows_given: The most rows that the shop gave on one page so far. A page with fewer rows, and fewer than
            `DEFAULT_LIMIT`, is whole.
        unproved: Parents whose list changed while it was read, so that some of its records may be missing.

    Args:
        endpoint: The nested entity.
        parameters: Its path, with `ALL_PARENTS` for the parent, and its query.
    """

    def __init__(self, client: Client, endpoint: Endpoint, parameters: Parameters, language: str) -> None:
        self._client = client
        self._endpoint = endpoint
        self._parent_endpoint = parent_of(endpoint)
        self._parameters = parameters
        self._language = language
        self._parent = endpoint.parents[0]
        self.rows_given = 0
        self.unproved: set[int | str] = set()
        self.unverified_reason = ""

    def note_page(self, rows: int) -> None:
        """Note how many nested records the shop gave on one page."""
        self.rows_given = max(self.rows_given, rows)

    def note_parents(self, rows: int) -> None:
        """Note how many parents the shop gave on one page."""
        self.note_page(min(rows, SMALL_PAGE))

    def parents_within(self, requests: int) -> int:
        """Return how many parents can be read with so many requests, at least 1.

        A parent takes one request, or two until the shop has given a page of `SMALL_PAGE` rows.
        """
        return max(1, requests if self.rows_given >= SMALL_PAGE else requests // 2)

    def read(self, parents: Sequence[int | str]) -> tuple[list[Record], list[int | str]]:
        """Return the records of these parents, and the parents that `read_long` must read.

        Several parents are read at once. Each text starts with the parent's id; the rest is as the shop sent it. A
        parent whose page may not hold all of its records is left for `read_long`, without its records.

        Raises:
            BrokenResponse: The shop has a parent, but answers 404 for its records.
            LightspeedError: A request failed.
        """
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(self._read_one, parents))
        records = [record for rows in found for record in rows or ()]
        self.note_page(max((len(rows) for rows in found if rows is not None), default=0))
        return records, [parent for parent, rows in zip(parents, found, strict=True) if rows is None]

    def read_long(self, parent: int | str, budget: RequestBudget) -> list[Record]:
        """Return all records of one parent, page by page; each text starts with the parent's id.

        Raises:
            BrokenResponse: The shop has the parent, but answers 404 for its records.
            LightspeedError: A request failed.
            Exception: Whatever the budget raises.
        """
        reader: ListReader[list[Record]] = ListReader(
            ShopList(
                self._client,
                self._endpoint,
                Parameters(self._path(parent), self._parameters.query),
                self._language,
                None,
            ),
            stable=False,
            checkpoint=ListCheckpoint(),
            process=list,
            budget=budget,
        )
        try:
            rows = [row for page in reader.pages() for row in page]
        except NotFound as error:
            self._check_gone(parent, error)
            return []
        if reader.checkpoint.unverified_reason:
            self._note(reader.checkpoint.unverified_reason)
            if not reader.checkpoint.unidentified:
                self.unproved.add(parent)
        return self._with_parent(parent, rows)

    def _read_one(self, parent: int | str) -> list[Record] | None:
        """Return the records of a parent, or `None` if its page may not hold all of them."""
        try:
            page = self._first_page(self._path(parent))
        except NotFound as error:
            self._check_gone(parent, error)
            return []
        if page is None:
            return None
        return self._with_parent(parent, self._parse(page))

    def _parse(self, page: Page) -> list[Record]:
        parser = RecordParser()
        rows = parser.read(page)
        self._note(parser.unverified_reason)
        if self._endpoint.collection and lack_ids(rows):
            self._note(NO_ID)
        return rows

    def _first_page(self, path: dict[str, object]) -> Page | None:
        """Return the first page of one parent, or `None` if it may not hold all rows."""
        name = self._endpoint.name
        if not self._endpoint.collection:
            return self._client.record_page(self._request(name, "get", Parameters(path)))
        limit = {"limit": PAGE_LIMIT} if "limit" in self._endpoint.filter_names else {}
        query = {**self._parameters.query, **limit}
        page = self._client.page(self._request(name, "list", Parameters(path, query)))
        has_all = page.rows < min(self.rows_given, DEFAULT_LIMIT) if page.rows else page.is_usual
        if not limit or has_all:
            return page
        filters = {key: value for key, value in self._parameters.query.items() if key not in ("limit", "fields")}
        count = self._request(name, "count", Parameters(path, filters))
        if page.rows >= PAGE_LIMIT or self._client.count(count) != page.rows:
            return None
        again = self._client.page(self._request(name, "list", Parameters(path, query)))
        return page if _ids_of(page) == _ids_of(again) else None

    def _check_gone(self, parent: int | str, error: NotFound) -> None:
        """Check that the 404 for a parent's records is right: the parent is gone, or it may have no such record.

        Raises:
            UnknownLanguage: The 404 is about the language.
            BrokenResponse: The shop has the parent.
        """
        if isinstance(error, UnknownLanguage):
            raise error
        if not self._endpoint.collection or self._parent_endpoint is None:
            return
        try:
            self._client.record(self._request(self._parent_endpoint.name, "get", Parameters({"id": parent})))
        except UnknownLanguage:
            raise
        except NotFound:
            return
        message = f"the shop has the parent {parent!r:.100}, but answers for its records: {error.message}"
        raise BrokenResponse(message, method=error.method, path=error.path, status=error.status)

    def _request(self, entity: str, operation: str, parameters: Parameters) -> Request:
        return replace(self._client.build(entity, operation, parameters, self._language), retry_not_found=True)

    def _path(self, parent: int | str) -> dict[str, object]:
        return {**self._parameters.path, self._parent: parent}

    def _with_parent(self, parent: int | str, rows: list[Record]) -> list[Record]:
        name = self._parent
        for row in rows:
            if row.reject_reason:
                row.reject_reason = f"{row.reject_reason} ({name} {parent!r:.100})"
            else:
                row.text, row.parent = with_first_member(name, parent, row.text), parent
        return rows

    def _note(self, reason: str) -> None:
        self.unverified_reason = self.unverified_reason or reason


def _ids_of(page: Page) -> set[int | str | None]:
    return {record.id for record in RecordParser().read(page)}
