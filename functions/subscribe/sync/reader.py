"""Carry out the readings of a plan: a record, a list, or the nested records of many parents."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any

from connector.timestamps import iso_text
from lightspeed import Client, Clock, NotFound, Parameters
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.reader import BATCH, PARENTS_AT_ONCE, TRANSFORMED_BATCH, ListReader
from lightspeed.listing.records import Record
from lightspeed.listing.settled import begin
from lightspeed.listing.window import unknown_filters
from lightspeed.request import parse_time
from subscribe.event import SubscribeRequest
from subscribe.run.budget import Bounds
from subscribe.storage.parts import Chunk
from subscribe.sync.children import ChildStreams
from subscribe.sync.processor import RecordProcessor
from subscribe.sync.read_plan import Read, window_of
from subscribe.sync.state import SyncState
from subscribe.sync.writer import Writer

_HEAD_FIELDS = ("id", "createdAt", "updatedAt")


def batch_of(request: SubscribeRequest, limit: int) -> int:
    """Return how many pages are read at once: fewer where records are transformed or only some are wanted."""
    if request.max_records is not None:
        return min(TRANSFORMED_BATCH, -(-request.max_records // limit))
    return BATCH if request.entity_transformer is None else TRANSFORMED_BATCH


class Reads:
    """Reads into a writer; how far it came stands in the run's state after each page."""

    def __init__(
        self,
        request: SubscribeRequest,
        state: SyncState,
        *,
        client: Client,
        clock: Clock,
        bounds: Bounds,
        digest: RecordProcessor,
        writer: Writer,
    ) -> None:
        """Take what a reading needs; nothing is sent yet."""
        self._request = request
        self._state = state
        self._client = client
        self._clock = clock
        self._bounds = bounds
        self._digest = digest
        self._writer = writer

    def read(self, read: Read) -> None:
        """Carry out one reading, from where the run's state says.

        Raises:
            LightspeedError: As the client raises it; what was landed before stays.
            Stop: The invocation's bounds are reached.
            TooManyRejected: Of what was transformed.
        """
        if read.operation == "get":
            request = self._client.build(self._request.entity, "get", read.parameters, read.language)
            try:
                record = Record(self._client.record(request), None, None)
            except NotFound:
                if self._request.ids is None:
                    raise
                return  # one of many: it was deleted meanwhile
            self._writer.add(read.language, self._digest.of([record], read.language))
        elif read.operation == "each":
            self._read_each(read)
        else:
            self._read_list(read)

    def _read_list(self, read: Read) -> None:
        reader = self._begin(read)
        progress, state = reader.progress, self._state
        with contextlib.closing(reader.pages()) as pages:
            for page in pages:
                new = page if isinstance(page, Chunk) else self._digest.of(page, read.language)
                self._writer.add(read.language, new)
                if self._digest.room() == 0 and progress.rows_left:
                    self._digest.stop()
                    break
        if progress.count_before is not None:
            state.count_before = (state.count_before or 0) + progress.count_before
            state.count_after = (state.count_after or 0) + (progress.count_after or 0)
        state.doubt = state.doubt or progress.doubt or unknown_filters(read.endpoint, read.parameters.query)

    def _read_each(self, read: Read) -> None:
        """Read the parents page by page, and of each page's parents the nested records before the next page."""
        reader = self._begin(read)
        children = ChildStreams(self._client, self._request.endpoint, read.parameters, read.language)
        with contextlib.closing(reader.pages()) as pages:
            self._land_pending(read, children)
            for page in pages:
                if self._digest.room() == 0:
                    self._digest.stop()
                    break
                parents, recent = self._digest.not_landed_before(page)
                self._state.recent.update(recent)
                self._state.pending = [parent.id for parent in parents if parent.id is not None]
                self._land_pending(read, children)
        self._state.doubt = self._state.doubt or reader.progress.doubt or children.unverified_reason

    def _land_pending(self, read: Read, children: ChildStreams) -> None:
        while self._state.pending:
            group = self._state.pending[: min(PARENTS_AT_ONCE, self._bounds.room())]
            if self._digest.room() == 0:
                self._digest.stop()
                return
            rows, long = children.of(group)
            self._writer.add(read.language, self._digest.of_rows(rows, read.language))
            self._state.pending = [*long, *self._state.pending[len(group) :]]
            for parent in long:
                rows = children.of_long(parent, self._bounds)
                self._writer.add(read.language, self._digest.of_rows(rows, read.language))
                self._state.pending = self._state.pending[1:]

    def _begin(self, read: Read) -> ListReader[Any]:
        """Take the first count; that of the run's first list tells the shop's time, by which its window ends."""
        state = self._state

        def read_to(end: datetime) -> ListReader[Any]:
            state.window_end, state.progress = iso_text(end), None
            return self._reader(read)

        counted = state.progress is not None and state.progress.rows_left is not None
        if not counted and state.position == 0:
            return begin(self._client, self._clock, parse_time(state.window_end), read_to)
        reader = self._reader(read)
        reader.begin()
        return reader

    def _reader(self, read: Read) -> ListReader[Any]:
        """Return the list's reader; what is only compressed is compressed where it is fetched."""
        request, state = self._request, self._state
        state.progress = state.progress or ListCheckpoint()
        start = parse_time(state.window_start) if state.window_start else None
        window, closed = window_of(request, read, start, parse_time(state.window_end))
        parameters, batch = read.parameters, batch_of(request, state.progress.limit)
        digest: Callable[[list[Record]], Any] = list
        if read.operation == "each":
            batch, parameters = 1, Parameters(query={"fields": _HEAD_FIELDS})
        elif self._digest.plain:
            digest = functools.partial(self._digest.of, language=read.language)
        return ListReader(
            self._client,
            read.endpoint,
            parameters,
            language=read.language,
            window=window,
            closed=closed,
            progress=state.progress,
            digest=digest,
            gate=self._bounds,
            batch=batch,
            ahead=request.max_records is None,
        )
