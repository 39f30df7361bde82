"""Bulk routes: many updates in one request, and what their answers prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.aws_errors import aws_error_types
from connector.observability import logger
from lightspeed import Client, LightspeedError, Parameters, WriteResponse
from lightspeed.json_text import parse
from lightspeed.writing.diff import ignored_fields
from publish.result import Result, result

LIMIT = 100
"""Records in one request. The shop's own limit is not known; a larger request that it refuses is split."""

Change = tuple[object, Mapping[str, Any]]
"""Id of a record and its fields."""


@dataclass(frozen=True)
class Bulk:
    """A bulk route that takes updates: action `bulk` of an entity, a list of records with their ids.

    Attributes:
        entity: Catalogue name.
        fields: Beginnings of the field names that the route is known to take; other updates are sent alone.
        proven: Whether an update is done only if the answer shows its values. Otherwise an answer without any record
            counts as done too.
    """

    entity: str
    fields: tuple[str, ...]
    proven: bool = False

    def takes(self, entity: str, fields: Mapping[str, Any]) -> bool:
        """Whether an update may be sent through this route."""
        return entity == self.entity and bool(fields) and all(name.startswith(self.fields) for name in fields)

    def update(self, client: Client, parents: Mapping[str, object], changes: Sequence[Change]) -> list[Result | None]:
        """Update records in one request.

        Args:
            client: The shop's client.
            parents: Path of the records, without their ids.
            changes: Each record once, at most `LIMIT`.

        Returns:
            One result each, in order, `None` if its outcome is unknown.

        Raises:
            LightspeedError: As the client raises it.
            ClientError: The connection could not be read again after the shop refused its key.
            BotoCoreError: The same.
        """
        entries = [{"id": identity, **fields} for identity, fields in changes]
        request = client.build(self.entity, "bulk", Parameters(parents, payload=entries))
        try:
            written = client.write(request)
            rows = _rows(written)
            return [self._result(change, rows, written) for change in changes]
        except LightspeedError:
            raise
        except aws_error_types():
            raise
        except Exception:
            logger().exception("unexpected error after a bulk write was sent")
            return [None] * len(changes)

    def _result(self, change: Change, rows: Mapping[str, Any], written: WriteResponse) -> Result | None:
        identity, fields = change
        row = rows.get(str(identity))
        if row is None:
            silent = not rows and not self.proven
            return result("updated", written.http_status, identity, None, written.request_id) if silent else None
        shown = {name: value for name, value in fields.items() if name in row}
        if "error" in row or ignored_fields(row, shown) or (self.proven and len(shown) < len(fields)):
            return None
        return result("updated", written.http_status, row["id"], row, written.request_id)


BULKS = (
    Bulk("variants", ("stock", "price", "oldPrice")),
    Bulk("products/attributes", ("value",), proven=True),
)
"""`variants/bulk` is known from clients that push stock and prices through it. Of the attributes of a product, only the
route and its envelope are known, so the answer must prove each update."""


def bulk_of(entity: str, fields: Mapping[str, Any]) -> Bulk | None:
    """Return the bulk route that an update may be sent through, or `None`."""
    return next((bulk for bulk in BULKS if bulk.takes(entity, fields)), None)


def _rows(written: WriteResponse) -> dict[str, Any]:
    found = parse(written.record) if written.record is not None else []
    rows = found if isinstance(found, list) else []
    return {str(row["id"]): row for row in rows if isinstance(row, dict) and "id" in row}
