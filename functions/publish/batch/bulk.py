"""Many updates in one request, with an outcome for each: what bulk routes take, and what is believed of the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lightspeed import Client, InvalidRequest, NotFound, Parameters, UnknownLanguage, WriteResponse
from lightspeed.response import parse
from lightspeed.writing.diff import difference
from publish.result import REFUSALS, Outcome, Result, result

LIMIT = 100
"""Records in one request. The shop's own limit is not known; a larger request that it refuses is split."""

_NOT_ALLOWED = 405

Change = tuple[object, Mapping[str, Any]]
"""Id of a record and its fields."""


@dataclass(frozen=True)
class Bulk:
    """A bulk route that takes updates: action `bulk` of an entity, a list of records with their ids.

    Attributes:
        entity: Catalogue name.
        fields: How the names of the fields begin that it is known for; an update of any other goes out alone.
        proven: Whether an update counts as done only where the answer shows its values, rather than also where the
            answer shows no record at all.
    """

    entity: str
    fields: tuple[str, ...]
    proven: bool = False

    def takes(self, entity: str, fields: Mapping[str, Any]) -> bool:
        """Whether an update may go out in it."""
        return entity == self.entity and bool(fields) and all(name.startswith(self.fields) for name in fields)

    def update(
        self, client: Client, parents: Mapping[str, object], changes: list[Change], alone: Callable[[Change], Outcome]
    ) -> list[Outcome]:
        """Update records; a refused bulk is halved until the bad ones are found, and those get the shop's own answer.

        Args:
            client: Of the shop.
            parents: Path of the records, without their ids.
            changes: Each record once.
            alone: Updates one record by itself.

        Returns:
            One outcome each, in order.
        """
        if len(changes) <= 1:
            return [alone(change) for change in changes]
        if len(changes) > LIMIT:
            return self._in_two(client, parents, changes, LIMIT, alone)
        entries = [{"id": identity, **fields} for identity, fields in changes]
        try:
            written = client.write(client.build(self.entity, "bulk", Parameters(parents, payload=entries)))
        except REFUSALS as error:
            if not isinstance(error, InvalidRequest | NotFound) or isinstance(error, UnknownLanguage):
                return [error] * len(changes)
            if error.status == _NOT_ALLOWED:
                return [alone(change) for change in changes]
            return self._in_two(client, parents, changes, len(changes) // 2, alone)
        rows = _rows(written)
        return [self._outcome(change, rows, written) or alone(change) for change in changes]

    def _in_two(
        self,
        client: Client,
        parents: Mapping[str, object],
        changes: list[Change],
        at: int,
        alone: Callable[[Change], Outcome],
    ) -> list[Outcome]:
        first, second = changes[:at], changes[at:]
        return self.update(client, parents, first, alone) + self.update(client, parents, second, alone)

    def _outcome(self, change: Change, rows: Mapping[str, Any], written: WriteResponse) -> Result | None:
        """Return the result of one record, or `None` where the answer tells of others only, or of other values."""
        identity, fields = change
        row = rows.get(str(identity))
        if row is None:
            silent = not rows and not self.proven
            return result("updated", written.http_status, identity, None, written.request_id) if silent else None
        told = {name: value for name, value in fields.items() if name in row}
        if "error" in row or difference(row, told) or (self.proven and len(told) < len(fields)):
            return None
        return result("updated", written.http_status, row["id"], row, written.request_id)


BULKS = (
    Bulk("variants", ("stock", "price", "oldPrice")),
    Bulk("products/attributes", ("value",), proven=True),
)
"""`variants/bulk` is known from clients that push stock and prices through it; of the attributes of a product only the
route and its envelope are known, hence the proof."""


def bulk_of(entity: str, fields: Mapping[str, Any]) -> Bulk | None:
    """Return the bulk route that an update may go out in, or `None`."""
    return next((bulk for bulk in BULKS if bulk.takes(entity, fields)), None)


def _rows(written: WriteResponse) -> dict[str, Any]:
    found = parse(written.record) if written.record is not None else []
    rows = found if isinstance(found, list) else []
    return {str(row["id"]): row for row in rows if isinstance(row, dict) and "id" in row}
