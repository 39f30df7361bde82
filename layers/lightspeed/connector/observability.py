"""Logging and metrics, made on first use so that importing a module reads no environment."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

Handler = Callable[[Any, Any], dict[str, Any]]
"""A Lambda handler: takes an event and a context, and returns a JSON object."""


@functools.cache
def logger() -> Logger:
    """Return the JSON logger of the function; level and service come from the environment."""
    return Logger()


def logged(handler: Handler) -> Handler:
    """Return a handler whose log lines carry the invocation's id, the function's name and `cold_start`.

    Keys that one invocation appends do not reach the next.
    """

    @functools.wraps(handler)
    def with_context(event: Any, context: Any) -> dict[str, Any]:
        answer: dict[str, Any] = logger().inject_lambda_context(handler, clear_state=True)(event, context)
        return answer

    return with_context


def emit_metrics(namespace: str, dimensions: dict[str, str], **counts: int) -> None:
    """Write metrics of one invocation to its log, in the embedded metric format.

    Args:
        namespace: The metrics' namespace.
        dimensions: Names and values that identify the metrics, such as entity and connection.
        **counts: Metric names and values.
    """
    metrics = Metrics(namespace=namespace)
    for name, value in dimensions.items():
        metrics.add_dimension(name, value)
    for name, number in counts.items():
        metrics.add_metric(name, MetricUnit.Count, number)
    metrics.flush_metrics()
