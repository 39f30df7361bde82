"""What became of a publish event, in the form that every caller gets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError

from connector.errors import ConnectorError
from connector.observability import logger
from connector.problem_details import problem
from lightspeed import LightspeedError

Result = dict[str, Any]
"""`status`, `http_status`, `id`, `record`, `request_id`; with `unknown` also `detail` and `check`."""

Refusal = LightspeedError | ConnectorError
"""Why an event was not published."""

REFUSALS = (LightspeedError, ConnectorError)


class AwsFailed(ConnectorError):
    """AWS did not do what it was asked to; asked again later, it may."""


Outcome = Result | Refusal
_Found = TypeVar("_Found")


def result(status: str, http_status: int | None, identity: object, record: object, request_id: str = "") -> Result:
    """Return the result of a request that was answered, or need not be sent."""
    return {
        "status": status,
        "http_status": http_status,
        "id": identity,
        "record": record,
        "request_id": request_id,
    }


def shown(outcome: Outcome) -> Result:
    """Return what stands in the results of a batch: the result, or `failed` with the problem."""
    return outcome if isinstance(outcome, dict) else {"status": "failed", "error": problem(outcome)[2]}


def attempt(call: Callable[[], _Found]) -> _Found | Refusal:
    """Return what a call returns or why it was refused.

    What AWS refused, and what nobody foresaw, is logged and concerns one event of a batch as well: the others shall not
    suffer for it.
    """
    try:
        return call()
    except REFUSALS as error:
        return error
    except (ClientError, BotoCoreError, GetParameterError) as error:
        logger().exception("AWS refused a call")
        return AwsFailed(_aws_reason(error))
    except Exception as error:
        logger().exception("unforeseen error")
        return ConnectorError(f"unforeseen {type(error).__name__}: {error}")


def _aws_reason(error: Exception) -> str:
    """Return which call AWS refused and its code; its message may tell more than a caller should see."""
    cause = error.__cause__ or error.__context__ if isinstance(error, GetParameterError) else error
    if isinstance(cause, ClientError):
        return f"AWS answered {cause.operation_name} with {cause.response['Error']['Code']}"
    return f"AWS could not be asked: {type(cause or error).__name__}"
