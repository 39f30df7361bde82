"""S3, SQS and Secrets Manager as the receiver uses them. boto3 is imported on first use."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from connector.cold_start import without_garbage_collection
from connector.conflicts import CONFLICT, tries
from connector.errors import AwsUnavailable

if TYPE_CHECKING:
    from connector.settings import Settings

_NO_SUCH_SECRET = ("ResourceNotFoundException", "InvalidRequestException")
_IS_THERE = "PreconditionFailed"
_MOST_TRIES = 3


@functools.cache
def _client(service: str) -> Any:
    with without_garbage_collection():
        import boto3  # noqa: PLC0415 - the slowest import of a cold start; forged calls of unknown methods never need it
        from botocore.config import Config  # noqa: PLC0415

        # a sender waits three to ten seconds
        config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"})
        return boto3.client(service, config=config)


def _sleep(seconds: float) -> None:
    from lightspeed import SystemClock  # noqa: PLC0415 - slow to import, and few calls wait

    SystemClock().sleep(seconds)


def _guarded(call: Callable[..., Any], expected: tuple[str, ...], **arguments: Any) -> tuple[Any, str]:
    """Return the answer of AWS, or the code of an expected error.

    Raises:
        AwsUnavailable: Any other error.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded together with boto3

    try:
        return call(**arguments), ""
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in expected:
            return None, code
        raise AwsUnavailable(code) from error
    except BotoCoreError as error:
        raise AwsUnavailable(type(error).__name__) from error


def read_secret(settings: Settings, connection: str) -> str | None:
    """Return the text of a connection's secret, `None` if there is none.

    Raises:
        AwsUnavailable: Secrets Manager did not answer.
    """
    read = _client("secretsmanager").get_secret_value
    answer, _ = _guarded(read, _NO_SUCH_SECRET, SecretId=settings.secret_prefix + connection)
    return None if answer is None else answer.get("SecretString")


class AwsStorage:
    """The bucket and the queue of the trigger."""

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = _sleep) -> None:
        """Take their names, and what waits between tries; nothing is written yet."""
        self._bucket = settings.bucket
        self._sleep = sleep
        self._queue_url = settings.webhook_queue_url

    def queue(self, message: str) -> None:
        """See `webhook.receiver.Storage`. Without a queue, webhooks are stored and start no run."""
        if self._queue_url:
            _guarded(_client("sqs").send_message, (), QueueUrl=self._queue_url, MessageBody=message)

    def store(self, key: str, body: bytes) -> bool:
        """See `webhook.receiver.Storage`."""
        put = functools.partial(_client("s3").put_object, Bucket=self._bucket, Key=key, IfNoneMatch="*")
        for _ in tries(self._sleep, _MOST_TRIES):
            expected = (_IS_THERE, CONFLICT)
            _, code = _guarded(put, expected, Body=body, ContentType="application/json")
            if code != CONFLICT:
                return not code
        raise AwsUnavailable(CONFLICT)
