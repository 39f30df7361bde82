"""Look-ups of upserts: where there are many, the entity's list is read once and answers them.

A list lives as long as the invocation, at most two minutes. It only answers which record has a value (see `KeyIndex`).
A record that is gone by then is looked up again, and so is a value that the list does not hold. The shop is always
asked before a create.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lightspeed import PAGE_LIMIT, Client, Endpoint, Parameters
from lightspeed.json_text import parse_record
from lightspeed.writing.natural_key import NaturalKey, concerns_key, field_names, keys_of
from publish.batch.planner import MAX_RECORDS, Kind, bulk_route
from publish.result import log_unexpected

if TYPE_CHECKING:
    from publish.batch.guard import Guard
    from publish.batch.planner import PreparedWrite
    from publish.write import WriteOperation

FEWEST_UPSERTS = 10
"""With fewer upserts, the entity's records are not even counted: that is a request too."""

_Group = tuple[str, str, tuple[str, ...]]
"""Connection, entity, fields of the natural key."""


class KeyIndex:
    """The ids of an entity's records by the values of some of their fields, as they were while the list was read.

    The list is read forwards, though rows may move meanwhile and hide from it. That is enough, for only a value that
    one row was seen to have is answered. Any other value has to be looked up alone: one that was not seen, one that
    several rows have, one that a write has touched since. Like a look-up, it does not see that another row gets the
    value later.
    """

    def __init__(self, endpoint: Endpoint, names: Sequence[str]) -> None:
        """Prepare; nothing is read.

        Args:
            endpoint: The entity's row. It has no parents.
            names: Filters of the entity.
        """
        self._endpoint = endpoint
        self._names = tuple(names)
        self._ids: dict[tuple[str, ...], int | str | None] = {}
        self._written: set[str] = set()

    @staticmethod
    def requests(count: int) -> int:
        """Return how many requests it takes to read so many records: the last page is one that is not full."""
        return count // PAGE_LIMIT + 1

    def read(self, client: Client) -> Iterator[None]:
        """Read the whole list; it stops after every page, so that the caller may leave it.

        Raises:
            LightspeedError: As the client raises it.
        """
        query: dict[str, object] = {"limit": PAGE_LIMIT}
        if "fields" in self._endpoint.filter_names:
            query["fields"] = ",".join(dict.fromkeys(["id", *sorted(field_names(self._names))]))
        for page in client.pages(self._endpoint.name, Parameters(query=query)):
            for text in page.records:
                self._take(parse_record(text))
            yield

    def find(self, match: NaturalKey) -> int | str | None:
        """Return the id of the one record that has the values, or `None` where that has to be looked up."""
        found = self._ids.get(match.key)
        return None if str(found) in self._written else found

    def forget(self, identity: object, fields: Mapping[str, Any] | None) -> None:
        """Take note of a write: what its record was, and what has its values now, is not known any more.

        Args:
            identity: The record's id, or `None` for a new one.
            fields: What is written; `None` for a delete.
        """
        if fields is not None and not concerns_key(fields, self._names):
            return
        if identity is not None:
            self._written.add(str(identity))
        keys = list(keys_of(fields or {}, self._names))
        if fields and not keys:  # only a part of the key is written, so the new key may be any
            self._ids.clear()
        for key in keys:
            self._ids.pop(key, None)

    def _take(self, row: Mapping[str, Any]) -> None:
        identity = row.get("id")
        for key in keys_of(row, self._names):
            self._ids[key] = identity if self._ids.get(key, identity) == identity else None


class Lookups:
    """The lists that one invocation has read."""

    def __init__(self, batches: int = 1) -> None:
        """Prepare; nothing is read.

        Args:
            batches: Number of batches of about the same kind that the invocation may get.
        """
        self._batches_left = batches
        self._lists: dict[_Group, KeyIndex | None] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._expected: Counter[_Group] = Counter()

    def expect(self, items: Iterable[PreparedWrite]) -> None:
        """Count the look-ups of each kind that a batch needs, and the batches after it if they are like it.

        To be called once for each batch, before its look-ups.
        """
        upserts = [item for item in items if item.kind is Kind.UPSERT and _can_be_listed(item)]
        found = Counter(_group_of(item.operation) for item in upserts)
        self._expected = Counter({group: number * self._batches_left for group, number in found.items()})
        self._batches_left -= 1

    def find(self, operation: WriteOperation, guard: Guard) -> dict[str, int | str] | None:
        """Return the `id` of the record that an upsert would update, or `None` if the shop has to be asked.

        The list is read before, if that pays.
        """
        self._read_list(operation, guard)
        index = self._lists.get(_group_of(operation))
        identity = index.find(operation.match) if index and operation.match else None
        return None if identity is None else {"id": identity}

    def forget(self, operation: WriteOperation) -> None:
        """Drop from the lists what a write may change: its record and its values."""
        request = operation.request
        if request.dry_run:
            return
        written = None if request.action == "delete" else operation.fields
        for group, index in self._lists.items():
            if index is None or group[:2] != (request.connection, request.entity):
                continue
            if request.action in ("create", "update", "delete"):
                index.forget(operation.parameters.path.get("id"), written)
            else:
                self._lists[group] = None

    def _read_list(self, operation: WriteOperation, guard: Guard) -> None:
        """Read the list that answers an upsert and those like it, if that takes fewer requests than their look-ups.

        It is decided once per batch. A list is read at most once, also if reading fails.
        """
        group = _group_of(operation)
        number = self._expected.pop(group, 0)
        if number < FEWEST_UPSERTS or group in self._lists:
            return
        try:
            with guard.request(operation):
                requests = self._requests(operation)
            if guard.stop_reason(operation) is None and _pays(number, requests, guard.room(operation), operation):
                with guard.request(operation):
                    self._lists[group] = _read(operation, guard)
        except Exception as error:
            log_unexpected(error)  # the records are looked up one by one
            self._lists[group] = None

    def _requests(self, operation: WriteOperation) -> int:
        """Return how many requests reading the entity's list takes; the shop is asked once for its length."""
        request = operation.request
        place = request.connection, request.entity
        if place not in self._counts:
            self._counts[place] = operation.client.count(operation.client.build(request.entity, "count"))
        return KeyIndex.requests(self._counts[place])


def _read(operation: WriteOperation, guard: Guard) -> KeyIndex | None:
    """Return the list of an entity, or `None` if quota or half of the time is used up before its end."""
    index = KeyIndex(operation.request.endpoint, operation.request.match_fields)
    least = guard.remaining_seconds() / 2
    for _ in index.read(operation.client):
        guard.observe(operation)
        if guard.stop_reason(operation) is not None or guard.remaining_seconds() < least:
            return None
    return index


def _group_of(operation: WriteOperation) -> _Group:
    request = operation.request
    return request.connection, request.entity, tuple(request.match_fields)


def _can_be_listed(item: PreparedWrite) -> bool:
    """Whether one list of known length holds all records of the entity, and a record need not be read besides."""
    endpoint = item.request.endpoint
    return (
        not item.request.skip_unchanged
        and not endpoint.parents
        and endpoint.has("count")
        and "page" in endpoint.filter_names
    )


def _pays(wanted: int, requests: int, room: int | None, operation: WriteOperation) -> bool:
    """Whether to read a list: it takes fewer requests, and the quota is enough for at least as many upserts.

    Args:
        wanted: Number of look-ups that the list would answer.
        requests: Number of requests that reading it takes.
        room: Number of requests that fit into the quota, if that is known.
        operation: One of the upserts.
    """
    if requests >= wanted or room is None:
        return requests < wanted
    in_one_request = MAX_RECORDS if bulk_route(operation.request.entity, operation.fields_of_update) else 1
    done_by_list = (room - requests) * in_one_request
    # without the list, each record costs a look-up and its part of an update
    done_one_by_one = room * in_one_request // (in_one_request + 1)
    return min(wanted, done_by_list) >= min(wanted, done_one_by_one)
