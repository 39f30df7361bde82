"""Which errors of AWS may pass, and the one type that handlers raise for them."""

from __future__ import annotations

import pytest
from botocore import exceptions as aws

from connector.aws.errors import with_typed_aws_errors
from connector.errors import AwsUnavailable


def refused(code: str, operation: str, status: int = 400) -> aws.ClientError:
    return aws.ClientError(
        {"Error": {"Code": code, "Message": "secret text"}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
    )


def cancelled(*reasons: str) -> aws.ClientError:
    error = refused("TransactionCanceledException", "TransactWriteItems")
    error.response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return error


PASSING = {
    "a transaction is throttled": cancelled("None", "ThrottlingError"),
    "a transaction has too little throughput": cancelled("ProvisionedThroughputExceeded", "None"),
    "a transaction meets another one": cancelled("None", "TransactionConflict"),
    "a write meets a transaction": refused("TransactionConflictException", "PutItem"),
    "a transaction is repeated while it runs": refused("TransactionInProgressException", "TransactWriteItems"),
    "S3 asks to slow down": refused("SlowDown", "PutObject", 503),
    "S3 asks to slow down without a status": refused("SlowDown", "PutObject"),
    "S3 waits too long": refused("RequestTimeout", "PutObject"),
    "a service waits too long": refused("RequestTimeoutException", "GetSecretValue", 408),
    "S3 is too busy": refused("BandwidthLimitExceeded", "GetObject"),
    "a request before is not done": refused("PriorRequestNotComplete", "StartExecution"),
    "credentials that are renewed": refused("ExpiredTokenException", "PutItem"),
    "S3 fails": refused("InternalError", "GetObject", 500),
    "S3 without a body": refused("503", "HeadObject"),
    "Secrets Manager throttles": refused("ThrottlingException", "GetSecretValue"),
    "Secrets Manager fails": refused("InternalServiceError", "GetSecretValue", 500),
    "DynamoDB throttles": refused("ProvisionedThroughputExceededException", "PutItem"),
    "Step Functions throttles": refused("ThrottlingException", "StartExecution"),
    "no answer in time": aws.ReadTimeoutError(endpoint_url="https://s3"),
    "no connection in time": aws.ConnectTimeoutError(endpoint_url="https://s3"),
    "no connection": aws.EndpointConnectionError(endpoint_url="https://s3"),
    "a connection that was closed": aws.ConnectionClosedError(endpoint_url="https://s3"),
    "a body that was cut": aws.ResponseStreamingError(error="cut"),
    "a body that is too short": aws.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    "a body that was damaged": aws.FlexibleChecksumError(error_msg="Expected checksum a did not match b"),
    "a secret without connection": aws.EndpointConnectionError(endpoint_url="https://secretsmanager"),
}
LASTING = {
    "a transaction that is wrong": cancelled("None", "ValidationError"),
    "no permission": refused("AccessDenied", "PutObject", 403),
    "no bucket": refused("NoSuchBucket", "GetObject", 404),
    "no credentials": aws.NoCredentialsError(),
    "a secret without permission": refused("AccessDeniedException", "GetSecretValue"),
}


def handler_that_raises(error: Exception):  # type: ignore[no-untyped-def]
    @with_typed_aws_errors
    def handler(_event: object, _context: object) -> dict[str, object]:
        raise error

    return handler


@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
def test_what_may_pass_is_one_type_that_names_the_call_and_no_more(error: Exception) -> None:
    with pytest.raises(AwsUnavailable, match="AWS is in trouble; try again") as raised:
        handler_that_raises(error)({}, None)

    assert "secret text" not in str(raised.value)


@pytest.mark.parametrize("error", LASTING.values(), ids=LASTING)
def test_what_a_person_has_to_mend_keeps_its_type(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        handler_that_raises(error)({}, None)

    assert raised.value is error
