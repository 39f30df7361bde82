"""Carry out the reads of a plan: a record, a list, or the nested records of many parents."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lightspeed import PAGE_LIMIT, NotFound, Parameters
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.children import PARENTS_AT_ONCE, ChildLists
from lightspeed.listing.opening import open_window, visible_until
from lightspeed.listing.reader import BATCH, TRANSFORMED_BATCH, ListReader
from lightspeed.listing.records import Record, RecordParser, ids_of
from lightspeed.listing.shop_list import HEAD_FIELDS, ShopList
from lightspeed.listing.split import SplitReader
from lightspeed.listing.window import Window, creation_window, unknown_filters
from lightspeed.request import format_time, parse_time
from lightspeed.response import Page
from subscribe.event import SubscribeRequest
from subscribe.run.budget import InvocationBudget
from subscribe.run.run import Services
from subscribe.sync.bookmark import HIDDEN, parse_shop_time
from subscribe.sync.deduplicator import Deduplicator
from subscribe.sync.processor import RecordProcessor
from subscribe.sync.read_plan import Read, may_be_read_by_creation, window_of
from subscribe.sync.state import SyncState
from subscribe.sync.step import Step

_LEFT_PARENTS = "parents changed while they were read; the next run reads their records"


def batch_of(request: SubscribeRequest, limit: int) -> int:
    """Return how many pages are read at once: fewer with a transformer or with `max_records`."""
    if request.max_records is not None:
        return min(TRANSFORMED_BATCH, -(-request.max_records // limit))
    return BATCH if request.entity_transformer is None else TRANSFORMED_BATCH


@dataclass(frozen=True, slots=True)
class Reader:
    """Carries out the reads of a run, step by step.

    It reads the run's state, which has the point from which a read continues. Only the run writes the state.
    """

    request: SubscribeRequest
    state: SyncState
    services: Services
    budget: InvocationBudget
    deduplicator: Deduplicator
    processor: RecordProcessor

    def steps(self, read: Read) -> Generator[Step]:
        """Carry out a read from its checkpoint on. The run must apply each step before it asks for the next one.

        Raises:
            UnstableList: The pages cannot be shown to be the whole list. The steps of this read do not count.
            LightspeedError: As the client raises it. The steps before it count.
            Suspend: The invocation's budget is used up. The steps before it count.
        """
        return self._read_by_creation(read) if read.by_creation else self._read(read)

    def _read(self, read: Read) -> Generator[Step]:
        methods = {"get": self._read_record, "list": self._read_list, "each": self._read_each}
        return methods[read.operation](read)

    def _read_by_creation(self, read: Read) -> Generator[Step]:
        """Carry out a read by time of creation.

        If rows may enter the list for another reason, the read only counts it. The step then gives a reason if the run
        may lack records.
        """
        window, is_closed = self._window(read)
        if is_closed:
            yield from self._read(read)
        elif window is not None:
            hidden = self._count_hidden(read, window)
            if hidden > 0:
                yield Step(unverified_reason=f"{hidden} records have no time of change; mode full reads them too")

    def _read_record(self, read: Read) -> Generator[Step]:
        if self.deduplicator.read_before(read, [read.record_id]):
            return
        request = self.services.client.build(self.request.entity, "get", read.parameters, read.language)
        try:
            text = self.services.client.record(request)
        except NotFound:
            if self.request.ids is None:
                raise
            return  # one of several ids: the record does not exist
        (answered_id,) = ids_of(RecordParser().read(Page([text], []))) or [read.record_id]
        step = self.processor.process_page([Record(text, None, None)], read)
        if read.record_id != "" and str(answered_id) != str(read.record_id):
            reason = f"the shop answers with record {answered_id!r:.100} for {read.record_id!r:.100}"
            step = replace(step, unverified_reason=step.unverified_reason or reason)
        yield step

    def _read_list(self, read: Read) -> Generator[Step]:
        reader, first_step = self._begin_list(read)
        yield first_step
        checkpoint, state = reader.checkpoint, self.state
        with contextlib.closing(reader.pages()) as pages:
            for page in pages:
                yield page if isinstance(page, Step) else self.processor.process_page(page, read)
                if self._is_full() and checkpoint.rows_left:
                    yield Step(stopped=True)
                    break
        reason = (
            state.unverified_reason
            or checkpoint.unverified_reason
            or unknown_filters(read.endpoint, read.parameters.query)
        )
        hidden = "" if reason or read.by_creation else self._why_hidden(read, checkpoint.counts[1])
        is_counted = checkpoint.count_before is not None and not read.by_creation
        yield Step(
            counts=checkpoint.counts if is_counted else None,
            may_have_missed=bool(checkpoint.unverified_reason) and not checkpoint.unidentified,
            never_updated=HIDDEN if hidden else "",
            unverified_reason=reason or hidden,
        )

    def _is_full(self) -> bool:
        return self.state.room(self.request.max_records) == 0

    def _why_hidden(self, read: Read, counted: int) -> str:
        """Return why a first incremental run may lack records without a time of change; empty if it has them.

        A filter by time of change may hide such a record.
        """
        window, _ = self._window(read)
        if self.request.mode != "incremental" or window is None or window.by != "updated_at":
            return ""
        if self.state.bookmark_until is not None or not read.endpoint.has("count"):
            return ""
        if window.start is None:
            hidden = self._list(read, None).count() - counted
            reason = f"{hidden} records have no time of change, or changed during the run; mode full reads them too"
        elif may_be_read_by_creation(read):
            hidden = self._count_hidden(read, Window("created_at", window.start, window.end))
            reason = f"{hidden} records have no time of change; the next run reads them by time of creation"
        else:
            return ""
        return reason if hidden > 0 else ""

    def _count_hidden(self, read: Read, created: Window) -> int:
        """Return how many records of a window of creation the filter by time of change hides.

        The others were changed after the window's start. They are counted first, so a record that is deleted meanwhile
        does not count as hidden.
        """
        start = {} if created.start is None else {"updated_at_min": format_time(created.start)}
        shown = self._list(read, None).count({**created.query, **start})
        return self._list(read, None).count(created.query) - shown

    def _read_each(self, read: Read) -> Generator[Step]:
        """Read the parents page by page. Read the nested records of a page's parents before the next page."""
        reader, first_step = self._begin_list(read)
        yield first_step
        children = ChildLists(self.services.client, self.request.endpoint, read.parameters, read.language)
        children.note_page(self.state.rows_given)
        with contextlib.closing(reader.pages()) as pages:
            yield from self._read_pending(read, children)
            for page in pages:
                if self._is_full():
                    yield Step(stopped=True)
                    break
                settled = self._settled(page)
                new, step = self.deduplicator.deduplicate(settled, read)
                if len(settled) < len(page):
                    step = replace(step, unverified_reason=step.unverified_reason or _LEFT_PARENTS)
                split = reader.checkpoint.split  # a dense part gives the rows of several pages at once
                children.note_parents(min(len(page), (split.page_rows or 0) if split is not None else PAGE_LIMIT))
                yield replace(step, pending=ids_of(new), rows_given=children.rows_given)
                yield from self._read_pending(read, children)
        reason = reader.checkpoint.unverified_reason
        yield Step(may_have_missed=bool(reason), unverified_reason=reason)

    def _settled(self, parents: list[Record]) -> list[Record]:
        """Return the parents without those that changed after the window's end and a moment ago.

        Such a parent may change again within the same second, after its nested records were read. Its times would not
        show it. The next run reads it, because it changed after the window's end.
        """
        if self.request.mode != "incremental":
            return parents
        transport = self.services.client.transport
        now = datetime.fromtimestamp(transport.clock.time(), UTC)
        least_skew = transport.shop_clock.least_skew_seconds or 0.0
        until = max(self.state.end, visible_until(now, min(0.0, least_skew)))
        return [parent for parent in parents if (parse_shop_time(parent.changed_at) or until) <= until]

    def _read_pending(self, read: Read, children: ChildLists) -> Iterator[Step]:
        while pending := self.state.pending:
            group = pending[: min(PARENTS_AT_ONCE, children.parents_within(self.budget.wait_for_room()))]
            if self._is_full():
                yield Step(stopped=True)
                return
            rows, long = children.read(group)
            yield self._children_step(read, children, rows, [*long, *pending[len(group) :]])
            for parent in long:  # these are now the first pending parents
                rows = children.read_long(parent, self.budget)
                step = self._children_step(read, children, rows, self.state.pending[1:])
                is_unproved = parent in children.unproved
                forgotten = f"{read.language}/{parent}" if is_unproved else ""
                yield replace(step, may_have_missed=is_unproved, forgotten=forgotten)

    def _children_step(self, read: Read, children: ChildLists, rows: list[Record], pending: list[int | str]) -> Step:
        return replace(
            self.processor.process_rows(rows, read.language),
            pending=pending,
            rows_given=children.rows_given,
            unverified_reason=children.unverified_reason,
        )

    def _begin_list(self, read: Read) -> tuple[ListReader[Any] | SplitReader[Any], Step]:
        """Return the reader of a list after its first count, and the first step.

        The answer to the first count of a run has the shop's time, which sets the end of the run's window.
        """
        state, checkpoint = self.state, self.state.checkpoint
        if checkpoint is not None and checkpoint.split is not None:
            return self._split_reader(read, checkpoint), Step()
        if state.position == 0 and not _has_begun(state):

            def read_to(end: datetime, closed: bool) -> ListReader[Any]:
                window, stable = self._window(read, end)
                return self._reader(read, ListCheckpoint(), window, stable=stable and closed)

            opening = open_window(self.services.client, state.end, read_to)
            return opening.reader, Step(opening=opening, checkpoint=opening.reader.checkpoint)
        window, stable = self._window(read)
        reader = self._reader(read, checkpoint or ListCheckpoint(), window, stable=stable)
        reader.begin()
        return reader, Step(checkpoint=reader.checkpoint)

    def _reader(
        self, read: Read, checkpoint: ListCheckpoint, window: Window | None, *, stable: bool
    ) -> ListReader[Any]:
        """Return the list's reader. If the processor is thread-safe, the thread that reads a page also processes it."""
        request = self.request
        return ListReader(
            self._list(read, window),
            stable=stable,
            checkpoint=checkpoint,
            process=self._process_of(read),
            budget=self.budget,
            max_pages=1 if read.operation == "each" else batch_of(request, checkpoint.limit),
            read_ahead=request.max_records is None,
            recoverable=True,
        )

    def _split_reader(self, read: Read, checkpoint: ListCheckpoint) -> SplitReader[Any]:
        window, _ = self._window(read)
        return SplitReader(
            self._list(read, window),
            checkpoint=checkpoint,
            process=self._process_of(read),
            budget=self.budget,
        )

    def _list(self, read: Read, window: Window | None) -> ShopList:
        parents = Parameters(query={"fields": HEAD_FIELDS})  # only their ids and times are needed
        parameters = parents if read.operation == "each" else read.parameters
        return ShopList(self.services.client, read.endpoint, parameters, read.language, window)

    def _window(self, read: Read, end: datetime | None = None) -> tuple[Window | None, bool]:
        """Return the window of a list up to `end` (default: the run's end), and whether no row can enter it."""
        state = self.state
        if read.by_creation:
            start, created_end = parse_time(state.created_start), parse_time(state.created_end)
            return creation_window(read.query, start, created_end)
        window, stable = window_of(self.request, read, state.start, end or state.end)
        return window, stable and not state.is_open

    def _process_of(self, read: Read) -> Callable[[list[Record]], Any]:
        if read.operation != "each" and self.processor.is_thread_safe:
            return functools.partial(self.processor.process_page, read=read)
        return list


def _has_begun(state: SyncState) -> bool:
    """Whether the window of the first list is opened. An invocation may end between two first counts, before that.

    States of earlier versions lack `opened`; in those, rows that were read show an opened window.
    """
    checkpoint = state.checkpoint
    if checkpoint is None or checkpoint.rows_left is None:
        return False
    return bool(state.opened) or checkpoint.read > 0 or checkpoint.rows_left != checkpoint.count_before
