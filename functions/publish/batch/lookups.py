"""Look-ups of upserts: where there are many, the entity's list is read once, and they are answered from it.

What was read lives as long as the invocation, so it is two minutes old at most. It answers only which record has a
value (see `lightspeed.writing.key_index`). A record that is gone by then is looked up again, and so is a value that it
does not know. Before a create the shop is always asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from lightspeed import LightspeedError
from lightspeed.writing.key_index import KeyIndex
from publish.batch.bulk import LIMIT, bulk_of

if TYPE_CHECKING:
    from publish.batch.item import PreparedWrite
    from publish.result import Outcome
    from publish.write import WriteOperation

FEWEST = 10
"""Upserts from which on it is worth a request to count the records that would have to be read."""

_Group = tuple[str, str, tuple[str, ...]]
"""Connection, entity, fields of the natural key."""


class Lookups:
    """The lists that one invocation has read."""

    def __init__(self, remaining_seconds: Callable[[], float]) -> None:
        """Prepare; nothing is read.

        Args:
            remaining_seconds: How long the invocation may still run. Reading takes half of it at most.
        """
        self._remaining_seconds = remaining_seconds
        self._lists: dict[_Group, KeyIndex | None] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def plan(self, items: Iterable[PreparedWrite], alike: int) -> Counter[_Group]:
        """Return how many look-ups are wanted of each kind.

        Args:
            items: Of a batch.
            alike: How many such batches there are, this one included.
        """
        wanted = Counter(_group(item) for item in items if item.may_update and _is_listed(item))
        return Counter({group: number * alike for group, number in wanted.items()})

    def gather(
        self,
        item: PreparedWrite,
        wanted: Counter[_Group],
        room: Callable[[WriteOperation], int | None],
        noticed: Callable[[WriteOperation, Outcome], bool],
    ) -> None:
        """Read the list that answers an upsert and those like it, if that takes fewer requests than their look-ups.

        Args:
            item: The upsert.
            wanted: As planned; what was decided on is taken out.
            room: Tells how many requests the quota has room for, `None` if it is not known.
            noticed: Is told of every outcome, and tells whether more may be sent.
        """
        group = _group(item)
        number = wanted.pop(group, 0)
        if number < FEWEST or group in self._lists:
            return
        publication = item.publication
        try:
            requests = KeyIndex.requests(self._count(publication))
            if noticed(publication, {}) and _pays(number, requests, room(publication), _together(publication)):
                self._lists[group] = None  # a reading that fails is not tried again
                keys = KeyIndex(publication.request.endpoint, publication.request.match_fields)
                if self._is_read(keys.read(publication.client), partial(noticed, publication, {})):
                    self._lists[group] = keys
        except LightspeedError as error:
            self._lists[group] = None
            noticed(publication, error)

    def find(self, publication: WriteOperation) -> int | str | None:
        """Return the id of the record that an upsert would update, or `None` where that has to be looked up."""
        keys = self._lists.get(_group_of(publication))
        return None if keys is None or publication.match is None else keys.find(publication.match)

    def forget(self, publication: WriteOperation) -> None:
        """Take note of what is about to be written, as far as it may change where a record is found."""
        request = publication.request
        if request.dry_run:
            return
        written = None if request.action == "delete" else publication.fields
        for group, keys in self._lists.items():
            if keys is None or group[:2] != (request.connection, request.entity):
                continue
            if request.action in ("create", "update", "delete"):
                keys.forget(publication.parameters.path.get("id"), written)
            else:
                self._lists[group] = None

    def _count(self, publication: WriteOperation) -> int:
        request = publication.request
        place = request.connection, request.entity
        if place not in self._counts:
            self._counts[place] = publication.client.count(publication.client.build(request.entity, "count"))
        return self._counts[place]

    def _is_read(self, pages: Iterator[None], more_may_be_sent: Callable[[], bool]) -> bool:
        least = self._remaining_seconds() / 2
        return all(more_may_be_sent() and self._remaining_seconds() >= least for _ in pages)


def _group(item: PreparedWrite) -> _Group:
    return _group_of(item.publication)


def _group_of(publication: WriteOperation) -> _Group:
    request = publication.request
    return request.connection, request.entity, tuple(request.match_fields)


def _is_listed(item: PreparedWrite) -> bool:
    """Whether one list, which tells how long it is, holds all records of the entity."""
    endpoint = item.request.endpoint
    return not endpoint.parents and endpoint.has("count") and "page" in endpoint.filter_names


def _together(publication: WriteOperation) -> int:
    """Return how many updates such as an upsert becomes go out in one request."""
    return LIMIT if bulk_of(publication.request.entity, publication.fields_of_update) else 1


def _pays(wanted: int, requests: int, room: int | None, together: int) -> bool:
    """Whether to read a list rather than look up one by one.

    Args:
        wanted: Look-ups that it would answer.
        requests: What reading it takes.
        room: What the quota has room for.
        together: Updates in one request.
    """
    if requests >= wanted:
        return False
    if room is None:
        return True
    done_by_list, done_one_by_one = (room - requests) * together, room * together // (together + 1)
    return min(wanted, done_by_list) >= min(wanted, done_one_by_one)
