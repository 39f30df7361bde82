"""Bookmarks: where the next incremental run of a subscription starts. Nothing here reads or writes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from connector.errors import RequestError
from lightspeed.listing.window import LOOKBACK
from lightspeed.request import parse_time

MAX_UNVERIFIED = 3
"""The most runs in a row that may leave the bookmark where it is, because their list could not be proved."""

MAX_REMEMBERED = 20_000
"""The most records of a window that a run remembers, so that the next run can read it again and store none twice."""

HIDDEN, SHOWN = "hidden", "shown"
"""Whether a list that is filtered by time of change hides or shows records that have none."""

CREATION_EVERY = timedelta(days=1)
"""How often a run also reads by time of creation, unless records without `updatedAt` are known. Then every run does."""

NEVER_UPDATED = " never updated"
"""In `recent`, follows the time of creation of a record without a time of change, if runs may read it by creation."""

CREATION_OVERLAP = timedelta(seconds=1)
"""How far a stretch of creation reaches into the one before it. A filter may leave out its first and last second."""

_FARTHEST_ZONE = timedelta(hours=15)
"""More than the largest offset of a local time from UTC."""


class Bookmark(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the runs of a subscription have read.

    Attributes:
        until: ISO-8601 UTC; every change up to here is stored. `None` while the first run is under way.
        run_id: The run that moved it here.
        recent: Times of the latest change of stored records that the next runs may read again, by language and id.
        recent_in: If `recent` is large, an object beside the bookmark holds it; this is the start of its SHA-256. Else
            empty.
        unverified: How many runs in a row left `until` as it was, because they may have missed records.
        again_from: ISO-8601 UTC; the start of the next window, if it is earlier than `LOOKBACK` before `until`. A run
            sets it if `until` rests on the shop's dates alone, which may be wrong.
        skew: How far the shop's clock was ahead of ours, whole seconds; 0 for up to a minute.
        created_until: ISO-8601 UTC; the end of what was read by time of creation. Empty if that is `until`.
        never_updated: `HIDDEN` or `SHOWN` if records without a time of change are known, else empty.
        entity: The entity of the subscription; empty in a bookmark of an earlier version.
        opened: ISO-8601 UTC; our time when the last run opened its window. Empty in a bookmark of an earlier version.
    """

    until: str | None = None
    run_id: str = ""
    recent: Mapping[str, str] = {}
    recent_in: str = ""
    unverified: int = 0
    again_from: str = ""
    skew: int = 0
    created_until: str = ""
    never_updated: str = ""
    entity: str = ""
    opened: str = ""

    def to_json(self) -> dict[str, str] | None:
        """Return the bookmark as results and transformers show it; `None` before the first run has ended."""
        return None if self.until is None else {"until": self.until}

    @property
    def start(self) -> datetime | None:
        """The start of the next window; `None` for the beginning."""
        if self.until is None:
            return None
        start = parse_time(self.until) - LOOKBACK
        return min(start, parse_time(self.again_from)) if self.again_from else start

    @property
    def created_after(self) -> datetime | None:
        """Records without a time of change may be read again if created after this; `None` for the beginning."""
        if self.start is None or self.never_updated == SHOWN or not self.created_until:
            return self.start
        return min(self.start, parse_time(self.created_until) - CREATION_OVERLAP)

    def created_start(self, now: datetime) -> datetime | None:
        """Return the first time of creation that a new run reads; `None` if it does not read by time of creation."""
        if self.until is None or self.never_updated == SHOWN:
            return None
        created = parse_time(self.created_until or self.until)
        is_due = self.never_updated == HIDDEN or now - created >= CREATION_EVERY
        return created - CREATION_OVERLAP if is_due else None

    def check_entity(self, subscription: str, entity: str) -> None:
        """Check that a run reads the entity of the subscription. It would miss the older records of another entity.

        Raises:
            RequestError: It reads another entity.
        """
        if self.entity not in ("", entity):
            raise RequestError(
                [f"subscription {subscription!r} is a copy of {self.entity}; name another one for {entity}"]
            )

    def is_same(self, until: str | None, run_id: str) -> bool:
        """Whether this bookmark has this time and was moved by this run."""
        return (self.until, self.run_id) == (until, run_id)


def keep_recent(
    recent: Mapping[str, str], start: datetime | None, created_after: datetime | None = None
) -> dict[str, str]:
    """Return the records that later runs may read again; all of them if the next window has no start.

    Args:
        recent: As in the bookmark.
        start: The start of the next window of changes.
        created_after: Later runs may read records without a time of change again if created after this; by default,
            `CREATION_OVERLAP` before `start`.
    """
    if start is None:
        return dict(recent)
    created_after = start - CREATION_OVERLAP if created_after is None else created_after
    kept, day = {}, (min(start, created_after) - _FARTHEST_ZONE).date().isoformat()
    for record, changed in recent.items():
        if changed[:10] < day:
            continue
        created = changed.removesuffix(NEVER_UPDATED)
        moment = parse_shop_time(created)
        if moment is not None and moment >= (start if created == changed else created_after):
            kept[record] = changed
    return kept


@functools.lru_cache(maxsize=1024)
def parse_shop_time(text: str | None) -> datetime | None:
    """Return the time in a text of the shop, or `None` if it holds none."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None
