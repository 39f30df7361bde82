"""The lock of a subscription's reconcile runs: one at a time, from start to end, between invocations too.

A run that was killed loses the lock when its invocation must be over. A run that was killed after it was decided is
finished by the next one, and loses the lock at once.
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


class _Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who has the lock.

    Attributes:
        until: ISO-8601 UTC.
        entry: The journal entry of the run, with its manifests, once it is decided.
    """

    run_id: str
    until: str
    entry: Mapping[str, Any] = msgspec.field(name="note", default_factory=dict)


class RunLock:
    """The lock as one run sees it. Writes raise `PreconditionFailed` if another run has taken it."""

    def __init__(self, bucket: Bucket, connection: str, subscription: str, run_id: str) -> None:
        """Take whose it may become; nothing is read yet."""
        self._bucket = bucket
        self._key = lock_key(connection, subscription)
        self._subscription = subscription
        self._run_id = run_id
        self._etag = self._written = NONE_YET

    def check(self, now: float) -> _Held | None:
        """Load the lock, and return it unless it is free.

        Args:
            now: Epoch seconds.

        Raises:
            RunInProgress: Another run has it.
        """
        held = self._load()
        if held is None or held.run_id == self._run_id or held.entry or parse_time(held.until).timestamp() <= now:
            return held
        raise RunInProgress(self._subscription, held.run_id, held.until)

    def take(self, now: float, until: float) -> None:
        """Take the lock until a time in epoch seconds. A decided run that has it is finished first.

        Raises:
            RunInProgress: Another run has it.
            PreconditionFailed: This run is decided, or another process took the lock meanwhile.
        """
        held = self.check(now)
        if held is not None and held.entry:
            finish(self._bucket, held.entry)
            if held.run_id == self._run_id:
                raise PreconditionFailed(self._key)
        self.hold(until)

    def recover(self) -> None:
        """Finish the run that was decided but perhaps not finished, if there is one."""
        held = self._load()
        if held is not None and held.entry:
            finish(self._bucket, held.entry)

    def hold(self, until: float) -> None:
        """Keep the lock until another time."""
        self._write(_Held(self._run_id, iso_text(until)))

    def commit(self, until: float, entry: Mapping[str, Any]) -> None:
        """Decide the run that has the lock."""
        self._write(_Held(self._run_id, iso_text(until), entry=entry))

    def is_others(self) -> bool:
        """Whether another run has taken the lock since."""
        held = self._load()
        return held is not None and held.run_id != self._run_id

    def release(self, now: float) -> None:
        """Leave the lock to others, if it is still as this copy of the run wrote it.

        Another copy may have taken it, or decided the run in it. What it says then must not be lost.
        """
        self._etag = self._written
        with contextlib.suppress(PreconditionFailed):
            self.hold(now)

    def _load(self) -> _Held | None:
        found = self._bucket.read_json_with_etag(self._key)
        self._etag = NONE_YET if found is None else found[1]
        return None if found is None else msgspec.convert(found[0], _Held)

    def _write(self, held: _Held) -> None:
        self._etag = self._written = self._bucket.put_json(self._key, msgspec.to_builtins(held), if_match=self._etag)
