"""Read one stream: its whole list, or what changed since its bookmark.

The records of a nested list are read for each parent that changed since the bookmark.

A list is read from its last page to the first, in no order of time. So the bookmark moves once, after the last record,
to the end of the window that was read. A run that is stopped starts from the old bookmark again: a record may come
twice, none is missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lightspeed.client import Client
from lightspeed.errors import LightspeedError, NotFound, PermissionDenied
from lightspeed.listing.budget import RequestBudget
from lightspeed.listing.opening import shop_time
from lightspeed.listing.read_operation import ALL_PARENTS
from lightspeed.listing.whole_list import WholeList
from lightspeed.listing.window import LOOKBACK
from lightspeed.request import Parameters, parse_time
from lightspeed.tap.schema import Fit
from lightspeed.tap.streams import Stream


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


def with_bookmark(state: Mapping[str, Any], stream: Stream, end: datetime) -> dict[str, Any]:
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


def whole_list(stream: Stream, start: datetime | None, client: Client, budget: RequestBudget) -> WholeList:
    """Return a stream's list, to be read from a bookmark on, if it has one; nothing is sent yet."""
    path = {} if stream.parent is None else {stream.endpoint.parents[0]: ALL_PARENTS}
    start = start - LOOKBACK if start is not None and stream.replication_key is not None else None
    return WholeList(client, stream.endpoint, Parameters(path), budget, start, stream.replication_key, recoverable=True)


def batches(stream: Stream, reading: WholeList) -> Iterator[Batch]:
    """Yield the records of a stream, page by page.

    Raises:
        StreamRefused: The shop refuses the list.
        LightspeedError: As the client raises it.
    """
    client = reading.client
    fit = Fit(stream.schema)
    try:
        for records in reading.pages():
            kept, left_out = [], []
            for record in records:
                fitting = None if record.reject_reason else fit.fit(record.text)
                if fitting is not None:
                    kept.append(fitting)
                elif record.reject_reason:
                    left_out.append(f"a row that is no record: {record.reject_reason:.200}")
                else:
                    why = "whose id is no whole number, or that is nested too deep"
                    left_out.append(f"a record {why}: {record.id!r:.100}")
            yield Batch(kept, iso_text(shop_time(client)), left_out)
    except (PermissionDenied, NotFound) as error:
        raise StreamRefused(str(error)) from error
