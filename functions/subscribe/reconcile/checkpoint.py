"""What a reconcile run carries from one invocation to the next, and whose turn it is."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib

import msgspec

from connector.errors import RequestError, RunInProgress
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.request import parse_time
from subscribe.reconcile.id_index import Id, iso
from subscribe.storage.bucket import Bucket, PreconditionFailed, kept_key, turn_key

VERSION = 2


class ReconcileState(msgspec.Struct, array_like=True):
    """How far a reconcile run has come.

    Attributes:
        run_id: The run's id.
        started: ISO-8601 UTC by our clock, as of every run; the date of the keys.
        window_end: ISO-8601 UTC by the shop's clock; what was created later is not looked at.
        progress: Of the list; `None` before it began.
        listed: Whether the list was read to its end.
        ids: What of the list earlier invocations keep in the bucket, by content.
        known: How many ids were alive when the run looked, or `None` before that.
        absent: How many of them are not in the list, or `None` before that.
        trusted: Whether the shop found a listed record by its id.
        looked: The id looked at last.
        gone: What earlier invocations keep in the bucket of records that are gone.
        deleted: How many are gone so far.
        unclear: How many looks told neither.
        requests: Requests sent so far.
    """

    run_id: str
    started: str
    window_end: str = ""
    progress: ListCheckpoint | None = None
    listed: bool = False
    ids: list[str] = []
    known: int | None = None
    absent: int | None = None
    trusted: bool = False
    looked: Id | None = None
    gone: list[str] = []
    deleted: int = 0
    unclear: int = 0
    requests: int = 0

    @property
    def position(self) -> tuple[object, ...]:
        """What differs once the run has come further."""
        read = self.progress.read if self.progress is not None else None
        return read, self.listed, self.absent, self.looked


class _Cursor(msgspec.Struct, array_like=True):
    version: int
    mode: str
    fingerprint: str
    state: ReconcileState


def encode(state: ReconcileState, fingerprint: str) -> str:
    """Return the state as a cursor of the request with this fingerprint."""
    packed = zlib.compress(msgspec.json.encode(_Cursor(VERSION, "reconcile", fingerprint, state)), 9)
    return base64.urlsafe_b64encode(packed).decode()


def decode(cursor: str, fingerprint: str) -> ReconcileState:
    """Return the state that a cursor holds.

    Raises:
        RequestError: It is no cursor, or of another version, or belongs to another request.
    """
    try:
        packed = zlib.decompress(base64.urlsafe_b64decode(cursor.encode()))
        version, _, belongs_to, *_ = msgspec.json.decode(packed)
        found = msgspec.json.decode(packed, type=_Cursor) if (version, belongs_to) == (VERSION, fingerprint) else None
    except (binascii.Error, zlib.error, msgspec.MsgspecError, ValueError, TypeError):
        raise RequestError(["cursor is not one that a partial result gave"]) from None
    if found is not None:
        return found.state
    if belongs_to == fingerprint:
        raise RequestError([f"cursor has version {version}, this is version {VERSION}; start the run anew"])
    raise RequestError(["cursor belongs to another request; pass it back in the same event"])


class Kept:
    """What an invocation keeps for the next one, under the name of its content: nobody else can overwrite it."""

    def __init__(self, bucket: Bucket, run_id: str) -> None:
        """Take whose it is; nothing is read yet."""
        self._bucket = bucket
        self._run_id = run_id

    def keep(self, body: bytes) -> str:
        """Write an object and return its name."""
        name = hashlib.sha256(body).hexdigest()[:16]
        self._bucket.write(kept_key(self._run_id, name), body)
        return name

    def read(self, name: str) -> bytes | None:
        """Return an object, or `None` if it is gone."""
        found = self._bucket.read(kept_key(self._run_id, name))
        return None if found is None else found[0]


class _Taken(msgspec.Struct):
    run_id: str
    until: str
    manifest: str | None = None


class RunLock:
    """One reconcile run at a time for a subscription.

    A run holds its turn from its start to its end, between invocations too. One that was killed loses it when its
    invocation must be over, or at once if its manifest is there.
    """

    def __init__(self, bucket: Bucket, connection: str, subscription: str, run_id: str) -> None:
        """Take whose turn it may become; nothing is read yet."""
        self._bucket = bucket
        self._key = turn_key(connection, subscription)
        self._subscription = subscription
        self._run_id = run_id
        self._etag = ""

    def look(self, now: float) -> None:
        """See whether the turn is free.

        Raises:
            RunInProgress: It is another run's.
        """
        found = self._bucket.read_json(self._key)
        self._etag = "" if found is None else found[1]
        taken = None if found is None else msgspec.convert(found[0], _Taken)
        if taken is None or taken.run_id == self._run_id or parse_time(taken.until).timestamp() <= now:
            return
        if taken.manifest is None or self._bucket.read(taken.manifest) is None:
            raise RunInProgress(self._subscription, taken.run_id, taken.until)

    def take(self, now: float, until: float) -> None:
        """Take the turn, until a time in epoch seconds.

        Raises:
            RunInProgress: It is another run's.
        """
        self.look(now)
        try:
            self.keep(until)
        except PreconditionFailed:
            self.look(now)
            self.keep(until)

    def keep(self, until: float, manifest: str | None = None) -> None:
        """Hold the turn until another time; with the manifest that ends it, if it is about to be written.

        Raises:
            AlreadyWritten: Somebody else took it.
        """
        taken = _Taken(self._run_id, iso(int(until)), manifest)
        self._etag = self._bucket.write_json(self._key, msgspec.to_builtins(taken), etag=self._etag)

    def release(self, now: float) -> None:
        """Leave the turn to others; if one has taken it already, that is as well."""
        try:
            self.keep(now)
        except PreconditionFailed:
            return
