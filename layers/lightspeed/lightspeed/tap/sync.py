"""Read one stream: its whole list, or the records that changed since its bookmark.

A nested list is read for each parent that changed since the bookmark.

A list is read from its last page to the first, not in the order of time. So the bookmark moves once, after the last
record, to the end of the window. If a run is stopped, the next one starts from the old bookmark: a record may come
twice, and none is missed.
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
from lightspeed.tap.schema import RecordFitter
from lightspeed.tap.streams import Stream


class StateError(ValueError):
    """A bookmark of the state cannot be used; nothing was sent."""


class StreamRefused(LightspeedError):
    """The shop does not let this key read the list, or does not have the list."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one page.

    Attributes:
        records: The JSON text of each record, which matches the stream's schema.
        extracted: When the page was read, ISO 8601 in UTC.
        left_out: For each row that is left out, the reason.
    """

    records: list[bytes]
    extracted: str
    left_out: list[str]


def bookmark_of(state: Mapping[str, Any], stream: Stream) -> datetime | None:
    """Return a stream's bookmark; `None` if there is none, or if every run reads the whole list.

    Raises:
        StateError: The bookmark is not a time.
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
    """Return a state with a stream's bookmark moved to `end`, but never back."""
    if stream.replication_key is None:
        return dict(state)
    before = bookmark_of(state, stream)
    value = iso_text(end if before is None else max(before, end))
    bookmark = {"replication_key": stream.replication_key, "replication_key_value": value}
    return {**state, "bookmarks": {**(state.get("bookmarks") or {}), stream.name: bookmark}}


def iso_text(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def whole_list(stream: Stream, start: datetime | None, client: Client, budget: RequestBudget) -> WholeList:
    """Return a reading of a stream's list, from `LOOKBACK` before its bookmark on if it has one."""
    path = {} if stream.parent is None else {stream.endpoint.parents[0]: ALL_PARENTS}
    start = start - LOOKBACK if start is not None and stream.replication_key is not None else None
    return WholeList(client, stream.endpoint, Parameters(path), budget, start, stream.replication_key, recoverable=True)


def batches(stream: Stream, reading: WholeList) -> Iterator[Batch]:
    """Yield the records of a stream, page by page.

    Raises:
        StreamRefused: The shop refuses the list.
        LightspeedError: A request failed.
    """
    client = reading.client
    fitter = RecordFitter(stream.schema)
    try:
        for records in reading.pages():
            kept, left_out = [], []
            for record in records:
                fitting = None if record.reject_reason else fitter.fit(record.text)
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
