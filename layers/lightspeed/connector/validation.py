"""Turns events into typed requests. The error of a wrong event says what would be right."""

from __future__ import annotations

import difflib
import json
import re
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from connector.errors import RequestError
from lightspeed.numbers import loads, unique_members

_Request = TypeVar("_Request", bound=msgspec.Struct)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`")
_MISSING = re.compile(r"Object missing required field `(.*?)`")
_CHOICE = re.compile(r"Invalid enum value (.*?) - at `\$\.(\w+)`")
_TYPE = re.compile(r"Expected `([^`]*)`(.*?)(?:, got `(\w+)`)?(?: - at `\$(.*)`)?")
_PLAIN = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "Exact": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "date": "a date",
    "datetime": "a date",
    "time": "a time",
}
_BOUND = re.compile(r"(?: (of length))? ([<>])= ([\d.]+?)(?:\.0)?")
_INSIDE = "at `$.parameters"

MAX_LEVELS = 200
"""The most nested objects and lists in an event, so that no walk through it goes too deep."""

QUOTED_CHARACTERS = 100
"""The most characters of a caller's input in a message."""

_TOO_DEEP = f"nested too deep, at most {MAX_LEVELS} objects and lists in one another"


def parse_json(text: str, *, exact: bool = False) -> object:
    """Return the value of JSON text. A byte order mark before it is ignored.

    Args:
        text: JSON.
        exact: Whether numbers keep their text, see `lightspeed.numbers`. Else they are `int` or `float`.

    Raises:
        ValueError: The text is no JSON, an object has a key twice, or `invalid_reason` finds a reason.
    """
    text = text.removeprefix("\ufeff")
    try:
        value: object = loads(text, unique_members) if exact else json.loads(text, object_pairs_hook=unique_members)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    found = invalid_reason(value)
    if found:
        raise ValueError(found)
    return value


def invalid_reason(value: object) -> str:
    """Return why a JSON value is too deep, or has text that UTF-8 cannot hold; an empty text for any other value."""
    level = [value] if isinstance(value, dict | list) else []
    levels = 0
    while level and levels < MAX_LEVELS:
        levels += 1
        inside = (part for one in level for part in (one.values() if isinstance(one, dict) else one))
        level = [part for part in inside if isinstance(part, dict | list)]
    if level:
        return _TOO_DEEP
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        return f"half a character in it, {error.object[error.start]!r}"
    return ""


def parse_event(kind: type[_Request], event: object) -> _Request:
    """Return the event as a request of this kind.

    Raises:
        RequestError: The event has an unknown key, lacks a key, or has a value of a wrong type.
    """
    found = invalid_reason(event)
    if found:
        raise RequestError([f"the event cannot be read: {found}"])
    if not isinstance(event, dict):
        raise RequestError([f"the event must be a JSON object, not {event!r:.100}"])
    try:
        return msgspec.convert(event, kind)
    except msgspec.ValidationError as error:
        raise RequestError([_explain(kind, str(error))]) from None


class EventParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`parameters` of an event."""

    path: dict[str, object] = {}
    query: dict[str, object] = {}
    payload: object = None


def without_defaults(event: _Request) -> _Request:
    """Return an event whose JSON omits every default, also one that the caller wrote.

    `omit_defaults` of msgspec compares by identity. So values that equal a default are replaced by the default itself.
    """
    same = {
        field.name: field.default
        for field in msgspec.structs.fields(event)
        if field.default is not msgspec.NODEFAULT and getattr(event, field.name) == field.default
    }
    return msgspec.structs.replace(event, **same)


def _explain(kind: type[msgspec.Struct], message: str) -> str:
    """Return msgspec's message with the right keys or values."""
    unknown, missing, choice = _UNKNOWN.search(message), _MISSING.search(message), _CHOICE.search(message)
    if choice:
        return f"{choice[2]} must be {_choices(kind, choice[2])}, not {choice[1]:.100}"
    if not unknown and not missing:
        return plain_message(message)
    inside = _INSIDE in message
    known = [field.encode_name for field in msgspec.structs.fields(EventParameters if inside else kind)]
    if missing:
        return f"{missing[1]} is missing (known keys: {', '.join(known)})"
    name = unknown[1] if unknown else ""
    nearest = difflib.get_close_matches(name[:QUOTED_CHARACTERS], known, n=1)
    advice = f"; did you mean {nearest[0]}?" if nearest else ""
    if not inside and name in EventParameters.__struct_fields__:
        advice = f"; {name} belongs inside parameters"
    if name == "id":
        advice = "; id belongs inside parameters.path"
    where = " in parameters" if inside else ""
    return f"unknown key {name:.100}{where}{advice} (known keys: {', '.join(known)})"


def plain_message(message: str, key: str = "") -> str:
    """Return msgspec's message of a wrong value in plain words.

    Args:
        message: The message of a `ValidationError`.
        key: The key that has the value; empty if the value is a whole event.
    """
    found = _TYPE.fullmatch(message)
    if not found:
        return message
    kinds = [_PLAIN.get(kind, kind) for kind in found[1].split(" | ") if kind != "null"]
    got = f", not {_PLAIN.get(found[3], found[3])}" if found[3] else ""
    name = f"{key}{found[4] or ''}".removeprefix(".") or "the event"
    bound = found[2]
    if limit := _BOUND.fullmatch(bound):
        bound = f" {limit[1] or 'of'} {limit[3]} or {'more' if limit[2] == '>' else 'less'}"
    return f"{name} must be {' or '.join(kinds)}{bound}{got}"


def _choices(kind: type[msgspec.Struct], name: str) -> str:
    """Return the values of a key with a `Literal` type, as text."""
    hint = get_type_hints(kind).get(name)
    literals = (
        [hint] if get_origin(hint) is Literal else [part for part in get_args(hint) if get_origin(part) is Literal]
    )
    return " or ".join(str(value) for literal in literals for value in get_args(literal))
