"""One list of the shop: it asks for pages and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lightspeed.catalogue.model import Endpoint
from lightspeed.client import Client
from lightspeed.listing.records import RecordParser
from lightspeed.listing.window import Window
from lightspeed.request import PAGE_LIMIT, Parameters, Request
from lightspeed.response import Page

HEAD_FIELDS = ("id", "createdAt", "updatedAt")
"""Fields that identify a record and say when it changed."""

_PAGING = ("page", "limit", "fields")
_EXACT = ("number", "sku", "ean", "articleCode", "email")
"""Filters whose value a record shows under the same name, besides the filters by the id of another record."""


@dataclass(frozen=True, slots=True)
class ShopList:
    """One list of the shop, with its parameters and its window.

    Attributes:
        parameters: Path and query; a `limit` in the query is the page size.
        window: The window, or `None` if the list has no time filter.
    """

    client: Client
    endpoint: Endpoint
    parameters: Parameters
    language: str
    window: Window | None

    @property
    def paged(self) -> bool:
        """Whether the list has pages and a count."""
        return "page" in self.endpoint.filter_names

    @property
    def limit(self) -> int:
        """Rows per page, 1 to `PAGE_LIMIT`."""
        given = self.parameters.query.get("limit")
        return PAGE_LIMIT if given is None else int(str(given))

    @property
    def ids_only(self) -> ShopList:
        """The same list, with only the id of each record."""
        return self._with_fields("id")

    @property
    def heads_only(self) -> ShopList:
        """The same list, with only id and times of each record if the list has the parameter `fields`."""
        return self._with_fields(HEAD_FIELDS) if "fields" in self.endpoint.filter_names else self

    def _with_fields(self, fields: str | tuple[str, ...]) -> ShopList:
        return replace(self, parameters=Parameters(self.parameters.path, {**self.parameters.query, "fields": fields}))

    def count(self, bounds: Mapping[str, object] | None = None) -> int:
        """Return the shop's count, 0 or more. `bounds` replaces the window's filters by time.

        Raises:
            LightspeedError: A request failed.
        """
        return self.client.count(self._count_request(bounds))

    def page(self, number: int, limit: int, bounds: Mapping[str, object] | None = None) -> Page:
        """Return a page, numbered from 1, of at most `limit` rows. `bounds` replaces the window's filters by time.

        Raises:
            LightspeedError: A request failed.
        """
        return self.client.page(
            self._request("list", {**self.parameters.query, "limit": limit, "page": number}, bounds)
        )

    def whole(self) -> Page:
        """Return all rows of a list without pages.

        Raises:
            LightspeedError: A request failed.
        """
        return self.client.page(self._request("list", self.parameters.query, None))

    def parser(self, window: Window | None) -> RecordParser:
        """Return a parser that checks records against the list's filters and a window, or a part of it."""
        shown = {*_EXACT, *(known.name for known in self.endpoint.filters if known.type == "id")}
        sent = self._count_request(None).query if self.paged else {}
        return RecordParser(window, {name: value for name, value in sent.items() if name in shown})

    def _count_request(self, bounds: Mapping[str, object] | None) -> Request:
        query = {name: value for name, value in self.parameters.query.items() if name not in _PAGING}
        return self._request("count", query, bounds)

    def _request(self, operation: str, query: Mapping[str, object], bounds: Mapping[str, object] | None) -> Request:
        if bounds is None:
            bounds = self.window.query if self.window is not None else {}
        parameters = Parameters(self.parameters.path, {**query, **bounds})
        return self.client.build(self.endpoint.name, operation, parameters, self.language)
