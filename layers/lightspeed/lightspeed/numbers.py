"""Read and write JSON without changing the text of its numbers.

A float holds about 16 digits, so it would change `12345678901234567890.12`, `1.10` and `-0`.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

_LONGEST = 4300
"""The most characters of a whole number: Python reads no `int` of more digits."""


class Exact(float):
    """A number with its JSON text: it computes as a float, and `dumps` writes the text.

    Attributes:
        text: The text as read, such as `1.10`, or `1e400`, which no float can hold.
    """

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> Exact:
        """Return the nearest float, with the text."""
        number = float.__new__(cls, text)
        number.text = text
        return number

    def __deepcopy__(self, _memo: object) -> Exact:
        return self


_QUICK = msgspec.json.Decoder(float_hook=functools.partial(Exact.__new__, Exact))
_NEGATIVE_ZERO = re.compile(rb"-0(?![0-9.eE])")


def number_text(number: float | Decimal) -> str:
    """Return a number as JSON text, exactly as it was read if it is an `Exact`."""
    return number.text if isinstance(number, Exact) else str(number)


def comparable(text: str) -> Decimal | str:
    """Return a number's value for comparisons, or its text if its exponent is too large for a `Decimal`."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def loads(text: bytes | str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Read JSON text. Whole numbers are `int`, up to 4,300 characters; other numbers, and `-0`, are `Exact`.

    Args:
        text: One JSON value.
        pairs: Makes an object from its members, in their order; a `dict` by default.

    Raises:
        ValueError: The text is no JSON.
        RecursionError: It is nested too deep.
    """
    if pairs is None and isinstance(text, bytes) and _NEGATIVE_ZERO.search(text) is None:
        try:
            return _QUICK.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass  # half a surrogate pair, a whole number that is too long, or no JSON at all
    return json.loads(text, parse_float=Exact, parse_int=_whole, parse_constant=_no_constant, object_pairs_hook=pairs)


class DoubledKey(ValueError):
    """A JSON object has a key twice, and readers disagree on which value counts."""


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object.

    Raises:
        DoubledKey: A key is there twice.
    """
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise DoubledKey(f"key {name!r:.100} is there twice")
        members[name] = value
    return members


def dumps(value: Any) -> bytes:
    """Return compact JSON text in UTF-8, with every number as it was read.

    Raises:
        TypeError: A value is of no JSON type.
        ValueError: A number is infinite or not a number, or a text holds half a surrogate pair.
    """
    return msgspec.json.encode(_writable(value))


def dumps_escaped(value: Any) -> bytes:
    """Return JSON text as `dumps` does; half a surrogate pair, which has no UTF-8, is escaped."""
    try:
        return dumps(value)
    except ValueError:
        return json.dumps(value).encode()


def _writable(value: Any) -> Any:
    if isinstance(value, float | Decimal):
        text = number_text(value)
        if not isinstance(value, Exact) and not math.isfinite(value):
            raise ValueError(f"{text} is not JSON")
        return msgspec.Raw(text.encode()) if isinstance(value, Exact | Decimal) else value
    if isinstance(value, Mapping):
        return {key: _writable(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(inside) for inside in value]
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"{type(value).__name__} is no type of JSON")


def _whole(text: str) -> int | Exact:
    return Exact(text) if text == "-0" or len(text) > _LONGEST else int(text)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
