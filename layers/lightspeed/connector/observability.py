"""Logging and metrics, made on first use so that importing a module reads no environment."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger

from lightspeed.quota import SystemClock

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
"""The metrics of a stack; each costs money. All but the first are written only in trouble, and billed by the hour."""

_NO_HEADER = re.compile(r"[^\x21-\x7e]")

Handler = Callable[[Any, Any], dict[str, Any]]
"""A Lambda handler: takes an event and a context, and returns a JSON object."""


@functools.cache
def logger() -> Logger:
    """Return the JSON logger of the function; level and service come from the environment."""
    return Logger()


def logged(handler: Handler) -> Handler:
    """Return a handler whose log lines carry the call's id, the function's name, `cold_start` and `correlation_id`.

    The correlation id is the run's id for an event that names a run, and else the call's id. Keys that one invocation
    appends do not reach the next.
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
    """Return the id of the call that is handled, or empty outside of a handler; it can be the value of a header."""
    return str(logger().get_current_keys().get("request_id") or "")


def _request_id(event: Any, context: Any) -> str:
    """Return API Gateway's id of an HTTP call, else Lambda's of the invocation."""
    about = event.get("requestContext") if isinstance(event, dict) else None
    given = about.get("requestId") if isinstance(about, dict) else None
    return _NO_HEADER.sub("", str(given or context.aws_request_id))[:200]


def emit_metrics(
    namespace: str, dimensions: Mapping[str, str], facts: Mapping[str, object], /, **counts: float
) -> None:
    """Write metrics of one invocation to its log, in CloudWatch's embedded metric format.

    Every combination of dimensions is a billed metric, so the stack should be the only one. Connection and entity are
    fields of the log line, which Logs Insights can ask for.

    Args:
        namespace: The metrics' namespace.
        dimensions: Names and values, such as the stack's name as `stack`.
        facts: Fields of the line that are no dimensions, such as entity and connection.
        **counts: Metric names and values.
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
