"""Send one publish request and say truly what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from connector.errors import RequestError, TransformError
from connector.transform import transform_parameters, transformers
from lightspeed import (
    PAGE_LIMIT,
    AnswerLost,
    Client,
    Clock,
    LightspeedError,
    NotFound,
    Parameters,
    Request,
    ServerError,
    UnexpectedResponse,
    Written,
)
from lightspeed.endpoints import Endpoint
from publish.request import PublishRequest

_STATUSES = {"create": "created", "update": "updated", "delete": "deleted"}


class Publication:
    """One request to the shop, transformed and checked; nothing is sent before `send`."""

    def __init__(self, request: PublishRequest, client: Client, clock: Clock) -> None:
        """Apply the request transformer and build what will be sent.

        Raises:
            TransformError: The transformer fails, or returns several requests.
            CatalogueError: Path, query or payload do not fit.
        """
        self._request = request
        self._client = client
        self._parameters = _transformed(request, client, clock)
        self._built = client.build(request.entity, request.action, self._parameters)
        self._match_values(self._parameters.payload)

    def send(self) -> dict[str, Any]:
        """Send it and return the result.

        Raises:
            ApiError: The shop refused it.
            TransportError: No complete answer to a request that may be sent again.
            RequestError: Several records match.
        """
        if self._request.dry_run:
            return self._preview()
        if self._request.match_fields:
            found = self._lookup()
            if found is not None:
                return self._update_instead(found)
        return self._write(self._built, self._request.action)

    def _write(self, built: Request, action: str) -> dict[str, Any]:
        try:
            written = self._client.write(built)
        except NotFound as error:
            if action != "delete":
                raise
            return _result("deleted", error.status, self._parameters.path.get("id"), None, "")
        except (AnswerLost, ServerError, UnexpectedResponse) as error:
            if built.method != "POST" or (isinstance(error, UnexpectedResponse) and 300 <= error.status < 500):
                raise
            return self._settle(error)
        return self._written(written, action)

    def _settle(self, error: LightspeedError) -> dict[str, Any]:
        """Look for the record of a create whose answer was lost; without `match`, say what to check."""
        found = self._lookup() if self._request.match_fields else None
        if found is not None:
            return _result("created", None, found.get("id"), found, "")
        detail = f"the shop may or may not have acted on it ({error}): look there before sending it again"
        return {**_result("unknown", getattr(error, "status", None), None, None, ""), "detail": detail}

    def _update_instead(self, found: Mapping[str, Any]) -> dict[str, Any]:
        path = {**self._parameters.path, "id": found["id"]}
        built = self._client.build(self._request.entity, "update", replace(self._parameters, path=path))
        return self._write(built, "update")

    def _written(self, written: Written, action: str) -> dict[str, Any]:
        record = json.loads(written.record) if written.record is not None else None
        identity = record.get("id") if isinstance(record, dict) else None
        if identity is None:
            identity = self._parameters.path.get("id")
        return _result(_STATUSES.get(action, "done"), written.http_status, identity, record, written.request_id)

    def _preview(self) -> dict[str, Any]:
        """Answer what would be sent; the shop is only read."""
        built, action = self._built, self._request.action
        found = self._lookup() if self._request.match_fields else None
        if found is not None:
            path = {**self._parameters.path, "id": found["id"]}
            built = self._client.build(self._request.entity, "update", replace(self._parameters, path=path))
            action = "update"
        elif action in ("update", "delete") and self._request.endpoint.has("get"):
            parameters = Parameters(self._parameters.path)
            found = json.loads(self._client.record(self._client.build(self._request.entity, "get", parameters)))
        body = json.loads(built.body) if built.body is not None else None
        preview: dict[str, Any] = {
            "status": "dry_run",
            "request": {"method": built.method, "path": built.path, "query": built.query, "body": body},
        }
        if found is not None:
            preview["difference"] = _difference(found, _fields(body, self._request.endpoint) if body else None)
        return preview

    def _match_values(self, payload: object) -> dict[str, Any]:
        fields = _fields(payload, self._request.endpoint)
        missing = [name for name in self._request.match_fields if fields.get(name) in (None, "")]
        if missing:
            raise RequestError([f"match by {missing[0]!r} needs its value in the payload"])
        return {name: fields[name] for name in self._request.match_fields}

    def _lookup(self) -> dict[str, Any] | None:
        """Return the one record that has the match fields' values, each row checked: a filter may be ignored."""
        wanted = self._match_values(self._parameters.payload)
        parents = {name: self._parameters.path.get(name) for name in self._request.endpoint.parents}
        query = {**wanted, "limit": PAGE_LIMIT}
        page = self._client.page(self._client.build(self._request.entity, "list", Parameters(parents, query)))
        rows = [json.loads(text) for text in page.records]
        found = [row for row in rows if all(_same(row.get(name), value) for name, value in wanted.items())]
        if len(found) > 1:
            ids = ", ".join(str(row.get("id")) for row in found)
            raise RequestError([f"several records match {json.dumps(wanted)}: {ids}; update one of them by its id"])
        if not found and len(rows) == PAGE_LIMIT:
            raise RequestError([f"the shop ignores a filter of match ({', '.join(wanted)}), so nothing was sent"])
        return found[0] if found else None


def _transformed(request: PublishRequest, client: Client, clock: Clock) -> Parameters:
    parameters = Parameters(request.parameters.path, request.parameters.query, request.parameters.payload)
    expressions = transformers(request.request_transformer)
    if not expressions:
        return parameters
    document = {
        "path": parameters.path,
        "query": parameters.query,
        "payload": parameters.payload,
        "connection": request.connection,
        "entity": request.entity,
        "language": client.transport.connection.language,
        "bookmark": None,
        "now": datetime.fromtimestamp(clock.time(), UTC).isoformat(timespec="seconds"),
    }
    found = transform_parameters(expressions, document)
    if len(found) != 1:
        raise TransformError(f"expected one request, got {len(found)}", expression=expressions[-1])
    return found[0]


def _result(status: str, http_status: int | None, identity: object, record: object, request_id: str) -> dict[str, Any]:
    return {
        "status": status,
        "http_status": http_status,
        "id": identity,
        "record": record,
        "request_id": request_id,
    }


def _fields(payload: object, endpoint: Endpoint) -> Mapping[str, Any]:
    """Return the record inside a payload, whether it is in its envelope or not."""
    if not isinstance(payload, Mapping):
        return {}
    inside = payload.get(endpoint.item or "")
    return inside if len(payload) == 1 and isinstance(inside, Mapping) else payload


def _difference(before: Mapping[str, Any], after: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return what changes by field; a relation, read as an object, is compared by the id that it is written as."""
    if after is None:
        return {name: {"from": value, "to": None} for name, value in before.items()}
    changes = {}
    for name, value in after.items():
        present = before.get(name)
        if isinstance(value, int | str) and isinstance(present, Mapping):
            changed = not _same(_plain_id(present), value)
        else:
            changed = not _same(present, value)
        if changed:
            changes[name] = {"from": present, "to": value}
    return changes


def _plain_id(value: Mapping[str, Any]) -> object:
    resource = value.get("resource", value)
    return resource.get("id") if isinstance(resource, Mapping) else None


def _same(present: object, wanted: object) -> bool:
    return present == wanted or (not isinstance(present, bool) and str(present) == str(wanted))
