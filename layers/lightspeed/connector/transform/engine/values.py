"""What an evaluation takes and returns: plain, bounded JSON values, and walks over them that are counted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from jsonata.utils import Utils

from connector.transform.engine.limits import LimitExceeded, Limits, Meter
from lightspeed.numbers import Exact

_CONTAINERS = frozenset((dict, list, Utils.JList))
_PLAIN = frozenset((int, bool, type(None), type(Utils.NULL_VALUE), Exact))


def is_none(value: Any) -> bool:
    """Whether an evaluation returned `null` or nothing."""
    return value is None or value is Utils.NULL_VALUE


def plain(value: Any, limits: Limits) -> Any:
    """Return a result as JSON types. `None` means `null` or nothing. A number that remembers its text still does.

    Raises:
        ValueError: It holds a function, or a number that JSON cannot hold.
        LimitExceeded: It is too large or too deep.
    """
    _Gauge(limits).check(value)
    return _converted(value, lambda number: number)


def builtin(value: Any, limits: Limits) -> Any:
    """Return a result as built-in JSON types, whose numbers are `int` or `float`.

    Raises:
        ValueError: It holds a function, or a number that JSON or a float cannot hold.
        LimitExceeded: It is too large or too deep.
    """
    _Gauge(limits).check(value)
    return _converted(value, _finite)


def _converted(value: Any, number: Callable[[float], object]) -> Any:
    if isinstance(value, dict):
        return {key: item if type(item) is str else _converted(item, number) for key, item in value.items()}
    if isinstance(value, list):
        return [item if type(item) is str else _converted(item, number) for item in value]
    if value is Utils.NULL_VALUE:
        return None
    return number(value) if isinstance(value, float) else value


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


class _Gauge:
    """Looks at results, level by level, and finds what cannot be written or is too much; it copies nothing."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._values = 0
        self._characters = 0

    def check(self, value: Any) -> None:
        """Look at one more result.

        Raises:
            ValueError: It holds a function, or a number that JSON cannot hold.
            LimitExceeded: With those before it, it is too large, or it is too deep.
        """
        limits, level, depth = self._limits, self._inside([value], 0), 0
        while level:
            depth += 1
            if depth > limits.output_depth:
                raise LimitExceeded(f"returns values nested deeper than {limits.output_depth}")
            below: list[Any] = []
            for container in level:
                self._values += len(container)
                if self._values > limits.output_values:
                    raise LimitExceeded(f"returns more than {limits.output_values:,} values")
                if isinstance(container, dict):
                    below += self._inside(container.values(), sum(map(len, container)))
                else:
                    below += self._inside(container, 0)
            level = below

    def _inside(self, items: Iterable[Any], characters: int) -> list[Any]:
        """Return the arrays and objects among items, and count the text of the others and of their names."""
        found = []
        for item in items:
            kind = type(item)
            if kind is str:
                characters += len(item)
            elif kind in _CONTAINERS:
                found.append(item)
            elif kind not in _PLAIN:
                if not isinstance(item, float):
                    raise ValueError("returns a function, where a value was expected")
                _finite(item)
        self._characters += characters
        if self._characters > self._limits.output_bytes:
            raise LimitExceeded(f"returns more than {self._limits.output_bytes:,} bytes of text")
        return found


def dumps(value: Any, limits: Limits) -> bytes:
    """Return a result as compact JSON text; numbers that were only moved are written as they were read.

    Raises:
        ValueError: It holds a function, or a number that JSON cannot hold.
        LimitExceeded: It is too large or too deep.
    """
    return dumps_all([value], limits)[0]


def dumps_all(values: list[Any], limits: Limits) -> list[bytes]:
    """Return results as compact JSON texts; they share the bounds.

    Raises:
        ValueError: One holds a function, or a number that JSON cannot hold.
        LimitExceeded: They are too large or too deep.
    """
    gauge = _Gauge(limits)
    texts, size = [], 0
    for value in values:
        gauge.check(value)
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
    if depth > meter.limits.output_depth:
        raise LimitExceeded(f"copies a value that is nested deeper than {meter.limits.output_depth}")
    if isinstance(value, dict):
        meter.items(len(value))
        copied = dict(value)
        for key, item in value.items():
            if type(item) in _CONTAINERS:
                copied[key] = clone(item, meter, depth + 1)
        return copied
    if isinstance(value, list):
        meter.items(len(value))
        return [clone(item, meter, depth + 1) if type(item) in _CONTAINERS else item for item in value]
    return value


def clone_top(value: Any, meter: Meter) -> Any:
    """Return a copy of a value in which the object, or each object of an array, is new, but nothing inside them."""
    if isinstance(value, list):
        meter.items(len(value))
        return [clone_top(item, meter) if type(item) is dict else item for item in value]
    if isinstance(value, dict):
        meter.items(len(value))
        return dict(value)
    return value


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
