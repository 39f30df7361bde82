"""Read one stream: its whole list, or what changed since its bookmark.

The records of a nested list are read for each parent that changed since the bookmark.

A list is read from its last page to the first, in no order of time. So the bookmark moves once, after the last record,
to the end of the window that was read. A run that is stopped starts from the old bookmark again: a record may come
twice, none is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from lightspeed.client import Client
from lightspeed.errors import LightspeedError, NotFound, PermissionDenied
from lightspeed.json_text import with_first_member
from lightspeed.listing.budget import RequestBudget
from lightspeed.listing.checkpoint import ListCheckpoint, SplitCheckpoint
from lightspeed.listing.children import PARENTS_AT_ONCE, ChildLists
from lightspeed.listing.proof import UnstableList
from lightspeed.listing.reader import ListReader
from lightspeed.listing.records import Record
from lightspeed.listing.settled import DIFFERENT_TIMES, is_closed, open_window, read_up_to, settled_time, shop_time
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.split import SplitReader
from lightspeed.listing.window import LOOKBACK, Window, closed_window
from lightspeed.quota import Clock
from lightspeed.request import Parameters, parse_time
from lightspeed.tap.schema import Fit
from lightspeed.tap.streams import Stream

_HEAD_FIELDS = ("id", "createdAt", "updatedAt")
"""What is asked of a parent whose nested records are read."""


class StateError(ValueError):
    """A bookmark of the state cannot be used; nothing was sent."""


class StreamRefused(LightspeedError):
    """The shop does not let this key read the stream, or does not have it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one page.

    Attributes:
        records: The JSON text of each, which matches the stream's schema.
        extracted: When they were read, ISO 8601 in UTC.
        left_out: Why each record that has no key is not among them.
    """

    records: list[bytes]
    extracted: str
    left_out: list[str]


def bookmark_of(state: Mapping[str, Any], stream: Stream) -> datetime | None:
    """Return where a stream's last run ended; `None` if it was never read, or is always read as a whole.

    Raises:
        StateError: The state holds something else than a time there.
    """
    bookmarks = state.get("bookmarks") or {}
    found = bookmarks.get(stream.name) if isinstance(bookmarks, Mapping) else bookmarks
    if stream.replication_key is None or not found:
        return None
    try:
        value = found.get("replication_key_value")
        return None if value is None else parse_time(value)
    except (AttributeError, TypeError, ValueError):
        raise StateError(f"the state of {stream.name} is no bookmark of this tap: {found!r:.100}") from None


def moved(state: Mapping[str, Any], stream: Stream, end: datetime) -> dict[str, Any]:
    """Return a state whose bookmark of a stream is at the end of what was read, and never moves back."""
    if stream.replication_key is None:
        return dict(state)
    before = bookmark_of(state, stream)
    value = iso_text(end if before is None else max(before, end))
    bookmark = {"replication_key": stream.replication_key, "replication_key_value": value}
    return {**state, "bookmarks": {**(state.get("bookmarks") or {}), stream.name: bookmark}}


def iso_text(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Reading:
    """One stream as it is read.

    Attributes:
        end: Where the bookmark may move; known after the last batch. It is the window's end, or earlier where the
            shop's answers give an earlier time.
        unverified_reason: Why it cannot be shown that every record was read; empty if it can.
    """

    def __init__(
        self,
        stream: Stream,
        start: datetime | None,
        *,
        client: Client,
        clock: Clock,
        budget: RequestBudget,
        pages_at_once: int,
        note: Callable[[str], None],
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            stream: What to read.
            start: The bookmark; `None` reads the whole list.
            client: The shop's client.
            clock: Ours.
            budget: Decides how far to go.
            pages_at_once: The most pages that are held between two counts.
            note: Takes a line for the user.
        """
        self._stream = stream
        self._start = start - LOOKBACK if start is not None else None
        self._client = client
        self._clock = clock
        self._budget = budget
        self._pages_at_once = pages_at_once
        self._note = note
        self._language = client.transport.connection.language
        self._fit = Fit(stream.schema)
        self._walked = stream.parent or stream.endpoint
        self._query = {"fields": _HEAD_FIELDS} if stream.parent else {}
        self._window: Window | None = None
        self.end = self._end = settled_time(client, clock)
        self.unverified_reason = ""

    def batches(self) -> Iterator[Batch]:
        """Yield the records, page by page.

        Raises:
            StreamRefused: The shop refuses the list.
            LightspeedError: As the client raises it.
        """
        try:
            opening = open_window(self._client, self._clock, self._end, self._read_to)
            with closing(opening.reader.pages()) as pages:
                yield from self._batches_of(pages)
            checkpoint = opening.reader.checkpoint
        except (PermissionDenied, NotFound) as error:
            raise StreamRefused(str(error)) from error
        except UnstableList as error:
            self._note(f"{self._stream.name}: {error}; the list is read again in parts, so records come twice")
            checkpoint = yield from self._in_parts()
        least = self._client.transport.shop_clock.least_skew_seconds or 0.0
        self.unverified_reason = self.unverified_reason or checkpoint.unverified_reason
        if opening.closed and not is_closed(self._end, opening.at, least):
            self.unverified_reason = self.unverified_reason or DIFFERENT_TIMES
        self.end = read_up_to(self._end, opening.at, min(0.0, least))

    def _in_parts(self) -> Generator[Batch, None, ListCheckpoint]:
        reader = SplitReader(
            self._list,
            checkpoint=ListCheckpoint(split=SplitCheckpoint()),
            process=self._process,
            budget=self._budget,
            clock=self._clock,
        )
        yield from self._batches_of(reader.pages())
        return reader.checkpoint

    def _read_to(self, end: datetime, closed: bool) -> ListReader[Any]:
        self._end = end
        self._window, stable = closed_window(
            self._walked, {}, self._start, end, incremental=self._stream.replication_key is not None
        )
        return ListReader(
            self._list,
            stable=stable and closed,
            checkpoint=ListCheckpoint(),
            process=self._process,
            budget=self._budget,
            batch=self._pages_at_once,
            recoverable=True,
            clock=self._clock,
        )

    @property
    def _list(self) -> ShopList:
        return ShopList(self._client, self._walked, Parameters(query=self._query), self._language, self._window)

    @property
    def _process(self) -> Callable[[list[Record]], Any]:
        """What becomes of a page in the thread that fetched it."""
        return list if self._stream.parent else self._batch

    def _batches_of(self, pages: Iterator[Any]) -> Iterator[Batch]:
        if self._stream.parent is None:
            yield from pages
            return
        children = ChildLists(self._client, self._stream.endpoint, Parameters(), self._language)
        for page in pages:
            children.note_page(len(page))
            changed = {parent.id: parent.changed for parent in page if parent.id is not None}
            parents = list(changed)
            while parents:
                group = parents[: min(PARENTS_AT_ONCE, children.parents_within(self._budget.room()))]
                parents = parents[len(group) :]
                rows, long = children.read(group)
                yield self._batch(self._with_change(rows, changed))
                for parent in long:
                    yield self._batch(self._with_change(children.read_long(parent, self._budget), changed))
            self.unverified_reason = self.unverified_reason or children.unverified_reason

    def _with_change(self, rows: list[Record], changed: Mapping[int | str, str | None]) -> list[Record]:
        """Put the parent's time of change in front of each record; rows that are no records stay as they are."""
        key = self._stream.replication_key
        if key is None:
            return rows
        return [
            msgspec.structs.replace(row, text=with_first_member(key, changed[row.parent], row.text))
            if row.parent is not None
            else row
            for row in rows
        ]

    def _batch(self, records: list[Record]) -> Batch:
        """Make the records of a page match the schema; called in a fetching thread."""
        kept, left_out = [], []
        for record in records:
            if record.reject_reason:
                left_out.append(f"a row that is no record: {record.reject_reason:.200}")
                continue
            fitting = self._fit.fit(record.text)
            if fitting is None:
                left_out.append(f"a record whose id is no whole number, or that is nested too deep: {record.id!r:.100}")
            else:
                kept.append(fitting)
        return Batch(kept, iso_text(shop_time(self._client, self._clock)), left_out)
