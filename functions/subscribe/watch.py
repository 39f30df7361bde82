"""Entry of the watcher: measures every quarter of an hour whether the stack needs a person.

Alarms use its metrics, so they get values even if no subscription runs. The watcher always writes `LagOfAllowed`. It
writes the other metrics only in trouble, because AWS bills a metric for each hour in which it has values.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connector.aws.bucket import Bucket
from connector.clients import AwsClients
from connector.costs.spending import DAYS_A_MONTH, services
from connector.observability import emit_metrics, logger, with_log_context
from connector.runs.log import RunLog
from connector.settings import Settings
from connector.status.failure_queues import urls_of
from connector.status.reader import last_days, paused_schedules, read_status
from lightspeed import Clock, SystemClock

_NEEDS = ("BUCKET", "STACK_NAME")
_DEPTHS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


@with_log_context
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda calls with both
    """Measure and write metrics.

    Returns:
        The metrics that it wrote.

    Raises:
        SettingsError: The environment is wrong.
    """
    settings = Settings.from_env(needs=_NEEDS)
    metrics = measure(settings, AwsClients(), SystemClock())
    emit_metrics(settings.metrics_namespace, {"stack": settings.stack_name}, {}, **metrics)
    return metrics


def measure(settings: Settings, aws: AwsClients, clock: Clock) -> dict[str, float]:
    """Return `LagOfAllowed`, and each other measure that is not 0.

    - `LagOfAllowed`: the largest lag of a subscription divided by its allowed lag.
    - `Incomplete`: number of subscriptions with a last run that is not verified, or that rejects many records.
    - `Silent`: number of subscriptions with runs that succeed but no longer store records.
    - `Slow`: number of subscriptions with runs that take longer than their interval.
    - `Failures`: number of messages in the failure queues.
    - `WebhookTrouble`: number of subscriptions that miss webhooks, and of shops with webhooks switched off.
    - `Cost`: dollars a month, if they are more than the budget.
    """
    log = RunLog(Bucket(aws.client("s3"), settings.bucket), clock, sparing=True)
    status = read_status(log, settings, paused=paused_schedules(aws.client("scheduler"), settings.schedule_group))
    metrics = {
        **_of_subscriptions(status["subscriptions"]),
        "Failures": sum(_depth(aws.client("sqs"), url) for url in urls_of(settings).values()),
        "WebhookTrouble": _webhook_trouble(status),
        "Cost": _cost_above_budget(log, settings),
    }
    return {name: value for name, value in metrics.items() if value or name == "LagOfAllowed"}


def _of_subscriptions(subscriptions: list[dict[str, Any]]) -> dict[str, float]:
    """Measure subscriptions, and log each one with problems."""
    active = [row for row in subscriptions if not row["paused"]]
    shares = [
        row["lag_seconds"] / row["allowed_lag_seconds"]
        for row in active
        if row["allowed_lag_seconds"] and row["lag_seconds"] is not None
    ]
    for row in active:
        if row["problems"]:
            facts = {"subscription": f"{row['connection']}.{row['name']}", "problems": row["problems"]}
            facts |= {"why": row["why"], "command": row["command"]}
            logger().warning("a subscription needs a look", extra=facts)
    return {
        "LagOfAllowed": round(max(shares, default=0.0), 6),
        "Incomplete": _count(active, "unverified", "rejecting"),
        "Silent": _count(active, "silent"),
        "Slow": _count(active, "slow"),
    }


def _count(subscriptions: list[dict[str, Any]], *problems: str) -> int:
    return sum(bool({*problems} & {*row["problems"]}) for row in subscriptions)


def _depth(sqs: Any, url: str) -> int:
    """Return how many messages a queue holds, with those that `redrive` has received and not deleted yet."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_DEPTHS))["Attributes"]
    depth = sum(int(attributes[name]) for name in _DEPTHS)
    if depth:
        logger().warning("a failure queue has messages", extra={"queue": url.rpartition("/")[2], "messages": depth})
    return depth


def _webhook_trouble(status: Mapping[str, Any]) -> int:
    missed = [row for row in status["arrivals"] if row["alarm"]]
    off = [row for row in status["shops"] if row["webhooks_off"]]
    for row in (*missed, *off):
        logger().warning("webhooks are missed or switched off", extra={"connection": row["connection"]})
    return len(missed) + len(off)


def _cost_above_budget(log: RunLog, settings: Settings) -> float:
    """Return the dollars of a month like the last week; 0 if they are within the budget, or there is no budget."""
    if not settings.monthly_budget:
        return 0.0
    days = last_days(datetime.fromtimestamp(log.clock.time(), UTC).date())[-8:-1]
    runs = log.runs(days)
    dollars = services(runs, len(days), subscription_metrics=settings.subscription_metrics)
    month = sum(dollars.values()) / len(days) * DAYS_A_MONTH
    if month <= settings.monthly_budget:
        return 0.0
    logger().warning("a month costs more than the budget", extra={"dollars": month, "budget": settings.monthly_budget})
    return round(month, 2)
