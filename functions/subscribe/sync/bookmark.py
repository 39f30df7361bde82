"""Bookmarks: where the next incremental run of a subscription starts.

One object per subscription holds the bookmark, the lease of a paused run, and a decided run with writes left to make
(`pending`). A run writes only over the object that it has read.

1. One write commits the run: it stores the manifests, the result and the new bookmark as `pending`.
2. The remaining writes are idempotent: the manifests, the run's journal, and last the bookmark. This run makes them, or
   the next run if this one was killed.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from connector.aws.bucket import NONE_YET, Bucket, PreconditionFailed
from connector.errors import ConnectorError, RequestError
from connector.storage_keys import recent_key, subscription_key
from lightspeed.listing.window import LOOKBACK
from lightspeed.request import parse_time
from subscribe.run.cursor import DIGEST_DIGITS
from subscribe.run.journal import finish

MAX_RECENT_INSIDE = 1_000
"""The most ids in the bookmark itself. An object beside it holds a larger number."""

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

_FARTHEST_ZONE = timedelta(hours=15)
"""More than the largest offset of a local time from UTC."""

_FAST = 1
"""The compression level: a twentieth of the time of the best level, for half as many bytes more."""


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
        return min(self.start, parse_time(self.created_until))

    def created_start(self, now: datetime) -> datetime | None:
        """Return the start of what a run that begins now reads by time of creation; `None` for nothing."""
        if self.until is None or self.never_updated == SHOWN:
            return None
        created = parse_time(self.created_until or self.until)
        is_due = self.never_updated == HIDDEN or now - created >= CREATION_EVERY
        return created + timedelta(seconds=1) if is_due else None  # the second of `created` is read already

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


class Lease(msgspec.Struct, frozen=True):
    """The lease of a run that is paused between two invocations.

    Attributes:
        until: ISO-8601 UTC. After this time, another run may start.
    """

    run_id: str
    until: str


class Pending(msgspec.Struct, frozen=True):
    """A decided run that may have writes left to make.

    Attributes:
        bookmark: The bookmark after the run.
        entry: The run's journal entry, with its manifests; empty if an earlier version decided the run.
        manifests: Manifests by key, if an earlier version decided the run.
    """

    bookmark: Bookmark
    entry: Mapping[str, Any] = msgspec.field(name="note", default_factory=dict)
    manifests: Mapping[str, Any] = {}


class BookmarkObject(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stored object of a subscription.

    Attributes:
        bookmark: How far its runs have read.
        lease: The lease of a paused run; `None` for none.
        pending: A decided run that may have writes left; `None` for none.
    """

    bookmark: Bookmark = Bookmark()
    lease: Lease | None = msgspec.field(name="running", default=None)
    pending: Pending | None = None


class Bookmarks:
    """The bookmark of one subscription.

    Each write replaces the object that was read last, and raises `PreconditionFailed` if another run was faster.
    """

    def __init__(self, bucket: Bucket, connection: str, subscription: str) -> None:
        self._bucket = bucket
        self._key = subscription_key(connection, subscription)
        self._recent_key = functools.partial(recent_key, connection, subscription)
        self._etag = NONE_YET

    def load(self) -> BookmarkObject:
        """Return the stored object; an empty one if there is none.

        Raises:
            ConnectorError: It cannot be read; the message says how to repair that.
        """
        try:
            stored, self._etag = self._bucket.read_json_with_etag(self._key) or ({}, NONE_YET)
            found = msgspec.convert(stored, BookmarkObject)
            for text in (found.bookmark.until, found.bookmark.again_from, found.bookmark.created_until):
                if text:
                    parse_time(text)
        except (ValueError, msgspec.ValidationError) as error:
            advice = "restore an earlier version of this object, or delete it to start again"
            raise ConnectorError(f"the bookmark {self._key} cannot be read: {error}; {advice}") from error
        return found

    def peek(self) -> Bookmark:
        """Return the bookmark that the next run would find. Writes nothing, also if a killed run has writes left."""
        found = self.load()
        return found.bookmark if found.pending is None else found.pending.bookmark

    def recent(self, bookmark: Bookmark) -> Mapping[str, str]:
        """Return `recent` of a bookmark, from the bookmark itself or from the object beside it."""
        if not bookmark.recent_in:
            return bookmark.recent
        key = self._recent_key(bookmark.recent_in)
        found = self._bucket.read(key)
        if found is None:
            raise ConnectorError(f"the bookmark {self._key} names {key}, which is gone; restore it")
        return msgspec.json.decode(gzip.decompress(found.body), type=dict[str, str])

    def with_recent(self, bookmark: Bookmark, recent: Mapping[str, str]) -> Bookmark:
        """Return a bookmark with `recent`; store a large `recent` in an object beside it, named by its content."""
        if len(recent) <= MAX_RECENT_INSIDE:
            return msgspec.structs.replace(bookmark, recent=recent, recent_in="")
        body = gzip.compress(msgspec.json.encode(recent, order="sorted"), _FAST, mtime=0)
        digest = hashlib.sha256(body).hexdigest()[:DIGEST_DIGITS]
        self._bucket.put(self._recent_key(digest), body)
        return msgspec.structs.replace(bookmark, recent={}, recent_in=digest)

    def lease(self, bookmark: Bookmark, lease: Lease) -> None:
        """Store the lease of a run that pauses."""
        self._write(BookmarkObject(bookmark, lease))

    def commit(self, before: Bookmark, pending: Pending) -> None:
        """Decide a run: store its result and the new bookmark."""
        self._write(BookmarkObject(before, pending=pending))

    def recover(self) -> BookmarkObject:
        """Make the remaining writes of a decided run, if there is one; return the object after that."""
        found = self.load()
        while found.pending is not None:
            if found.pending.entry:
                finish(self._bucket, found.pending.entry)
            self._bucket.put_manifests(found.pending.manifests)
            self.finalize(found.pending)
            found = self.load()
        return found

    def finalize(self, pending: Pending) -> None:
        """Move the bookmark, which is the last write of a decided run, unless that is done already."""
        found = self.load()
        if found.pending is not None and found.pending.bookmark == pending.bookmark:
            with contextlib.suppress(PreconditionFailed):  # another copy has just moved it
                self._write(BookmarkObject(pending.bookmark))

    def _write(self, found: BookmarkObject) -> None:
        self._etag = self._bucket.put_json(self._key, msgspec.to_builtins(found), if_match=self._etag)


def keep_recent(
    recent: Mapping[str, str], start: datetime | None, created_after: datetime | None = None
) -> dict[str, str]:
    """Return the records that later runs may read again; all of them if the next window has no start.

    Args:
        recent: As in the bookmark.
        start: The start of the next window of changes.
        created_after: Later runs may read records without a time of change again if created after this; by default,
            after `start`.
    """
    if start is None:
        return dict(recent)
    created_after = start if created_after is None else created_after
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
