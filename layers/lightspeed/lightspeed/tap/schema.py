"""Schemas for Singer targets, and records that match them.

A target refuses or drops a record that does not match its schema. So the schemas of the samples are widened: every
field but the key may be `null`, `false` or text. The shop writes `false` for "none", and some numbers as text. No field
has the format `date-time`, because `false` is no time.

A value of another type is passed as its JSON text. So every record matches, and none is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import is_, or_
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from lightspeed.json_text import UNREADABLE, parse_record
from lightspeed.numbers import dumps_escaped, number_text
from lightspeed.schema import Schema, is_id_key, type_name

DECIMAL = "x-singer.decimal"
"""The format of numbers that are passed as text, for targets that support it."""

Path = tuple[str, ...]
"""The names of nested fields, outermost first."""

_NONE = ("null", "boolean", "string")
_WIDENED = {"integer": ("number",), "number": ("number",), "array": ("array", "object"), "object": ("array", "object")}
"""The types that a field of a sample's type may have, besides those of `_NONE`."""

_ANY = ("null", "boolean", "string", "number", "array", "object")


def stream_schema(sample: Schema, keys: tuple[str, ...], others: tuple[str, ...], *, decimals: bool = False) -> Schema:
    """Return the schema of a stream.

    Args:
        sample: The schema of the samples; `{}` for an entity without a sample.
        keys: The fields of the key, the only ones that may not be none.
        others: Fields that the schema names even if no sample has them.
        decimals: Whether numbers that may be fractions are passed as text.
    """
    fields = sample.get("properties", {})
    properties: Schema = {key: {"type": fields.get(key, {}).get("type", "integer")} for key in keys}
    for name, each in ({name: {"type": "string"} for name in others} | fields).items():
        if name not in keys:
            properties[name] = _widened(each, decimals)
    return {"type": "object", "properties": properties, "required": list(keys)}


def without_fields(schema: Schema, dropped: frozenset[Path], at: Path = ()) -> Schema:
    """Return a schema without some fields. An object that loses a field allows no field that it does not name."""
    inside = schema.get("properties", {})
    kept = {
        name: without_fields(each, dropped, (*at, name)) for name, each in inside.items() if (*at, name) not in dropped
    }
    found = {**schema, "properties": kept} if inside else dict(schema)
    return found if len(kept) == len(inside) else {**found, "additionalProperties": False}


def paths(schema: Schema, at: Path = ()) -> Iterator[Path]:
    """Yield the path of every field that a schema names, outer fields first."""
    for name, each in schema.get("properties", {}).items():
        yield (*at, name)
        yield from paths(each, (*at, name))


def _widened(schema: Schema, decimals: bool) -> Schema:
    kinds = _kinds(schema)
    if decimals and "number" in kinds:
        return {"type": ["null", "string"], "format": DECIMAL}
    if not kinds or schema.get("x-none") == 1:
        return {"type": list(_ANY)}
    found: Schema = {
        "type": [kind for kind in _ANY if kind in _NONE or any(kind in _WIDENED.get(each, ()) for each in kinds)]
    }
    for part in ("properties", "patternProperties"):
        if part in schema:
            found[part] = {name: _widened(each, decimals) for name, each in schema[part].items()}
    if "items" in schema:
        found["items"] = _widened(schema["items"], decimals)
    return found


class RecordFitter:
    """Makes records match a stream's schema.

    Args:
        schema: The schema; the fields that it requires are the key.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._check = msgspec.json.Decoder(_object_type(schema)).decode

    def fit(self, text: bytes) -> bytes | None:
        """Return a record's JSON text, with each value that the schema does not allow as text.

        A text that matches is returned as it is. Numbers keep their text.

        Args:
            text: A JSON object.

        Returns:
            `None` if the schema does not allow the key, or if the record does not match and is nested too deep to
            change.
        """
        try:
            self._check(text)
        except UNREADABLE:  # another type, a number that is too long, or half a surrogate pair
            return self._convert(text)
        return text

    def _convert(self, text: bytes) -> bytes | None:
        fields = self._schema["properties"]
        try:
            value = parse_record(text)
            converted = _converted(value, self._schema)
            if any(type_name(converted.get(key)) not in _kinds(fields[key]) for key in self._schema["required"]):
                return None
            return text if converted is value else dumps_escaped(converted)
        except RecursionError:
            return None


_SCALARS: Mapping[str, Any] = {"null": None, "boolean": bool, "integer": int, "number": float, "string": str}


def _type_of(schema: Schema) -> Any:
    """Return a type with which msgspec decodes exactly the values that a schema allows."""
    kinds = _kinds(schema)
    options = [_SCALARS[kind] for kind in kinds if kind in _SCALARS]
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


def _converted(value: Any, schema: Schema) -> Any:
    """Return a value that the schema allows; the same object if nothing changes."""
    kind, allowed = type_name(value), _kinds(schema)
    if schema.get("format") == DECIMAL and kind in ("integer", "number", "boolean"):
        return number_text(value) if kind != "boolean" else None
    if kind == "number" and "integer" in allowed and value.is_integer():
        return int(value)
    if kind not in allowed and not (kind == "integer" and "number" in allowed):
        return dumps_escaped(value).decode()
    if kind == "object":
        found = dict(_converted_members(value, schema))
        return value if len(found) == len(value) and all(found[name] is value[name] for name in found) else found
    if kind == "array" and "items" in schema:
        items = [_converted(item, schema["items"]) for item in value]
        return value if all(map(is_, items, value)) else items
    return value


def _converted_members(value: Mapping[str, Any], schema: Schema) -> Iterator[tuple[str, Any]]:
    fields, by_id = schema.get("properties", {}), next(iter(schema.get("patternProperties", {}).values()), None)
    for name, inside in value.items():
        known = fields.get(name) or (by_id if is_id_key(name) else None)
        if known is not None:
            yield name, _converted(inside, known)
        elif schema.get("additionalProperties") is not False:
            yield name, inside


def _kinds(schema: Schema) -> list[str]:
    """Return the types that a schema names."""
    given = schema.get("type", [])
    return [given] if isinstance(given, str) else given
