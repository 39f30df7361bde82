"""Create placements, which put a product into categories. Those of one product become one `categories/products/bulk`.

Only creates with `match` on category and product are joined, because only a look-up shows whether the shop created each
placement. One client has seen the route answer 2xx with `errors` for categories that it left out. The effect of a
refused request is not documented. So the batch lists the placements of the product, and creates the absent ones in one
request. It lists them again if the answer does not show every one:

- A placement that the second list shows was created.
- A placement that is absent after a complete answer was not created. The batch creates it alone, and the shop's answer
  to that is its outcome.
- A placement that is absent after a lost answer is `unknown`.

The batch holds the idempotency keys from before the first list until it stores the results, as for a single create. An
invocation that takes over a claim from a killed one also begins with the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lightspeed import PAGE_LIMIT, Parameters
from lightspeed.json_text import parse_record
from lightspeed.writing.diff import identities
from publish.batch.planner import PLACEMENT
from publish.result import Outcome, is_content_refused, refusal, result
from publish.write import OutcomeUnknown, decode, sending

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
    present = None
    if len(items) > 1:
        try:
            with guard.request(items[0].operation):
                present = _list_placements(items[0].operation)
        except Exception as error:
            return dict.fromkeys((item.position for item in items), refusal(error))
    if present is None:  # each create looks up its own placement
        return {item.position: _create_alone(item, guard, absent=False) for item in items}
    outcomes: dict[int, Outcome] = {}
    absent: dict[str, PreparedWrite] = {}
    for item in items:
        category = str(item.fields["category"])
        if category in present:
            outcomes[item.position] = result("unchanged", 200, present[category].get("id"), present[category])
        else:
            absent[category] = item
    created = _create_together(absent, guard) if len(absent) > 1 else {}
    for category, item in absent.items():
        outcomes[item.position] = created.get(category) or _create_alone(item, guard, absent=True)
    return outcomes


def _create_together(items: Mapping[str, PreparedWrite], guard: Guard) -> dict[str, Outcome]:
    """Create several placements in one request.

    Args:
        items: The creates, by category.
        guard: Decides whether the request may start.

    Returns:
        The outcomes by category. A placement without an outcome was not created.
    """
    first = next(iter(items.values())).operation
    payload = {"categories": [int(category) for category in items], "product": int(str(first.fields["product"]))}
    http_request = first.client.build(PLACEMENT, "bulk", Parameters(payload=payload))
    rows: _Rows = {}
    http_status, request_id, why_unknown = None, "", ""
    try:
        with guard.request(first), sending(http_request):
            written = first.client.write(http_request)
            rows = _by_category(decode(written), first)
            http_status, request_id = written.http_status, written.request_id
    except OutcomeUnknown as error:
        why_unknown = str(error)
    except Exception as error:
        refused = refusal(error)
        if not is_content_refused(refused):
            return dict.fromkeys(items, refused)
    if not set(items) <= set(rows):
        listed, why_not_listed = _list_after_write(first, guard)
        rows, why_unknown = listed | rows, why_unknown or why_not_listed
    outcomes: dict[str, Outcome] = {}
    for category, item in items.items():
        if category in rows:
            row = rows[category]
            outcomes[category] = result("created", http_status, row.get("id"), row, request_id)
        elif why_unknown:
            outcomes[category] = item.operation.unknown(why_unknown)
    return outcomes


def _list_after_write(operation: WriteOperation, guard: Guard) -> tuple[_Rows, str]:
    """Return the placements of the product after a write, or no rows and why they are not known.

    The guard does not stop this request, because without it the outcome of the write would stay unknown.
    """
    listed, why_not_listed = None, "its product has too many"
    try:
        listed = _list_placements(operation)
    except Exception as error:
        why_not_listed = str(refusal(error))
    guard.observe(operation)
    return (listed, "") if listed is not None else ({}, f"it could not be looked up: {why_not_listed}")


def _create_alone(item: PreparedWrite, guard: Guard, *, absent: bool) -> Outcome:
    """Create one placement.

    Args:
        item: The create.
        guard: Decides whether a request may start.
        absent: Whether a list has shown that it does not exist. If not, the create looks it up.
    """
    try:
        with guard.request(item.operation):
            return item.operation.send_as_is() if absent else item.operation.send()
    except Exception as error:
        return refusal(error)


def _list_placements(operation: WriteOperation) -> _Rows | None:
    """Return the placements of the product, or `None` if the page is full, repeats a placement or has a damaged row.

    Raises:
        LightspeedError: As the client raises it.
    """
    query = {"product": operation.fields["product"], "limit": PAGE_LIMIT}
    page = operation.client.page(operation.client.build(PLACEMENT, "list", Parameters(query=query)))
    rows = [parse_record(text) for text in page.records]
    placements = _by_category(rows, operation)
    others = sum(_linked_id(row, "product") != str(operation.fields["product"]) for row in rows)
    whole = len(rows) < PAGE_LIMIT and not page.rejects
    return placements if whole and len(placements) + others == len(rows) else None


def _by_category(answer: object, operation: WriteOperation) -> _Rows:
    """Return the rows of an answer that are placements of the product, with an id and without an error."""
    product = str(operation.fields["product"])
    rows = [row for row in (answer if isinstance(answer, list) else [answer]) if isinstance(row, Mapping)]
    placements = [row for row in rows if row.get("id") is not None and "error" not in row]
    return {_linked_id(row, "category"): row for row in placements if _linked_id(row, "product") == product}


def _linked_id(row: Mapping[str, Any], name: str) -> str:
    """Return the id of a placement's `product` or `category` as text; empty if it has none."""
    link = row.get(name)
    ids = identities(link) if isinstance(link, Mapping) else [link]
    return str(ids[0]) if ids else ""
