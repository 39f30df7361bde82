"""The ids in the shop's list, read over as many invocations as it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime

import msgspec

from connector.timestamps import iso_text
from lightspeed import Client, Clock, Parameters
from lightspeed.listing.checkpoint import ListCheckpoint, SplitCheckpoint
from lightspeed.listing.proof import UnstableList
from lightspeed.listing.reader import ListReader
from lightspeed.listing.records import Record, RecordParser, Window
from lightspeed.listing.settled import begin, settled_time
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.split import SplitReader
from lightspeed.request import parse_time
from subscribe.event import SubscribeRequest
from subscribe.reconcile.checkpoint import ReconcileState
from subscribe.reconcile.id_index import Id, Ids, lines_of
from subscribe.run.budget import Bounds
from subscribe.run.cursor import Checkpoints
from subscribe.storage.parts import compress

_SPLIT_FIELDS = ("id", "createdAt")


class Listing:
    """The list of a reconcile run; the run's state says how far it was read."""

    def __init__(
        self,
        request: SubscribeRequest,
        state: ReconcileState,
        language: str,
        client: Client,
        clock: Clock,
        bounds: Bounds,
    ) -> None:
        """Take what to read; nothing is sent yet."""
        self._endpoint = request.endpoint
        self._query = dict(request.parameters.query)
        if "fields" in self._endpoint.filter_names:
            self._query["fields"] = "id"
        self._state = state
        self._language = language
        self._client = client
        self._clock = clock
        self._bounds = bounds
        self._ids = Ids()
        state.window_end = state.window_end or iso_text(settled_time(client, clock))

    @property
    def window(self) -> Window | None:
        """What was created up to the window's end, or `None` where the list cannot be asked for that."""
        if "created_at_max" not in self._endpoint.filter_names:
            return None
        return Window("created_at", None, parse_time(self._state.window_end))

    def check(self) -> None:
        """Check the request for a page.

        Raises:
            InvalidParameters: The query holds what a list does not take.
        """
        self._client.build(self._endpoint.name, "list", Parameters(query=self._query), self._language)

    def first(self) -> Ids:
        """Return the id of the first record of the list, if it has one.

        Raises:
            LightspeedError: As the client raises it.
        """
        query = {**self._query, "limit": 1}
        page = self._client.page(
            self._client.build(self._endpoint.name, "list", Parameters(query=query), self._language)
        )
        found = Ids()
        found.add(_ids_of(RecordParser(None, {}, frozenset()).read(page)))
        return found

    def read(self) -> None:
        """Read on from where the last invocation stopped, to the end of the list.

        Raises:
            Stop: There is no room for more in this invocation; what was read counts.
            LightspeedError: As the client raises it; what was read counts.
        """
        try:
            self._read(self._begin())
        except UnstableList:
            self._ids, self._state.ids = Ids(), []
            self._state.checkpoint = ListCheckpoint(split=SplitCheckpoint())
            self._read(self._begin())
        self._state.listed = True

    def _read(self, reader: ListReader[list[Id]] | SplitReader[list[Id]]) -> None:
        with contextlib.closing(reader.pages()) as pages:
            for ids in pages:
                self._ids.add(ids)

    def keep(self, kept: Checkpoints) -> None:
        """Keep for the next invocation what this one read."""
        if len(self._ids):
            lines = [msgspec.json.encode(ids) for ids in self._ids.lines()]
            self._state.ids.append(kept.keep(compress(lines).member))

    def present(self, kept: Checkpoints) -> Ids | None:
        """Return the ids of the whole list, or `None` if some that were kept are gone."""
        if not self._state.ids:
            return self._ids
        present = Ids()
        for name in self._state.ids:
            body = kept.read(name)
            if body is None:
                return None
            for line in lines_of(body):
                present.add(msgspec.json.decode(line, type=list[Id]))
        for ids in self._ids.lines():
            present.add(ids)
        return present

    def _begin(self) -> ListReader[list[Id]] | SplitReader[list[Id]]:
        """Take the first count, or that of a resumed reading. Its answer has the shop's time, which ends the window."""
        state = self._state
        if state.checkpoint is not None and state.checkpoint.split is not None:
            return self._split_reader(state.checkpoint)

        def read_to(end: datetime, closed: bool) -> ListReader[list[Id]]:
            state.window_end, state.checkpoint, state.is_open = iso_text(end), ListCheckpoint(), not closed
            return self._reader(state.checkpoint)

        if state.checkpoint is None or state.checkpoint.rows_left is None:
            return begin(self._client, self._clock, parse_time(state.window_end), read_to).reader
        reader = self._reader(state.checkpoint)
        reader.begin()
        return reader

    def _reader(self, checkpoint: ListCheckpoint) -> ListReader[list[Id]]:
        return ListReader(
            self._list(self._query),
            stable=self.window is not None and not self._state.is_open,
            checkpoint=checkpoint,
            process=_ids_of,
            budget=self._bounds,
            recoverable=True,
        )

    def _split_reader(self, checkpoint: ListCheckpoint) -> SplitReader[list[Id]]:
        """Return the reader of an unstable list; it cuts the list at times of creation."""
        query = {**self._query, "fields": _SPLIT_FIELDS} if "fields" in self._query else self._query
        return SplitReader(
            self._list(query),
            checkpoint=checkpoint,
            process=_ids_of,
            budget=self._bounds,
            clock=self._clock,
        )

    def _list(self, query: Mapping[str, object]) -> ShopList:
        return ShopList(self._client, self._endpoint, Parameters(query=query), self._language, self.window)


def _ids_of(records: list[Record]) -> list[Id]:
    return [record.id for record in records if record.id is not None]
