"""Parse, check, cut and change the shop's JSON text without rebuilding it."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, NoReturn

import msgspec

from lightspeed.numbers import loads

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_API_KEY = re.compile(rb'("apiKey"\s*:\s*)"(?:[^"\\]|\\.)*"')
_MARKS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)
_MEMBER = re.compile(rb'\s*("[^"\\]*(?:\\.[^"\\]*)*")\s*:(.*)', re.DOTALL)

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""The decoder's errors for text that is no JSON, no UTF-8, nested too deep, or a number of thousands of digits."""


class UnreadableBody(ValueError):
    """The body is no JSON: it was cut, is empty, or is a page of HTML."""


class Member(NamedTuple):
    """A member of a JSON object: its name, its whole text, and the text of its value."""

    name: str
    text: bytes
    value: bytes


def parse(text: bytes) -> Any:
    """Return JSON text as a value; `None` if it is nested too deep.

    Raises:
        ValueError: The text is no JSON.
    """
    try:
        return loads(text)
    except RecursionError:
        return None


def parse_record(text: bytes) -> dict[str, Any]:
    """Return the fields of a record that the client returned; none if it is nested too deep."""
    return dict(parse(text) or {})


def reject_reason(text: bytes) -> str:
    """Return why a text is no JSON object in UTF-8; empty if it is one.

    An escape that is half a surrogate pair counts as JSON. `NaN` and raw control characters do not.
    """
    if not text:
        return "nothing between two commas"
    try:
        value = json.loads(text.decode(), parse_constant=_refuse, parse_int=str, parse_float=str)
    except UnicodeDecodeError as error:
        return f"no UTF-8 at byte {error.start}"
    except RecursionError:
        return "nested too deep"
    except ValueError as error:
        return f"no JSON: {error}"
    return "" if isinstance(value, dict) else f"no JSON object but {text[:40].decode(errors='replace')}"


def one_line(text: bytes) -> bytes:
    """Drop raw line breaks, which JSON has only between tokens."""
    return text.replace(b"\n", b"").replace(b"\r", b"") if b"\n" in text or b"\r" in text else text


def mask_api_key(record: bytes) -> bytes:
    """Return the text of an `account` record with its `apiKey` masked."""
    return _API_KEY.sub(rb'\1"***"', record)


def with_first_member(name: str, value: int | str | None, record: bytes) -> bytes:
    """Return the text of a JSON object with a new first member; an old member of that name is removed."""
    head = json.dumps({name: value})[:-1].encode()
    rest = record.strip()[1:]
    try:
        repeated = name in _OBJECT.decode(record)
    except UNREADABLE:
        repeated = True
    if repeated:
        rest = b",".join(part.text for part in object_members(record) if part.name != name) + b"}"
    return head + (rest.strip() if rest.strip() == b"}" else b"," + rest)


def elements(text: bytes) -> list[bytes]:
    """Return the text of each element of an array, or of each member of an object, without checking it.

    Raises:
        UnreadableBody: The brackets do not match.
    """
    depth = begin = 0
    found: list[bytes] = []
    for mark in _MARKS.finditer(text):
        kind = mark[0]
        if kind in (b"[", b"{"):
            depth += 1
            if depth == 1:
                begin = mark.end()
        elif kind == b"," and depth == 1:
            found.append(text[begin : mark.start()].strip())
            begin = mark.end()
        elif kind in (b"]", b"}"):
            depth -= 1
            if depth == 0:
                last = text[begin : mark.start()].strip()
                if text[mark.end() :].strip():
                    break
                return [*found, last] if found or last else []
    raise UnreadableBody("the brackets do not match")


def object_members(text: bytes) -> list[Member]:
    """Return the members of a JSON object, in order, also members of equal name; an empty place is skipped.

    Raises:
        UnreadableBody: The text cannot be cut into members.
    """
    found = []
    for part in filter(None, elements(text)):
        member = _MEMBER.fullmatch(part)
        if member is None:
            raise UnreadableBody("a member has no name")
        try:
            name = str(json.loads(member[1]))
        except ValueError:
            name = member[1].decode(errors="replace")
        found.append(Member(name, part, member[2].strip()))
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")
