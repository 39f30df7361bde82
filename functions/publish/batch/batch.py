"""Publish many events: in order per record, and none that fails stops another.

Only the shop's quota and the time of the invocation end a batch early; what was not reached is handed back untouched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from connector.errors import OutOfTime
from lightspeed import AuthenticationError, NotFound, RateLimited, UnknownLanguage
from publish.batch.category_products import CategoryProducts
from publish.batch.guard import BatchContext
from publish.batch.item import IncomingEvent, PreparedWrite
from publish.batch.updates import Updates
from publish.event import publish_request
from publish.result import Outcome, Refusal, Result, attempt, shown
from publish.write import WriteOperation

if TYPE_CHECKING:
    from publish.publisher import Publisher

LEAST_SECONDS = 5.0
"""A request that is begun later than this before the end of the invocation might not get its answer."""

LEAST_SECONDS_IN_BACKGROUND = 10.0


def publish_batch(events: list[object], publisher: Publisher) -> list[Result]:
    """Publish the events of a batch that somebody waits for; return what stands in its results."""
    entries = [IncomingEvent(event) for event in events]
    outcomes = Batch(publisher).run(entries)
    publisher.tell(entries, outcomes)
    return [shown(outcome) for outcome in outcomes]


class Batch:
    """Publishes the events of one batch."""

    def __init__(self, publisher: Publisher, *, background: bool = False, alike: int = 1) -> None:
        """Prepare.

        Args:
            publisher: What it is part of.
            background: Nobody waits for the answer: leave the reserve of the quota to others, remember from one batch
                to the next that it is used up, and give every request time to be answered.
            alike: How many such batches the invocation may be given, this one included.
        """
        self._publisher = publisher
        self._background = background
        self._alike = alike
        self._lookups = publisher.lookups
        self._wanted: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
        self._listed: list[PreparedWrite] = []
        self._pauses = publisher.deps.pauses if background else {}
        self._locked_out: dict[str, AuthenticationError] = {}
        self._outcomes: dict[int, Outcome] = {}
        course = BatchContext(publisher, self._halt, self._notice, self._outcomes)
        self._updates = Updates(course)
        self._places = CategoryProducts(course)

    def run(self, entries: Sequence[IncomingEvent]) -> list[Outcome]:
        """Publish events; return one outcome each, in order. One that fails stops no other."""
        found = [attempt(partial(self._item, position, entry)) for position, entry in enumerate(entries)]
        self._wanted = self._lookups.plan([item for item in found if isinstance(item, PreparedWrite)], self._alike)
        for position, item in enumerate(found):
            if isinstance(item, PreparedWrite):
                self._take(item)
            else:
                self._outcomes[position] = item
        self._updates.send()
        self._places.send()
        self._seek_again()
        return [self._outcomes[position] for position in range(len(entries))]

    def _item(self, position: int, entry: IncomingEvent) -> PreparedWrite:
        return PreparedWrite(position, entry, self._publisher.prepare(publish_request(entry.event)))

    def _take(self, item: PreparedWrite) -> None:
        if not item.may_update:
            self._lookups.forget(item.publication)
        in_places = self._places.take(item)
        if not in_places and self._places.concern(item):
            self._places.send()
        if item.waits:
            self._updates.add(item)
            return
        if self._updates.concern(item):
            self._updates.send()
        if in_places:
            self._places.add(item)
            return
        outcome: Outcome | PreparedWrite | None = self._halt(item.publication)
        if outcome is None:
            outcome = attempt(partial(self._upsert if item.may_update else self._send, item))
        self._settle(item, outcome)

    def _settle(self, item: PreparedWrite, outcome: Outcome | PreparedWrite) -> None:
        if isinstance(outcome, PreparedWrite):
            self._notice(item.publication, {})  # it was looked up
            self._updates.add(outcome)
        else:
            self._notice(item.publication, outcome)
            self._outcomes[item.position] = outcome

    def _seek_again(self) -> None:
        """Look up by itself what stood in the list that was read, and is gone by now."""
        listed, self._listed = self._listed, []
        for item in listed:
            outcome = self._outcomes[item.position]
            if isinstance(outcome, NotFound) and not isinstance(outcome, UnknownLanguage):
                self._lookups.forget(item.publication)
                halt = self._halt(item.publication)
                self._settle(item, attempt(partial(self._upsert, item)) if halt is None else halt)
                self._updates.send()

    def _send(self, item: PreparedWrite) -> Outcome:
        return self._publisher.send(item.publication, item.entry.key)

    def _upsert(self, item: PreparedWrite) -> Outcome | PreparedWrite:
        """Create a record unless it is there already; then return the update of it, which may be joined with others."""
        key = item.request.idempotency_key or item.entry.key
        once = None if key is None else self._publisher.once
        begun = once.begin(item.publication, key) if once is not None and key is not None else None
        if isinstance(begun, dict):
            return begun
        update = attempt(partial(self._update_of_present, item))
        if isinstance(update, WriteOperation):
            return replace(item, publication=update, claim=begun)
        if isinstance(update, Refusal):
            if once is not None and begun is not None:
                once.release(begun)
            return update
        self._lookups.forget(item.publication)
        if once is None or begun is None:
            return item.publication.create()
        return once.finish(begun, item.publication.create)

    def _update_of_present(self, item: PreparedWrite) -> WriteOperation | Refusal | None:
        self._lookups.gather(item, self._wanted, self._room, self._may_go_on)
        halt = self._halt(item.publication)
        if halt is not None:
            return halt
        identity = self._lookups.find(item.publication)
        if identity is not None:
            self._listed.append(item)
        return item.publication.update_of_present(identity)

    def _halt(self, publication: WriteOperation) -> Refusal | None:
        """Return why nothing more may be sent now, or `None`."""
        least = LEAST_SECONDS_IN_BACKGROUND if self._background else LEAST_SECONDS
        if self._publisher.remaining_seconds() < least:
            return OutOfTime("not sent: the time of this invocation is used up")
        locked_out = self._locked_out.get(publication.request.connection)
        if locked_out is not None:
            return locked_out
        wait = self._pauses.get(publication.request.connection, 0.0) - self._publisher.deps.clock.time()
        if wait <= 0:
            return None
        built = publication.built
        message = "not sent: the shop's quota is used up"
        return RateLimited(message, method=built.method, path=built.path, retry_after_seconds=max(1.0, wait))

    def _may_go_on(self, publication: WriteOperation, outcome: Outcome) -> bool:
        """Take note of an outcome; return whether more may be sent."""
        self._notice(publication, outcome)
        return self._halt(publication) is None

    def _room(self, publication: WriteOperation) -> int | None:
        """Return how many requests the quota has room for, or `None` if that is not known."""
        quota = publication.client.transport.quota
        reserve = self._publisher.deps.settings.quota_reserve_percent if self._background else 0
        return None if quota is None else quota.room(reserve)

    def _notice(self, publication: WriteOperation, outcome: Outcome) -> None:
        """Remember that the quota is used up, or in the background that only the others' share of it is left.

        Credentials that the shop does not take are remembered as well: they are not tried for every event.
        """
        if isinstance(outcome, AuthenticationError):
            self._locked_out[publication.request.connection] = outcome
        wait = 0.0
        if isinstance(outcome, RateLimited):
            wait = outcome.retry_after_seconds
        elif self._background and (quota := publication.client.transport.quota) is not None:
            wait = quota.wait_seconds(self._publisher.deps.settings.quota_reserve_percent)
        if wait:
            until = self._publisher.deps.clock.time() + wait
            self._pauses[publication.request.connection] = until
