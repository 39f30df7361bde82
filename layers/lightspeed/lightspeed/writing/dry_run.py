"""Show the request of a write and its changes, without writing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lightspeed.catalogue.entities import get_entity
from lightspeed.client import Client
from lightspeed.errors import NotFound, UnknownLanguage
from lightspeed.json_text import parse_record
from lightspeed.numbers import loads
from lightspeed.request import Parameters, Request
from lightspeed.writing.diff import difference
from lightspeed.writing.natural_key import NaturalKey, record_fields


def preview(
    client: Client,
    request: Request,
    parameters: Parameters,
    match: NaturalKey | None = None,
    *,
    gone_is_deleted: bool = True,
) -> dict[str, Any]:
    """Return what a write would do.

    Args:
        client: The shop's client.
        request: The request of the write.
        parameters: The parameters that the request was built from.
        match: The natural key of a create. If its record exists, the create becomes an update.
        gone_is_deleted: Whether the delete of a missing record succeeds; otherwise it raises `NotFound`.

    Returns:
        `status` (`dry_run`, or `unchanged` if the shop already has these values) and `request` (`method`, `path`,
        `query` and `body`; `None` if nothing needs to be sent). If there is a record to compare with, also its `id` and
        the `difference`, field by field.

    Raises:
        InvalidParameters: Several records match.
        NotFound: The record to update or delete is missing.
        LightspeedError: A request failed.
    """
    endpoint, operation = get_entity(request.entity), request.operation
    fields = record_fields(parameters.payload, endpoint)
    present: Mapping[str, Any] | None = match.find() if match is not None else None
    if present is not None:
        if not endpoint.has("update") and not difference(present, fields):
            return {"status": "unchanged", "request": None, "id": present.get("id"), "difference": {}}
        operation = "update"
        parameters = replace(parameters, path={**parameters.path, "id": present["id"]})
        request = client.build(endpoint.name, operation, parameters)
    elif operation in ("update", "delete") and endpoint.has("get"):
        present = _present(client, request, parameters, may_be_gone=operation == "delete" and gone_is_deleted)
    shown = {"method": request.method, "path": request.path, "query": dict(request.query), "body": _body(request)}
    if present is None:
        return {"status": "dry_run", "request": shown}
    changes = difference(present, fields if operation == "update" else None)
    identity = present.get("id", parameters.path.get("id"))
    status = "dry_run" if changes else "unchanged"
    return {"status": status, "request": shown, "id": identity, "difference": changes}


def _present(client: Client, request: Request, parameters: Parameters, *, may_be_gone: bool) -> Mapping[str, Any]:
    """Return the fields of the record in the shop; none if it is gone and `may_be_gone` is set."""
    try:
        text = client.record(client.build(request.entity, "get", Parameters(parameters.path)))
    except NotFound as error:
        if not may_be_gone or isinstance(error, UnknownLanguage):
            raise
        return {}
    return parse_record(text)


def _body(request: Request) -> Any:
    if request.body is None:
        return None
    return loads(request.body) if isinstance(request.body, bytes) else request.body.to_json()
