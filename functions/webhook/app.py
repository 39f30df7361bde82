"""Entry of the webhook function: API Gateway's event in, its answer out.

A sender gives up after a few seconds, and low traffic makes most calls a cold start. So this module imports nothing
of the shop's client, and boto3 only once a call needs it.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from connector.settings import Settings
from webhook.aws import AwsStorage, read_secret
from webhook.receiver import REFUSED_OF_KNOWN_SHOP, Answer, Call, Receiver
from webhook.signature import Signers

TROUBLE = "WebhookTrouble"
"""The metric of a webhook that a known shop signed with another secret. Other counts are fields of the log line."""


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a webhook of the shop.

    Args:
        event: The event of an HTTP API, payload format 2.0.
        context: Lambda's.

    Raises:
        SettingsError: The environment is wrong.
    """
    settings = Settings.from_env(needs=("BUCKET",))
    call = _call(event)
    is_cold = not receiver.cache_info().currsize
    answer = receiver(settings).answer(call)
    _log(settings, call, answer, function_request_id=getattr(context, "aws_request_id", ""), cold_start=is_cold)
    return answer.to_lambda(call.request_id)


@functools.cache
def receiver(settings: Settings) -> Receiver:
    """Return the receiver of these settings; it keeps clients and secrets between invocations."""
    return Receiver(Signers(functools.partial(read_secret, settings)), AwsStorage(settings))


def _call(event: dict[str, Any]) -> Call:
    about = event["requestContext"]
    return Call(
        method=about["http"]["method"].upper(),
        connection=str((event.get("pathParameters") or {}).get("connection", "")),
        headers={name.lower(): str(value) for name, value in (event.get("headers") or {}).items()},
        body=event.get("body") or "",
        is_base64=bool(event.get("isBase64Encoded")),
        received=int(about.get("timeEpoch") or _now()),
        request_id=about["requestId"],
    )


def _now() -> int:
    """Return the time of a call that does not say when it came; API Gateway always says so. Epoch milliseconds."""
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
