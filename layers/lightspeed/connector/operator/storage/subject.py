"""The data that `forget` deletes, and how to recognize it in an object, an event, a message or an item."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from connector.operator.storage.versions import lines_of
from connector.storage_keys import MANIFESTS
from lightspeed import CATALOGUE


@dataclass(frozen=True)
class Subject:
    """All data of a shop, or of one record with its nested records.

    Attributes:
        connection: The shop's connection.
        entity: The record's entity; empty for all data of the shop.
        id: The record's id, as text; empty for all data of the shop.
    """

    connection: str
    entity: str
    id: str

    @cached_property
    def members(self) -> Mapping[str, str]:
        """The member that holds the record's id, by entity: its own `id`, and the parent's id in nested records."""
        if not self.entity:
            return {}
        nested = {name: row.parents for name, row in CATALOGUE.items() if name.startswith(f"{self.entity}/")}
        return {self.entity: "id", **{name: parents[0] for name, parents in nested.items() if parents}}

    def has_id(self, value: object) -> bool:
        """Whether a value is the record's id."""
        return str(value) == self.id

    def has_line(self, line: bytes, kind: str, member: str) -> bool:
        """Whether a line of a part is of the record.

        Args:
            line: A record, a tombstone, or a rejected row with its reason.
            kind: The folder of the part: `raw`, `deleted` or `rejected`.
            member: The member that holds the record's id.
        """
        row = parse_object(line)
        if kind == "rejected":
            record = row.get("record")
            row = parse_object(record if isinstance(record, str) else json.dumps(record))
            if not row and isinstance(record, str):
                return self.id in record  # no JSON object: rather delete a line too many than one too few
        return member in row and self.has_id(row[member])

    def has_event(self, event: Mapping[str, Any], *, created_it: bool = False) -> bool:
        """Whether an event, or a batch of events, is about the data: a publish or subscribe event, or a webhook.

        The event of a record names the record, or one of its nested records.

        Args:
            event: The event.
            created_it: Whether the event's result has the record's id. The event of a create has no id.
        """
        items = event.get("items")
        if isinstance(items, list):
            return any(isinstance(item, Mapping) and self.has_event(item) for item in items)
        if event.get("connection", "default") != self.connection:
            return False
        if not self.entity:
            return True
        entity, parameters = event.get("entity"), event.get("parameters")
        path = parameters.get("path") if isinstance(parameters, Mapping) else None
        if isinstance(path, Mapping) and self.has_id(path.get(self.members.get(str(entity)))):
            return True
        return entity == self.entity and (created_it or self.has_id(event.get("id")))

    def has_item(self, item: Mapping[str, Any]) -> bool:
        """Whether an item of the idempotency table is of an event about the data."""
        connection, entity, path = ([*item.get("subject", {}).get("S", "").split(" ", 2), "", "", ""])[:3]
        event = {"connection": connection, "entity": entity, "parameters": {"path": parse_object(path)}}
        result = parse_object(item.get("data", {}).get("S", ""))
        return self.has_event(event, created_it=self.has_id(result.get("id")))

    def has_webhook(self, body: bytes) -> bool:
        """Whether a stored webhook is of the record."""
        return self.has_id(parse_object(body).get("record_id"))

    def has_id_index(self, body: bytes) -> bool:
        """Whether a state object is an index of ids with the record. The next reconcile run builds the index again."""
        head, *lines = [parse_object(line) for line in lines_of(body)] or [{}]
        return head.get("entity") == self.entity and any(
            self.has_id(identity) for line in lines for identity in line.get("ids", ())
        )

    def has_status_rows(self, body: bytes) -> bool:
        """Whether an object of the status has rows of the connection. The next status reads the manifests again."""
        marks = (f"{MANIFESTS}connection={self.connection}/", f'"{self.connection}/')
        return any(mark.encode() in line for line in lines_of(body) for mark in marks)


def attachments(value: object) -> Iterator[str]:
    """Yield the keys of the files that an event attaches."""
    if isinstance(value, Mapping):
        for name, inside in value.items():
            if name == "s3_key" and isinstance(inside, str) and inside.startswith("publish/files/"):
                yield inside
            else:
                yield from attachments(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from attachments(inside)


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Return a JSON object; an empty one for any other text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
