"""Bookmarks: where the next incremental run starts. They move last, and only from the value that a run started from.

A run ends with one conditional write: its manifests and where the bookmark moves, noted in the bookmark as `pending`.
From then on it is decided. What is left, the manifests and then the bookmark, is done by whoever comes: the run itself,
the next one if it was killed, or both at once, for all of them write the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from connector.errors import ConnectorError
from lightspeed.request import parse_time
from subscribe.storage.bucket import Bucket, PreconditionFailed, bookmark_key


class Bookmark(msgspec.Struct, frozen=True):
    """How far a subscription has been read.

    Attributes:
        until: ISO-8601 UTC; everything up to here is landed. `None` while the first run is under way.
        run_id: The run that moved it here.
        recent: Time of the latest change, by id, of the records landed shortly before `until`.
    """

    until: str | None = None
    run_id: str = ""
    recent: Mapping[str, str] = {}


class Lease(msgspec.Struct, frozen=True):
    """Says that a run is under way between two invocations.

    Attributes:
        until: ISO-8601 UTC; after that the run is taken for given up.
    """

    run_id: str
    until: str


class Found(NamedTuple):
    """What is known of a subscription.

    Attributes:
        bookmark: How far it has been read.
        lease: Of the run that goes on later, if any.
        etag: Of the object; empty where there is none yet.
    """

    bookmark: Bookmark
    lease: Lease | None
    etag: str


class _Pending(msgspec.Struct, frozen=True):
    manifests: Mapping[str, Any]
    bookmark: Bookmark


class _Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    bookmark: Bookmark = Bookmark()
    running: Lease | None = None
    pending: _Pending | None = None


class Bookmarks:
    """The bookmark of one subscription.

    Every write is conditional on what the run started from; `PreconditionFailed` says that another run was faster.
    """

    def __init__(self, bucket: Bucket, connection: str, subscription: str) -> None:
        """Take where it lies; nothing is read yet."""
        self._bucket = bucket
        self._key = bookmark_key(connection, subscription)

    def load(self) -> Found:
        """Return the bookmark and who is at work on it.

        A run that was killed after it was decided is finished here.
        """
        stored, etag = self._read()
        if stored.pending is None:
            return Found(stored.bookmark, stored.running, etag)
        self._bucket.write_manifests(stored.pending.manifests)
        after = stored.pending.bookmark
        try:
            return Found(after, None, self._write(_Stored(after), etag))
        except PreconditionFailed:
            return self.load()

    def look(self) -> Bookmark:
        """Return the bookmark as a run would find it, without finishing one that was killed."""
        stored, _ = self._read()
        return stored.bookmark if stored.pending is None else stored.pending.bookmark

    def hold(self, bookmark: Bookmark, lease: Lease, etag: str) -> str:
        """Note that a run goes on later; return the new ETag."""
        return self._write(_Stored(bookmark, running=lease), etag)

    def decide(self, before: Bookmark, after: Bookmark, manifests: Mapping[str, Any], etag: str) -> str:
        """Note where the bookmark moves once these manifests, by key, are there; return the new ETag."""
        return self._write(_Stored(before, pending=_Pending(manifests, after)), etag)

    def move(self, after: Bookmark, etag: str) -> None:
        """Move the bookmark; that another run has finished this move already is as good."""
        try:
            self._write(_Stored(after), etag)
        except PreconditionFailed:
            if self.load().bookmark != after:
                raise

    def _read(self) -> tuple[_Stored, str]:
        try:
            found = self._bucket.read_json(self._key)
            if found is None:
                return _Stored(), ""
            stored = msgspec.convert(found[0], _Stored)
            parse_time(stored.bookmark.until or "2000-01-01")
        except (ValueError, msgspec.ValidationError) as error:
            advice = "restore an earlier version of this object, or delete it to start anew"
            raise ConnectorError(f"the bookmark {self._key} cannot be read: {error}; {advice}") from error
        return stored, found[1]

    def _write(self, stored: _Stored, etag: str) -> str:
        value = msgspec.to_builtins(stored)
        try:
            return self._bucket.write_json(self._key, value, etag=etag)
        except PreconditionFailed:  # by this very call, if S3's first answer was lost
            found = self._bucket.read_json(self._key)
            if found is None or found[0] != value:
                raise
            return found[1]
