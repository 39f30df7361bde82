"""Turn events into typed requests; an event that does not fit is refused with one clear message."""

from __future__ import annotations

import difflib
import re
from typing import TypeVar

import msgspec

from connector.errors import RequestError

_Request = TypeVar("_Request", bound=msgspec.Struct)
_UNKNOWN = re.compile(r"unknown field `(.*?)`")


def decode(kind: type[_Request], event: object) -> _Request:
    """Return the event as a request of the given kind.

    Raises:
        RequestError: An unknown key, a missing one, or a value of a wrong type, with what would be right.
    """
    if not isinstance(event, dict):
        raise RequestError([f"the event must be a JSON object, not {event!r:.60}"])
    try:
        return msgspec.convert(event, kind)
    except msgspec.ValidationError as error:
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        message = str(error)
        unknown = _UNKNOWN.search(message)
        nearest = difflib.get_close_matches(unknown.group(1), known, n=1) if unknown else []
        advice = f"; did you mean {nearest[0]}?" if nearest else ""
        raise RequestError([f"{message}{advice} (known keys: {', '.join(known)})"]) from None


class EventParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`parameters` of an event."""

    path: dict[str, object] = {}
    query: dict[str, object] = {}
    payload: object = None
