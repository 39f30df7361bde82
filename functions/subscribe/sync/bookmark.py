"""Bookmarks: where the next incremental run of a subscription starts.

One object per subscription holds the bookmark, the lease of a paused run, and a decided run that is not finished yet
(`pending`). Every write is conditional on the object that the run has seen.

1. A run ends with one write: its manifests, its result and where the bookmark moves, stored as `pending`. This write
   commits the run.
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

MOST_RECENT_INSIDE = 1_000
"""Ids that the bookmark itself holds. More are stored beside it."""

MOST_UNVERIFIED = 3
"""Runs in a row that may leave the bookmark where it is because their list could not be proved."""

MOST_REMEMBERED = 20_000
"""Records of a window that a run remembers, so that the next run can read that window again and store none twice."""

HIDDEN, SHOWN = "hidden", "shown"
"""Whether a list in a window of changes holds records that have no time of change."""

CREATION_EVERY = timedelta(days=1)
"""How often a subscription is read by time of creation too. Every run does so once records without `updatedAt` are
known."""

NEVER_UPDATED = " never updated"
"""Follows the time of creation of a remembered record that has no time of change.

Only where its list may be read by time of creation too.
"""

_FARTHEST_ZONE = timedelta(hours=15)
"""More than a shop's local time differs from UTC."""

_FAST = 1
"""The level of compression: a twentieth of the time of the best one, for half as many bytes more."""


class Bookmark(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a subscription has been read.

    Attributes:
        until: ISO-8601 UTC; everything up to here is stored. `None` while the first run is under way.
        run_id: The run that moved it here.
        recent: Time of the latest change, by id, of the records that were stored and that the next runs may read again.
        recent_in: Start of the SHA-256 of the object beside the bookmark that holds `recent` where it is large; else
            empty.
        unverified: Runs in a row that left `until` as it was, because they may have missed records.
        again_from: ISO-8601 UTC; where the next window starts, if that is earlier than `LOOKBACK` before `until`. It is
            set where `until` rests on the shop's dates alone, which may be wrong.
        skew: How far the shop's clock was ahead of ours, whole seconds, if that is more than a minute.
        created_until: ISO-8601 UTC; up to where the list was read by time of creation. Empty: up to `until`.
        never_updated: `hidden` or `shown`, if records without a time of change were found: whether the list in a window
            of changes holds them.
        entity: What the subscription reads; empty in a bookmark of an earlier version.
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

    @property
    def shown(self) -> dict[str, str] | None:
        """What a result and transformers show of it; `None` before the first run has ended."""
        return None if self.until is None else {"until": self.until}

    @property
    def start(self) -> datetime | None:
        """Where the next window starts; `None` for the beginning."""
        if self.until is None:
            return None
        start = parse_time(self.until) - LOOKBACK
        return min(start, parse_time(self.again_from)) if self.again_from else start

    @property
    def created_after(self) -> datetime | None:
        """After which time records without a time of change may be read again; `None` for the beginning."""
        if self.start is None or self.never_updated == SHOWN or not self.created_until:
            return self.start
        return min(self.start, parse_time(self.created_until))

    def created_start(self, now: datetime) -> datetime | None:
        """Return from where a run that begins now reads by time of creation too; `None` if it does not."""
        if self.until is None or self.never_updated == SHOWN:
            return None
        created = parse_time(self.created_until or self.until)
        is_due = self.never_updated == HIDDEN or now - created >= CREATION_EVERY
        return created + timedelta(seconds=1) if is_due else None  # that second is read already

    def check_entity(self, subscription: str, entity: str) -> None:
        """Check that a run reads the entity of the subscription. Of another one it would leave out all older records.

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
    """Says that a run is paused between two invocations.

    Attributes:
        until: ISO-8601 UTC. After that the run counts as given up.
    """

    run_id: str
    until: str


class Pending(msgspec.Struct, frozen=True):
    """A decided run whose remaining writes may be missing.

    Attributes:
        bookmark: Where the bookmark moves.
        entry: The run's journal entry, with its manifests; empty where an earlier version decided the run.
        manifests: Manifests by key, where an earlier version decided the run.
    """

    bookmark: Bookmark
    entry: Mapping[str, Any] = msgspec.field(name="note", default_factory=dict)
    manifests: Mapping[str, Any] = {}


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored of a subscription.

    Attributes:
        bookmark: How far it has been read.
        lease: The lease of the paused run, if there is one.
        pending: The run that is decided but perhaps not finished, if there is one.
    """

    bookmark: Bookmark = Bookmark()
    lease: Lease | None = msgspec.field(name="running", default=None)
    pending: Pending | None = None


class Bookmarks:
    """The bookmark of one subscription.

    Every write goes over what was read last, and raises `PreconditionFailed` if another run was faster.
    """

    def __init__(self, bucket: Bucket, connection: str, subscription: str) -> None:
        """Take whose it is; nothing is read yet."""
        self._bucket = bucket
        self._key = subscription_key(connection, subscription)
        self._recent_key = functools.partial(recent_key, connection, subscription)
        self._etag = NONE_YET

    def load(self) -> Found:
        """Return what is stored of the subscription."""
        try:
            stored, self._etag = self._bucket.read_json_with_etag(self._key) or ({}, NONE_YET)
            found = msgspec.convert(stored, Found)
            for text in (found.bookmark.until, found.bookmark.again_from, found.bookmark.created_until):
                if text:
                    parse_time(text)
        except (ValueError, msgspec.ValidationError) as error:
            advice = "restore an earlier version of this object, or delete it to start again"
            raise ConnectorError(f"the bookmark {self._key} cannot be read: {error}; {advice}") from error
        return found

    def peek(self) -> Bookmark:
        """Return the bookmark as a run would find it, without finishing one that was killed."""
        found = self.load()
        return found.bookmark if found.pending is None else found.pending.bookmark

    def recent(self, bookmark: Bookmark) -> Mapping[str, str]:
        """Return the records that were stored shortly before a bookmark, from wherever they are kept."""
        if not bookmark.recent_in:
            return bookmark.recent
        key = self._recent_key(bookmark.recent_in)
        found = self._bucket.read(key)
        if found is None:
            raise ConnectorError(f"the bookmark {self._key} names {key}, which is gone; restore it")
        return msgspec.json.decode(gzip.decompress(found.body), type=dict[str, str])

    def with_recent(self, bookmark: Bookmark, recent: Mapping[str, str]) -> Bookmark:
        """Return a bookmark of bounded size; a large `recent` is kept in an object beside it, named by its content."""
        if len(recent) <= MOST_RECENT_INSIDE:
            return msgspec.structs.replace(bookmark, recent=recent, recent_in="")
        body = gzip.compress(msgspec.json.encode(recent, order="sorted"), _FAST, mtime=0)
        digest = hashlib.sha256(body).hexdigest()[:DIGEST_DIGITS]
        self._bucket.put(self._recent_key(digest), body)
        return msgspec.structs.replace(bookmark, recent={}, recent_in=digest)

    def lease(self, bookmark: Bookmark, lease: Lease) -> None:
        """Store that a run is paused."""
        self._write(Found(bookmark, lease))

    def commit(self, before: Bookmark, pending: Pending) -> None:
        """Decide a run: store how it ends and where the bookmark moves."""
        self._write(Found(before, pending=pending))

    def recover(self) -> Found:
        """Finish the run that was decided but perhaps not finished, if there is one; return what is known then."""
        found = self.load()
        while found.pending is not None:
            if found.pending.entry:
                finish(self._bucket, found.pending.entry)
            self._bucket.put_manifests(found.pending.manifests)
            self.move(found.pending)
            found = self.load()
        return found

    def move(self, pending: Pending) -> None:
        """Move the bookmark of a finished run, unless that is done already."""
        found = self.load()
        if found.pending is not None and found.pending.bookmark == pending.bookmark:
            with contextlib.suppress(PreconditionFailed):  # another copy has just moved it
                self._write(Found(pending.bookmark))

    def _write(self, found: Found) -> None:
        self._etag = self._bucket.put_json(self._key, msgspec.to_builtins(found), if_match=self._etag)


def still_recent(
    recent: Mapping[str, str], start: datetime | None, created_after: datetime | None = None
) -> dict[str, str]:
    """Return the records that later runs may read again; all of them if the next window has no start.

    Args:
        recent: As in the bookmark.
        start: Of the next window of changes.
        created_after: After which time records without a time of change are read again; by default, from `start` on.
    """
    if start is None:
        return dict(recent)
    created_after = start if created_after is None else created_after
    kept, day = {}, (min(start, created_after) - _FARTHEST_ZONE).date().isoformat()
    for record, changed in recent.items():
        if changed[:10] < day:
            continue
        created = changed.removesuffix(NEVER_UPDATED)
        moment = time_of(created)
        if moment is not None and moment >= (start if created == changed else created_after):
            kept[record] = changed
    return kept


@functools.lru_cache(maxsize=1024)
def time_of(text: str | None) -> datetime | None:
    """Return the time that the shop wrote, or `None` if it is none."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None
