"""Look up the records of many upserts with one reading of the entity's list.

An invocation keeps the list, for at most two minutes. The list only answers which record has a value (see `KeyIndex`).
If it does not hold the value, or its record is deleted meanwhile, the batch asks the shop. A batch always asks the shop
before a create.
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
"""With fewer upserts, the batch does not even count the entity's records: the count is a request too."""

_Group = tuple[str, str, tuple[str, ...]]
"""Connection, entity, fields of the natural key."""


class KeyIndex:
    """The ids of an entity's records by the values of a natural key, as they were while the list was read.

    Rows may move while the list is read, so the index may lack some. It answers only for a value that exactly one row
    had. A caller must look up any other value alone: one that no row had, that several rows had, or that a write has
    changed since. Like a look-up, the index does not notice a record that gets the value later.

    Args:
        endpoint: The entity's row of the catalogue, without parents.
        names: The filters of the entity that make the natural key.
    """

    def __init__(self, endpoint: Endpoint, names: Sequence[str]) -> None:
        self._endpoint = endpoint
        self._names = tuple(names)
        self._ids: dict[tuple[str, ...], int | str | None] = {}
        self._written: set[str] = set()

    @staticmethod
    def requests(count: int) -> int:
        """Return how many requests a list of `count` records takes; a page that is not full ends it."""
        return count // PAGE_LIMIT + 1

    def read(self, client: Client) -> Iterator[None]:
        """Read the whole list. Yields after every page, so that the caller may stop.

        Raises:
            LightspeedError: As the client raises it.
        """
        query: dict[str, object] = {"limit": PAGE_LIMIT}
        if "fields" in self._endpoint.filter_names:
            query["fields"] = ",".join(dict.fromkeys(["id", *sorted(field_names(self._names))]))
        for page in client.pages(self._endpoint.name, Parameters(query=query)):
            for text in page.records:
                self._add(parse_record(text))
            yield

    def find(self, match: NaturalKey) -> int | str | None:
        """Return the id of the record that has the values, or `None` if the shop must be asked."""
        found = self._ids.get(match.key)
        return None if str(found) in self._written else found

    def forget(self, identity: object, fields: Mapping[str, Any] | None) -> None:
        """Forget what a write may change: the values of its record, and the record of its values.

        Args:
            identity: The record's id, or `None` for a new one.
            fields: The written fields; `None` for a delete.
        """
        if fields is not None and not concerns_key(fields, self._names):
            return
        if identity is not None:
            self._written.add(str(identity))
        keys = list(keys_of(fields or {}, self._names))
        if fields and not keys:  # the write has only a part of the key, so the record may now have any key
            self._ids.clear()
        for key in keys:
            self._ids.pop(key, None)

    def _add(self, row: Mapping[str, Any]) -> None:
        identity = row.get("id")
        for key in keys_of(row, self._names):
            self._ids[key] = identity if self._ids.get(key, identity) == identity else None


class Lookups:
    """The lists that one invocation has read.

    Args:
        batches: How many similar batches the invocation may send.
    """

    def __init__(self, batches: int = 1) -> None:
        self._batches_left = batches
        self._lists: dict[_Group, KeyIndex | None] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._expected: Counter[_Group] = Counter()

    def expect(self, items: Iterable[PreparedWrite]) -> None:
        """Estimate the look-ups by natural key, for this batch and for as many as may follow.

        Call it once for each batch, before its look-ups.
        """
        upserts = [item for item in items if item.kind is Kind.UPSERT and _can_be_listed(item)]
        counts = Counter(_group_of(item.operation) for item in upserts)
        self._expected = Counter({group: number * self._batches_left for group, number in counts.items()})
        self._batches_left -= 1

    def find(self, operation: WriteOperation, guard: Guard) -> dict[str, int | str] | None:
        """Return the `id` of the record that an upsert would update, or `None` if the shop must be asked.

        Reads the list first if that takes fewer requests.
        """
        self._read_list(operation, guard)
        index = self._lists.get(_group_of(operation))
        identity = index.find(operation.match) if index and operation.match else None
        return None if identity is None else {"id": identity}

    def forget(self, operation: WriteOperation) -> None:
        """Forget in every list what a write may change."""
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
        """Read the list for an upsert and similar ones, if that takes fewer requests than their look-ups.

        It decides once per batch, and tries to read a list once per invocation.
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
        """Return how many requests the entity's list takes. The shop is asked once for its length."""
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
    """Whether a list can answer the upsert: all records are in one countable list, and only the id is needed."""
    endpoint = item.request.endpoint
    return (
        not item.request.skip_unchanged
        and not endpoint.parents
        and endpoint.has("count")
        and "page" in endpoint.filter_names
    )


def _pays(wanted: int, requests: int, room: int | None, operation: WriteOperation) -> bool:
    """Whether to read a list: it takes fewer requests, and the quota then allows at least as many upserts.

    Args:
        wanted: Number of look-ups that the list would answer.
        requests: Number of requests that the list takes.
        room: Number of requests that fit into the quota; `None` if not known.
        operation: One of the upserts.
    """
    if requests >= wanted or room is None:
        return requests < wanted
    in_one_request = MAX_RECORDS if bulk_route(operation.request.entity, operation.fields_of_update) else 1
    done_by_list = (room - requests) * in_one_request
    # without the list, each record takes a look-up and its share of an update
    done_one_by_one = room * in_one_request // (in_one_request + 1)
    return min(wanted, done_by_list) >= min(wanted, done_one_by_one)
