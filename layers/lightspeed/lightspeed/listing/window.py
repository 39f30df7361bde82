"""The window of the past in which a list is read, and the effect of the user's filters on it.

The filters decide whether rows may still enter the window and whether it may hide records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lightspeed.catalogue.model import Endpoint
from lightspeed.request import format_time, parse_time

LOOKBACK = timedelta(seconds=60)
"""How far an incremental window starts before its bookmark. Records in between are read twice."""

_OFFSET = len("+02:00")
_CANNOT_LET_ROWS_IN = ("limit", "fields", "since_id", "created_at_min", "created_at_max")
"""Parameters that filter by nothing, or by a value that never changes. Any other filter may match a record later."""


@dataclass(frozen=True, slots=True)
class Window:
    """A closed stretch of the past, both ends included, by one of the list's time filters.

    Attributes:
        by: `updated_at` or `created_at`.
        start: UTC, or `None` for the beginning.
        end: UTC, whole seconds.
    """

    by: Literal["updated_at", "created_at"]
    start: datetime | None
    end: datetime

    @property
    def query(self) -> dict[str, str]:
        """The filters that ask the shop for the window."""
        query = {f"{self.by}_max": format_time(self.end)}
        return query if self.start is None else {f"{self.by}_min": format_time(self.start), **query}

    def contains(self, text: str | None) -> bool:
        """Whether a time lies in the window; true for a missing time and for a text that is no time."""
        try:
            moment = parse_time(text) if text else self.end
        except ValueError:
            return True
        return moment <= self.end and (self.start is None or moment >= self.start)

    def contains_all(self, times: Sequence[str]) -> bool:
        """Whether all times, such as `2026-11-23T06:00:00+01:00`, are known to lie in the window.

        Texts with the same offset from UTC sort like their times, so only the first and last of each are parsed.
        """
        for offset in {time[-_OFFSET:] for time in times}:
            same = [time for time in times if time.endswith(offset)]
            try:
                first, last = parse_time(min(same)), parse_time(max(same))
            except ValueError:
                return False
            if last > self.end or (self.start is not None and first < self.start):
                return False
        return True


def closed_window(
    endpoint: Endpoint, query: Mapping[str, object], start: datetime | None, end: datetime, *, incremental: bool
) -> tuple[Window | None, bool]:
    """Return the window of a list, and whether it ensures that no row can enter the list while it is read.

    An incremental reading gets the records that changed between `start` and `end`. A full reading gets the records that
    were created up to `end`: a record that changes meanwhile stays in that window. Times in the user's filters narrow
    the window.

    The first incremental reading, from the beginning, goes by creation too if no row can enter. A record that was never
    changed may have no time of change, and a filter by that time hides it.

    With other filters, rows may enter a window of creation: an order may get the wanted status at any time.

    Args:
        endpoint: The list's row.
        query: The user's filters.
        start: The start of an incremental window; `None` for the beginning.
        end: The end of the window.
        incremental: Whether changes are followed; the entity must have the filter for it.
    """
    known, closed = endpoint.filter_names, _no_row_can_enter(query)
    if "created_at_max" not in known:
        return None, False
    if incremental and (start is not None or not closed):
        by_update = endpoint.incremental == "updated_at_min"
        return Window("updated_at" if by_update else "created_at", start, end), by_update or closed
    by_update = (
        not incremental and "updated_at_max" in known and bool({"updated_at_min", "updated_at_max"} & set(query))
    )
    by: Literal["updated_at", "created_at"] = "updated_at" if by_update else "created_at"
    latest = _time(query.get(f"{by}_max"))
    return Window(by, _time(query.get(f"{by}_min")), min(end, latest or end)), by_update or closed


def creation_window(query: Mapping[str, object], start: datetime, end: datetime) -> tuple[Window, bool]:
    """Return the window of the records that were created between two times, and whether no row can enter it.

    The user's filters in `query` must not be by time of creation.
    """
    return Window("created_at", start, end), _no_row_can_enter(query)


def may_hide_records(endpoint: Endpoint, query: Mapping[str, object]) -> bool:
    """Whether the filter by time of change may hide records of a list that its filter by creation would show."""
    by_creation = {"created_at_min", "created_at_max"}
    return (
        endpoint.incremental == "updated_at_min"
        and by_creation <= set(endpoint.filter_names)
        and not by_creation & set(query)
    )


def unknown_filters(endpoint: Endpoint, query: Mapping[str, object]) -> str:
    """Return why a list may hold records that its filters exclude; empty if the entity is known to have the filters."""
    known = endpoint.filter_names
    unknown = [name for name in query if name not in known]
    if not unknown:
        return ""
    reason = f"it is not known whether the shop applies the filter {unknown[0]}"
    return f"{reason}; known filters are {', '.join(known) or 'none'}"


def _no_row_can_enter(query: Mapping[str, object]) -> bool:
    return all(name in _CANNOT_LET_ROWS_IN for name in query)


def _time(value: object) -> datetime | None:
    return parse_time(value) if isinstance(value, str) else None
