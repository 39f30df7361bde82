"""What an evaluation takes and returns: plain, bounded JSON values, and walks over them that are counted."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
from jsonata.utils import Utils

from connector.transform.engine.limits import LimitExceeded, Limits, Meter
from lightspeed.numbers import Exact

_CONTAINERS = frozenset((dict, list, Utils.JList))
_LEAVES = frozenset((str, int, bool, type(None), type(Utils.NULL_VALUE), Exact))


def is_none(value: Any) -> bool:
    """Whether an evaluation returned `null` or nothing."""
    return value is None or value is Utils.NULL_VALUE


def plain(value: Any, limits: Limits, *, exact: bool = True) -> Any:
    """Return a result as JSON types. `None` means `null` or nothing.

    Args:
        value: The result.
        limits: The bounds.
        exact: Whether a number that remembers its text still does; otherwise numbers are `int` or `float`.

    Raises:
        ValueError: It holds a function, or a number that JSON, or else a float, cannot hold.
        LimitExceeded: It is too large or too deep.
    """
    _check([value], limits)
    return _converted(value, exact=exact)


def _converted(value: Any, *, exact: bool) -> Any:
    if isinstance(value, dict):
        return {key: item if type(item) is str else _converted(item, exact=exact) for key, item in value.items()}
    if isinstance(value, list):
        return [item if type(item) is str else _converted(item, exact=exact) for item in value]
    if value is Utils.NULL_VALUE:
        return None
    return value if exact or not isinstance(value, float) else _finite(value)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        shown = number.text if isinstance(number, Exact) else str(number)
        raise ValueError(f"returns the number {shown:.30}, which is too large")
    return float(number)


def _as_read(value: Any) -> Any:
    """Return what a value that msgspec does not know is written as."""
    return None if value is Utils.NULL_VALUE else msgspec.Raw(value.text.encode())


def _text(value: Any) -> str:
    """Return the JSON text of what msgspec does not write: half a surrogate pair, or a number of very many digits."""
    if isinstance(value, dict):
        return "{" + ",".join([f"{json.dumps(key)}:{_text(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, Exact):
        return value.text
    return json.dumps(None if value is Utils.NULL_VALUE else value)


def _check(values: list[Any], limits: Limits, longest: int | None = None) -> None:
    """Look at results, level by level, and find what cannot be written or is too much; nothing is copied.

    Args:
        values: The results, which share the bounds.
        limits: The bounds.
        longest: No text in the results is longer than this, if it is known; then few values need no look at their text.

    Raises:
        ValueError: One holds a function, or a number that JSON cannot hold.
        LimitExceeded: They are too large, or one is too deep.
    """
    number, depth, containers = -len(values), -1, []
    level: list[Any] = [values]
    while level:
        depth += 1
        if depth > limits.output_depth:
            raise LimitExceeded(f"returns values nested deeper than {limits.output_depth}")
        below: list[Any] = []
        for container in level:
            number += len(container)
            if number > limits.output_values:
                raise LimitExceeded(f"returns more than {limits.output_values:,} values")
            for item in container.values() if type(container) is dict else container:
                if type(item) not in _LEAVES:
                    below.append(item)
        containers += level
        level = [item for item in below if type(item) in _CONTAINERS]
        if len(level) < len(below):
            _refuse(below)
    if longest is None or 2 * number * longest > limits.output_bytes:
        _check_text(containers, limits)


def _check_text(containers: list[Any], limits: Limits) -> None:
    left = limits.output_bytes
    for container in containers:
        values = container
        if type(container) is dict:
            values = container.values()
            left -= sum(map(len, container))
        for item in values:
            if type(item) is str:
                left -= len(item)
        if left < 0:
            raise LimitExceeded(f"returns more than {limits.output_bytes:,} bytes of text")


def _refuse(items: list[Any]) -> None:
    """Refuse what is neither a number that JSON can hold nor an array or object."""
    for item in items:
        if isinstance(item, float):
            _finite(item)
        elif type(item) not in _CONTAINERS:
            raise ValueError("returns a function, where a value was expected")


def dumps(value: Any, limits: Limits) -> bytes:
    """Return a result as compact JSON text; numbers that were only moved are written as they were read.

    Raises:
        ValueError: It holds a function, or a number that JSON cannot hold.
        LimitExceeded: It is too large or too deep.
    """
    return dumps_all([value], limits)[0]


def dumps_all(values: list[Any], limits: Limits, longest: int | None = None) -> list[bytes]:
    """Return results as compact JSON texts; they share the bounds. No text in them is longer than `longest`, if given.

    Raises:
        ValueError: One holds a function, or a number that JSON cannot hold.
        LimitExceeded: They are too large or too deep.
    """
    _check(values, limits, longest)
    texts, size = [], 0
    for value in values:
        try:
            text = msgspec.json.encode(value, enc_hook=_as_read)
        except (UnicodeEncodeError, OverflowError):
            text = _text(value).encode()
        size += len(text)
        if size > limits.output_bytes:
            raise LimitExceeded(f"returns {size:,} bytes where {limits.output_bytes:,} are allowed")
        texts.append(text)
    return texts


def clone(value: Any, meter: Meter, depth: int = 0) -> Any:
    """Return a copy of a value in which arrays and objects are new."""
    if type(value) not in _CONTAINERS:
        return value
    if depth > meter.limits.output_depth:
        raise LimitExceeded(f"copies a value that is nested deeper than {meter.limits.output_depth}")
    meter.items(len(value))
    if isinstance(value, list):
        return [clone(item, meter, depth + 1) for item in value]
    return {key: clone(item, meter, depth + 1) for key, item in value.items()}


def clone_top(value: Any, meter: Meter) -> Any:
    """Return a copy of an object or array in which it, or each object of the array, is new, but nothing inside them."""
    meter.items(len(value))
    if isinstance(value, list):
        return [clone_top(item, meter) if type(item) is dict else item for item in value]
    return dict(value)


def collapsed(value: Any, keep: bool = False) -> Any:
    """Return a value; a sequence of one as its element, and an empty one as nothing, unless it is to be kept."""
    if type(value) is not Utils.JList or not value.sequence or value.tuple_stream:
        return value
    if keep:
        value.keep_singleton = True
    if not value:
        return None
    return value[0] if len(value) == 1 and not value.keep_singleton else value


def look_up(value: Any, key: str, meter: Meter) -> Any:
    """Return a member of an object, or that of each object in an array, flattened; `None` where there is none."""
    if isinstance(value, dict):
        found = value.get(key, Utils.NONE)
        return None if found is Utils.NONE else Utils.NULL_VALUE if found is None else found
    if not isinstance(value, list):
        return None
    meter.items(len(value))
    results = Utils.create_sequence()
    for item in value:
        found = look_up(item, key, meter)
        if isinstance(found, list):
            meter.items(len(found))
            results.extend(found)
        elif found is not None:
            results.append(found)
    return results


def written(value: Any, meter: Meter, depth: int = 0) -> int:
    """Return about how many characters a value takes as JSON text.

    Raises:
        LimitExceeded: More values than may be made, or nested too deep.
    """
    if isinstance(value, str):
        return len(value) + 2
    if not isinstance(value, list | dict):
        return 8
    if depth > meter.limits.output_depth:
        raise LimitExceeded(f"writes a value that is nested deeper than {meter.limits.output_depth}")
    meter.items(len(value))
    if isinstance(value, dict):
        return sum(len(key) + 4 + written(item, meter, depth + 1) for key, item in value.items())
    return sum(1 + written(item, meter, depth + 1) for item in value)
