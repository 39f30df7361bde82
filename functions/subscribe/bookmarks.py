"""Bookmarks: where the next incremental run starts. They move last, and only from the value that a run started from.

Before a run writes its manifest it notes in the bookmark, as `pending`, where it is about to move it. A run that was
killed between manifest and bookmark is so finished by the next one: it finds the manifest there and takes the note for
true instead of landing the window again. Without the manifest the note counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


class Bookmarks:
    """The bookmark of one subscription."""

    def __init__(self, bucket: Bucket, connection: str, subscription: str) -> None:
        """Take where it lies; nothing is read yet."""
        self._bucket = bucket
        self._key = bookmark_key(connection, subscription)

    def load(self) -> tuple[Bookmark, str]:
        """Return the bookmark and its ETag, empty where there is none, and finish a run that was killed."""
        found = self._bucket.read_json(self._key)
        if found is None:
            return Bookmark(), ""
        value, etag = found
        pending = value.pop("pending", None)
        if pending is not None and self._bucket.read_json(pending["manifest"]) is not None:
            value = pending["bookmark"]
            etag = self._bucket.write_json(self._key, value, etag=etag)
        return msgspec.convert(value, Bookmark), etag

    def intend(self, before: Bookmark, after: Bookmark, manifest: str, etag: str) -> str:
        """Note where the bookmark is about to move once this manifest is there; return the new ETag.

        Raises:
            AlreadyWritten: It is no longer what the run started from.
        """
        return self._bucket.write_json(self._key, _pending(before, after, manifest), etag=etag)

    def move(self, after: Bookmark, etag: str) -> None:
        """Move the bookmark.

        Raises:
            AlreadyWritten: It is no longer what `intend` wrote, and not where it should move either.
        """
        try:
            self._bucket.write_json(self._key, msgspec.to_builtins(after), etag=etag)
        except AlreadyWritten:
            if self.load()[0] != after:
                raise


def _pending(before: Bookmark, after: Bookmark, manifest: str) -> dict[str, Any]:
    pending = {"manifest": manifest, "bookmark": msgspec.to_builtins(after)}
    return {**msgspec.to_builtins(before), "pending": pending}
