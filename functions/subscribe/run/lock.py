"""The lock of a subscription's reconcile runs: one run at a time, from its start to its end.

A killed run loses the lock when the time of its invocation is over. If a run is killed after it was decided, the next
run finishes it and takes the lock at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec

from connector.aws.bucket import NONE_YET, Bucket, PreconditionFailed
from connector.errors import RunInProgress
from connector.storage_keys import lock_key
from connector.timestamps import iso_text
from lightspeed.request import parse_time
from subscribe.run.journal import finish


class _LockState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stored lock.

    Attributes:
        run_id: The run that holds it.
        until: ISO-8601 UTC.
        entry: The decided journal entry of the run, with its manifests; empty before the run is decided.
    """

    run_id: str
    until: str
    entry: Mapping[str, Any] = msgspec.field(name="note", default_factory=dict)


class RunLock:
    """The lock as one run sees it. A write raises `PreconditionFailed` if the lock has changed since it was read."""

    def __init__(self, bucket: Bucket, connection: str, subscription: str, run_id: str) -> None:
        self._bucket = bucket
        self._key = lock_key(connection, subscription)
        self._subscription = subscription
        self._run_id = run_id
        self._etag = self._written = NONE_YET

    def check(self, now: float) -> _LockState | None:
        """Read the lock and return it; `None` if it was never taken.

        Args:
            now: Epoch seconds.

        Raises:
            RunInProgress: Another run holds it.
        """
        held = self._load()
        if held is None or held.run_id == self._run_id or held.entry or parse_time(held.until).timestamp() <= now:
            return held
        raise RunInProgress(self._subscription, held.run_id, held.until)

    def acquire(self, now: float, until: float) -> None:
        """Take the lock until a time in epoch seconds. If its holder is decided, finish that run first.

        Raises:
            RunInProgress: Another run holds it.
            PreconditionFailed: This run is decided, or another process took the lock meanwhile.
        """
        held = self.check(now)
        if held is not None and held.entry:
            finish(self._bucket, held.entry)
            if held.run_id == self._run_id:
                raise PreconditionFailed(self._key)
        self.renew(until)

    def recover(self) -> None:
        """Finish the holder of the lock if it is decided."""
        held = self._load()
        if held is not None and held.entry:
            finish(self._bucket, held.entry)

    def renew(self, until: float) -> None:
        """Hold the lock until another time, epoch seconds."""
        self._write(_LockState(self._run_id, iso_text(until)))

    def commit(self, until: float, entry: Mapping[str, Any]) -> None:
        """Decide the run that holds the lock."""
        self._write(_LockState(self._run_id, iso_text(until), entry=entry))

    def is_taken_over(self) -> bool:
        """Whether another run now holds the lock."""
        held = self._load()
        return held is not None and held.run_id != self._run_id

    def release(self, now: float) -> None:
        """Free the lock, if this copy of the run was the last to write it.

        Another copy may have taken the lock since, or decided the run in it; that must not be lost.
        """
        self._etag = self._written
        with contextlib.suppress(PreconditionFailed):
            self.renew(now)

    def _load(self) -> _LockState | None:
        found = self._bucket.read_json_with_etag(self._key)
        self._etag = NONE_YET if found is None else found[1]
        return None if found is None else msgspec.convert(found[0], _LockState)

    def _write(self, held: _LockState) -> None:
        self._etag = self._written = self._bucket.put_json(self._key, msgspec.to_builtins(held), if_match=self._etag)
