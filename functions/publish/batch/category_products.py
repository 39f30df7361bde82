"""Placements: creates that put a product into categories; those of one product become one `categories/products/bulk`.

Only creates with `match` on category and product are joined, because only a look-up shows what became of each. One
client has seen the route answer 2xx with `errors` for categories that it left out; what a refused request leaves behind
is not documented. So the placements of the product are listed first, and the absent ones are asked for in one request.
Those that its answer does not show are looked for again:

- One that is there was created.
- One that is absent after a complete answer was not. It is created alone and gets the shop's own answer.
- One that is absent after a lost answer is `unknown`.

Idempotency keys are claimed before the first look and kept until the result is stored, as for a single create. An
invocation that takes a claim over from a killed one looks first as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from connector.aws_errors import aws_error_types
from connector.observability import logger
from lightspeed import PAGE_LIMIT, Client, LightspeedError, Parameters, Request
from lightspeed.response import parse, parse_record
from lightspeed.writing.ambiguous import may_have_acted
from lightspeed.writing.diff import identities
from publish.batch.bulk import LIMIT
from publish.batch.isolate import is_refused
from publish.batch.item import PLACEMENT, PreparedWrite
from publish.batch.planner import chunks
from publish.result import REFUSALS, Outcome, Refusal, attempt, aws_failure, result

if TYPE_CHECKING:
    from publish.batch.guard import Guard
    from publish.publisher import Publisher
    from publish.write import WriteOperation

_Items = Mapping[str, PreparedWrite]
"""By category."""

_Rows = dict[str, Any]
"""The rows of one product, by category."""


class _Answer(NamedTuple):
    """The answer to placements that were sent together.

    Attributes:
        rows: The placements that it shows.
        why_unknown: Why those that it does not show may be done too; empty if they surely are not.
    """

    rows: _Rows
    why_unknown: str = ""
    http_status: int | None = None
    request_id: str = ""


class CategoryProducts:
    """Sends the placements of a batch."""

    def __init__(self, publisher: Publisher, guard: Guard) -> None:
        """Prepare; nothing is sent."""
        self._publisher = publisher
        self._guard = guard

    def send(self, items: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        """Create the placements of one product, each category once; return outcomes by position."""
        outcomes: dict[int, Outcome] = {}
        for chunk in chunks(items, LIMIT):
            outcomes |= self._send(chunk)
        return outcomes

    def _send(self, items: Sequence[PreparedWrite]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        claimed: dict[str, PreparedWrite] = {}
        for item in items:
            found = self._guard.attempt(item.operation, partial(self._claim, item))
            if isinstance(found, PreparedWrite):
                claimed[str(item.fields["category"])] = found
            else:
                outcomes[item.position] = found
        present = attempt(partial(_look, _first(claimed))) if len(claimed) > 1 else None
        if isinstance(present, Refusal):
            joined: dict[str, Outcome] = dict.fromkeys(claimed, present)
            alone: _Items = {}
        else:
            joined, alone = self._together(claimed, present)
        for category, found_outcome in joined.items():
            outcomes[claimed[category].position] = self._keep(claimed[category], found_outcome)
        for item in alone.values():
            outcomes[item.position] = self._alone(item, absent=present is not None)
        return outcomes

    def _claim(self, item: PreparedWrite) -> PreparedWrite | Outcome:
        """Claim the item's idempotency key, if it has one; or return the result that the key was answered with."""
        key = item.request.idempotency_key or item.incoming.key
        idempotency = None if key is None else self._publisher.idempotency
        if key is None or idempotency is None:
            return item
        found = idempotency.begin(item.operation, key)
        return found if isinstance(found, dict) else replace(item, claim=found)

    def _together(self, items: _Items, present: _Rows | None) -> tuple[dict[str, Outcome], _Items]:
        """Create what is absent in one request; return the outcomes, and what is left to be created alone."""
        if present is None:
            return {}, items
        there = {
            category: result("unchanged", 200, present[category].get("id"), present[category])
            for category in items
            if category in present
        }
        absent = {category: item for category, item in items.items() if category not in present}
        created: dict[str, Outcome] = {}
        if len(absent) > 1:
            found = self._guard.attempt(_first(absent), partial(self._create, absent))
            created = dict.fromkeys(absent, found) if isinstance(found, Refusal) else found
        return there | created, {category: item for category, item in absent.items() if category not in created}

    def _create(self, items: _Items) -> dict[str, Outcome]:
        """Ask for several placements at once; return the outcomes of those that are certain, or surely unknown."""
        first = _first(items)
        client, since = first.client, self._publisher.deps.clock.time() + first.client.transport.skew_seconds
        payload = {"categories": [int(category) for category in items], "product": int(str(first.fields["product"]))}
        built = client.build(PLACEMENT, "bulk", Parameters(payload=payload))
        answer = _send(client, built, first)
        if isinstance(answer, Refusal):
            return dict.fromkeys(items, answer)
        rows, why_unknown = answer.rows, answer.why_unknown
        if not set(items) <= set(rows):
            seen = attempt(partial(_look, first))
            if isinstance(seen, dict):
                rows = seen | rows
            else:
                why_unknown = why_unknown or f"it could not be looked for: {seen or 'its product has too many'}"
        outcomes: dict[str, Outcome] = {}
        for category, item in items.items():
            if category in rows:
                row = rows[category]
                outcomes[category] = result("created", answer.http_status, row.get("id"), row, answer.request_id)
            elif why_unknown:
                outcomes[category] = item.operation.lost(why_unknown, since=since)
        return outcomes

    def _alone(self, item: PreparedWrite, *, absent: bool) -> Outcome:
        """Create one placement.

        Args:
            item: The create.
            absent: It was looked for and is not there.
        """
        stop = self._guard.stop_reason(item.operation)
        if stop is not None:
            return self._keep(item, stop)
        since = None if item.claim is None else item.claim.stopped_since
        send = item.operation.create if absent else partial(item.operation.send, stopped_since=since)
        claim, idempotency = item.claim, self._publisher.idempotency
        outcome = attempt(send if claim is None or idempotency is None else partial(idempotency.finish, claim, send))
        self._guard.observe(item.operation, outcome)
        return outcome

    def _keep(self, item: PreparedWrite, outcome: Outcome) -> Outcome:
        """Store the outcome under the item's key, if it has one."""
        self._guard.observe(item.operation, outcome)
        if item.claim is not None and self._publisher.idempotency is not None:
            self._publisher.idempotency.end(item.claim, outcome)
        return outcome


def _send(client: Client, built: Request, operation: WriteOperation) -> _Answer | Refusal:
    """Send placements in one request; return what the answer shows, or why surely nothing was done."""
    try:
        written = client.write(built)
        rows = _by_category(parse(written.record) if written.record is not None else None, operation)
    except REFUSALS as error:
        if isinstance(error, LightspeedError) and may_have_acted(built, error):
            return _Answer({}, str(error))
        return _Answer({}) if is_refused(error) else error
    except aws_error_types() as error:  # the connection could not be read again after the shop refused its key
        return aws_failure(error)
    except Exception as error:
        logger().exception("unexpected error after placements were sent")
        return _Answer({}, f"unexpected {type(error).__name__}")
    return _Answer(rows, "", written.http_status, written.request_id)


def _first(items: _Items) -> WriteOperation:
    return next(iter(items.values())).operation


def _look(operation: WriteOperation) -> _Rows | None:
    """Return where the product is now, or `None` if the list is full or shows a placement twice.

    Raises:
        LightspeedError: As the client raises it.
    """
    query = {"product": operation.fields["product"], "limit": PAGE_LIMIT}
    page = operation.client.page(operation.client.build(PLACEMENT, "list", Parameters(query=query)))
    rows = [parse_record(text) for text in page.records]
    found = _by_category(rows, operation)
    others = sum(_end(row, "product") != str(operation.fields["product"]) for row in rows)
    return found if len(rows) < PAGE_LIMIT and len(found) + others == len(rows) else None


def _by_category(found: object, operation: WriteOperation) -> _Rows:
    """Return the rows of an answer that are placements of the product, with an id and without an error."""
    product = str(operation.fields["product"])
    rows = [row for row in (found if isinstance(found, list) else [found]) if isinstance(row, Mapping)]
    there = [row for row in rows if row.get("id") is not None and "error" not in row]
    return {_end(row, "category"): row for row in there if _end(row, "product") == product}


def _end(row: Mapping[str, Any], name: str) -> str:
    end = row.get(name)
    ids = identities(end) if isinstance(end, Mapping) else [end]
    return str(ids[0]) if ids else ""
