"""Errors of AWS calls: which of them may pass, and one type for those."""

from __future__ import annotations

import functools

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, IncompleteReadError

from connector.errors import AwsUnavailable
from connector.observability import Handler

AWS_ERRORS = (ClientError, BotoCoreError, GetParameterError)
"""What a call of AWS raises: botocore's errors, and Powertools' error around one of them."""

_BUSY = ("SlowDown", "RequestTimeout", "TooManyRequestsException", "RequestLimitExceeded", "ExpiredToken", "500", "503")
"""Codes that say nothing about the request itself. `HeadObject` has no body, so its code is the status."""

_BROKEN = (ConnectionError, HTTPClientError, IncompleteReadError)
"""No connection, no answer in time, or a part of one."""


def may_pass(error: BaseException) -> bool:
    """Return whether an error of AWS may be gone in a moment: throttled, failed inside, or not reached."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response["Error"]["Code"]
        return status >= 500 or "Throttl" in code or "ThroughputExceeded" in code or code in _BUSY
    cause = error.__cause__ or error.__context__
    return isinstance(error, _BROKEN) or (cause is not None and may_pass(cause))


def reason(error: BaseException) -> str:
    """Return the call that AWS refused and its code. The message of AWS may show more than a caller should see."""
    if isinstance(error, ClientError):
        return f"AWS answered {error.operation_name} with {error.response['Error']['Code']}"
    cause = error.__cause__ or error.__context__
    return reason(cause) if cause is not None else f"AWS could not be reached: {type(error).__name__}"


def raises_typed(handler: Handler) -> Handler:
    """Return a handler that raises `AwsUnavailable` for every error of AWS that may pass.

    State machines retry by the name of the type, so one name covers botocore's many.
    """

    @functools.wraps(handler)
    def typed(event: object, context: object) -> dict[str, object]:
        try:
            return handler(event, context)
        except AWS_ERRORS as error:
            if may_pass(error):
                raise AwsUnavailable(f"{reason(error)}: AWS is in trouble; try again") from error
            raise

    return typed
