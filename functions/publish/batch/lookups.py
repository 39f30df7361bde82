"""Look-ups of upserts: where there are many, the entity's list is read once and answers them.

A list lives as long as the invocation, at most two minutes. It only answers which record has a value (see
`lightspeed.writing.key_index`). A record that is gone by then is looked up again, and so is a value that the list does
not hold. The shop is always asked before a create.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from lightspeed import LightspeedError
from lightspeed.writing.key_index import KeyIndex
from publish.batch.bulk import LIMIT, bulk_of
from publish.batch.item import Kind

if TYPE_CHECKING:
    from publish.batch.guard import Guard
    from publish.batch.item import PreparedWrite
    from publish.write import WriteOperation

FEWEST = 10
"""Number of upserts that is worth a request to count the entity's records."""

_Group = tuple[str, str, tuple[str, ...]]
"""Connection, entity, fields of the natural key."""


class Lookups:
    """The lists that one invocation has read."""

    def __init__(self, remaining_seconds: Callable[[], float]) -> None:
        """Prepare; nothing is read.

        Args:
            remaining_seconds: How long the invocation may still run; reading a list takes at most half of it.
        """
        self._remaining_seconds = remaining_seconds
        self._lists: dict[_Group, KeyIndex | None] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def plan(self, items: Iterable[PreparedWrite], alike: int) -> Counter[_Group]:
        """Return the number of look-ups of each kind.

        Args:
            items: The writes of a batch.
            alike: Number of such batches, this one included.
        """
        wanted = Counter(_group_of(item.operation) for item in items if item.kind is Kind.UPSERT and _is_listed(item))
        return Counter({group: number * alike for group, number in wanted.items()})

    def gather(self, item: PreparedWrite, wanted: Counter[_Group], guard: Guard) -> None:
        """Read the list that answers an upsert and those like it, if that takes fewer requests than their look-ups.

        Args:
            item: The upsert.
            wanted: As planned; what is decided on is taken out.
            guard: Decides whether more requests may be sent.
        """
        group = _group_of(item.operation)
        number = wanted.pop(group, 0)
        if number < FEWEST or group in self._lists:
            return
        operation = item.operation
        try:
            requests = KeyIndex.requests(self._count(operation))
            guard.observe(operation)
            if guard.stop_reason(operation) is None and _pays(
                number, requests, guard.room(operation), _together(operation)
            ):
                self._lists[group] = None  # a reading that fails is not tried again
                keys = KeyIndex(operation.request.endpoint, operation.request.match_fields)
                if self._is_read(operation, keys.read(operation.client), guard):
                    self._lists[group] = keys
        except LightspeedError as error:
            self._lists[group] = None
            guard.observe(operation, error)

    def find(self, operation: WriteOperation) -> int | str | None:
        """Return the id of the record that an upsert would update, or `None` where that has to be looked up."""
        keys = self._lists.get(_group_of(operation))
        return None if keys is None or operation.match is None else keys.find(operation.match)

    def forget(self, operation: WriteOperation) -> None:
        """Drop what a write may change about where a record is found."""
        request = operation.request
        if request.dry_run:
            return
        written = None if request.action == "delete" else operation.fields
        for group, keys in self._lists.items():
            if keys is None or group[:2] != (request.connection, request.entity):
                continue
            if request.action in ("create", "update", "delete"):
                keys.forget(operation.parameters.path.get("id"), written)
            else:
                self._lists[group] = None

    def _count(self, operation: WriteOperation) -> int:
        request = operation.request
        place = request.connection, request.entity
        if place not in self._counts:
            self._counts[place] = operation.client.count(operation.client.build(request.entity, "count"))
        return self._counts[place]

    def _is_read(self, operation: WriteOperation, pages: Iterator[None], guard: Guard) -> bool:
        least = self._remaining_seconds() / 2
        for _ in pages:
            guard.observe(operation)
            if guard.stop_reason(operation) is not None or self._remaining_seconds() < least:
                return False
        return True


def _group_of(operation: WriteOperation) -> _Group:
    request = operation.request
    return request.connection, request.entity, tuple(request.match_fields)


def _is_listed(item: PreparedWrite) -> bool:
    """Whether one list of known length holds all records of the entity."""
    endpoint = item.request.endpoint
    return not endpoint.parents and endpoint.has("count") and "page" in endpoint.filter_names


def _together(operation: WriteOperation) -> int:
    """Return how many updates of this kind fit into one request."""
    return LIMIT if bulk_of(operation.request.entity, operation.fields_of_update) else 1


def _pays(wanted: int, requests: int, room: int | None, together: int) -> bool:
    """Whether to read a list rather than look up one by one.

    Args:
        wanted: Number of look-ups that the list would answer.
        requests: Number of requests that reading it takes.
        room: Number of requests that fit into the quota, if that is known.
        together: Number of updates in one request.
    """
    if requests >= wanted:
        return False
    if room is None:
        return True
    done_by_list, done_one_by_one = (room - requests) * together, room * together // (together + 1)
    return min(wanted, done_by_list) >= min(wanted, done_one_by_one)
