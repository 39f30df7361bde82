"""Infer a JSON Schema from records, and how often each field has which type.

The shop writes `false` for "none", and some numbers as text. So a field may have several types. An inferred schema
describes the records that were seen. The next record may differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_FIELDS = 500
"""The most fields that one schema names, at all depths together. Further fields of records are left out."""

ID_KEYS = "^[0-9]+$"
"""The pattern of the keys of an object that holds one value for each id, such as `variants` of `catalog`."""

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
"""The types of JSON Schema, in the order in which a schema names them."""

Schema = dict[str, Any]


@dataclass(slots=True)
class Shape:
    """The values at one place of some records.

    Attributes:
        seen: The number of values.
        types: The number of values by type; `false` counts as `boolean`.
        false: How many values were `false`, which the shop writes for none.
        longest: Characters of the longest text.
        example: The first value that is neither none nor an object or array.
        fields: The fields of objects, by name.
        by_id: The values of objects whose keys are ids; `None` without such keys.
        items: The elements of arrays; `None` without an element.
    """

    seen: int = 0
    types: Counter[str] = field(default_factory=Counter)
    false: int = 0
    longest: int = 0
    example: Any = None
    fields: dict[str, Shape] = field(default_factory=dict)
    by_id: Shape | None = None
    items: Shape | None = None

    @property
    def nones(self) -> int:
        """How many values say none: `null` or `false`."""
        return self.types["null"] + self.false


class Inference:
    """Collects records of one entity and describes them.

    Attributes:
        shape: The values so far; `shape.seen` is the number of records.
    """

    def __init__(self) -> None:
        self.shape = Shape()
        self._room = MAX_FIELDS

    def add(self, record: Mapping[str, Any]) -> None:
        """Add one record, as a JSON reader gives it. Numbers may be `int` or any kind of `float`."""
        self._see(self.shape, record)

    def schema(self, *, shares: bool = False, examples: bool = False) -> Schema:
        """Return the JSON Schema of the records; without records it allows everything.

        Args:
            shares: Whether each field has `x-present`, `x-none` and `x-longest`. The first two are shares from 0 to 1:
                how often the field is there, and how often it is `null` or `false`. `x-longest` is the length of its
                longest text in characters. Without `shares`, only a field that was always none has `x-none`: its type
                is not known.
            examples: Whether each field has an example value, which may be personal data.
        """
        return _schema(self.shape, self.shape.seen, shares, examples)

    def _see(self, shape: Shape, value: Any) -> None:
        shape.seen += 1
        kind = type_name(value)
        shape.types[kind] += 1
        if kind == "object":
            self._see_fields(shape, value)
        elif kind == "array":
            for item in value:
                shape.items = shape.items or Shape()
                self._see(shape.items, item)
        elif value is False:
            shape.false += 1
        elif value is not None:
            shape.example = value if shape.example is None else shape.example
            if kind == "string":
                shape.longest = max(shape.longest, len(value))

    def _see_fields(self, shape: Shape, value: Mapping[str, Any]) -> None:
        for name, inside in value.items():
            if is_id_key(name):
                shape.by_id = shape.by_id or Shape()
                self._see(shape.by_id, inside)
                continue
            known = shape.fields.get(name)
            if known is None:
                if not self._room:
                    continue
                self._room -= 1
                known = shape.fields[name] = Shape()
            self._see(known, inside)


def is_id_key(name: str) -> bool:
    """Whether the name of a member is an id, as in `ID_KEYS`."""
    return name.isascii() and name.isdigit()


def type_name(value: Any) -> str:
    """Return the JSON Schema type of a value that a JSON reader gave.

    Raises:
        TypeError: It is of no JSON type.
    """
    if value is None:
        return "null"
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    raise TypeError(f"{type(value).__name__} is no type of JSON")


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (Mapping, "object"),
    ((list, tuple), "array"),
)


def _schema(shape: Shape, of: int, shares: bool, examples: bool) -> Schema:
    found: Schema = {}
    kinds = [kind for kind in TYPES if shape.types[kind] and not (kind == "integer" and shape.types["number"])]
    if kinds:
        found["type"] = kinds[0] if len(kinds) == 1 else kinds
    if shares and of:
        found["x-present"] = round(shape.seen / of, 4)
        found["x-none"] = round(shape.nones / max(1, shape.seen), 4)
        if shape.longest:
            found["x-longest"] = shape.longest
    elif shape.seen and shape.nones == shape.seen:
        found["x-none"] = 1
    if examples and shape.example is not None:
        found["examples"] = [shape.example]
    objects = shape.types["object"]
    if shape.fields:
        found["properties"] = {name: _schema(each, objects, shares, examples) for name, each in shape.fields.items()}
    if shape.by_id is not None:
        found["patternProperties"] = {ID_KEYS: _schema(shape.by_id, shape.by_id.seen, shares, examples)}
    if shape.items is not None:
        found["items"] = _schema(shape.items, shape.items.seen, shares, examples)
    return found
