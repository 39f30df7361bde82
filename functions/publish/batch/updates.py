"""Send the updates of a segment: merge those of one record, and send many records in one bulk request.

If several updates set a field, the last one wins. Updates from the queue and from files are ordered by the time they
were queued, across batches (see `field_versions`). Others are ordered by their position in the batch.

The answers of bulk routes are not documented. A row of the record without an error or another value confirms its
update. An answer without rows confirms all updates, unless the route must show the values.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connector.observability import logger
from lightspeed import ApiError, NotSent, Parameters, ServerError, WriteResponse
from lightspeed.writing.diff import ignored_fields
from publish.batch.field_versions import FieldVersions, RecordVersions
from publish.batch.planner import BulkRoute, PreparedWrite, bulk_route, group_by, group_by_record, numeric_id
from publish.result import Outcome, Refusal, Result, is_content_refused, refusal, result
from publish.write import OutcomeUnknown, decode, sending

if TYPE_CHECKING:
    from publish.batch.guard import Guard
    from publish.dependencies import Dependencies
    from publish.write import WriteOperation

_NOT_ALLOWED = 405
"""HTTP status of a shop without this bulk route."""

_ATTEMPTS = 3


@dataclass(frozen=True)
class _Change:
    """The part of one event in a merged update, and its outcome.

    Attributes:
        item: The event; `None` for a repair, which sends stored values again (see `field_versions`).
        fields: The fields to send; empty if newer values are stored.
        outcome: The outcome of its request; `unchanged` before the request, and without fields.
    """

    item: PreparedWrite | None
    fields: Mapping[str, Any]
    outcome: Outcome


@dataclass(frozen=True)
class MergedUpdate:
    """The updates of one record.

    Attributes:
        changes: In order: a later change wins. A repair comes first.
        versions: The record's field versions to store; `None` if its updates are not ordered across batches.
    """

    changes: Sequence[_Change]
    versions: RecordVersions | None = None

    @property
    def items(self) -> list[PreparedWrite]:
        """The events, at least one."""
        return [change.item for change in self.changes if change.item is not None]

    @property
    def operation(self) -> WriteOperation:
        """The operation to send the merged fields with. It has `skip_unchanged` only if every event has it."""
        operations = [item.operation for item in self.items]
        return next((operation for operation in operations if not operation.request.skip_unchanged), operations[0])

    @property
    def record_key(self) -> str:
        """As in `PreparedWrite`."""
        return self.items[0].record_key

    @property
    def fields(self) -> dict[str, Any]:
        """The merged fields; empty if there is nothing to send."""
        return _merged_fields(self.changes)

    @property
    def route(self) -> BulkRoute | None:
        """The bulk route for its fields. `None` with `skip_unchanged`, and if the connection updates with PATCH."""
        request, put = self.operation.request, self.operation.http_request.method == "PUT"
        return bulk_route(request.entity, self.fields) if put and not request.skip_unchanged else None

    @property
    def identity(self) -> object:
        """The record's id for a bulk entry: a number if it has the form of one."""
        text = str(self.operation.parameters.path.get("id"))
        number = numeric_id(text)
        return text if number is None else number

    def with_outcome(self, outcome: Outcome) -> MergedUpdate:
        """Return a copy with the outcome of the one request that carried all changes."""
        changes = [replace(change, outcome=outcome) if change.fields else change for change in self.changes]
        return replace(self, changes=changes)


def merge(items: Sequence[PreparedWrite], versions: RecordVersions | None) -> MergedUpdate:
    """Merge the updates of one record; leave out values that are older than the stored ones.

    Args:
        items: At least one.
        versions: The stored field versions of the record; `None` if its updates are not ordered across batches.
    """
    if versions is None:
        return MergedUpdate([_Change(item, item.fields, _unchanged(item)) for item in items])
    ordered = sorted(items, key=lambda item: (item.queued_at or 0, item.position))  # with versions, all have a time
    names = dict.fromkeys(name for item in items for name in item.fields)
    messages = [item.message_id for item in items]
    repair = versions.values_to_repair(messages, names)
    changes = [_Change(None, repair, _unchanged(items[0]))] if repair else []
    for item in ordered:
        newer = versions.newer(item.fields, item.queued_at or Decimal(0), item.message_id)
        changes.append(_Change(item, newer, _unchanged(item)))
    return MergedUpdate(changes, versions.with_in_flight(messages))


class UpdateSender:
    """Sends the updates of a batch.

    Args:
        guard: Decides whether a request may start.
        deps: Provide the table with the field versions. Only events with a time need it.
    """

    def __init__(self, guard: Guard, deps: Dependencies) -> None:
        self._guard = guard
        self._deps = deps

    def send(self, items: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        """Send the updates of at most `MAX_RECORDS` records that share connection, entity and parents.

        Before and after the requests, it stores the field versions in the steps of `field_versions`.

        Returns:
            Outcomes by position.
        """
        try:
            updates = self._merge_each(group_by_record(items))
            to_send = self._store([update for update in updates if update.fields])
        except Exception as error:
            return dict.fromkeys((item.position for item in items), refusal(error))
        sent = [
            update for group in group_by(to_send, lambda update: update.route) for update in self._send_together(group)
        ]
        failure: Refusal | None = None
        try:
            self._store([_after_sending(update) for update in sent])
        except Exception as error:
            failure = refusal(error)
        outcomes: dict[int, Outcome] = {}
        for update in (*updates, *sent):  # the outcome of a sent update replaces its `unchanged`
            outcomes |= _outcomes(update, failure)
        return outcomes

    def store_created(self, item: PreparedWrite, outcome: Outcome) -> None:
        """Store the field versions of a record that a queued upsert created, so that no older message undoes them.

        The record exists, so an error does not change the outcome. It logs the error, and tries `_ATTEMPTS` times.
        """
        queued_at = item.queued_at
        created_id = isinstance(outcome, dict) and outcome["status"] == "created" and outcome["id"]
        if queued_at is None or not created_id:
            return
        for _ in range(_ATTEMPTS):
            try:
                key = replace(item, operation=item.operation.as_update_of({"id": created_id})).record_key
                versions = self._versions.read([key])[key]
                fields = versions.newer(item.fields, queued_at, item.message_id)
                if fields:
                    self._versions.write({key: versions.with_accepted(fields, queued_at, item.message_id)})
            except Exception:
                logger().exception("the field versions of a created record could not be stored")
            else:
                return

    @functools.cached_property
    def _versions(self) -> FieldVersions:
        return FieldVersions(*self._deps.table_client_clock)

    def _merge_each(self, records: Sequence[Sequence[PreparedWrite]]) -> list[MergedUpdate]:
        """Merge the updates of each record. If all updates of a record have a time, they are ordered across batches."""
        ordered = [items[0].record_key for items in records if all(item.queued_at is not None for item in items)]
        stored = self._versions.read(ordered) if ordered else {}
        return [merge(items, stored.get(items[0].record_key)) for items in records]

    def _store(self, updates: Sequence[MergedUpdate]) -> list[MergedUpdate]:
        """Store the field versions of records that have some; return the updates with the stored versions."""
        versions = {update.record_key: update.versions for update in updates if update.versions is not None}
        stored = self._versions.write(versions) if versions else {}
        return [replace(update, versions=stored.get(update.record_key)) for update in updates]

    def _send_together(self, updates: Sequence[MergedUpdate]) -> list[MergedUpdate]:
        """Send records of one route in one request; return them with outcomes.

        If the shop refuses their content, each half is sent alone, so that one bad record does not stop the others.
        """
        first = updates[0]
        route = first.route
        if route is None or len(updates) == 1:
            return [self._send_alone(update) for update in updates]
        try:
            with self._guard.request(first.operation):
                confirmed = _send_in_bulk(route, updates)
        except Exception as error:
            refused = refusal(error)
        else:
            return [
                update.with_outcome(confirmed[update.record_key])
                if update.record_key in confirmed
                else self._send_alone(update)
                for update in updates
            ]
        if isinstance(refused, ApiError) and refused.status == _NOT_ALLOWED:
            return [self._send_alone(update) for update in updates]
        if is_content_refused(refused):
            half = len(updates) // 2
            return self._send_together(updates[:half]) + self._send_together(updates[half:])
        return [update.with_outcome(refused) for update in updates]

    def _send_alone(self, update: MergedUpdate) -> MergedUpdate:
        """Send the update of one record; return it with outcomes."""
        nothing_to_send = [change for change in update.changes if not change.fields]
        to_send = [change for change in update.changes if change.fields]
        return replace(update, changes=nothing_to_send + self._send_changes(update.operation, to_send))

    def _send_changes(self, operation: WriteOperation, changes: Sequence[_Change]) -> list[_Change]:
        """Send changes in one request, or in halves if the shop refuses the content; return them with outcomes."""
        outcome: Outcome
        try:
            with self._guard.request(operation):
                outcome = operation.update(_merged_fields(changes))
        except Exception as error:
            outcome = refusal(error)
        if len(changes) > 1 and is_content_refused(outcome):
            half = len(changes) // 2
            operation = replace(operation, present=None)  # an accepted half changes the record
            return self._send_changes(operation, changes[:half]) + self._send_changes(operation, changes[half:])
        return [replace(change, outcome=outcome) for change in changes]


def _send_in_bulk(route: BulkRoute, updates: Sequence[MergedUpdate]) -> dict[str, Result]:
    """Update records in one request.

    Args:
        route: The bulk route of every update.
        updates: Each record once, at most `MAX_RECORDS`.

    Returns:
        The results that the answer confirms, by `record_key`; none if the outcome is unknown.

    Raises:
        LightspeedError: As the client raises it.
        ConnectorError: The connection could not be read again after the shop refused its key.
    """
    first = updates[0]
    entries = [{"id": update.identity, **update.fields} for update in updates]
    parameters = Parameters(first.items[0].parents, payload=entries)
    http_request = first.operation.client.build(route.entity, "bulk", parameters)
    try:
        with sending(http_request):
            written = first.operation.client.write(http_request)
            rows = _rows(written)
            results = {update.record_key: _confirmed_result(update, rows, written, route) for update in updates}
    except OutcomeUnknown:
        return {}
    return {key: confirmed for key, confirmed in results.items() if confirmed is not None}


def _rows(written: WriteResponse) -> dict[str, Any]:
    """Return the records of an answer by their ids; none if the answer is not a list of records."""
    decoded = decode(written)
    rows = decoded if isinstance(decoded, list) else []
    return {str(row["id"]): row for row in rows if isinstance(row, dict) and "id" in row}


def _confirmed_result(
    update: MergedUpdate, rows: Mapping[str, Any], written: WriteResponse, route: BulkRoute
) -> Result | None:
    """Return the result of an update if the answer confirms it, else `None`."""
    row = rows.get(str(update.identity))
    if row is None:
        if rows or route.must_show_values:
            return None
        return result("updated", written.http_status, update.identity, None, written.request_id)
    shown = {name: value for name, value in update.fields.items() if name in row}
    if "error" in row or ignored_fields(row, shown) or (route.must_show_values and len(shown) < len(update.fields)):
        return None
    return result("updated", written.http_status, row["id"], row, written.request_id)


def _merged_fields(changes: Sequence[_Change]) -> dict[str, Any]:
    return {name: value for change in changes for name, value in change.fields.items()}


def _after_sending(update: MergedUpdate) -> MergedUpdate:
    """Return an update with the field versions to store after its requests."""
    versions = update.versions
    if versions is None:
        return update
    for change in update.changes:
        if change.item is not None and change.item.queued_at is not None and _is_accepted(change.outcome):
            versions = versions.with_accepted(change.fields, change.item.queued_at, change.item.message_id)
    outcomes = _outcomes(update, None)
    final = [item.message_id for item in update.items if _is_final(outcomes[item.position])]
    return replace(update, versions=versions.without_in_flight(final))


def _outcomes(update: MergedUpdate, failure: Refusal | None) -> dict[int, Outcome]:
    """Return the outcomes of the events of a record, by position.

    A failed repair is the outcome of every event of the record, so the queue delivers all of them again. If the shop
    refuses the content of a repair, a second try would fail too, so the events keep their own outcomes.

    Args:
        update: The record.
        failure: Why the field versions could not be stored. It is the outcome of the accepted events, so that they are
            delivered again.
    """
    outcomes: dict[int, Outcome] = {}
    failed_repair: Refusal | None = None
    for change in update.changes:
        accepted = isinstance(change.outcome, dict) and bool(change.fields)
        outcome = failure if failure is not None and accepted else change.outcome
        if change.item is not None:
            outcomes[change.item.position] = outcome
        elif not isinstance(outcome, dict) and not is_content_refused(outcome):
            failed_repair = outcome
    return outcomes if failed_repair is None else dict.fromkeys(outcomes, failed_repair)


def _is_final(outcome: Outcome) -> bool:
    """Whether the shop can no longer act on the request."""
    if _is_accepted(outcome) or isinstance(outcome, NotSent):
        return True
    return isinstance(outcome, ApiError) and not isinstance(outcome, ServerError)


def _is_accepted(outcome: Outcome) -> bool:
    """Whether the shop surely accepted the request."""
    return isinstance(outcome, dict) and outcome["status"] != "unknown"


def _unchanged(item: PreparedWrite) -> Outcome:
    return result("unchanged", None, item.operation.parameters.path.get("id"), None)
