"""Read a whole list, or the nested lists of every parent, in one process: for the command line and the tap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from lightspeed.catalogue.model import Endpoint
from lightspeed.client import Client
from lightspeed.json_text import with_first_member
from lightspeed.listing.budget import RequestBudget
from lightspeed.listing.checkpoint import ListCheckpoint, SplitCheckpoint
from lightspeed.listing.children import PARENTS_AT_ONCE, ChildLists
from lightspeed.listing.opening import is_closed, open_window, read_up_to, window_end
from lightspeed.listing.proof import UnstableList
from lightspeed.listing.read_operation import listed_entity, operation_of
from lightspeed.listing.reader import TRANSFORMED_BATCH, ListReader
from lightspeed.listing.records import Record
from lightspeed.listing.shop_list import HEAD_FIELDS, ShopList
from lightspeed.listing.split import SplitReader
from lightspeed.listing.window import closed_window
from lightspeed.request import Parameters


@dataclass(slots=True)
class WholeList:
    """One reading of a list, or of the nested lists of every parent.

    Attributes:
        client: The shop's client. The window and all waits go by the clock of its transport.
        parameters: Path and query; the id `ALL_PARENTS` stands for every parent.
        start: The start of an incremental window; `None` for the beginning.
        followed_by: The member with a record's time of change, if the reading follows changes. A nested record gets its
            parent's time of change under this name. `None` reads the whole list.
        recoverable: Whether an unstable list is read again in parts.
        expected: How many records the shop counted; `None` before that, and for nested lists.
        end: The time up to which the list is surely read; set after the last page. It is the window's end, or
            earlier if the shop's answers give an earlier time.
        unverified_reason: Why it is not proved that every record was read; empty if it is.
        times_differ: Whether the shop's answers give different times, so that the window may not have been closed.
        unstable_reason: Why the list was read again in parts, so that records came twice; empty if it was not.
    """

    client: Client
    endpoint: Endpoint
    parameters: Parameters
    budget: RequestBudget
    start: datetime | None = None
    followed_by: str | None = None
    recoverable: bool = False
    expected: int | None = field(default=None, init=False)
    end: datetime = field(init=False)
    unverified_reason: str = field(default="", init=False)
    times_differ: bool = field(default=False, init=False)
    unstable_reason: str = field(default="", init=False)

    @property
    def is_nested(self) -> bool:
        """Whether the nested lists of every parent are read."""
        return operation_of(self.endpoint, self.parameters.path) == "each"

    def pages(self) -> Iterator[list[Record]]:
        """Yield the records, page by page, the last page first.

        Raises:
            LightspeedError: A request failed.
        """
        transport = self.client.transport
        opening = open_window(self.client, window_end(self.client), self._read_to)
        checkpoint = opening.reader.checkpoint
        self.expected = None if self.is_nested else checkpoint.count_before
        try:
            with closing(opening.reader.pages()) as pages:
                yield from self._rows(pages)
        except UnstableList as error:
            self.unstable_reason = str(error)
            checkpoint = ListCheckpoint(split=SplitCheckpoint())
            shop_list = opening.reader.shop_list
            split = SplitReader(shop_list, checkpoint=checkpoint, process=list, budget=self.budget)
            yield from self._rows(split.pages())
        self.unverified_reason = self.unverified_reason or checkpoint.unverified_reason
        least = transport.shop_clock.least_skew_seconds or 0.0
        self.times_differ = opening.closed and not is_closed(opening.end, opening.opened, least)
        self.end = read_up_to(opening.end, opening.opened, min(0.0, least))

    def _read_to(self, end: datetime, closed: bool) -> ListReader[list[Record]]:
        transport, parameters = self.client.transport, self.parameters
        listed = listed_entity(self.endpoint, parameters.path)
        if self.is_nested:
            parameters = Parameters(query={"fields": HEAD_FIELDS} if "fields" in listed.filter_names else {})
        incremental = self.followed_by is not None
        window, stable = closed_window(listed, parameters.query, self.start, end, incremental=incremental)
        return ListReader(
            ShopList(self.client, listed, parameters, transport.connection.language, window),
            stable=stable and closed,
            checkpoint=ListCheckpoint(),
            process=list,
            budget=self.budget,
            max_pages=TRANSFORMED_BATCH,
            recoverable=self.recoverable,
        )

    def _rows(self, pages: Iterator[list[Record]]) -> Iterator[list[Record]]:
        """Yield the pages, or the nested records of the parents on them."""
        if not self.is_nested:
            yield from pages
            return
        language = self.client.transport.connection.language
        children = ChildLists(self.client, self.endpoint, self.parameters, language)
        for page in pages:
            children.note_parents(len(page))
            changed = {parent.id: parent.changed_at for parent in page if parent.id is not None}
            parents = list(changed)
            while parents:
                most = min(PARENTS_AT_ONCE, children.parents_within(self.budget.wait_for_room()))
                group, parents = parents[:most], parents[most:]
                rows, long = children.read(group)
                yield self._with_change(rows, changed)
                for parent in long:
                    yield self._with_change(children.read_long(parent, self.budget), changed)
        self.unverified_reason = children.unverified_reason

    def _with_change(self, rows: list[Record], changed: Mapping[int | str, str | None]) -> list[Record]:
        """Put the parent's time of change in front of each record; rows that are no records stay as they are."""
        for row in rows:
            if self.followed_by is not None and row.parent is not None:
                row.text = with_first_member(self.followed_by, changed[row.parent], row.text)
        return rows
