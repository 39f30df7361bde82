"""Placements: creates that put a product into categories; those of one product become one `categories/products/bulk`.

Only creates with `match` on category and product are joined, because only a look-up shows whether each was created. One
client has seen the route answer 2xx with `errors` for categories that it left out; what a refused request leaves behind
is not documented. So the placements of the product are listed first, and the absent ones are asked for in one request.
Those that its answer does not show are looked up again:

- One that is there was created.
- One that is absent after a complete answer was not. It is created alone and gets the shop's own answer.
- One that is absent after a lost answer is `unknown`.

Idempotency keys are claimed before the list is read, and kept until the result is stored, as for a single create. An
invocation that takes a claim over from a killed one lists the placements first too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lightspeed import PAGE_LIMIT, Parameters
from lightspeed.json_text import parse_record
from lightspeed.writing.diff import identities
from publish.batch.planner import PLACEMENT
from publish.result import Outcome, is_content_refused, refusal, result
from publish.write import OutcomeUnknown, decoded, sending

if TYPE_CHECKING:
    from publish.batch.guard import Guard
    from publish.batch.planner import PreparedWrite
    from publish.write import WriteOperation

_Rows = dict[str, Any]
"""The rows of one product, by category."""


def create_placements(items: Sequence[PreparedWrite], guard: Guard) -> dict[int, Outcome]:
    """Create at most `MAX_RECORDS` placements of one product, each category once.

    Args:
        items: The creates; their idempotency keys are claimed.
        guard: Decides whether a request may start.

    Returns:
        Outcomes by position.
    """
    first = items[0].operation
    by_category = {str(item.fields["category"]): item for item in items}
    present = None  # not known: each create looks up its own place
    if len(items) > 1:
        try:
            with guard.request(first):
                present = _list_placements(first)
        except Exception as error:
            return dict.fromkeys((item.position for item in items), refusal(error))
    outcomes: dict[str, Outcome] = {}
    if present is not None:
        outcomes = {
            category: result("unchanged", 200, present[category].get("id"), present[category])
            for category in by_category
            if category in present
        }
        absent = {category: item for category, item in by_category.items() if category not in present}
        if len(absent) > 1:
            outcomes |= _create_together(absent, guard)
    for category, item in by_category.items():
        if category not in outcomes:
            outcomes[category] = _create_alone(item, guard, absent=present is not None)
    return {by_category[category].position: outcome for category, outcome in outcomes.items()}


def _create_together(items: Mapping[str, PreparedWrite], guard: Guard) -> dict[str, Outcome]:
    """Create several placements in one request.

    Args:
        items: The creates, by category.
        guard: Decides whether the request may start.

    Returns:
        By category, the outcomes that are final; `unknown` is one. A placement without an outcome was not created.
    """
    first = next(iter(items.values())).operation
    payload = {"categories": [int(category) for category in items], "product": int(str(first.fields["product"]))}
    http_request = first.client.build(PLACEMENT, "bulk", Parameters(payload=payload))
    rows: _Rows = {}
    http_status, request_id, why_unknown = None, "", ""
    try:
        with guard.request(first), sending(http_request):
            written = first.client.write(http_request)
            rows = _by_category(decoded(written), first)
            http_status, request_id = written.http_status, written.request_id
    except OutcomeUnknown as error:
        why_unknown = str(error)
    except Exception as error:
        refused = refusal(error)
        if not is_content_refused(refused):
            return dict.fromkeys(items, refused)
    if not set(items) <= set(rows):
        seen, why_not_seen = _look_again(first, guard)
        rows, why_unknown = seen | rows, why_unknown or why_not_seen
    outcomes: dict[str, Outcome] = {}
    for category, item in items.items():
        if category in rows:
            row = rows[category]
            outcomes[category] = result("created", http_status, row.get("id"), row, request_id)
        elif why_unknown:
            outcomes[category] = item.operation.unknown(why_unknown)
    return outcomes


def _look_again(operation: WriteOperation, guard: Guard) -> tuple[_Rows, str]:
    """Return where the product is after a write, or why that is not known.

    The guard does not decide about this request: without it, the outcome of the write would stay unknown.
    """
    seen, why_not_seen = None, "its product has too many"
    try:
        seen = _list_placements(operation)
    except Exception as error:
        why_not_seen = str(refusal(error))
    guard.observe(operation)
    return (seen, "") if seen is not None else ({}, f"it could not be looked up: {why_not_seen}")


def _create_alone(item: PreparedWrite, guard: Guard, *, absent: bool) -> Outcome:
    """Create one placement.

    Args:
        item: The create.
        guard: Decides whether a request may start.
        absent: Whether it was looked up and does not exist.
    """
    try:
        with guard.request(item.operation):
            return item.operation.send_as_is() if absent else item.operation.send()
    except Exception as error:
        return refusal(error)


def _list_placements(operation: WriteOperation) -> _Rows | None:
    """Return where the product is now, or `None` if the list is full, shows a placement twice, or cannot be read.

    Raises:
        LightspeedError: As the client raises it.
    """
    query = {"product": operation.fields["product"], "limit": PAGE_LIMIT}
    page = operation.client.page(operation.client.build(PLACEMENT, "list", Parameters(query=query)))
    rows = [parse_record(text) for text in page.records]
    found = _by_category(rows, operation)
    others = sum(_linked_id(row, "product") != str(operation.fields["product"]) for row in rows)
    whole = len(rows) < PAGE_LIMIT and not page.rejects
    return found if whole and len(found) + others == len(rows) else None


def _by_category(found: object, operation: WriteOperation) -> _Rows:
    """Return the rows of an answer that are placements of the product, with an id and without an error."""
    product = str(operation.fields["product"])
    rows = [row for row in (found if isinstance(found, list) else [found]) if isinstance(row, Mapping)]
    complete = [row for row in rows if row.get("id") is not None and "error" not in row]
    return {_linked_id(row, "category"): row for row in complete if _linked_id(row, "product") == product}


def _linked_id(row: Mapping[str, Any], name: str) -> str:
    """Return the id of the product or category that a placement names, as text; empty if there is none."""
    link = row.get(name)
    ids = identities(link) if isinstance(link, Mapping) else [link]
    return str(ids[0]) if ids else ""
