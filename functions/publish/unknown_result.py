"""The result of a write of which it is not known whether the shop acted, and where to look."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lightspeed import Parameters
from lightspeed.writing.ambiguous import advice
from publish.event import PublishRequest
from publish.result import Result, result


def unknown(
    request: PublishRequest, parameters: Parameters, why: str, *, since: float, values: dict[str, Any]
) -> Result:
    """Return the result `unknown`, with a sentence on what to do and a subscribe event that looks there.

    Args:
        request: What was asked for.
        parameters: As they were sent.
        why: What happened to the answer.
        since: Epoch seconds before which the shop surely had not acted.
        values: Of the natural key, if there is one.
    """
    detail = advice(request.entity, request.action, parameters, why)
    found = {**result("unknown", None, None, None), "detail": detail}
    check = _check(request, parameters, since, values)
    return {**found, "check": check} if check else found


def _check(
    request: PublishRequest, parameters: Parameters, since: float, values: dict[str, Any]
) -> dict[str, Any] | None:
    endpoint = request.endpoint
    if request.action == "create" and endpoint.has("list"):
        path = {name: parameters.path.get(name) for name in endpoint.parents}
        start = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
        query = values or ({"created_at_min": start} if "created_at_min" in endpoint.filter_names else {})
        return _subscribe(request, request.entity, path, query)
    if endpoint.has("get") and "id" in parameters.path:
        return _subscribe(request, request.entity, dict(parameters.path), {})
    return None


def _subscribe(
    request: PublishRequest, entity: str, path: dict[str, object], query: dict[str, object]
) -> dict[str, Any]:
    parameters = {name: found for name, found in (("path", path), ("query", query)) if found}
    return {"entity": entity, "connection": request.connection, "parameters": parameters}
