"""The outcome of a publish event, in the form that every caller gets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from connector.aws_errors import aws_error_types, may_pass, reason
from connector.errors import AwsUnavailable, ConnectorError
from connector.observability import logger
from connector.problem_details import problem
from lightspeed import InvalidRequest, LightspeedError, NotFound, Parameters, UnknownLanguage
from lightspeed.writing.ambiguous import advice
from publish.event import PublishRequest

Result = dict[str, Any]
"""`status`, `http_status`, `id`, `record`, `request_id`.

`ignored` is added if the shop answered other values than were written, `detail` and `check` if the status is `unknown`.
"""

Refusal = LightspeedError | ConnectorError
"""Why an event was not published."""

REFUSALS = (LightspeedError, ConnectorError)

Outcome = Result | Refusal
_Found = TypeVar("_Found")
_Given = ParamSpec("_Given")
_MOST_CHARACTERS = 500


def result(status: str, http_status: int | None, identity: object, record: object, request_id: str = "") -> Result:
    """Return the result of a request that was answered, or need not be sent."""
    return {
        "status": status,
        "http_status": http_status,
        "id": identity,
        "record": record,
        "request_id": request_id,
    }


def unknown(
    request: PublishRequest, parameters: Parameters, why: str, *, since: float, values: Mapping[str, Any]
) -> Result:
    """Return the result of a write of which it is not known whether the shop acted.

    Args:
        request: The event.
        parameters: The parameters that were sent.
        why: What happened to the answer.
        since: Epoch seconds; the shop acted later, if at all.
        values: The values of the natural key, if there is one.

    Returns:
        The status `unknown`, `detail` with what to do, and `check`, a subscribe event that looks for the record.
    """
    detail = advice(request.entity, request.action, parameters, why)
    found = {**result("unknown", None, None, None), "detail": detail}
    endpoint = request.endpoint
    path, query = dict(parameters.path), {}
    if request.action == "create" and endpoint.has("list"):
        path = {name: parameters.path.get(name) for name in endpoint.parents}
        start = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
        query = dict(values) or ({"created_at_min": start} if "created_at_min" in endpoint.filter_names else {})
    elif not endpoint.has("get") or "id" not in path:
        return found
    where = {name: given for name, given in (("path", path), ("query", query)) if given}
    return {**found, "check": {"entity": request.entity, "connection": request.connection, "parameters": where}}


def is_refused(outcome: Outcome) -> bool:
    """Whether the shop refuses the content, so that a part of it may be accepted."""
    return isinstance(outcome, InvalidRequest | NotFound) and not isinstance(outcome, UnknownLanguage)


def to_json(outcome: Outcome) -> Result:
    """Return an outcome as the results of a batch hold it: the result, or `failed` with the problem."""
    return outcome if isinstance(outcome, dict) else {"status": "failed", "error": problem(outcome)[2]}


def aws_failure(error: Exception) -> ConnectorError:
    """Return the typed error for an error of AWS, before anything was sent to the shop."""
    if may_pass(error):
        return AwsUnavailable(f"{reason(error)}: AWS is in trouble; try again")
    return ConnectorError(f"{reason(error)}: check the functions' environment and roles")


def attempt(call: Callable[_Given, _Found], *args: _Given.args, **kwargs: _Given.kwargs) -> _Found | Refusal:
    """Return what a call returns, or why it was refused.

    An error of AWS or an unexpected error is logged. It concerns one event of a batch; the others are published.
    """
    try:
        return call(*args, **kwargs)
    except REFUSALS as error:
        return error
    except aws_error_types() as error:
        logger().exception("AWS refused a call")
        return aws_failure(error)
    except Exception as error:
        logger().exception("unexpected error")
        return ConnectorError(f"unexpected {type(error).__name__}: {error}"[:_MOST_CHARACTERS])
