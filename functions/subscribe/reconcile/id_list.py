"""Read the ids of the shop's list, over as many invocations as necessary."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from lightspeed import Parameters
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.opening import open_window
from lightspeed.listing.reader import ListReader
from lightspeed.listing.records import RecordParser, ids_of
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.split import SplitReader
from lightspeed.listing.window import Window
from subscribe.event import SubscribeRequest
from subscribe.reconcile.id_index import IdSet
from subscribe.run.budget import InvocationBudget
from subscribe.run.run import Services

_SPLIT_FIELDS = ("id", "createdAt")


class OpenedList(NamedTuple):
    """A list after its first count.

    Attributes:
        reader: Yields how many rows of each page are new. Its checkpoint holds their ids.
        end: The end of its window.
        is_open: As in `ReconcileState`.
    """

    reader: ListReader[int] | SplitReader[int]
    end: datetime
    is_open: bool


class IdList:
    """The list of a reconcile run."""

    def __init__(self, request: SubscribeRequest, language: str, services: Services, budget: InvocationBudget) -> None:
        self._endpoint = request.endpoint
        self._query = dict(request.parameters.query)
        if "fields" in self._endpoint.filter_names:
            self._query["fields"] = "id"
        self._language = language
        self._client = services.client
        self._budget = budget

    def window(self, end: datetime) -> Window | None:
        """Return the window of records created up to a time, or `None` if the list has no such filter."""
        return Window("created_at", None, end) if "created_at_max" in self._endpoint.filter_names else None

    def check(self) -> None:
        """Check the request for a page.

        Raises:
            InvalidParameters: The list does not take the query.
        """
        self._client.build(self._endpoint.name, "list", Parameters(query=self._query), self._language)

    def first(self) -> IdSet:
        """Return the id of the first record of the list; an empty set if the list is empty.

        Raises:
            LightspeedError: As the client raises it.
        """
        page = self._list({**self._query, "limit": 1}, None).whole()
        return IdSet(ids_of(RecordParser().read(page)))

    def open(self, checkpoint: ListCheckpoint | None, end: datetime, *, is_open: bool) -> OpenedList:
        """Count the list and return its reader, at the beginning and in every later invocation.

        Args:
            checkpoint: The progress so far, to which the reader adds. `None` starts the list.
            end: The end of the window as known so far. The answer to the first count has the shop's time, which may
                move the end.
            is_open: Whether that end may be in the shop's future.

        Raises:
            UnstableList: The count rose, which is impossible in a closed window.
            LightspeedError: As the client raises it.
        """
        if checkpoint is not None and checkpoint.split is not None:
            return OpenedList(self._split_reader(checkpoint, end), end, is_open)
        if checkpoint is None or checkpoint.rows_left is None:

            def read_to(end: datetime, closed: bool) -> ListReader[int]:
                return self._reader(ListCheckpoint(), end, is_open=not closed)

            opening = open_window(self._client, end, read_to)
            return OpenedList(opening.reader, opening.end, not opening.closed)
        reader = self._reader(checkpoint, end, is_open=is_open)
        reader.begin()
        return OpenedList(reader, end, is_open)

    def _reader(self, checkpoint: ListCheckpoint, end: datetime, *, is_open: bool) -> ListReader[int]:
        window = self.window(end)
        return ListReader(
            self._list(self._query, window),
            stable=window is not None and not is_open,
            checkpoint=checkpoint,
            process=len,
            budget=self._budget,
            recoverable=True,
        )

    def _split_reader(self, checkpoint: ListCheckpoint, end: datetime) -> SplitReader[int]:
        """Return the reader of an unstable list, which splits the list at times of creation."""
        query = {**self._query, "fields": _SPLIT_FIELDS} if "fields" in self._query else self._query
        return SplitReader(
            self._list(query, self.window(end)),
            checkpoint=checkpoint,
            process=len,
            budget=self._budget,
        )

    def _list(self, query: Mapping[str, object], window: Window | None) -> ShopList:
        return ShopList(self._client, self._endpoint, Parameters(query=query), self._language, window)
