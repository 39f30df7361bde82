"""Errors of AWS calls: which of them are temporary, and one type for these."""

from __future__ import annotations

import functools

from connector.aws import botocore_errors
from connector.errors import AwsUnavailable
from connector.observability import Handler

_BUSY = {
    "SlowDown",
    "RequestTimeout",
    "RequestTimeoutException",
    "PriorRequestNotComplete",
    "BandwidthLimitExceeded",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "ExpiredToken",
    "ExpiredTokenException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
    "500",
    "503",
}
"""Codes of temporary errors. An answer to `HeadObject` has no body, so its code is the status."""


def aws_error_types() -> tuple[type[Exception], ...]:
    """Return the errors of AWS calls. Calling this function imports botocore."""
    return botocore_errors.ClientError, botocore_errors.BotoCoreError


def is_temporary(error: BaseException) -> bool:
    """Return whether an error of AWS is temporary: throttling, an error inside AWS, or a broken connection."""
    if isinstance(error, botocore_errors.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        reasons = dict(error.response).get("CancellationReasons", [])  # a transaction names the reason of each item
        codes = [error.response["Error"]["Code"], *(each.get("Code", "") for each in reasons)]
        busy = ("Throttl" in code or "ThroughputExceeded" in code or code in _BUSY for code in codes)
        return status >= 500 or any(busy)
    broken = (  # no connection, no answer in time, or an incomplete or damaged answer
        botocore_errors.ConnectionError,
        botocore_errors.HTTPClientError,
        botocore_errors.IncompleteReadError,
        botocore_errors.FlexibleChecksumError,
    )
    cause = error.__cause__ or error.__context__
    return isinstance(error, broken) or (cause is not None and is_temporary(cause))


def reason(error: BaseException) -> str:
    """Return the name of the failed call and its error code. AWS's own message may hold more than a caller may see."""
    if isinstance(error, botocore_errors.ClientError):
        return f"AWS answered {error.operation_name} with {error.response['Error']['Code']}"
    cause = error.__cause__ or error.__context__
    return reason(cause) if cause is not None else f"AWS could not be reached: {type(error).__name__}"


def with_typed_aws_errors(handler: Handler) -> Handler:
    """Return a handler that raises `AwsUnavailable` for every temporary error of AWS.

    A state machine retries by the name of the error's type. So one name covers botocore's many.
    """

    @functools.wraps(handler)
    def typed(event: object, context: object) -> dict[str, object]:
        try:
            return handler(event, context)
        except aws_error_types() as error:
            if is_temporary(error):
                raise AwsUnavailable(f"{reason(error)}: AWS is in trouble; try again") from error
            raise

    return typed
