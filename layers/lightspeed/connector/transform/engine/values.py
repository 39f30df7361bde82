"""Values of an evaluation: results as bounded JSON, and walks over values that the meter counts."""

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


def json_value(value: Any, limits: Limits, *, exact: bool = True) -> Any:
    """Return a result as JSON types. `None` is `null` or nothing.

    Args:
        value: The result.
        limits: The bounds.
        exact: Whether numbers keep their text, see `lightspeed.numbers`. Else they are `int` or `float`.

    Raises:
        ValueError: The result holds a function, or a number that JSON (without `exact`: a float) cannot hold.
        LimitExceeded: The result is too large or too deep.
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
        text = number.text if isinstance(number, Exact) else str(number)
        raise ValueError(f"returns the number {text:.30}, which is too large")
    return float(number)


def _encode_other(value: Any) -> Any:
    """Return the JSON of a value that msgspec does not know: `null`, or a number with its text."""
    return None if value is Utils.NULL_VALUE else msgspec.Raw(value.text.encode())


def _text(value: Any) -> str:
    """Return JSON text as msgspec does, also of half a surrogate pair and of integers beyond 64 bits."""
    if isinstance(value, dict):
        return "{" + ",".join([f"{json.dumps(key)}:{_text(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, Exact):
        return value.text
    return json.dumps(None if value is Utils.NULL_VALUE else value)


def _check(values: list[Any], limits: Limits, longest: int | None = None) -> None:
    """Check, level by level, that results fit the bounds and can be written.

    Args:
        values: The results, which share the bounds.
        limits: The bounds.
        longest: The most characters of a text in the results; `None` if unknown. With it, few values need no count of
            their text.

    Raises:
        ValueError: A result holds a function, or a number that JSON cannot hold.
        LimitExceeded: The results are too large or too deep.
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
    """Refuse values other than arrays, objects and numbers that JSON can hold."""
    for item in items:
        if isinstance(item, float):
            _finite(item)
        elif type(item) not in _CONTAINERS:
            raise ValueError("returns a function, where a value was expected")


def dumps(value: Any, limits: Limits) -> bytes:
    """Return a result as compact JSON text; see `dumps_all`."""
    return dumps_all([value], limits)[0]


def dumps_all(values: list[Any], limits: Limits, longest: int | None = None) -> list[bytes]:
    """Return results as compact JSON texts. Numbers that an expression only copied keep their text.

    Args:
        values: The results, which share the bounds.
        limits: The bounds.
        longest: The most characters of a text in the results; `None` if unknown.

    Raises:
        ValueError: A result holds a function, or a number that JSON cannot hold.
        LimitExceeded: The results are too large or too deep.
    """
    _check(values, limits, longest)
    texts, size = [], 0
    for value in values:
        try:
            text = msgspec.json.encode(value, enc_hook=_encode_other)
        except (UnicodeEncodeError, OverflowError):
            text = _text(value).encode()
        size += len(text)
        if size > limits.output_bytes:
            raise LimitExceeded(f"returns {size:,} bytes where {limits.output_bytes:,} are allowed")
        texts.append(text)
    return texts


def clone(value: Any, meter: Meter, depth: int = 0) -> Any:
    """Return a deep copy of a value."""
    if type(value) not in _CONTAINERS:
        return value
    if depth > meter.limits.output_depth:
        raise LimitExceeded(f"copies a value that is nested deeper than {meter.limits.output_depth}")
    meter.items(len(value))
    if isinstance(value, list):
        return [clone(item, meter, depth + 1) for item in value]
    return {key: clone(item, meter, depth + 1) for key, item in value.items()}


def clone_top(value: Any, meter: Meter) -> Any:
    """Return a copy of an object, or of an array and its objects. Values inside the objects are not copied."""
    meter.items(len(value))
    if isinstance(value, list):
        return [clone_top(item, meter) if type(item) is dict else item for item in value]
    return dict(value)


def collapsed(value: Any, keep: bool = False) -> Any:
    """Return a sequence of one as its element, an empty sequence as nothing, and any other value as it is.

    Args:
        value: The value.
        keep: Whether a sequence of one stays a sequence, also later: JSONata's `[]` behind a path.
    """
    if type(value) is not Utils.JList or not value.sequence or value.tuple_stream:
        return value
    if keep:
        value.keep_singleton = True
    if not value:
        return None
    return value[0] if len(value) == 1 and not value.keep_singleton else value


def look_up(value: Any, key: str, meter: Meter) -> Any:
    """Return the member of an object, or the members of the objects in an array, flattened; `None` if there is none."""
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


def json_size(value: Any, meter: Meter, depth: int = 0) -> int:
    """Return about how many characters a value has as JSON text.

    Raises:
        LimitExceeded: The value has too many values or is too deep.
    """
    if isinstance(value, str):
        return len(value) + 2
    if not isinstance(value, list | dict):
        return 8
    if depth > meter.limits.output_depth:
        raise LimitExceeded(f"writes a value that is nested deeper than {meter.limits.output_depth}")
    meter.items(len(value))
    if isinstance(value, dict):
        return sum(len(key) + 4 + json_size(item, meter, depth + 1) for key, item in value.items())
    return sum(1 + json_size(item, meter, depth + 1) for item in value)
