"""The cost of a stack at AWS, from its runs and the list prices.

Manifests give the number of runs, their records and their duration. The costs of alarms and the like depend on the
number of days only.
"""

from __future__ import annotations

from collections.abc import Sequence

from connector.costs import prices
from connector.runs.log import CLOSE_LOOK_HOURS, RunRow

DAYS_A_MONTH = 30

_BILLED_BESIDES_SECONDS = 1.0
_PUTS_A_RUN = 5
_GETS_A_RUN = 5
_TABLE_WRITES_A_RUN = 6
_LOG_BYTES_A_RUN = 2_000
_WATCHES_A_DAY = 96
_WATCH_SECONDS = 1.5
_WATCH_GETS = 25
_WATCHES_PER_CLOSE_LOOK = 4 * CLOSE_LOOK_HOURS


def services(
    runs: Sequence[RunRow],
    days: int,
    *,
    dashboard: bool = False,
    subscription_metrics: bool = False,
    own_key: bool = False,
) -> dict[str, float]:
    """Return dollars by service.

    Args:
        runs: The finished runs of some days.
        days: The number of these days.
        dashboard: Whether the stack has a dashboard.
        subscription_metrics: Whether each subscription has metrics of its own.
        own_key: Whether the stack uses a customer-managed KMS key.
    """
    share, count, watches = days / DAYS_A_MONTH, len(runs), _WATCHES_A_DAY * days
    folders = len({(run.connection, run.entity) for run in runs})
    connections = len({run.connection for run in runs})
    lists = watches * _lists_a_watch(connections, folders)
    seconds = sum(map(billed_seconds, runs)) * prices.MEMORY_MB + watches * _WATCH_SECONDS * prices.WATCH_MEMORY_MB
    polls = max(0, prices.QUEUE_POLLS_A_DAY * days - prices.SQS_UNCHARGED_REQUESTS * share)
    measured = len({(run.connection, run.subscription) for run in runs}) if subscription_metrics else 0
    metrics = prices.METRICS + prices.METRICS_A_SUBSCRIPTION * measured
    found = {
        "Step Functions": count * prices.TRANSITIONS_A_RUN * prices.STEP_FUNCTIONS_TRANSITION,
        "EventBridge Scheduler": (count + watches) * prices.SCHEDULER_INVOCATION,
        "Lambda": seconds / 1024 * prices.LAMBDA_ARM64_GB_SECOND + (count + watches) * prices.LAMBDA_REQUEST,
        "S3 writes and lists": (sum(map(puts, runs)) + lists) * prices.S3_PUT,
        "S3 reads": (count * _GETS_A_RUN + watches * _WATCH_GETS) * prices.S3_GET,
        "DynamoDB": count * _TABLE_WRITES_A_RUN * prices.DYNAMODB_WRITE,
        "SQS": polls * prices.SQS_REQUEST,
        "CloudWatch metrics": metrics * prices.CLOUDWATCH_METRIC * share,
        "CloudWatch alarms": prices.ALARMS * prices.CLOUDWATCH_ALARM * share,
        "CloudWatch dashboard": dashboard * prices.CLOUDWATCH_DASHBOARD * share,
        "CloudWatch logs": (count + watches) * _LOG_BYTES_A_RUN / 1e9 * prices.CLOUDWATCH_LOG_GB,
        "Secrets Manager": (connections + 1) * prices.SECRET * share + count * prices.SECRET_CALL,
    }
    if own_key:
        found["KMS"] = prices.KMS_KEY * share
    return {name: round(dollars, 4) for name, dollars in found.items()}


def run_dollars(run: RunRow) -> float:
    """Return the cost of one run in dollars."""
    return prices.cents(billed_seconds=billed_seconds(run), invocations=1, puts=puts(run)) / 100


def billed_seconds(run: RunRow) -> float:
    """Return the billed time of a run. AWS does not bill the waits for the quota, so one invocation is the most."""
    return min(max(run.seconds, 0.0), float(prices.INVOCATION_SECONDS)) + _BILLED_BESIDES_SECONDS


def puts(run: RunRow) -> int:
    """Return how many objects a run writes. Most runs write one part."""
    return _PUTS_A_RUN + (1 if run.records else 0) + (1 if run.rejected else 0)


def _lists_a_watch(connections: int, folders: int) -> float:
    """Return the average number of lists of one watch: it lists known folders, and at a close look all levels."""
    close = 1 + connections + 2 * folders
    return (close + (_WATCHES_PER_CLOSE_LOOK - 1) * folders) / _WATCHES_PER_CLOSE_LOOK
