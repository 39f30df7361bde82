"""The types of a catalogue row; `entities` has the rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from lightspeed.errors import UnsupportedOperation

Verb = Literal["GET", "POST", "PUT", "DELETE"]
Confidence = Literal["high", "medium", "low", "inferred", "conflicting", "unknown"]
"""How well a fact is known.

`high`: a live-tested client or several independent clients. `medium`: the vendor's client and one other source. `low`:
one source. `inferred`: by rule, no client uses it. `conflicting`: sources disagree. `unknown`: no source has it."""
FilterType = Literal["id", "integer", "text", "boolean", "time", "names"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_STANDARD: Mapping[str, tuple[Verb, str]] = MappingProxyType(
    {
        "list": ("GET", ""),
        "get": ("GET", "/{id}"),
        "count": ("GET", "/count"),
        "create": ("POST", ""),
        "update": ("PUT", "/{id}"),
        "delete": ("DELETE", "/{id}"),
    }
)
_WITH_PAYLOAD = ("create", "update")


@dataclass(frozen=True, slots=True)
class Filter:
    """A query parameter that a list is known to take.

    Attributes:
        name: The name in the query. A filter by a relation has the relation's name without `Id`.
        type: `id` and `integer` are whole numbers, `time` is UTC in whole seconds, `names` are comma-separated.
    """

    name: str
    type: FilterType
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Action:
    """An operation of its own name, such as `convert` of `quotes`.

    Attributes:
        path: The part after the entity's path; `{id}` is the record.
        key: Envelope key of payload and answer; `None` if they are bare, missing or not known.
        payload: Whether the action takes a payload: `none`, `optional` or `required`.
    """

    name: str
    verb: Verb
    path: str
    key: str | None
    payload: Literal["none", "optional", "required"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of an entity.

    Attributes:
        path: Path template without language and `.json`.
        write: Envelope key of the payload; `None` for a bare payload.
        answer: Envelope key of the answer; `None` if it is bare or not known.
        payload: `none`, `optional` or `required`.
    """

    name: str
    verb: Verb
    path: str
    write: str | None
    answer: str | None
    payload: Literal["none", "optional", "required"]

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The placeholders of the path, in order: parents first, then `id`."""
        return tuple(_PLACEHOLDER.findall(self.path))

    @property
    def reads(self) -> bool:
        """Whether the operation changes nothing in the shop."""
        return self.verb == "GET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An entity of the shop's API: its path, its operations and the envelopes of its bodies.

    Attributes:
        name: The entity's name in events and S3 keys.
        path: Path template of the collection or single record; placeholders are parents.
        collection: Whether the entity has many records with ids, or one record without an id.
        operations: Names of its standard operations.
        item: Envelope key of one record; `None` if bodies are bare or the key is not known.
        item_confidence: How well the item key is known; `unknown` without a key.
        items: Envelope key of a list. It is irregular, so it is stored and not derived.
        items_confidence: How well the list key is known; `unknown` without a key.
        alternative_keys: Other spellings of the item key that a source gives.
        bare: Whether bodies carry no envelope at all (the checkout family).
        write_keys: Envelope keys of a payload by operation, if they differ from `item`.
        filters: Query parameters that a list takes.
        incremental: The filter that follows changes (`updated_at_min`) or additions (`created_at_min`), or `None`.
        actions: Operations besides the standard ones.
        alternatives: Advice by missing operation.
        translated: Whether a record may differ by language. False only if no field of the example payloads is the
            shop's own text; true if in doubt.
        transient_404: Whether a 404 of a read may be temporary (seen on orders), so that it is tried again.
        confidence: How well the row as a whole is known.
        source: The sources of the row, one address or short name each.
    """

    name: str
    path: str
    collection: bool = True
    operations: tuple[str, ...]
    item: str | None
    item_confidence: Confidence = "unknown"
    items: str | None = None
    items_confidence: Confidence = "unknown"
    alternative_keys: tuple[str, ...] = ()
    bare: bool = False
    write_keys: Mapping[str, str] = field(default_factory=dict)
    filters: tuple[Filter, ...] = ()
    incremental: Literal["updated_at_min", "created_at_min"] | None = None
    actions: tuple[Action, ...] = ()
    alternatives: Mapping[str, str] = field(default_factory=dict)
    translated: bool = True
    transient_404: bool = False
    confidence: Confidence
    source: tuple[str, ...]

    @property
    def parents(self) -> tuple[str, ...]:
        """The path parameters that name a parent, such as `product_id`."""
        return tuple(_PLACEHOLDER.findall(self.path))

    @property
    def operation_names(self) -> tuple[str, ...]:
        """Standard operations first, then actions."""
        return (*self.operations, *(action.name for action in self.actions))

    @property
    def filter_names(self) -> tuple[str, ...]:
        """The names of the known filters."""
        return tuple(known.name for known in self.filters)

    def has(self, operation: str) -> bool:
        """Whether the entity has a standard operation or action of this name."""
        return operation in self.operation_names

    def operation(self, name: str) -> Operation:
        """Return one operation.

        Raises:
            UnsupportedOperation: The entity lacks it. The error names the operations that it has, and advice if known.
        """
        if name in self.operations:
            verb, suffix = _STANDARD[name]
            return Operation(
                name=name,
                verb=verb,
                path=self.path + (suffix if self.collection else ""),
                write=self.write_keys.get(name, self.item) if name in _WITH_PAYLOAD else None,
                answer=self.item,
                payload="required" if name in _WITH_PAYLOAD else "none",
            )
        for action in self.actions:
            if action.name == name:
                return Operation(name, action.verb, self.path + action.path, action.key, action.key, action.payload)
        raise UnsupportedOperation(self.name, name, self.operation_names, self.alternatives.get(name, ""))
