"""Publish many events: the writes of a record keep their order, and an event that fails does not stop the others.

1. The batch checks and prepares every event, and cuts the writes into segments (see `planner`).
2. It takes the writer lease of each shop, unless a caller waits.
3. It sends segment after segment. It sends single writes first, in order. It looks up the record of each upsert (a
   create with `match`), and creates or updates it. It defers updates and placements to the end of the segment, because
   one request carries many of them.

The batch claims an idempotency key before the write, and stores the result under it. Only the shop's quota, refused
credentials, the time of the invocation or another writer end the writes to a shop early. Each event that was not sent
then gets that reason as its outcome.
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
    """Publish a batch for a waiting caller; return one result per event, in order."""
    incoming = [IncomingEvent(event) for event in events]
    outcomes = send_all(incoming, publisher)
    report(publisher.deps, zip(incoming, outcomes, strict=True))
    return [to_json(outcome) for outcome in outcomes]


def send_all(incoming: Sequence[IncomingEvent], publisher: Publisher, lookups: Lookups | None = None) -> list[Outcome]:
    """Publish events. If no caller waits, the batch holds the writer lease of each shop meanwhile.

    Args:
        incoming: The events. The outcome of an event with an error is that error.
        publisher: The publisher of this invocation.
        lookups: The lists that earlier batches of this invocation have read.

    Returns:
        One outcome per event, in order.
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
    lease: AbstractContextManager[dict[str, Refusal]] = nullcontext({})
    if publisher.background:
        connections = {item.request.connection for item in items}
        lease = WriterLease(*publisher.deps.table_client_clock).hold(connections, publisher.remaining_seconds())
    with lease as refusals:
        sender = _Sender(publisher, Guard(publisher, refusals), lookups)
        for segment in planner.segments(items):
            outcomes |= sender.send(segment)
    return [outcomes[position] for position in range(len(incoming))]


class _Sender:
    """Sends the segments of a batch.

    Each step takes an item. It returns the item's outcome, or a `PreparedWrite` that a later step sends.
    """

    def __init__(self, publisher: Publisher, guard: Guard, lookups: Lookups) -> None:
        self._publisher = publisher
        self._guard = guard
        self._lookups = lookups
        self._update_sender = UpdateSender(guard, publisher.deps)

    def send(self, segment: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        """Send a segment; return outcomes by position."""
        deferred, outcomes = _attempt_each(self._send_or_defer, segment)
        outcomes |= self._send_updates([item for item in deferred if item.kind is not Kind.PLACEMENT])
        for placements in planner.request_groups(item for item in deferred if item.kind is Kind.PLACEMENT):
            outcomes |= self._send_group(placements)
        return outcomes

    def _send_or_defer(self, item: PreparedWrite) -> PreparedWrite | Outcome:
        """Send an item and return its outcome, or return the update or placement to send at the end of the segment."""
        if item.kind is Kind.UPSERT:
            return self._upsert(item)
        self._lookups.forget(item.operation)
        if item.kind is Kind.OTHER:
            with self._guard.request(item.operation):
                return self._publisher.send(item.operation, item.message_id)
        return item

    def _send_updates(self, updates: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        """Send the updates of a segment.

        A list that was read earlier may name a record that is deleted by now. The batch then sends that upsert again,
        with a look-up of its own.
        """
        outcomes: dict[int, Outcome] = {}
        for items in planner.request_groups(updates):
            outcomes |= self._send_group(items)
        again = [item.upsert for item in updates if item.upsert is not None and is_gone(outcomes[item.position])]
        for upsert in again:
            self._lookups.forget(upsert.operation)
        return outcomes | self.send(again) if again else outcomes

    def _send_group(self, items: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        """Claim the keys of updates or placements, send them together, and store their results under the keys."""
        claimed, outcomes = _attempt_each(self._claim, items)
        if claimed and claimed[0].kind is Kind.PLACEMENT:
            outcomes |= create_placements(claimed, self._guard)
        elif claimed:
            outcomes |= self._update_sender.send(claimed)
        # the guard may stop the update of an upsert in `_claim`; `items` has the upsert's claim, which is freed here
        claims = {item.position: item.claim for item in (*items, *claimed)}
        for position, claim in claims.items():
            self._publisher.complete(claim, outcomes[position])
        return outcomes

    def _claim(self, item: PreparedWrite) -> PreparedWrite | Outcome:
        """Return an item with the claim of its idempotency key, or the stored result if the key was used before.

        The update of an upsert already has the upsert's claim. A queued update needs no key of its message: its time
        orders it, so a second delivery changes nothing.
        """
        default_key = "" if item.kind is Kind.UPDATE and item.queued_at is not None else item.message_id
        self._guard.check(item.operation)
        claim = item.claim or self._publisher.claim(item.operation, default_key)
        if claim is not None and claim.earlier_result is not None:
            return claim.earlier_result
        return replace(item, claim=claim)

    def _upsert(self, item: PreparedWrite) -> PreparedWrite | Outcome:
        """Create the record of an upsert, or return its update if the record exists."""
        claimed = self._claim(item)
        if not isinstance(claimed, PreparedWrite):
            # the invocation that created the record may have been killed before it stored the field versions
            self._update_sender.store_created(item, claimed)
            return claimed
        operation = item.operation
        listed = self._lookups.find(operation, self._guard)
        outcome: Outcome
        try:
            with self._guard.request(operation):
                found = listed or operation.find()
                if found is not None:
                    # `upsert` has no claim: a refused update frees the claim, so the upsert claims its key again
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
    """Call a step with each item; return the writes that are still to be sent, and the other outcomes by position.

    If a step raises, its error is the outcome of that item alone.
    """
    to_send: list[PreparedWrite] = []
    outcomes: dict[int, Outcome] = {}
    for item in items:
        try:
            found = step(item)
        except Exception as error:
            found = refusal(error)
        if isinstance(found, PreparedWrite):
            to_send.append(found)
        else:
            outcomes[item.position] = found
    return to_send, outcomes
