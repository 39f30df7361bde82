"""Carry out the readings of a plan: a record, a list, or the nested records of many parents."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from connector.timestamps import iso_text
from lightspeed import PAGE_LIMIT, Client, Clock, NotFound, Parameters
from lightspeed.listing.checkpoint import ListCheckpoint, SplitCheckpoint
from lightspeed.listing.children import ChildStreams
from lightspeed.listing.proof import UnstableList
from lightspeed.listing.reader import BATCH, PARENTS_AT_ONCE, TRANSFORMED_BATCH, ListReader
from lightspeed.listing.records import Record, Window
from lightspeed.listing.settled import begin
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.split import SplitReader
from lightspeed.listing.window import LOOKBACK, creation_window, may_hide_records, unknown_filters
from lightspeed.request import format_time, parse_time
from subscribe.event import SubscribeRequest
from subscribe.run.budget import Bounds
from subscribe.storage.parts import Chunk
from subscribe.sync.bookmark import HIDDEN, SHOWN
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
    """Reads into a writer; the run's state says after each page how far it came."""

    def __init__(
        self,
        request: SubscribeRequest,
        state: SyncState,
        *,
        client: Client,
        clock: Clock,
        bounds: Bounds,
        processor: RecordProcessor,
        writer: Writer,
    ) -> None:
        """Take what a reading needs; nothing is sent yet."""
        self._request = request
        self._state = state
        self._client = client
        self._clock = clock
        self._bounds = bounds
        self._processor = processor
        self._writer = writer

    def read(self, read: Read) -> None:
        """Carry out one reading, from where the run's state says.

        Raises:
            LightspeedError: As the client raises it; what was landed before stays.
            Stop: The invocation's bounds are reached.
            TooManyRejected: Of what was transformed.
        """
        if read.by_creation and not self._can_read_by_creation(read):
            return
        if read.operation == "get":
            request = self._client.build(self._request.entity, "get", read.parameters, read.language)
            try:
                record = Record(self._client.record(request), None, None)
            except NotFound:
                if self._request.ids is None:
                    raise
                return  # one of many: it was deleted meanwhile
            self._writer.add(read.language, self._processor.of([record], read))
        else:
            carry_out = self._read_each if read.operation == "each" else self._read_list
            if self._state.checkpoint is None:
                self._writer.mark()
            try:
                carry_out(read)
            except UnstableList:
                self._discard()
                carry_out(read)

    def _discard(self) -> None:
        """Discard what an unstable list gave; it is read again in parts that each fit on one page."""
        state = self._state
        self._writer.discard_read()
        state.pending = []
        state.checkpoint = ListCheckpoint(split=SplitCheckpoint())

    def _read_list(self, read: Read) -> None:
        reader = self._begin(read)
        checkpoint, state = reader.checkpoint, self._state
        with contextlib.closing(reader.pages()) as pages:
            for page in pages:
                new = page if isinstance(page, Chunk) else self._processor.of(page, read)
                self._writer.add(read.language, new)
                if self._processor.room() == 0 and checkpoint.rows_left:
                    self._processor.stop()
                    break
        if checkpoint.count_before is not None and not read.by_creation:
            state.count_before = (state.count_before or 0) + checkpoint.count_before
            state.count_after = (state.count_after or 0) + (checkpoint.count_after or 0)
        state.may_have_missed |= bool(checkpoint.unverified_reason) and not checkpoint.unidentified
        state.unverified_reason = (
            state.unverified_reason
            or checkpoint.unverified_reason
            or unknown_filters(read.endpoint, read.parameters.query)
            or ("" if read.by_creation else self._hidden(read, checkpoint.count_after or 0))
        )

    def _hidden(self, read: Read, counted: int) -> str:
        """Return why a first incremental run may lack records that were never changed; empty if it holds them.

        Such a record may have no time of change, and then a filter by that time hides it.
        """
        window, _ = self._window(read)
        if self._request.mode != "incremental" or window is None or window.by != "updated_at":
            return ""
        if self._state.bookmark_until is not None or not read.endpoint.has("count"):
            return ""
        if window.start is None:
            hidden = self._count(read, {}) - counted
            reason = f"{hidden} records have no time of change, or changed during the run; mode full reads them too"
        elif may_hide_records(read.endpoint, read.parameters.query):
            hidden = self._without_change(read, Window("created_at", window.start, window.end))
            reason = f"{hidden} records have no time of change; the next run reads them by time of creation"
        else:
            return ""
        if hidden <= 0:
            return ""
        self._state.never_updated = HIDDEN
        return reason

    def _without_change(self, read: Read, created: Window) -> int:
        """Return how many records that were created in a window the filter by time of change hides.

        All others were changed after the window's start. They are counted first: what is deleted meanwhile is then not
        taken for hidden.
        """
        start = {} if created.start is None else {"updated_at_min": format_time(created.start)}
        shown = self._count(read, {**created.query, **start})
        return self._count(read, created.query) - shown

    def _count(self, read: Read, window: Mapping[str, object]) -> int:
        query = {name: value for name, value in read.parameters.query.items() if name not in ("limit", "fields")}
        parameters = Parameters(read.parameters.path, {**query, **window})
        return self._client.count(self._client.build(read.endpoint.name, "count", parameters, read.language))

    def _can_read_by_creation(self, read: Read) -> bool:
        """Whether there is a stretch to read by time of creation. It ends a minute early, so that stretches join.

        A list that rows may enter for another reason is only counted. If it may lack records, the run gives the reason.
        """
        state = self._state
        if state.never_updated == SHOWN or state.is_open:
            return False
        state.created_end = state.created_end or iso_text(state.surely_passed - LOOKBACK)
        if parse_time(state.created_start) > parse_time(state.created_end):
            return False
        window, is_closed = self._window(read)
        if is_closed or window is None:
            return is_closed
        hidden = self._without_change(read, window)
        if hidden > 0:
            reason = f"{hidden} records have no time of change; mode full reads them too"
            state.unverified_reason = state.unverified_reason or reason
        return False

    def _read_each(self, read: Read) -> None:
        """Read the parents page by page, and of each page's parents the nested records before the next page."""
        reader = self._begin(read)
        children = ChildStreams(self._client, self._request.endpoint, read.parameters, read.language)
        children.saw(self._state.rows_given)
        try:
            with contextlib.closing(reader.pages()) as pages:
                self._land_pending(read, children)
                for page in pages:
                    if self._processor.room() == 0:
                        self._processor.stop()
                        break
                    parents, recent = self._processor.deduplicate(page, read)
                    self._writer.remember(recent)
                    self._state.pending = [parent.id for parent in parents if parent.id is not None]
                    split = reader.checkpoint.split
                    children.saw(min(len(page), (split.page_rows or 0) if split is not None else PAGE_LIMIT))
                    self._state.rows_given = children.rows_given
                    self._land_pending(read, children)
        finally:  # the next invocation has another `ChildStreams`, which knows nothing of this one's reason
            self._state.unverified_reason = self._state.unverified_reason or children.unverified_reason
        self._state.may_have_missed |= bool(reader.checkpoint.unverified_reason)
        self._state.unverified_reason = self._state.unverified_reason or reader.checkpoint.unverified_reason

    def _land_pending(self, read: Read, children: ChildStreams) -> None:
        while self._state.pending:
            group = self._state.pending[: min(PARENTS_AT_ONCE, children.fitting(self._bounds.room()))]
            if self._processor.room() == 0:
                self._processor.stop()
                return
            rows, long = children.of(group)
            self._state.rows_given = children.rows_given
            self._writer.add(read.language, self._processor.of_rows(rows, read.language))
            self._state.pending = [*long, *self._state.pending[len(group) :]]
            for parent in long:
                rows = children.of_long(parent, self._bounds)
                self._writer.add(read.language, self._processor.of_rows(rows, read.language))
                if parent in children.unproved:
                    self._read_parent_again(read, parent)
                self._state.pending = self._state.pending[1:]

    def _read_parent_again(self, read: Read, parent: int | str) -> None:
        """Let the next run take a parent for one that it has not seen."""
        state, name = self._state, f"{read.language}/{parent}/"
        state.may_have_missed = True
        state.recent = {known: time for known, time in state.recent.items() if not f"{known}/".startswith(name)}

    def _begin(self, read: Read) -> ListReader[Any] | SplitReader[Any]:
        """Take the first count; that of the run's first list tells the shop's time, by which its window ends."""
        state = self._state

        if state.checkpoint is not None and state.checkpoint.split is not None:
            return self._split_reader(read, state.checkpoint)

        def read_to(end: datetime, closed: bool) -> ListReader[Any]:
            state.window_end, state.checkpoint, state.is_open = iso_text(end), None, not closed
            return self._reader(read)

        if state.position == 0 and not _has_begun(state):
            opening = begin(self._client, self._clock, parse_time(state.window_end), read_to)
            state.opened = iso_text(opening.at)
            state.heard(self._client.transport.shop_clock.least_skew_seconds)
            return opening.reader
        reader = self._reader(read)
        reader.begin()
        return reader

    def _reader(self, read: Read) -> ListReader[Any]:
        """Return the list's reader; what is only compressed is compressed where it is fetched."""
        request, state = self._request, self._state
        state.checkpoint = state.checkpoint or ListCheckpoint()
        window, stable = self._window(read)
        return ListReader(
            self._list(read, window),
            stable=stable,
            checkpoint=state.checkpoint,
            process=self._process_of(read),
            budget=self._bounds,
            batch=1 if read.operation == "each" else batch_of(request, state.checkpoint.limit),
            ahead=request.max_records is None,
            recoverable=True,
            clock=self._clock,
        )

    def _split_reader(self, read: Read, checkpoint: ListCheckpoint) -> SplitReader[Any]:
        window, _ = self._window(read)
        return SplitReader(
            self._list(read, window),
            checkpoint=checkpoint,
            process=self._process_of(read),
            budget=self._bounds,
            clock=self._clock,
        )

    def _list(self, read: Read, window: Window | None) -> ShopList:
        return ShopList(self._client, read.endpoint, self._parameters(read), read.language, window)

    def _window(self, read: Read) -> tuple[Window | None, bool]:
        state = self._state
        if read.by_creation:
            start, end = parse_time(state.created_start), parse_time(state.created_end)
            return creation_window({} if read.operation == "each" else read.parameters.query, start, end)
        first = parse_time(state.window_start) if state.window_start else None
        window, stable = window_of(self._request, read, first, parse_time(state.window_end))
        return window, stable and not state.is_open

    def _parameters(self, read: Read) -> Parameters:
        return Parameters(query={"fields": _HEAD_FIELDS}) if read.operation == "each" else read.parameters

    def _process_of(self, read: Read) -> Callable[[list[Record]], Any]:
        if read.operation != "each" and self._processor.plain:
            return functools.partial(self._processor.of, read=read)
        return list


def _has_begun(state: SyncState) -> bool:
    """Whether the window of the first list is opened; an earlier invocation may have ended between two first counts."""
    checkpoint = state.checkpoint
    if checkpoint is None or checkpoint.rows_left is None:
        return False
    return bool(state.opened) or checkpoint.read > 0 or checkpoint.rows_left != checkpoint.count_before
