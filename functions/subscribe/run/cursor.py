"""The state of a run between two invocations, small enough to travel through a state machine.

It is opaque to callers, carries a version, and is refused if it belongs to another request.
"""

from __future__ import annotations

import base64
import binascii
import zlib

import msgspec

from connector.errors import RequestError
from lightspeed.listing.checkpoint import ListCheckpoint
from subscribe.storage.bucket import Part

VERSION = 2


class RunState(msgspec.Struct, array_like=True):
    """How far a run has come.

    Attributes:
        run_id: The run's id.
        started: ISO-8601 UTC, by the shop's clock as far as it was known; the date of the keys.
        window_start: ISO-8601 UTC of an incremental run, or `None`.
        window_end: ISO-8601 UTC.
        etag: Of the bookmark that the run started from; empty where there was none.
        position: Which of the run's reads is under way.
        progress: Of that read; `None` before it began.
        parts: Parts landed so far, by language, in order.
        records: Records landed so far.
        requests: Requests sent so far.
        count_before: Sum of the shop's counts when the reads began.
        count_after: Sum of the shop's counts when the reads ended.
        doubt: Why completeness cannot be shown, or empty.
        recent: Id and time of the records at the window's end, for the next run's overlap.
        pending: Parents of the page under way whose nested records are not landed yet.
        transformed: Records given to the entity transformer so far.
        rejected: How many of them it rejected.
        rejected_parts: Parts of rejected records so far, by language, in order.
        odd_rows: Rows so far that are no JSON objects in UTF-8; they are among the rejected parts.
    """

    run_id: str
    started: str
    window_start: str | None = None
    window_end: str = ""
    etag: str = ""
    position: int = 0
    progress: ListCheckpoint | None = None
    parts: dict[str, list[Part]] = {}
    records: int = 0
    requests: int = 0
    count_before: int | None = None
    count_after: int | None = None
    doubt: str = ""
    recent: dict[str, str] = {}
    pending: list[int | str] = []
    transformed: int = 0
    rejected: int = 0
    rejected_parts: dict[str, list[Part]] = {}
    odd_rows: int = 0


class _Cursor(msgspec.Struct, array_like=True):
    version: int
    fingerprint: str
    state: msgspec.Raw


def encode(state: RunState, fingerprint: str) -> str:
    """Return the state as a cursor of the request with this fingerprint."""
    packed = zlib.compress(msgspec.json.encode([VERSION, fingerprint, state]), 9)
    return base64.urlsafe_b64encode(packed).decode()


def decode(cursor: str, fingerprint: str) -> RunState:
    """Return the state that a cursor holds.

    Raises:
        RequestError: It is no cursor, or of another version, or belongs to another request.
    """
    try:
        text = zlib.decompress(base64.urlsafe_b64decode(cursor.encode()))
        return _state(msgspec.json.decode(text, type=_Cursor), fingerprint)
    except (binascii.Error, zlib.error, msgspec.MsgspecError, ValueError):
        raise RequestError(["cursor is not one that a partial result gave"]) from None


def _state(found: _Cursor, fingerprint: str) -> RunState:
    if found.version != VERSION:
        raise RequestError([f"cursor has version {found.version}, this is version {VERSION}; start the run anew"])
    if found.fingerprint != fingerprint:
        raise RequestError(["cursor belongs to another request; pass it back in the same event"])
    return msgspec.json.decode(found.state, type=RunState)
