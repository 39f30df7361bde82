"""Updates of a segment: those of one record become one request, and many records go out in bulk (see `bulk`).

Of several updates of a record the last value of each field wins. Updates from the queue and from files are ordered by
their moment, across batches (see `field_versions`); others by their position in the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from lightspeed import ApiError, NotSent, ServerError
from publish.batch.bulk import LIMIT, Bulk, bulk_of
from publish.batch.isolate import is_refused, isolate
from publish.batch.item import PreparedWrite, canonical_id
from publish.batch.planner import chunks
from publish.result import Outcome, Refusal, Result, attempt, result

if TYPE_CHECKING:
    from publish.batch.field_versions import RecordVersions
    from publish.batch.guard import Guard
    from publish.publisher import Publisher
    from publish.write import WriteOperation

_NOT_ALLOWED = 405


@dataclass(frozen=True)
class _Part:
    """What one event contributes to a merged update.

    Attributes:
        item: The event; `None` for stored values that are sent again.
        fields: What is sent of it; empty if newer values are stored.
    """

    item: PreparedWrite | None
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class MergedUpdate:
    """The updates of one record.

    Attributes:
        items: The events.
        parts: What is sent of each, in the order in which later fields win; a repair first.
        versions: What is stored of the record; `None` if its updates are not ordered across batches.
    """

    items: Sequence[PreparedWrite]
    parts: Sequence[_Part]
    versions: RecordVersions | None = None

    @property
    def operation(self) -> WriteOperation:
        """The operation whose path and client all parts share."""
        return self.items[0].operation

    @property
    def messages(self) -> list[str]:
        """The names of the events."""
        return [item.incoming.key or "" for item in self.items]

    @property
    def to_send(self) -> list[_Part]:
        """The parts that have fields."""
        return [part for part in self.parts if part.fields]

    @property
    def fields(self) -> dict[str, Any]:
        """The merged fields."""
        return _merged(self.parts)

    @property
    def bulk(self) -> Bulk | None:
        """The bulk route that it may be sent through; none for a connection that asks for another verb."""
        put = self.operation.built.method == "PUT"
        return bulk_of(self.operation.request.entity, self.fields) if put else None

    @property
    def identity(self) -> object:
        """The record's id, as a number if it is one: a bulk entry takes it so."""
        text = str(self.operation.parameters.path.get("id"))
        found = canonical_id(text)
        return text if found is None else found


def merge(items: Sequence[PreparedWrite], versions: RecordVersions | None) -> MergedUpdate:
    """Merge the updates of one record; only fields that are newer than what is stored are sent.

    Args:
        items: At least one.
        versions: What is stored of the record, if its updates are ordered across batches.
    """
    if versions is None:
        return MergedUpdate(items, [_Part(item, item.fields) for item in items])
    ordered = sorted(items, key=lambda item: (item.incoming.moment or 0, item.position))
    names = dict.fromkeys(name for item in items for name in item.fields)
    repair = versions.values_to_repair([item.incoming.key or "" for item in items], names)
    return MergedUpdate(ordered, [_Part(None, repair), *(_newer(item, versions) for item in ordered)], versions)


class Updates:
    """Sends the updates of a batch."""

    def __init__(self, publisher: Publisher, guard: Guard) -> None:
        """Prepare; nothing is sent."""
        self._publisher = publisher
        self._guard = guard

    def send(self, records: Sequence[Sequence[PreparedWrite]]) -> dict[int, Outcome]:
        """Send the updates of records that share connection, entity and parent; return outcomes by position."""
        outcomes: dict[int, Outcome] = {}
        for chunk in chunks(records, LIMIT):
            claimed, found = self._claim([item for items in chunk for item in items])
            outcomes |= found
            left = [[claimed[item.position] for item in items if item.position in claimed] for items in chunk]
            found = self._send_claimed([items for items in left if items])
            self._end_claims(claimed, found)
            outcomes |= found
        return outcomes

    def _claim(self, items: Sequence[PreparedWrite]) -> tuple[dict[int, PreparedWrite], dict[int, Outcome]]:
        """Claim idempotency keys; return the items that may be sent, and the outcomes of the others, by position."""
        claimed: dict[int, PreparedWrite] = {}
        outcomes: dict[int, Outcome] = {}
        for item in items:
            found = self._guard.attempt(item.operation, partial(self._claimed, item))
            if isinstance(found, PreparedWrite):
                claimed[item.position] = found
            else:
                outcomes[item.position] = found
                self._end_claims({item.position: item}, {item.position: found})
        return claimed, outcomes

    def _claimed(self, item: PreparedWrite) -> PreparedWrite | Outcome:
        ordered = item.incoming.moment is not None and self._publisher.field_versions is not None
        key = item.request.idempotency_key or (None if ordered else item.incoming.key)
        idempotency = self._publisher.idempotency if key is not None and item.claim is None else None
        if key is None or idempotency is None:
            return item
        from publish.idempotency import Claim  # noqa: PLC0415 - only with a key

        found = idempotency.claim(item.request, key)
        return replace(item, claim=found) if isinstance(found, Claim) else found.result

    def _end_claims(self, items: Mapping[int, PreparedWrite], outcomes: Mapping[int, Outcome]) -> None:
        for position, item in items.items():
            if item.claim is not None and self._publisher.idempotency is not None:
                self._publisher.idempotency.end(item.claim, outcomes[position])

    def _send_claimed(self, records: Sequence[Sequence[PreparedWrite]]) -> dict[int, Outcome]:
        """Send updates whose keys are claimed, between reading and storing the versions of their records."""
        if not records:
            return {}
        merged = attempt(partial(self._merge, records))
        if isinstance(merged, Refusal):
            return {item.position: merged for items in records for item in items}
        outcomes = {item.position: _unchanged(item) for update in merged for item in update.items}
        sending = [update for update in merged if update.to_send]
        marked = attempt(partial(self._store, {update.items[0].record: _marked(update) for update in sending}))
        if isinstance(marked, Refusal):
            return outcomes | {item.position: marked for update in sending for item in update.items}
        answered = [(update, found) for bulk, group in _routes(sending) for update, found in self._route(bulk, group)]
        settled = {update.items[0].record: _settled(update, found, marked) for update, found in answered}
        stored = attempt(partial(self._store, settled))
        for update, found in answered:
            outcomes |= _outcomes(update, found, stored if isinstance(stored, Refusal) else None)
        return outcomes

    def _merge(self, records: Sequence[Sequence[PreparedWrite]]) -> list[MergedUpdate]:
        ordered = [items[0].record for items in records if all(item.incoming.moment is not None for item in items)]
        versions = self._publisher.field_versions if ordered else None
        stored = versions.read(ordered) if versions is not None else {}
        return [merge(items, stored.get(items[0].record)) for items in records]

    def _store(self, changes: Mapping[str, RecordVersions | None]) -> dict[str, RecordVersions]:
        found = {record: versions for record, versions in changes.items() if versions is not None}
        versions = self._publisher.field_versions if found else None
        return versions.write(found) if versions is not None else {}

    def _route(self, bulk: Bulk | None, updates: Sequence[MergedUpdate]) -> list[tuple[MergedUpdate, list[Outcome]]]:
        if bulk is None:
            return [(update, self._alone(update)) for update in updates]
        answers = isolate(updates, partial(self._in_bulk, bulk))
        return [
            (update, answer if isinstance(answer, list) else [answer] * len(update.to_send))
            for update, answer in zip(updates, answers, strict=True)
        ]

    def _in_bulk(self, bulk: Bulk, updates: Sequence[MergedUpdate]) -> list[list[Outcome]] | Refusal:
        """Send records in one request; return the outcomes of the parts of each."""
        if len(updates) == 1:
            return [self._alone(updates[0])]
        first = updates[0]
        changes = [(update.identity, update.fields) for update in updates]
        send = partial(bulk.update, first.operation.client, first.items[0].parents, changes)
        found = self._guard.attempt(first.operation, send)
        if isinstance(found, Refusal):
            self._guard.observe(first.operation, found)
            if isinstance(found, ApiError) and found.status == _NOT_ALLOWED:
                return [self._alone(update) for update in updates]
            return found
        self._guard.observe(first.operation)
        return [
            [outcome] * len(update.to_send) if outcome is not None else self._alone(update)
            for update, outcome in zip(updates, found, strict=True)
        ]

    def _alone(self, update: MergedUpdate) -> list[Outcome]:
        """Send the update of one record; return the outcomes of its parts."""
        return isolate(update.to_send, partial(self._parts, update.operation))

    def _parts(self, operation: WriteOperation, parts: Sequence[_Part]) -> list[Result] | Refusal:
        sent = self._guard.attempt(operation, partial(operation.update, _merged(parts)))
        self._guard.observe(operation, sent)
        return sent if isinstance(sent, Refusal) else [sent] * len(parts)


def _newer(item: PreparedWrite, versions: RecordVersions) -> _Part:
    moment, message = item.incoming.moment, item.incoming.key or ""
    assert moment is not None  # noqa: S101 - only ordered updates come here
    return _Part(item, {name: value for name, value in item.fields.items() if versions.accepts(name, moment, message)})


def _merged(parts: Sequence[_Part]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.fields.items()}


def _routes(updates: Sequence[MergedUpdate]) -> list[tuple[Bulk | None, list[MergedUpdate]]]:
    """Group updates by the route that they go out on."""
    groups: dict[Bulk | None, list[MergedUpdate]] = {}
    for update in updates:
        groups.setdefault(update.bulk, []).append(update)
    return list(groups.items())


def _marked(update: MergedUpdate) -> RecordVersions | None:
    return None if update.versions is None else update.versions.sending(update.messages)


def _settled(
    update: MergedUpdate, outcomes: Sequence[Outcome], marked: Mapping[str, RecordVersions]
) -> RecordVersions | None:
    """Return what is to be stored of a record after its parts were sent."""
    versions = marked.get(update.items[0].record)
    if versions is None:
        return None
    for part, outcome in zip(update.to_send, outcomes, strict=True):
        if part.item is not None and part.item.incoming.moment is not None and isinstance(outcome, dict):
            versions = versions.accepted(part.item.incoming.moment, part.item.incoming.key or "", part.fields)
    found = _outcomes(update, outcomes, None)
    return versions.over(
        [item.incoming.key or "" for item in update.items if _is_over(found.get(item.position, _unchanged(item)))]
    )


def _outcomes(update: MergedUpdate, outcomes: Sequence[Outcome], failure: Refusal | None) -> dict[int, Outcome]:
    """Return the outcomes of the events of a record, by position.

    Args:
        update: The record.
        outcomes: Of the parts that were sent.
        failure: Why the versions could not be stored; the events whose request was accepted are then sent again.
    """
    found: dict[int, Outcome] = {}
    repair: dict[int, Outcome] = {}
    for part, outcome in zip(update.to_send, outcomes, strict=True):
        told = failure if failure is not None and isinstance(outcome, dict) else outcome
        if part.item is not None:
            found[part.item.position] = told
        elif not isinstance(told, dict) and not is_refused(told):
            repair = {item.position: told for item in update.items}
    return found | repair


def _is_over(outcome: Outcome) -> bool:
    """Whether the shop surely does not act on a request any more."""
    if isinstance(outcome, dict | NotSent):
        return True
    return isinstance(outcome, ApiError) and not isinstance(outcome, ServerError)


def _unchanged(item: PreparedWrite) -> Outcome:
    return result("unchanged", None, item.operation.parameters.path.get("id"), None)
