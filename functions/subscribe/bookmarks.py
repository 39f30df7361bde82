"""Bookmarks: where the next incremental run starts. They move last, and only from the value that a run started from.

Before a run writes its manifest it notes in the bookmark, as `pending`, where it is about to move it. A run that was
killed between manifest and bookmark is so finished by the next one: it finds the manifest there and takes the note for
true instead of landing the window again. Without the manifest the note counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from subscribe.landing import AlreadyWritten, Bucket, bookmark_key


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


class _Pending(msgspec.Struct, frozen=True):
    manifest: str
    bookmark: Bookmark


class _Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    bookmark: Bookmark = Bookmark()
    running: Lease | None = None
    pending: _Pending | None = None


class Bookmarks:
    """The bookmark of one subscription.

    Every write is conditional on what the run started from; `AlreadyWritten` says that another run was faster.
    """

    def __init__(self, bucket: Bucket, connection: str, subscription: str) -> None:
        """Take where it lies; nothing is read yet."""
        self._bucket = bucket
        self._key = bookmark_key(connection, subscription)

    def load(self) -> tuple[Bookmark, Lease | None, str]:
        """Return the bookmark, the run under way if any, and the ETag (empty where there is no bookmark yet).

        A run that was killed between manifest and bookmark is finished here.
        """
        found = self._bucket.read_json(self._key)
        if found is None:
            return Bookmark(), None, ""
        stored, etag = msgspec.convert(found[0], _Stored), found[1]
        if stored.pending is not None and self._bucket.read_json(stored.pending.manifest) is not None:
            stored = _Stored(stored.pending.bookmark)
            etag = self._write(stored, etag)
        return stored.bookmark, stored.running, etag

    def hold(self, bookmark: Bookmark, lease: Lease, etag: str) -> str:
        """Note that a run goes on later; return the new ETag."""
        return self._write(_Stored(bookmark, running=lease), etag)

    def intend(self, before: Bookmark, after: Bookmark, manifest: str, etag: str) -> str:
        """Note where the bookmark is about to move once this manifest is there; return the new ETag."""
        return self._write(_Stored(before, pending=_Pending(manifest, after)), etag)

    def move(self, after: Bookmark, etag: str) -> None:
        """Move the bookmark; that another run has finished this move already is as good."""
        try:
            self._write(_Stored(after), etag)
        except AlreadyWritten:
            if self.load()[0] != after:
                raise

    def _write(self, stored: _Stored, etag: str) -> str:
        return self._bucket.write_json(self._key, msgspec.to_builtins(stored), etag=etag)
