"""Publish many events: in order per record, and one that fails does not stop the others.

A batch is planned first (see `planner`). Then each segment is sent: single writes and look-ups in order, updates
merged by record, placements by product. Only the shop's quota, the time of the invocation or another writer end a batch
early. What was not sent is handed back unchanged.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from lightspeed import NotFound, UnknownLanguage
from publish.batch import planner
from publish.batch.category_products import CategoryProducts
from publish.batch.guard import Guard
from publish.batch.item import IncomingEvent, Kind, PreparedWrite
from publish.batch.updates import Updates
from publish.event import publish_request
from publish.result import Outcome, Result, attempt, to_json
from publish.write import WriteOperation

if TYPE_CHECKING:
    from publish.publisher import Publisher


def publish_batch(events: list[object], publisher: Publisher) -> list[Result]:
    """Publish a batch whose caller waits; return one result each, in order."""
    incoming = [IncomingEvent(event) for event in events]
    outcomes = Batch(publisher).run(incoming)
    publisher.tell(incoming, outcomes)
    return [to_json(outcome) for outcome in outcomes]


class Batch:
    """Publishes the events of one batch."""

    def __init__(self, publisher: Publisher, *, background: bool = False, alike: int = 1) -> None:
        """Prepare; nothing is sent.

        Args:
            publisher: The invocation.
            background: Whether no caller waits. The batch then is the only writer of its shops, leaves the reserve of
                the quota to others, and stops early enough for every request to be answered.
            alike: Number of such batches that the invocation may get, this one included.
        """
        self._publisher = publisher
        self._background = background
        self._alike = alike
        self._lookups = publisher.lookups
        self._wanted: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
        self._guard = Guard(publisher, background=background)
        self._updates = Updates(publisher, self._guard)
        self._placements = CategoryProducts(publisher, self._guard)

    def run(self, incoming: Sequence[IncomingEvent]) -> list[Outcome]:
        """Publish events; return one outcome each, in order."""
        prepared = [attempt(partial(self._prepare, position, event)) for position, event in enumerate(incoming)]
        items = [found for found in prepared if isinstance(found, PreparedWrite)]
        outcomes: dict[int, Outcome] = {
            position: found for position, found in enumerate(prepared) if not isinstance(found, PreparedWrite)
        }
        self._wanted = self._lookups.plan(items, self._alike)
        connections = {item.request.connection for item in items}
        with self._publisher.hold_leases(connections) if self._background else contextlib.nullcontext():
            for segment in planner.segments(items):
                outcomes |= self._send(segment)
        return [outcomes[position] for position in range(len(incoming))]

    def _prepare(self, position: int, event: IncomingEvent) -> PreparedWrite:
        return PreparedWrite(position, event, self._publisher.prepare(publish_request(event.event)))

    def _send(self, segment: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        """Send a segment; return outcomes by position."""
        outcomes: dict[int, Outcome] = {}
        updates = [item for item in segment if item.kind is Kind.UPDATE]
        listed: list[PreparedWrite] = []
        for item in segment:
            if item.kind is Kind.UPSERT:
                found, from_list = self._resolve(item)
                listed += [item] if from_list else []
                if isinstance(found, PreparedWrite):
                    updates.append(found)
                else:
                    outcomes[item.position] = found
                continue
            self._lookups.forget(item.operation)
            if item.kind is Kind.OTHER:
                outcomes[item.position] = self._send_alone(item)
        outcomes |= self._send_updates(updates)
        gone = [item for item in listed if _is_gone(outcomes[item.position])]
        for item in gone:
            self._lookups.forget(item.operation)
        if gone:  # the list was read before these records were deleted
            outcomes |= self._send(gone)
        placements = [item for item in segment if item.kind is Kind.PLACEMENT]
        for group in planner.products(placements):
            outcomes |= self._placements.send(group)
        return outcomes

    def _send_updates(self, updates: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        for group in planner.records(sorted(updates, key=lambda item: item.position)):
            outcomes |= self._updates.send(group)
        return outcomes

    def _send_alone(self, item: PreparedWrite) -> Outcome:
        outcome = self._guard.attempt(item.operation, partial(self._publisher.send, item.operation, item.incoming.key))
        self._guard.observe(item.operation, outcome)
        return outcome

    def _resolve(self, item: PreparedWrite) -> tuple[Outcome | PreparedWrite, bool]:
        """Create the record of an upsert unless it exists.

        Returns:
            The outcome, or the update of the record that exists; and whether a list that was read before answered it.
        """
        found = self._guard.attempt(item.operation, partial(self._upsert, item))
        outcome, from_list = found if isinstance(found, tuple) else (found, False)
        self._guard.observe(item.operation, None if isinstance(outcome, PreparedWrite) else outcome)
        return outcome, from_list

    def _upsert(self, item: PreparedWrite) -> tuple[Outcome | PreparedWrite, bool]:
        key = item.request.idempotency_key or item.incoming.key
        idempotency = None if key is None else self._publisher.idempotency
        claim = idempotency.begin(item.operation, key) if idempotency is not None and key is not None else None
        if isinstance(claim, dict):
            return claim, False
        self._lookups.gather(item, self._wanted, self._guard)
        identity = self._lookups.find(item.operation)
        update = self._guard.attempt(item.operation, partial(item.operation.update_of_present, identity))
        if isinstance(update, WriteOperation):
            return replace(item, operation=update, claim=claim), identity is not None
        if update is not None:
            if idempotency is not None and claim is not None:
                idempotency.release(claim)
            return update, False
        self._lookups.forget(item.operation)
        create = item.operation.create
        return (create() if idempotency is None or claim is None else idempotency.finish(claim, create)), False


def _is_gone(outcome: Outcome) -> bool:
    return isinstance(outcome, NotFound) and not isinstance(outcome, UnknownLanguage)
