"""Find a record by its natural key: the fields of `match`, asked by filter and compared row by row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connector.errors import RequestError
from lightspeed import PAGE_LIMIT, Client, Endpoint, Parameters
from publish.difference import identities

_FIELDS = {"article_code": "articleCode"}
"""Filters whose name is not the field's."""
_WITHOUT_CASE = ("email",)


class Match:
    """The natural key of one record that is to be created."""

    def __init__(self, endpoint: Endpoint, names: list[str], parameters: Parameters) -> None:
        """Take the key's values out of the payload.

        Args:
            endpoint: The entity's row.
            names: Filters of the entity.
            parameters: Of the create.

        Raises:
            RequestError: The payload lacks one of them.
        """
        self._endpoint = endpoint
        self._parents = {name: parameters.path.get(name) for name in endpoint.parents}
        fields = record_fields(parameters.payload, endpoint)
        self.values: dict[str, Any] = {name: fields.get(name, fields.get(_FIELDS.get(name, name))) for name in names}
        missing = [name for name, value in self.values.items() if not isinstance(value, str | int) or value == ""]
        if missing:
            raise RequestError([f"match by {missing[0]!r} needs its value in the payload, as text or a whole number"])

    def find(self, client: Client) -> dict[str, Any] | None:
        """Return the one record that has the key's values, or `None` if there surely is none.

        Raises:
            RequestError: Several records have them, or the shop ignores the filter and has too many records to look
                through.
            LightspeedError: As the client raises it.
        """
        parameters = Parameters(self._parents, {**self.values, "limit": PAGE_LIMIT})
        page = client.page(client.build(self._endpoint.name, "list", parameters))
        rows = [json.loads(text) for text in page.records]
        found = [row for row in rows if all(_has(row, name, value) for name, value in self.values.items())]
        if len(found) > 1:
            ids = ", ".join(str(row.get("id")) for row in found)
            raise RequestError(
                [f"several records match {json.dumps(self.values)}: {ids}; update one of them by its id"]
            )
        if len(rows) >= PAGE_LIMIT and len(found) < len(rows):
            names = ", ".join(self.values)
            raise RequestError(
                [f"the shop ignores a filter of match ({names}) and has too many records to look through"]
            )
        return found[0] if found else None


def record_fields(payload: object, endpoint: Endpoint) -> Mapping[str, Any]:
    """Return the record inside a payload, whether it is in its envelope or not."""
    if not isinstance(payload, Mapping):
        return {}
    if len(payload) == 1:
        for key in (endpoint.item, *endpoint.write_keys.values()):
            inside = payload.get(key or "")
            if isinstance(inside, Mapping):
                return inside
    return payload


def _has(row: Mapping[str, Any], name: str, value: object) -> bool:
    present = row.get(name, row.get(_FIELDS.get(name, name)))
    candidates = identities(present) if isinstance(present, Mapping) else [present]
    if name in _WITHOUT_CASE:
        return str(value).casefold() in [str(found).casefold() for found in candidates]
    return str(value) in [str(found) for found in candidates if not isinstance(found, bool)]
