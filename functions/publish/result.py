"""The outcome of a publish event: a result, or the error that is its refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.aws.errors import aws_error_types, is_temporary, reason
from connector.errors import AwsUnavailable, ConnectorError, OutOfTime
from connector.http.problem_details import problem
from connector.observability import logger
from connector.validation import MAX_LEVELS
from lightspeed import InvalidRequest, LightspeedError, NotFound, RateLimited, UnknownLanguage

Result = dict[str, Any]
"""`status`, `http_status`, `id`, `record`, `request_id`.

Also `ignored` if the shop answered other values than were written, and `detail` and `check` if the status is `unknown`.
"""

Refusal = LightspeedError | ConnectorError
"""Why an event was not published."""

REFUSALS = (LightspeedError, ConnectorError)

Outcome = Result | Refusal
_MAX_CHARACTERS = 500


def result(status: str, http_status: int | None, identity: object, record: object, request_id: str = "") -> Result:
    """Return a result; the record is one that can be answered and stored (see `sanitize`)."""
    return {
        "status": status,
        "http_status": http_status,
        "id": identity,
        "record": sanitize(record),
        "request_id": request_id,
    }


def sanitize(value: Any, levels: int = MAX_LEVELS) -> Any:
    """Return a value of the shop in a form that can be answered and stored.

    Half a surrogate pair becomes a question mark, and anything below the last level becomes `None`.
    """
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if not isinstance(value, Mapping | list):
        return value
    if not levels:
        return None
    if isinstance(value, list):
        return [sanitize(member, levels - 1) for member in value]
    return {sanitize(name): sanitize(member, levels - 1) for name, member in value.items()}


def leave_out_records(answer: dict[str, Any]) -> None:
    """Remove the records from a result, or from the `results` of a batch, which is too large to return."""
    for found in answer.get("results", [answer]):
        if found.get("record") is not None:
            found |= {"record": None, "record_omitted": "too large for an answer: read it by its id"}


def is_gone(outcome: Outcome) -> bool:
    """Whether the shop has no such record. A 404 for an unknown language does not show that."""
    return isinstance(outcome, NotFound) and not isinstance(outcome, UnknownLanguage)


def is_content_refused(outcome: Outcome) -> bool:
    """Whether the shop refuses the content. It may accept a part of the content alone."""
    return isinstance(outcome, InvalidRequest) or is_gone(outcome)


def is_postponed(outcome: Outcome) -> bool:
    """Whether an event waits for the quota, for time or for another batch; this is no failure."""
    return isinstance(outcome, RateLimited | OutOfTime)


def retry_after_seconds(outcome: Outcome) -> float | None:
    """Return how many seconds an event waits for the quota, time or another call; `None` if it does not wait."""
    seconds: float | None = getattr(outcome, "retry_after_seconds", None)
    return 0.0 if seconds is None and isinstance(outcome, OutOfTime) else seconds


def to_json(outcome: Outcome) -> Result:
    """Return an outcome as the results of a batch hold it: the result, or `failed` with the problem."""
    return outcome if isinstance(outcome, dict) else {"status": "failed", "error": problem(outcome)[2]}


def aws_failure(error: Exception) -> ConnectorError:
    """Return the typed error for an error of AWS that came before any request to the shop."""
    if is_temporary(error):
        return AwsUnavailable(f"{reason(error)}: AWS is in trouble; try again")
    return ConnectorError(f"{reason(error)}: check the functions' environment and roles")


def refusal(error: Exception) -> Refusal:
    """Return an error as the outcome of its event. An unexpected error is logged; it ends no other event of a batch."""
    log_unexpected(error)
    if isinstance(error, REFUSALS):
        return error
    if isinstance(error, aws_error_types()):
        return aws_failure(error)
    return ConnectorError(f"unexpected {type(error).__name__}: {error}"[:_MAX_CHARACTERS])


def log_unexpected(error: Exception) -> None:
    """Log an error of AWS or of unexpected type."""
    if not isinstance(error, REFUSALS):
        of_aws = isinstance(error, aws_error_types())
        logger().error("AWS refused a call" if of_aws else "unexpected error", exc_info=error)
