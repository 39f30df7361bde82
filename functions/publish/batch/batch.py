"""Publish many events: in order per record, and one that fails does not stop the others.

1. Every event is checked and prepared, and the batch is cut into segments (see `planner`).
2. The batch takes the writer's lease of each shop, unless a caller waits.
3. Each segment is sent. Writes that stand alone go first, in order. Upserts are looked up, and become a create or an
   update. Updates and placements wait for the end of the segment: many go out in one request.

Idempotency keys are claimed before a write is sent, and its result is stored under them. Only the shop's quota, the
time of the invocation or another writer end a batch early. What was not sent is handed back unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from publish.batch import planner
from publish.batch.category_products import create_placements
from publish.batch.guard import Guard
from publish.batch.lookups import Lookups
from publish.batch.planner import Kind, PreparedWrite
from publish.batch.updates import UpdateSender
from publish.batch.writer_lease import WriterLease
from publish.event import IncomingEvent
from publish.notifications import report
from publish.result import Outcome, Refusal, Result, is_gone, refusal, to_json

if TYPE_CHECKING:
    from publish.publisher import Publisher


def publish_batch(events: Sequence[object], publisher: Publisher) -> list[Result]:
    """Publish a batch whose caller waits; return one result each, in order."""
    incoming = [IncomingEvent(event) for event in events]
    outcomes = send_all(incoming, publisher)
    report(publisher.deps, zip(incoming, outcomes, strict=True))
    return [to_json(outcome) for outcome in outcomes]


def send_all(incoming: Sequence[IncomingEvent], publisher: Publisher, lookups: Lookups | None = None) -> list[Outcome]:
    """Publish events. If no caller waits, the batch is the only writer of its shops.

    Args:
        incoming: The events; one that could not be read is answered with its error.
        publisher: The invocation.
        lookups: The lists that the invocation has read, if it gets several batches.

    Returns:
        One outcome each, in order.
    """
    items: list[PreparedWrite] = []
    outcomes: dict[int, Outcome] = {}
    for position, event in enumerate(incoming):
        try:
            if event.error is not None:
                raise event.error
            operation = publisher.prepare(event.event)
            items.append(PreparedWrite(position, operation, event.message_id, event.queued_at))
        except Exception as error:
            outcomes[position] = refusal(error)
    lookups = lookups or Lookups()
    lookups.expect(items)
    only_writer: AbstractContextManager[dict[str, Refusal]] = nullcontext({})  # by connection, why it may not write
    if publisher.background:
        connections = {item.request.connection for item in items}
        only_writer = WriterLease(*publisher.deps.table_client_clock).hold(connections, publisher.remaining_seconds())
    with only_writer as refused:
        sender = _Sender(publisher, Guard(publisher, refused), lookups)
        for segment in planner.segments(items):
            outcomes |= sender.send(segment)
    return [outcomes[position] for position in range(len(incoming))]


class _Sender:
    """Sends the segments of a batch.

    A step returns the outcome of an item, or a `PreparedWrite` that is still to be sent.
    """

    def __init__(self, publisher: Publisher, guard: Guard, lookups: Lookups) -> None:
        self._publisher = publisher
        self._guard = guard
        self._lookups = lookups
        self._update_sender = UpdateSender(guard, publisher.deps)

    def send(self, segment: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        """Send a segment; return outcomes by position."""
        waiting, outcomes = _attempt_each(self._send_or_keep, segment)
        outcomes |= self._send_updates([item for item in waiting if item.kind is not Kind.PLACEMENT])
        for placements in planner.sent_together(item for item in waiting if item.kind is Kind.PLACEMENT):
            outcomes |= self._send_claimed(placements)
        return outcomes

    def _send_or_keep(self, item: PreparedWrite) -> PreparedWrite | Outcome:
        """Send an item and return its outcome, or return what waits for the end of the segment in its place."""
        if item.kind is Kind.UPSERT:
            return self._upsert(item)
        self._lookups.forget(item.operation)
        if item.kind is Kind.OTHER:
            with self._guard.request(item.operation):
                return self._publisher.send(item.operation, item.message_id)
        return item

    def _send_updates(self, updates: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        """Send the updates of a segment.

        The update of an upsert may come too late: its record was deleted after the list of ids was read. Then the
        upsert is sent again, and looked up by itself.
        """
        outcomes: dict[int, Outcome] = {}
        for items in planner.sent_together(updates):
            outcomes |= self._send_claimed(items)
        late = [item.upsert for item in updates if item.upsert is not None and is_gone(outcomes[item.position])]
        for upsert in late:
            self._lookups.forget(upsert.operation)
        return outcomes | self.send(late) if late else outcomes

    def _send_claimed(self, items: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        """Send updates or placements together, between claiming their idempotency keys and storing the results."""
        claimed, outcomes = _attempt_each(self._claim, items)
        if claimed and claimed[0].kind is Kind.PLACEMENT:
            outcomes |= create_placements(claimed, self._guard)
        elif claimed:
            outcomes |= self._update_sender.send(claimed)
        # the update of an upsert came with its claim, which is freed here if the guard stopped the update
        claims = {item.position: item.claim for item in (*items, *claimed)}
        for position, claim in claims.items():
            self._publisher.complete(claim, outcomes[position])
        return outcomes

    def _claim(self, item: PreparedWrite) -> PreparedWrite | Outcome:
        """Claim the idempotency key of an item, or return the result that the key was answered with.

        The update of an upsert has the claim of its upsert. A queued update needs no key of its message: its time
        orders it, and a second delivery changes nothing.
        """
        default_key = "" if item.kind is Kind.UPDATE and item.queued_at is not None else item.message_id
        self._guard.check(item.operation)
        claim = item.claim or self._publisher.claim(item.operation, default_key)
        answered = None if claim is None else claim.earlier_result
        return replace(item, claim=claim) if answered is None else answered

    def _upsert(self, item: PreparedWrite) -> PreparedWrite | Outcome:
        """Create the record of an upsert, or return its update if the record exists."""
        claimed = self._claim(item)
        if not isinstance(claimed, PreparedWrite):
            # the call that created the record may have been killed before it stored the order
            self._update_sender.store_created(item, claimed)
            return claimed
        operation = item.operation
        listed = self._lookups.find(operation, self._guard)
        outcome: Outcome
        try:
            with self._guard.request(operation):
                found = listed or operation.find()
                if found is not None:
                    # kept without the claim, which is freed if the update is refused
                    return replace(claimed, operation=operation.as_update_of(found), upsert=item if listed else None)
                self._lookups.forget(operation)
                outcome = operation.send_as_is()
                self._update_sender.store_created(claimed, outcome)
        except Exception as error:
            outcome = refusal(error)
        self._publisher.complete(claimed.claim, outcome)
        return outcome


def _attempt_each(
    step: Callable[[PreparedWrite], PreparedWrite | Outcome], items: Sequence[PreparedWrite]
) -> tuple[list[PreparedWrite], dict[int, Outcome]]:
    """Attempt a step with each item; return what is still to be sent, and the outcomes of the others by position.

    What a step raises is the outcome of its item alone.
    """
    left: list[PreparedWrite] = []
    outcomes: dict[int, Outcome] = {}
    for item in items:
        try:
            found = step(item)
        except Exception as error:
            found = refusal(error)
        if isinstance(found, PreparedWrite):
            left.append(found)
        else:
            outcomes[item.position] = found
    return left, outcomes
