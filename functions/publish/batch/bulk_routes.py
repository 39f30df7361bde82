"""Bulk routes of the shop that take the updates of many records in one request.

Their answers are not documented. An update is done if the answer shows a row of its record without an error or another
value. A route that is known from clients may also answer without rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightspeed import Client, Parameters, WriteResponse
from lightspeed.json_text import parse
from lightspeed.writing.diff import ignored_fields
from publish.result import Result, result
from publish.write import send_once

MAX_RECORDS = 100
"""Records in one request. The shop's own limit is not known; a larger request that it refuses is split."""

_Values = tuple[object, Mapping[str, Any]]
"""Id of a record and its fields."""


@dataclass(frozen=True)
class BulkRoute:
    """A bulk route that takes updates: action `bulk` of an entity, a list of records with their ids.

    Attributes:
        entity: Catalogue name.
        prefixes: Of the field names that the route is known to take; other updates are sent alone.
        must_show_values: Whether an update is done only if its row shows every value that was sent. Otherwise a row
            may leave values out, and an answer without any row confirms all updates.
    """

    entity: str
    prefixes: tuple[str, ...]
    must_show_values: bool = False

    def update(self, client: Client, parents: Mapping[str, object], changes: Sequence[_Values]) -> list[Result | None]:
        """Update records in one request.

        Args:
            client: The shop's client.
            parents: Path of the records, without their ids.
            changes: Each record once, at most `MAX_RECORDS`.

        Returns:
            One result each, in order, `None` if its outcome is unknown.

        Raises:
            LightspeedError: As the client raises it.
            ConnectorError: The connection could not be read again after the shop refused its key.
        """
        entries = [{"id": identity, **fields} for identity, fields in changes]
        request = client.build(self.entity, "bulk", Parameters(parents, payload=entries))
        results, _ = send_once(client, request, lambda written: self._results(changes, written))
        return results or [None] * len(changes)

    def _results(self, changes: Sequence[_Values], written: WriteResponse) -> list[Result | None]:
        rows = _rows(written)
        return [self._result(change, rows, written) for change in changes]

    def _result(self, change: _Values, rows: Mapping[str, Any], written: WriteResponse) -> Result | None:
        identity, fields = change
        row = rows.get(str(identity))
        if row is None:
            if rows or self.must_show_values:
                return None
            return result("updated", written.http_status, identity, None, written.request_id)
        shown = {name: value for name, value in fields.items() if name in row}
        if "error" in row or ignored_fields(row, shown) or (self.must_show_values and len(shown) < len(fields)):
            return None
        return result("updated", written.http_status, row["id"], row, written.request_id)


BULK_ROUTES = (
    BulkRoute("variants", ("stock", "price", "oldPrice")),
    BulkRoute("products/attributes", ("value",), must_show_values=True),
)
"""`variants/bulk` is known from clients that push stock and prices through it. Of the attributes of a product, only the
route and its envelope are known, so its answer must show the values."""


def bulk_route(entity: str, fields: Mapping[str, Any]) -> BulkRoute | None:
    """Return the bulk route that an update may be sent through, or `None`."""
    for route in BULK_ROUTES:
        if entity == route.entity and fields and all(name.startswith(route.prefixes) for name in fields):
            return route
    return None


def _rows(written: WriteResponse) -> dict[str, Any]:
    """Return the records of an answer by their ids; none if the answer has another form."""
    found = parse(written.record) if written.record is not None else []
    rows = found if isinstance(found, list) else []
    return {str(row["id"]): row for row in rows if isinstance(row, dict) and "id" in row}
