"""What became of a publish event, in the form that every caller gets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from connector.aws_errors import aws_error_types, may_pass, reason
from connector.errors import AwsUnavailable, ConnectorError
from connector.observability import logger
from connector.problem_details import problem
from lightspeed import LightspeedError

Result = dict[str, Any]
"""`status`, `http_status`, `id`, `record`, `request_id`.

`ignored` is added if the shop answered other values than were written, `detail` and `check` if the status is `unknown`.
"""

Refusal = LightspeedError | ConnectorError
"""Why an event was not published."""

REFUSALS = (LightspeedError, ConnectorError)


def aws_failure(error: Exception) -> ConnectorError:
    """Return the typed error for an error of AWS, before anything was sent to the shop."""
    if may_pass(error):
        return AwsUnavailable(f"{reason(error)}: AWS is in trouble; try again")
    return ConnectorError(f"{reason(error)}: check the functions' environment and roles")


Outcome = Result | Refusal
_Found = TypeVar("_Found")
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


def to_json(outcome: Outcome) -> Result:
    """Return an outcome as the results of a batch hold it: the result, or `failed` with the problem."""
    return outcome if isinstance(outcome, dict) else {"status": "failed", "error": problem(outcome)[2]}


def attempt(call: Callable[[], _Found]) -> _Found | Refusal:
    """Return what a call returns, or why it was refused.

    An error of AWS or an unexpected error is logged. It concerns one event of a batch; the others are published.
    """
    try:
        return call()
    except REFUSALS as error:
        return error
    except aws_error_types() as error:
        logger().exception("AWS refused a call")
        return aws_failure(error)
    except Exception as error:
        logger().exception("unexpected error")
        return ConnectorError(f"unexpected {type(error).__name__}: {error}"[:_MOST_CHARACTERS])
