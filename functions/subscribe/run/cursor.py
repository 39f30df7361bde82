"""What a run keeps in the bucket between two invocations. A cursor only names it.

A cursor holds no state. It names an object by its run and by the hash of its content. So a forged cursor can
only name what this stack wrote for the same request. A cursor stays short, however much a run remembers.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import msgspec

from connector.aws.bucket import Bucket
from connector.errors import RequestError
from connector.storage_keys import RUN_ID, checkpoint_key

_GZIP = 31
"""States are gzip, as their keys say; cursors of version 2 carry zlib."""

VERSION = 3
DIGEST_DIGITS = 32
LONGEST_CURSOR = 64 * 1024
"""Characters. Version 2 carried the state itself and grew up to this."""

MOST_BYTES = 256 * 1024 * 1024
"""The largest state that is unpacked."""

_SELF_CONTAINED = re.compile(rb'\[2,\s*(?:"[^"\\]*",\s*){1,2}\["([^"\\]*)"')
"""The beginning of a state that a cursor of version 2 carries. The rest of it is not even unpacked."""

_HEAD_BYTES = 1024
_POINTER = re.compile(r"3\.([^/]+)\.([0-9a-f]{32})")


class RunState(msgspec.Struct, array_like=True):
    """What every run keeps between two invocations.

    Attributes:
        run_id: The run's id.
        started: ISO-8601 UTC; its day is part of the run's keys.
        requests: Requests sent so far.
    """

    run_id: str
    started: str = ""
    requests: int = 0


State = TypeVar("State", bound=RunState)


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The objects that one run keeps between two invocations, each named by its content."""

    bucket: Bucket
    run_id: str

    def keep(self, body: bytes) -> str:
        """Write an object and return its name, the start of its SHA-256."""
        name = hashlib.sha256(body).hexdigest()[:DIGEST_DIGITS]
        self.bucket.put(checkpoint_key(self.run_id, name), body)
        return name

    def read(self, name: str) -> bytes | None:
        """Return an object, or `None` if it is gone or is not what its name says."""
        found = self.bucket.read(checkpoint_key(self.run_id, name))
        if found is None or not hashlib.sha256(found.body).hexdigest().startswith(name):
            return None
        return found.body


class Pointer(NamedTuple):
    """What a cursor says.

    Attributes:
        run_id: The run that it continues.
        digest: The name of the kept state; empty for a cursor of version 2, which carried the state itself.
    """

    run_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class StateStore(Generic[State]):
    """Keeps the state of a run for its next invocation, and finds it by a cursor.

    Attributes:
        bucket: The bundle's bucket.
        kind: The type of the state.
        fingerprint: The fingerprint of the request that the run answers.
    """

    bucket: Bucket
    kind: type[State]
    fingerprint: str

    def save(self, run_id: str, state: State) -> str:
        """Keep a state and return the cursor that names it."""
        packed = zlib.compress(msgspec.json.encode([VERSION, self.fingerprint, state]), 6, wbits=_GZIP)
        return f"{VERSION}.{run_id}.{Checkpoints(self.bucket, run_id).keep(packed)}"

    def load(self, cursor: str) -> State | None:
        """Return the state that a cursor names, or `None` if the run starts from its beginning.

        A cursor of version 2 carries a state whose parts have keys that are not used any more. Its run starts again,
        under its own id. Nothing else of the cursor is believed.

        Raises:
            RequestError: It is no cursor, belongs to another request, or its state is gone.
        """
        pointer = pointer_of(cursor)
        if not pointer.digest:
            return None
        packed = Checkpoints(self.bucket, pointer.run_id).read(pointer.digest)
        if packed is None:
            raise RequestError(["cursor names a state that is gone; start the run again without it"])
        return self._state(packed)

    def _state(self, packed: bytes) -> State:
        try:
            *_, fingerprint, state = msgspec.json.decode(_unpacked(packed), type=list[msgspec.Raw])
            if msgspec.json.decode(fingerprint) == self.fingerprint:
                return msgspec.json.decode(state, type=self.kind)
        except (zlib.error, msgspec.MsgspecError, ValueError):
            raise RequestError(["cursor is not one that a partial result gave"]) from None
        raise RequestError(["cursor belongs to another request; send it with the event that it came from"])


def pointer_of(cursor: str) -> Pointer:
    """Return what a cursor says.

    Raises:
        RequestError: It is no cursor.
    """
    found = _POINTER.fullmatch(cursor)
    if found and RUN_ID.fullmatch(found[1]):
        return Pointer(found[1], found[2])
    try:
        packed = base64.b64decode(cursor[:LONGEST_CURSOR].encode(), altchars=b"-_", validate=True)
        head = _SELF_CONTAINED.match(zlib.decompressobj().decompress(packed, _HEAD_BYTES))
        if head and RUN_ID.fullmatch(head[1].decode()):
            return Pointer(head[1].decode(), "")
    except (zlib.error, ValueError):
        pass  # what follows says it
    raise RequestError(["cursor is not one that a partial result gave"])


def _unpacked(packed: bytes) -> bytes:
    """Return what was compressed, unless it is larger than any state.

    Raises:
        ValueError: It is too large or cut.
    """
    unpacker = zlib.decompressobj(_GZIP)
    text = unpacker.decompress(packed, MOST_BYTES)
    if not unpacker.eof:
        raise ValueError("too large or cut")
    return text
