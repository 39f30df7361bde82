"""The outcome of a publish event, in the form that every caller gets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.aws.errors import aws_error_types, may_pass, reason
from connector.errors import AwsUnavailable, ConnectorError, OutOfTime
from connector.http.problem_details import problem
from connector.observability import logger
from connector.validation import MOST_LEVELS
from lightspeed import InvalidRequest, LightspeedError, NotFound, RateLimited, UnknownLanguage

Result = dict[str, Any]
"""`status`, `http_status`, `id`, `record`, `request_id`.

`ignored` is added if the shop answered other values than were written, `detail` and `check` if the status is `unknown`.
"""

Refusal = LightspeedError | ConnectorError
"""Why an event was not published."""

REFUSALS = (LightspeedError, ConnectorError)

Outcome = Result | Refusal
_MOST_CHARACTERS = 500


def result(status: str, http_status: int | None, identity: object, record: object, request_id: str = "") -> Result:
    """Return the result of a request that was answered, or need not be sent."""
    return {
        "status": status,
        "http_status": http_status,
        "id": identity,
        "record": usable(record),
        "request_id": request_id,
    }


def usable(value: Any, levels: int = MOST_LEVELS) -> Any:
    """Return a value of the shop that can be answered and stored.

    Half a surrogate pair becomes a question mark. What is nested deeper than so many levels becomes `None`.
    """
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if not isinstance(value, Mapping | list):
        return value
    if not levels:
        return None
    if isinstance(value, list):
        return [usable(one, levels - 1) for one in value]
    return {usable(name): usable(one, levels - 1) for name, one in value.items()}


def leave_out_records(answer: dict[str, Any]) -> None:
    """Take the records out of one result, or of a batch's `results`: they are too large to return, and written."""
    for one in answer.get("results", [answer]):
        if one.get("record") is not None:
            one |= {"record": None, "record_omitted": "too large for an answer: read it by its id"}


def is_gone(outcome: Outcome) -> bool:
    """Whether the shop has no such record. A 404 for the language says nothing about the record."""
    return isinstance(outcome, NotFound) and not isinstance(outcome, UnknownLanguage)


def is_content_refused(outcome: Outcome) -> bool:
    """Whether the shop refuses what was sent, so that a part of it may be accepted alone."""
    return isinstance(outcome, InvalidRequest) or is_gone(outcome)


def is_postponed(outcome: Outcome) -> bool:
    """Whether an event waits for quota, time or another batch, which is no failure."""
    return isinstance(outcome, RateLimited | OutOfTime)


def retry_after_seconds(outcome: Outcome) -> float | None:
    """Return how long an event waits for quota, time or another call, in seconds; `None` if it does not wait."""
    seconds: float | None = getattr(outcome, "retry_after_seconds", None)
    return 0.0 if seconds is None and isinstance(outcome, OutOfTime) else seconds


def to_json(outcome: Outcome) -> Result:
    """Return an outcome as the results of a batch hold it: the result, or `failed` with the problem."""
    return outcome if isinstance(outcome, dict) else {"status": "failed", "error": problem(outcome)[2]}


def aws_failure(error: Exception) -> ConnectorError:
    """Return the typed error for an error of AWS, before anything was sent to the shop."""
    if may_pass(error):
        return AwsUnavailable(f"{reason(error)}: AWS is in trouble; try again")
    return ConnectorError(f"{reason(error)}: check the functions' environment and roles")


def refusal(error: Exception) -> Refusal:
    """Return why an event was not published, from what was raised for it; log it if it is unexpected.

    Such an error concerns one event of a batch; the others are published.
    """
    log_unexpected(error)
    if isinstance(error, REFUSALS):
        return error
    if isinstance(error, aws_error_types()):
        return aws_failure(error)
    return ConnectorError(f"unexpected {type(error).__name__}: {error}"[:_MOST_CHARACTERS])


def log_unexpected(error: Exception) -> None:
    """Log an error of AWS, or one that is no refusal."""
    if not isinstance(error, REFUSALS):
        of_aws = isinstance(error, aws_error_types())
        logger().error("AWS refused a call" if of_aws else "unexpected error", exc_info=error)
