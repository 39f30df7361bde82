"""Take records out of the shop's answers without rebuilding them.

`msgspec.Raw` slices keep the text of each record exactly as the shop sent it, and cost a fraction of parsing it. The
envelope keys are irregular and not all are proven, so besides the catalogue's key the documented variants are taken,
and at last the only key that holds what is looked for.
"""

from __future__ import annotations

import re

import msgspec

from lightspeed.catalogue.model import Endpoint

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LISTS = msgspec.json.Decoder(dict[str, list[msgspec.Raw]])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_ERROR = msgspec.json.Decoder(dict[str, object])
_API_KEY = re.compile(rb'("apiKey"\s*:\s*)"(?:[^"\\]|\\.)*"')
_COUNT = msgspec.json.Decoder(int)


class EnvelopeError(ValueError):
    """The body is JSON but holds nothing that could be the record or list."""


class ErrorInside(ValueError):
    """The body of a 2xx answer carries an `error`.

    Attributes:
        code: The error's own code, or 0.
        message: The error's own message.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def records(body: bytes, endpoint: Endpoint) -> list[bytes]:
    """Return the text of each record of a list answer, in the shop's order, one line each.

    Raises:
        EnvelopeError: No list is in it.
        ErrorInside: It carries an `error`.
        msgspec.DecodeError: It is no JSON.
    """
    found = _usual(body, endpoint)
    if found is None:
        found = _ARRAY.decode(body) if _first(body) == b"[" else _unusual(body, endpoint)
    if b"\n" in body or b"\r" in body:
        return [one_line(bytes(record)) for record in found]
    return [bytes(record) for record in found]


def _usual(body: bytes, endpoint: Endpoint) -> list[msgspec.Raw] | None:
    """Return the list under its known key in one pass; `None` where the body is anything else."""
    try:
        members = _LISTS.decode(body)
    except msgspec.ValidationError:
        return None
    return members.get(endpoint.items or "") if "error" not in members else None


def _unusual(body: bytes, endpoint: Endpoint) -> list[msgspec.Raw]:
    members = _members(body)
    lists = {key: text for key, text in members.items() if _first(text) == b"["}
    known = (endpoint.items, endpoint.item, *endpoint.also)
    key = next((key for key in known if key is not None and key in members), None)
    if key is None and len(lists) == 1:
        key = next(iter(lists))
    if key is None:
        raise EnvelopeError(f"expected a list under {endpoint.items!r}, found {_keys(members)}")
    if key not in lists:
        if bytes(members[key]).strip() in (b"{}", b"null", b"false"):
            return []
        raise EnvelopeError(f"expected a list under {key!r}")
    return _ARRAY.decode(lists[key])


def record(body: bytes, endpoint: Endpoint, answer: str | None, *, several: bool = False) -> bytes:
    """Return the text of the one record of an answer, on one line.

    Args:
        body: The answer's body.
        endpoint: Whose record it is.
        answer: The envelope key that the operation answers with, or `None`.
        several: Whether a list of records is as good, as after a bulk write; its text is returned whole.

    Raises:
        EnvelopeError: No record is in it.
        ErrorInside: It carries an `error`.
        msgspec.DecodeError: It is no JSON.
    """
    if endpoint.bare:
        if _first(body) == b"[":
            _ARRAY.decode(body)
        else:
            _members(body)
        return one_line(body.strip())
    members = _members(body)
    for key in (answer, *endpoint.also, endpoint.items):
        if key is not None and key in members:
            return one_line(bytes(members[key]) if several else _only(members[key], key))
    objects = [text for text in members.values() if _first(text) == b"{"]
    if len(members) == 1 and len(objects) == 1:
        return one_line(bytes(objects[0]))
    if answer is None or answer != endpoint.item:
        return one_line(body.strip())
    raise EnvelopeError(f"expected a record under {answer!r}, found {_keys(members)}")


def count(body: bytes) -> int:
    """Return the number of a count answer, `{"count": 42}`.

    Raises:
        EnvelopeError: There is no count in it.
        ErrorInside: It carries an `error`.
        msgspec.DecodeError: It is no JSON.
    """
    members = _members(body)
    if "count" not in members:
        raise EnvelopeError(f"expected a count, found {_keys(members)}")
    return _COUNT.decode(members["count"])


def error_message(body: bytes) -> tuple[int, str] | None:
    """Return code and message of the error envelope `{"error": {"code", "message"}}`, or `None` if it is not one."""
    try:
        members = _OBJECT.decode(body)
        inside = _ERROR.decode(members["error"])
    except (msgspec.DecodeError, KeyError):
        return None
    code = inside.get("code")
    message = str(inside.get("message") or "no message")
    details = inside.get("errors")
    return (code if isinstance(code, int) else 0, f"{message} {details}" if details else message)


def one_line(text: bytes) -> bytes:
    """Drop raw line breaks, which in JSON only ever stand between tokens; the text is otherwise untouched."""
    return text.replace(b"\n", b"").replace(b"\r", b"") if b"\n" in text or b"\r" in text else text


def mask_api_key(record: bytes) -> bytes:
    """Return the text of an `account` record with its `apiKey` masked, otherwise untouched."""
    return _API_KEY.sub(rb'\1"***"', record)


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    members = _OBJECT.decode(body)
    if "error" in members:
        code, message = error_message(body) or (0, bytes(members["error"]).decode(errors="replace")[:200])
        raise ErrorInside(code, message)
    return members


def _only(text: msgspec.Raw, key: str) -> bytes:
    if _first(text) != b"[":
        return bytes(text)
    found = _ARRAY.decode(text)
    if len(found) != 1:
        raise EnvelopeError(f"expected one record under {key!r}, found a list of {len(found)}")
    return bytes(found[0])


def _first(text: bytes | msgspec.Raw) -> bytes:
    return bytes(memoryview(text)[:64]).lstrip()[:1]


def _keys(members: dict[str, msgspec.Raw]) -> str:
    return ", ".join(members) or "an empty object"
