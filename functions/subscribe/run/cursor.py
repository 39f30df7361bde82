"""The state of a run between two invocations: an object in the bucket, named by a cursor.

A cursor names the object by the run and by the hash of the content. So a forged cursor can only name a state that this
stack wrote for the same request. A cursor stays short, however large the state is.
"""

from __future__ import annotations

import base64
import contextlib
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
"""zlib's parameter for gzip. Cursors of version 2 hold zlib format."""

VERSION = 3
DIGEST_DIGITS = 32
LONGEST_CURSOR = 64 * 1024
"""Characters. A cursor of version 2 holds the state itself."""

MAX_BYTES = 256 * 1024 * 1024
"""The largest state that is unpacked."""

_SELF_CONTAINED = re.compile(rb'\[2,\s*(?:"[^"\\]*",\s*){1,2}\["([^"\\]*)"')
"""The beginning of the state in a cursor of version 2. The rest is not even unpacked."""

_HEAD_BYTES = 1024
_POINTER = re.compile(r"3\.([^/]+)\.([0-9a-f]{32})")


class RunState(msgspec.Struct, array_like=True):
    """The state of every run between two invocations.

    Attributes:
        started: ISO-8601 UTC; its day is part of the run's keys.
        requests: Requests sent so far.
    """

    run_id: str
    started: str = ""
    requests: int = 0


State = TypeVar("State", bound=RunState)


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The objects of one run between two invocations, each named by the hash of its content."""

    bucket: Bucket
    run_id: str

    def save(self, body: bytes) -> str:
        """Write an object and return its name, the start of its SHA-256."""
        name = hashlib.sha256(body).hexdigest()[:DIGEST_DIGITS]
        self.bucket.put(checkpoint_key(self.run_id, name), body)
        return name

    def read(self, name: str) -> bytes | None:
        """Return an object, or `None` if it is gone or its hash is another one."""
        found = self.bucket.read(checkpoint_key(self.run_id, name))
        if found is None or not hashlib.sha256(found.body).hexdigest().startswith(name):
            return None
        return found.body


class Pointer(NamedTuple):
    """A parsed cursor.

    Attributes:
        run_id: The run that it continues.
        digest: The name of the stored state; empty for a cursor of version 2, which holds the state itself.
    """

    run_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class StateStore(Generic[State]):
    """Stores the state of a run for the next invocation, and loads it by a cursor.

    Attributes:
        kind: The type of the state.
        fingerprint: The fingerprint of the run's request.
    """

    bucket: Bucket
    kind: type[State]
    fingerprint: str

    def save(self, run_id: str, state: State) -> str:
        """Store a state and return its cursor."""
        packed = zlib.compress(msgspec.json.encode([VERSION, self.fingerprint, state]), 6, wbits=_GZIP)
        return f"{VERSION}.{run_id}.{Checkpoints(self.bucket, run_id).save(packed)}"

    def load(self, cursor: str) -> State | None:
        """Return the state of a cursor, or `None` if the run starts again under its id.

        The state in a cursor of version 2 names parts by keys that are no longer used. Only its run id is used.

        Raises:
            RequestError: The cursor is malformed, belongs to another request, or names a state that is gone.
        """
        pointer = parse_cursor(cursor)
        if not pointer.digest:
            return None
        packed = Checkpoints(self.bucket, pointer.run_id).read(pointer.digest)
        if packed is None:
            raise RequestError(["cursor names a state that is gone; start the run again without it"])
        return self._state(packed)

    def _state(self, packed: bytes) -> State:
        try:
            *_, fingerprint, state = msgspec.json.decode(_unpack(packed), type=list[msgspec.Raw])
            if msgspec.json.decode(fingerprint) == self.fingerprint:
                return msgspec.json.decode(state, type=self.kind)
        except (zlib.error, msgspec.MsgspecError, ValueError):
            raise RequestError(["cursor is not one that a partial result gave"]) from None
        raise RequestError(["cursor belongs to another request; send it with the event that it came from"])


def parse_cursor(cursor: str) -> Pointer:
    """Parse a cursor.

    Raises:
        RequestError: It is malformed.
    """
    found = _POINTER.fullmatch(cursor)
    if found and RUN_ID.fullmatch(found[1]):
        return Pointer(found[1], found[2])
    with contextlib.suppress(zlib.error, ValueError):
        packed = base64.b64decode(cursor[:LONGEST_CURSOR].encode(), altchars=b"-_", validate=True)
        head = _SELF_CONTAINED.match(zlib.decompressobj().decompress(packed, _HEAD_BYTES))
        if head and RUN_ID.fullmatch(head[1].decode()):
            return Pointer(head[1].decode(), "")
    raise RequestError(["cursor is not one that a partial result gave"])


def _unpack(packed: bytes) -> bytes:
    """Decompress a state.

    Raises:
        ValueError: It is larger than any state, or its end is missing.
    """
    unpacker = zlib.decompressobj(_GZIP)
    text = unpacker.decompress(packed, MAX_BYTES)
    if not unpacker.eof:
        raise ValueError("too large or cut")
    return text
