"""Many stock and price updates in one request: `variants/bulk`, with an outcome for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from lightspeed import Client, InvalidRequest, NotFound, Parameters, UnknownLanguage, Written
from publish.difference import difference
from publish.outcome import REFUSALS, Outcome, Result, result

LIMIT = 100
"""Records in one request. The shop's own limit is not known; a larger request that it refuses is split."""

_STOCK_AND_PRICE = ("stock", "price", "oldPrice")
_NOT_ALLOWED = 405

Change = tuple[object, Mapping[str, Any]]
"""Id of a variant and its fields."""


def fits(entity: str, fields: Mapping[str, Any]) -> bool:
    """Whether an update may go out in bulk: stock and prices of variants, which is what it is known for."""
    return entity == "variants" and bool(fields) and all(name.startswith(_STOCK_AND_PRICE) for name in fields)


def update_variants(client: Client, changes: list[Change], alone: Callable[[Change], Outcome]) -> list[Outcome]:
    """Update variants; a refused bulk is halved until the bad ones are found, and those get the shop's own answer.

    Args:
        client: Of the shop.
        changes: Each variant once.
        alone: Updates one variant by itself.

    Returns:
        One outcome each, in order.
    """
    if len(changes) <= 1:
        return [alone(change) for change in changes]
    if len(changes) > LIMIT:
        return _in_two(client, changes, LIMIT, alone)
    entries = [{"id": identity, **fields} for identity, fields in changes]
    try:
        written = client.write(client.build("variants", "bulk", Parameters(payload=entries)))
    except REFUSALS as error:
        if not isinstance(error, InvalidRequest | NotFound) or isinstance(error, UnknownLanguage):
            return [error] * len(changes)
        if error.status == _NOT_ALLOWED:
            return [alone(change) for change in changes]
        return _in_two(client, changes, len(changes) // 2, alone)
    rows = _rows(written)
    return [_outcome(change, rows, written) or alone(change) for change in changes]


def _in_two(client: Client, changes: list[Change], at: int, alone: Callable[[Change], Outcome]) -> list[Outcome]:
    return update_variants(client, changes[:at], alone) + update_variants(client, changes[at:], alone)


def _rows(written: Written) -> dict[str, Any]:
    found = json.loads(written.record) if written.record is not None else []
    rows = found if isinstance(found, list) else []
    return {str(row["id"]): row for row in rows if isinstance(row, dict) and "id" in row}


def _outcome(change: Change, rows: Mapping[str, Any], written: Written) -> Result | None:
    """Return the result of one variant, or `None` where the answer tells of others only, or of other values."""
    row = rows.get(str(change[0]))
    if rows and (row is None or "error" in row):
        return None
    answered = {name: value for name, value in change[1].items() if row is not None and name in row}
    if row is not None and difference(row, answered):
        return None
    return result("updated", written.http_status, change[0] if row is None else row["id"], row, written.request_id)
