"""Entry of the webhook function: it answers a call of API Gateway, and calls AWS for the receiver.

A sender waits only a few seconds, and with low traffic most calls are cold starts. So this module imports nothing of
the shop's client, and imports boto3 only when a call needs it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from connector.aws import botocore_errors
from connector.aws.cold_start import without_garbage_collection
from connector.aws.conflicts import conditional_write
from connector.settings import Settings
from webhook.receiver import REFUSED_OF_KNOWN_SHOP, Answer, Call, Receiver
from webhook.signature import Signers

_NO_SUCH_SECRET = ("ResourceNotFoundException", "InvalidRequestException")
_EXISTS = "PreconditionFailed"
_MAX_TRIES = 3

TROUBLE = "WebhookTrouble"
"""The metric of webhooks that a known shop signed with another secret. Other counts are fields of the log line."""


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a webhook of the shop.

    Args:
        event: The event of an HTTP API, payload format 2.0.
        context: Lambda's context.

    Raises:
        SettingsError: The environment is wrong.
    """
    settings = Settings.from_env(needs=("BUCKET",))
    call = _call(event, context)
    is_cold = not receiver.cache_info().currsize
    answer = receiver(settings).answer(call)
    _log(settings, call, answer, function_request_id=getattr(context, "aws_request_id", ""), cold_start=is_cold)
    return answer.to_lambda(call.request_id)


@functools.cache
def receiver(settings: Settings) -> Receiver:
    """Return the receiver for these settings. It keeps secrets between invocations."""
    return Receiver(Signers(functools.partial(read_secret, settings)), AwsStorage(settings))


def _call(event: dict[str, Any], context: Any) -> Call:
    request_context = event["requestContext"]
    return Call(
        method=request_context["http"]["method"].upper(),
        connection=str((event.get("pathParameters") or {}).get("connection", "")),
        headers={name.lower(): str(value) for name, value in (event.get("headers") or {}).items()},
        body=event.get("body") or "",
        is_base64=bool(event.get("isBase64Encoded")),
        received=int(request_context.get("timeEpoch") or _now()),
        request_id=str(request_context.get("requestId") or getattr(context, "aws_request_id", "")),
    )


def _now() -> int:
    """Return the present time, epoch milliseconds, for a call without a time. Calls of API Gateway have one."""
    from lightspeed import SystemClock  # noqa: PLC0415 - slow to import, and API Gateway's events do not need it

    return int(SystemClock().time() * 1000)


def _log(settings: Settings, call: Call, answer: Answer, **invocation: object) -> None:
    """Write one line with the keys of Powertools' logger, and the metric that an alarm needs."""
    line = {
        "level": "INFO" if answer.status == 204 else "WARNING",
        "message": "webhook",
        "service": "webhook",
        "stack": settings.stack_name,
        "request_id": call.request_id,
        "correlation_id": call.request_id,
        "connection": call.connection[:100],
        "status": answer.status,
        **invocation,
        **answer.fields,
    }
    if refused := answer.fields.get(REFUSED_OF_KNOWN_SHOP):
        described = [{"Name": TROUBLE, "Unit": "Count"}]
        directive = {"Namespace": settings.metrics_namespace, "Dimensions": [["stack"]], "Metrics": described}
        line |= {"_aws": {"Timestamp": call.received, "CloudWatchMetrics": [directive]}, TROUBLE: refused}
    print(json.dumps(line))


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


def read_secret(settings: Settings, connection: str) -> str | None:
    """Return the text of a connection's secret, or `None` if there is none.

    Raises:
        ClientError: Secrets Manager refuses the call.
        BotoCoreError: It does not answer.
    """
    secret_id, read = settings.secret_prefix + connection, _client("secretsmanager").get_secret_value
    answer = botocore_errors.answer_unless(_NO_SUCH_SECRET, read, SecretId=secret_id)
    return None if answer is None else answer.get("SecretString")


class AwsStorage:
    """The bucket and the queue of the trigger, a `webhook.receiver.Storage`.

    Args:
        settings: Have the name of the bucket and the URL of the queue.
        sleep: Waits between tries.
    """

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = _sleep) -> None:
        self._bucket = settings.bucket
        self._sleep = sleep
        self._queue_url = settings.webhook_queue_url

    def queue(self, message: str) -> None:
        """As in the protocol. Without a queue, webhooks are stored and start no run."""
        if self._queue_url:
            _client("sqs").send_message(QueueUrl=self._queue_url, MessageBody=message)

    def store(self, key: str, body: bytes) -> bool:
        """As in the protocol."""
        put = {"Bucket": self._bucket, "Key": key, "Body": body, "ContentType": "application/json", "IfNoneMatch": "*"}
        return conditional_write(_client("s3").put_object, (_EXISTS,), self._sleep, _MAX_TRIES, **put) is not None
