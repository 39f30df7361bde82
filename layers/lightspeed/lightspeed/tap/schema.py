"""Schemas for Singer targets, which allow what the shop writes, and records that are sure to fit them.

A target refuses or drops a record that does not match its schema. So a schema of the samples is widened: every field
but the key may be `null`, `false` or text. The shop writes `false` for "none", and some numbers as text. No field has
the format `date-time`, because `false` is no time.

A value of any other type is passed as its JSON text. So no record is lost and every record matches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from lightspeed.json_text import UNREADABLE, parse_record
from lightspeed.numbers import Exact, dumps, number_text
from lightspeed.schema import Schema, type_name

DECIMAL = "x-singer.decimal"
"""The format of numbers that are passed as text, for targets that know it."""

Path = tuple[str, ...]
"""The names of nested fields, outermost first."""

_NONE = ("null", "boolean", "string")
_WIDENED = {
    "null": _NONE,
    "boolean": _NONE,
    "string": _NONE,
    "integer": (*_NONE, "number"),
    "number": (*_NONE, "number"),
    "array": (*_NONE, "array", "object"),
    "object": (*_NONE, "array", "object"),
}
_ANY = ("null", "boolean", "string", "number", "array", "object")


def stream_schema(sample: Schema, keys: tuple[str, ...], others: tuple[str, ...], *, decimals: bool = False) -> Schema:
    """Return the schema of a stream.

    Args:
        sample: What the samples look like; an entity without a sample has `{}`.
        keys: The fields that are the key together. They are the only ones that may not be none.
        others: Fields that the schema names even if no sample has them.
        decimals: Whether numbers that may be fractions are passed as text.
    """
    fields = sample.get("properties", {})
    properties: Schema = {key: {"type": fields.get(key, {}).get("type", "integer")} for key in keys}
    for name, each in ({name: {"type": "string"} for name in others} | fields).items():
        if name not in keys:
            properties[name] = _widened(each, decimals)
    return {"type": "object", "properties": properties, "required": list(keys)}


def without(schema: Schema, dropped: frozenset[Path], at: Path = ()) -> Schema:
    """Return a schema without some fields; an object that loses a field allows only those that it names."""
    inside = schema.get("properties", {})
    kept = {name: without(each, dropped, (*at, name)) for name, each in inside.items() if (*at, name) not in dropped}
    found = {**schema, "properties": kept} if inside else dict(schema)
    return found if len(kept) == len(inside) else {**found, "additionalProperties": False}


def paths(schema: Schema, at: Path = ()) -> Iterator[Path]:
    """Yield the path of every field that a schema names, an outer one before what is inside."""
    for name, each in schema.get("properties", {}).items():
        yield (*at, name)
        yield from paths(each, (*at, name))


def _widened(schema: Schema, decimals: bool) -> Schema:
    given = schema.get("type", [])
    kinds = [given] if isinstance(given, str) else given
    if decimals and "number" in kinds:
        return {"type": ["null", "string"], "format": DECIMAL}
    found: Schema = {"type": [kind for kind in _ANY if any(kind in _WIDENED[each] for each in kinds)]}
    if not kinds or schema.get("x-none") == 1:
        return {"type": list(_ANY)}
    if "properties" in schema:
        found["properties"] = {name: _widened(each, decimals) for name, each in schema["properties"].items()}
    if "patternProperties" in schema:
        found["patternProperties"] = {
            name: _widened(each, decimals) for name, each in schema["patternProperties"].items()
        }
    if "items" in schema:
        found["items"] = _widened(schema["items"], decimals)
    return found


@dataclass(frozen=True, slots=True)
class _Node:
    """A schema as it is checked: which types it allows, and what is inside.

    Attributes:
        allowed: Types of JSON Schema.
        types: The same as Python types, as JSON readers give them.
        closed: Whether a field that is not named is left out.
        decimal: Whether a number becomes text.
    """

    allowed: frozenset[str] = frozenset()
    types: frozenset[type] = frozenset()
    fields: Mapping[str, _Node] = field(default_factory=dict)
    by_id: _Node | None = None
    items: _Node | None = None
    closed: bool = False
    decimal: bool = False


class Fit:
    """Makes the text of a record match a stream's schema; a text that matches is returned as it is."""

    def __init__(self, schema: Schema) -> None:
        """Take the schema of a stream; the fields that it requires are the key."""
        self._node = _node(schema)
        self._keys = schema["required"]
        self._check = msgspec.json.Decoder(_object_type(schema)).decode

    def fit(self, text: bytes) -> bytes | None:
        """Return a record's JSON text with every value that the schema does not allow as text; numbers stay as read.

        Args:
            text: A JSON object.

        Returns:
            `None` if the record has no key that the schema allows, or does not match and is nested too deep to change.
        """
        try:
            self._check(text)
        except UNREADABLE:  # another type, a number that is too long, or half a surrogate pair
            return self._mended_text(text)
        return text

    def _mended_text(self, text: bytes) -> bytes | None:
        try:
            value = parse_record(text)
            if _fits(value, self._node):
                return text if all(key in value for key in self._keys) else None
            mended = _mended(value, self._node)
            if any(key not in mended or not _fits(mended[key], self._node.fields[key]) for key in self._keys):
                return None
            return _json_text(mended)
        except RecursionError:
            return None


_SCALARS: Mapping[str, Any] = {"null": None, "boolean": bool, "integer": int, "string": str}


def _type_of(schema: Schema) -> Any:
    """Return the type with which msgspec decodes what a schema allows, and no more than that."""
    given = schema.get("type", [])
    kinds = [given] if isinstance(given, str) else given
    options = [_SCALARS[kind] for kind in kinds if kind in _SCALARS]
    if schema.get("format") == DECIMAL:
        return reduce(or_, options)
    if "number" in kinds:
        options.append(float)
    if "array" in kinds:
        options.append(list[_type_of(schema["items"])] if "items" in schema else list)  # type: ignore[misc]
    if "object" in kinds:
        options.append(_object_type(schema))
    return reduce(or_, options)


def _object_type(schema: Schema) -> Any:
    fields = schema.get("properties", {})
    by_id = list(schema.get("patternProperties", {}).values())
    if by_id and not fields:
        return dict[str, _type_of(by_id[0])]  # type: ignore[misc]
    required = schema.get("required", [])
    types = [
        (f"field_{place}", *_member_type(name, inside, name in required))
        for place, (name, inside) in enumerate(fields.items())
    ]
    closed = bool(by_id) or schema.get("additionalProperties") is False
    return msgspec.defstruct("Record", types, kw_only=True, forbid_unknown_fields=closed)


def _member_type(name: str, schema: Schema, required: bool) -> tuple[Any, Any]:
    if required:
        return _type_of(schema), msgspec.field(name=name)
    return _type_of(schema) | UnsetType, msgspec.field(default=UNSET, name=name)


def _json_text(value: Any) -> bytes:
    """Return a value as JSON; half a surrogate pair, which has no UTF-8, is escaped."""
    try:
        return dumps(value)
    except ValueError:
        return json.dumps(value).encode()


_PYTHON: Mapping[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float, Exact),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


def _node(schema: Schema) -> _Node:
    given = schema.get("type", [])
    allowed = frozenset([given] if isinstance(given, str) else given)
    patterns = list(schema.get("patternProperties", {}).values())
    return _Node(
        allowed,
        frozenset(kind for name in allowed for kind in _PYTHON[name]),
        {name: _node(each) for name, each in schema.get("properties", {}).items()},
        _node(patterns[0]) if patterns else None,
        _node(schema["items"]) if "items" in schema else None,
        schema.get("additionalProperties") is False,
        schema.get("format") == DECIMAL,
    )


def _fits(value: Any, node: _Node) -> bool:
    return type(value) in node.types and (not isinstance(value, dict | list) or _fits_inside(value, node))


def _fits_inside(value: Any, node: _Node) -> bool:
    """Whether every member of an object or array fits; most are plain values, which cost no further call."""
    if type(value) is list:
        return node.items is None or all(_fits(item, node.items) for item in value)
    fields, by_id = node.fields, node.by_id
    for name, inside in value.items():
        known = fields.get(name) or (by_id if by_id is not None and _is_id(name) else None)
        if known is None:
            if node.closed:
                return False
            continue
        kind = type(inside)
        if kind not in known.types or ((kind is dict or kind is list) and not _fits_inside(inside, known)):
            return False
    return True


def _mended(value: Any, node: _Node) -> Any:
    kind = type_name(value)
    if node.decimal and kind in ("integer", "number", "boolean"):
        return number_text(value) if kind != "boolean" else None
    if kind == "number" and "integer" in node.allowed and value.is_integer():
        return int(value)
    if kind not in node.allowed and not (kind == "integer" and "number" in node.allowed):
        return _json_text(value).decode()
    if kind == "object":
        found = {}
        for name, inside in value.items():
            known = node.fields.get(name) or (node.by_id if _is_id(name) else None)
            if known is not None:
                found[name] = _mended(inside, known)
            elif not node.closed:
                found[name] = inside
        return found
    if kind == "array" and node.items is not None:
        return [_mended(item, node.items) for item in value]
    return value


def _is_id(name: str) -> bool:
    return name.isascii() and name.isdigit()
