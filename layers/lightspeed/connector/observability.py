"""Logging and metrics, made on first use so that importing a module reads no environment."""

from __future__ import annotations

import functools

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit


@functools.cache
def logger() -> Logger:
    """Return the JSON logger of the function; level and service come from the environment."""
    return Logger()


def emit_metrics(namespace: str, dimensions: dict[str, str], **counts: int) -> None:
    """Write metrics of one invocation to its log, in the embedded metric format.

    Args:
        namespace: Of the metrics.
        dimensions: What they are told apart by, such as entity and connection.
        **counts: Metric names and values.
    """
    metrics = Metrics(namespace=namespace)
    for name, value in dimensions.items():
        metrics.add_dimension(name, value)
    for name, number in counts.items():
        metrics.add_metric(name, MetricUnit.Count, number)
    metrics.flush_metrics()
