"""Entry of the webhook function: API Gateway's event in, its answer out.

A sender gives up after a few seconds, and low traffic makes most calls a cold start. So this module imports nothing
of the shop's client, and boto3 only once a call needs it.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from connector.settings import Settings
from webhook.receiver import Call, Receiver
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
    call = _call(event, context)
    invocation = {
        "function_request_id": getattr(context, "aws_request_id", ""),
        "cold_start": not receiver.cache_info().currsize,
    }
    answer = receiver(settings).answer(call)
    _log(settings, call, answer.status, answer.metrics, {**invocation, **answer.fields})
    return answer.to_lambda(call.request_id)


@functools.cache
def receiver(settings: Settings) -> Receiver:
    """Return the receiver of these settings; it keeps clients and secrets between invocations."""
    from webhook.aws import AwsStorage, read_secret  # noqa: PLC0415 - imports quickly, and keeps AWS in one place

    return Receiver(Signers(functools.partial(read_secret, settings)), functools.cache(lambda: AwsStorage(settings)))


def _call(event: dict[str, Any], context: Any) -> Call:
    about = event.get("requestContext") or {}
    http = about.get("http") or {}
    return Call(
        method=str(http.get("method", "")).upper(),
        connection=str((event.get("pathParameters") or {}).get("connection", "")),
        headers={name.lower(): str(value) for name, value in (event.get("headers") or {}).items()},
        body=event.get("body") or "",
        is_base64=bool(event.get("isBase64Encoded")),
        received=int(about.get("timeEpoch") or _now()),
        request_id=str(about.get("requestId") or getattr(context, "aws_request_id", "")),
    )


def _now() -> int:
    """Return the time of a call that does not say when it came; API Gateway always says so. Epoch milliseconds."""
    from lightspeed import SystemClock  # noqa: PLC0415 - slow to import, and API Gateway's events do not need it

    return int(SystemClock().time() * 1000)


def _log(settings: Settings, call: Call, status: int, metrics: Any, fields: Any) -> None:
    """Write one line with the keys of Powertools' logger, and the metric that an alarm needs."""
    refused = metrics.get("WebhooksRefusedOfKnownShop", 0)
    described = [{"Name": TROUBLE, "Unit": "Count"}]
    directive = {"Namespace": settings.metrics_namespace, "Dimensions": [["stack"]], "Metrics": described}
    embedded = {"_aws": {"Timestamp": call.received, "CloudWatchMetrics": [directive]}, TROUBLE: refused}
    line = {
        "level": "INFO" if status == 204 else "WARNING",
        "message": "webhook",
        "service": "webhook",
        "stack": settings.stack_name,
        "request_id": call.request_id,
        "correlation_id": call.request_id,
        "connection": call.connection[:100],
        "status": status,
        **fields,
        **metrics,
        **(embedded if refused else {}),
    }
    print(json.dumps(line))
