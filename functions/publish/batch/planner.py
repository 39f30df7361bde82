"""Plan a batch without sending anything: where its order matters, and what can be sent together.

Updates, upserts and placements wait until the end of their segment, so that many go out in one request. Other writes
are sent first, in order. A segment ends before a write that would overtake a waiting one it depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from lightspeed.writing.natural_key import concerns_key
from publish.batch.item import PLACEMENT, Kind, PreparedWrite

_PLACEMENT_ORDER = (PLACEMENT, "categories", "products")
"""Creates, deletes and actions of these entities keep their order with placements."""

_Entry = TypeVar("_Entry")


def segments(items: Iterable[PreparedWrite]) -> list[list[PreparedWrite]]:
    """Cut a batch where a write depends on an earlier one that would wait.

    A segment never holds two writes with the same idempotency key of which one waits, nor a write after a waiting one
    of the same record, natural key or placement, unless the two can be merged.

    Args:
        items: The writes of a batch, in order.

    Returns:
        Every write once, in order.
    """
    found: list[list[PreparedWrite]] = []
    waiting = _Waiting()
    for item in items:
        if not found or waiting.blocks(item):
            found.append([])
            waiting = _Waiting()
        found[-1].append(item)
        waiting.add(item)
    return found


def records(updates: Iterable[PreparedWrite]) -> list[list[list[PreparedWrite]]]:
    """Group updates by connection, entity and parent, and inside a group by record; all in order of appearance."""
    groups: dict[tuple[object, ...], dict[str, list[PreparedWrite]]] = {}
    for item in updates:
        group = groups.setdefault((*item.place, *map(str, item.parents.values())), {})
        group.setdefault(item.record, []).append(item)
    return [list(group.values()) for group in groups.values()]


def products(placements: Iterable[PreparedWrite]) -> list[list[PreparedWrite]]:
    """Group placements by connection and product, in order of appearance."""
    groups: dict[tuple[str, str], list[PreparedWrite]] = {}
    for item in placements:
        groups.setdefault((item.request.connection, str(item.fields["product"])), []).append(item)
    return list(groups.values())


def chunks(entries: Sequence[_Entry], size: int) -> Iterator[Sequence[_Entry]]:
    """Yield entries in runs of at most `size`."""
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


class _Waiting:
    """What waits in a segment."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._records: set[str] = set()
        self._written: dict[tuple[str, str], set[str]] = {}
        self._upserts: set[tuple[str, str]] = set()
        self._placements: set[tuple[object, ...]] = set()

    def add(self, item: PreparedWrite) -> None:
        if item.kind is Kind.OTHER:
            return
        if item.key is not None:
            self._keys.add(item.key)
        if item.kind is Kind.PLACEMENT:
            self._placements.add(_placement(item))
            return
        self._written.setdefault(item.place, set()).update(item.operation.fields_of_update)
        if item.kind is Kind.UPSERT:
            self._upserts.add(item.place)
        else:
            self._records.add(item.record)

    def blocks(self, item: PreparedWrite) -> bool:
        """Whether the item must not be sent before what waits."""
        if item.key in self._keys:
            return True
        if item.kind is Kind.PLACEMENT:
            return _placement(item) in self._placements
        return item.kind is not Kind.UPDATE and (self._orders_placements(item) or self._names_a_record(item))

    def _orders_placements(self, item: PreparedWrite) -> bool:
        ordered = item.request.entity in _PLACEMENT_ORDER and item.request.action != "update"
        return ordered and bool(self._placements)

    def _names_a_record(self, item: PreparedWrite) -> bool:
        """Whether the item may concern a record whose update waits."""
        if item.kind is Kind.UPSERT:
            return concerns_key(self._written.get(item.place, ()), item.request.match_fields)
        if item.request.action == "bulk" or item.request.match_fields:
            return item.place in self._written
        return item.record in self._records or (item.place in self._upserts and item.request.action != "create")


def _placement(item: PreparedWrite) -> tuple[object, ...]:
    return item.request.connection, str(item.fields["product"]), str(item.fields["category"])
