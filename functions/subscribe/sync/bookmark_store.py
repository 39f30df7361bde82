"""Store bookmarks: one object per subscription.

The object holds the bookmark, the lease of a paused run, and a decided run with writes left to make (`pending`). A run
writes only over the object that it has read.

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
from typing import Any

import msgspec

from connector.aws.bucket import NONE_YET, Bucket, PreconditionFailed
from connector.errors import ConnectorError
from connector.storage_keys import recent_key, subscription_key
from lightspeed.request import parse_time
from subscribe.run.cursor import DIGEST_DIGITS
from subscribe.run.journal import finish
from subscribe.sync.bookmark import Bookmark

MAX_RECENT_INSIDE = 1_000
"""The most ids in the bookmark itself. An object beside it holds a larger number."""

_FAST = 1
"""The compression level: a twentieth of the time of the best level, for half as many bytes more."""


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
            known = found.bookmark
            for text in (known.until, known.again_from, known.created_until, known.opened):
                if text:
                    parse_time(text)
        except (ValueError, msgspec.ValidationError) as error:
            advice = "restore an earlier version of this object, or delete it to start again"
            raise ConnectorError(f"the bookmark {self._key} cannot be read: {error}; {advice}") from error
        return found

    def peek(self) -> Bookmark:
        """Return the bookmark that the next run would find. Writes nothing, also if a killed run has writes left."""
        stored = self.load()
        return stored.bookmark if stored.pending is None else stored.pending.bookmark

    def recent(self, bookmark: Bookmark) -> Mapping[str, str]:
        """Return `recent` of a bookmark, from the bookmark itself or from the object beside it."""
        if not bookmark.recent_in:
            return bookmark.recent
        key = self._recent_key(bookmark.recent_in)
        stored = self._bucket.read(key)
        if stored is None:
            raise ConnectorError(f"the bookmark {self._key} names {key}, which is gone; restore it")
        return msgspec.json.decode(gzip.decompress(stored.body), type=dict[str, str])

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
        stored = self.load()
        while stored.pending is not None:
            if stored.pending.entry:
                finish(self._bucket, stored.pending.entry)
            self._bucket.put_manifests(stored.pending.manifests)
            self.finalize(stored.pending)
            stored = self.load()
        return stored

    def finalize(self, pending: Pending) -> None:
        """Move the bookmark, which is the last write of a decided run, unless that is done already."""
        stored = self.load()
        if stored.pending is not None and stored.pending.bookmark == pending.bookmark:
            with contextlib.suppress(PreconditionFailed):  # another copy has just moved it
                self._write(BookmarkObject(pending.bookmark))

    def _write(self, found: BookmarkObject) -> None:
        self._etag = self._bucket.put_json(self._key, msgspec.to_builtins(found), if_match=self._etag)
