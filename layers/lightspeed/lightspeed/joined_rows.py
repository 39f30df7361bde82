"""Part rows of a list that a surplus quote has joined.

Such a quote makes brackets and strings mislead. So the rows after it are found as JSON objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set
from operator import methodcaller
from typing import NamedTuple

import msgspec

from lightspeed.json_text import UNREADABLE, reject_reason

is_object = methodcaller("startswith", b"{")
"""Whether a JSON text is an object."""

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_NEXT_OBJECT = re.compile(r"\}\s*,\s*(?=\{)")
_COMMA_OR_END = re.compile(r"\s*(,\s*|\Z)")
_ONLY_LIST = re.compile(rb'(?:\{\s*"(?P<key>[^"\\]*)"\s*:\s*)?\[\s*(?P<rows>\{.*\})\s*\](?(key)\s*\})', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_MAX_LOOKS = 100
"""How often the rest of a list is parsed as a whole."""


def rows_of_whole_list(body: bytes, key: str | None) -> list[bytes]:
    """Return the rows of a list whose brackets and strings mislead; none if a row may be cut in two.

    Args:
        body: A body that is a list, or has nothing but a list.
        key: The key of the list.
    """
    found = _ONLY_LIST.fullmatch(body)
    if found is None or (found["key"] or b"").decode(errors="replace") not in ("", key):
        return []
    rows = split_joined_rows(found["rows"], set())
    return rows if all(_is_balanced(row) or not reject_reason(row) for row in rows) else []


def split_joined_rows(row: bytes, forms: Set[frozenset[str]]) -> list[bytes]:
    """Cut an odd row where a surplus quote has joined other rows to it.

    Another row begins where a JSON object has the same names as a good row. It also begins where only JSON objects
    follow, if the brackets of the odd row are balanced: then none of these objects is a part of the odd row.

    Args:
        row: The text.
        forms: The names of the members of each good row.
    """
    text = row.decode("latin-1")
    pieces, begin, looks = [], 0, 0
    first = _object_at(text, 0)
    if first is not None:
        pieces, begin, forms = [row[: first.end]], first.next, {*forms, first.names}
    for boundary in _NEXT_OBJECT.finditer(text):
        found = _object_at(text, boundary.end()) if boundary.end() >= begin else None
        if found is None:
            continue
        odd = [row[begin : boundary.start() + 1]] if begin <= boundary.start() else []
        if found.names not in forms:
            looks += 1
            rest = _objects(row[boundary.end() :]) if looks <= _MAX_LOOKS and all(map(_is_balanced, odd)) else []
            if rest:
                return [*pieces, *odd, *rest]
            continue
        pieces += [*odd, row[boundary.end() : found.end]]
        begin = found.next
    return [*pieces, row[begin:]] if begin < len(row) or not pieces else pieces


def _is_balanced(text: bytes) -> bool:
    """Whether the brackets of a text are balanced, those in strings included."""
    depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth < 0:
            return False
    return depth == 0


class _Object(NamedTuple):
    names: frozenset[str]
    end: int
    next: int


def _object_at(text: str, begin: int) -> _Object | None:
    """Return the JSON object at a place, if a comma or the end of the text follows it."""
    try:
        value, end = _DECODER.raw_decode(text, begin)
    except (ValueError, RecursionError):
        return None
    after = _COMMA_OR_END.match(text, end)
    return _Object(frozenset(value), end, after.end()) if after and isinstance(value, dict) else None


def _objects(text: bytes) -> list[bytes]:
    """Return the JSON objects of a text that has only objects and commas; none for another text."""
    try:
        found = [bytes(row) for row in _ARRAY.decode(b"[%b]" % text)]
    except UNREADABLE:
        return []
    return found if all(map(is_object, found)) else []
