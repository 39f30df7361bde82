"""Logging and metrics."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger

from lightspeed.clock import SystemClock

METRICS = (
    "LagOfAllowed",
    "Incomplete",
    "Silent",
    "Slow",
    "Failures",
    "UnknownWrites",
    "QuotaShort",
    "WebhookTrouble",
    "Cost",
)
"""The metrics of a stack. Each hour with a value costs money. All but the first get values in trouble only."""

_NO_HEADER = re.compile(r"[^\x21-\x7e]")

Handler = Callable[[Any, Any], dict[str, Any]]
"""A Lambda handler: takes an event and a context, and returns a JSON object."""


@functools.cache
def logger() -> Logger:
    """Return the function's JSON logger. The first call reads level and service from the environment."""
    return Logger()


def with_log_context(handler: Handler) -> Handler:
    """Return a handler whose log lines carry `request_id`, `correlation_id`, `cold_start` and the function's name.

    The correlation id is the `run_id` of the event, or else the request id. Keys that one invocation appends to the
    logger end with it.
    """

    def with_request_id(event: Any, context: Any) -> dict[str, Any]:
        request_id = _request_id(event, context)
        run_id = event.get("run_id") if isinstance(event, dict) else None
        logger().append_keys(request_id=request_id)
        logger().set_correlation_id(str(run_id or request_id))
        return handler(event, context)

    @functools.wraps(handler)
    def with_context(event: Any, context: Any) -> dict[str, Any]:
        answer: dict[str, Any] = logger().inject_lambda_context(with_request_id, clear_state=True)(event, context)
        return answer

    return with_context


def current_request_id() -> str:
    """Return the request id of the present invocation, fit for a header; empty outside a handler."""
    return str(logger().get_current_keys().get("request_id") or "")


def _request_id(event: Any, context: Any) -> str:
    """Return API Gateway's id of an HTTP call, or else Lambda's id of the invocation."""
    about = event.get("requestContext") if isinstance(event, dict) else None
    given = about.get("requestId") if isinstance(about, dict) else None
    return _NO_HEADER.sub("", str(given or context.aws_request_id))[:200]


def emit_metrics(
    namespace: str, dimensions: Mapping[str, str], facts: Mapping[str, object], /, **counts: float
) -> None:
    """Write metrics to the log of the invocation, in CloudWatch's embedded metric format.

    CloudWatch bills each combination of dimensions as a metric. So connection and entity are facts, which Logs Insights
    can query.

    Args:
        namespace: The namespace of the metrics.
        dimensions: Values by dimension, such as the stack's name as `stack`.
        facts: Other fields of the log line.
        **counts: Values by metric.
    """
    described = {
        "Namespace": namespace,
        "Dimensions": [list(dimensions)],
        "Metrics": [
            {"Name": name, "Unit": "None" if isinstance(number, float) else "Count"} for name, number in counts.items()
        ],
    }
    about = {"Timestamp": int(SystemClock().time() * 1000), "CloudWatchMetrics": [described]}
    print(json.dumps({"_aws": about, **dimensions, **facts, **counts}))  # the log of a function is its output
