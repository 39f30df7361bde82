"""List prices of AWS in US dollars: Europe (Ireland), eu-west-1, without any free tier.

The source is AWS's public price pages of November 2026, the first paid tier of each service. SQS is the exception: its
price list starts with a million requests a month at no charge, for every account.
"""

from __future__ import annotations

PRICES = "AWS list prices in US dollars, eu-west-1, November 2026, no free tier"

MEMORY_MB = 512
"""Memory of the subscribe function: the template's default."""

WATCH_MEMORY_MB = 512
"""Memory of the watcher, from the template."""

INVOCATION_SECONDS = 900
"""The longest time of one invocation, from the template."""

LAMBDA_ARM64_GB_SECOND = 0.0000133334
LAMBDA_REQUEST = 0.0000002
STEP_FUNCTIONS_TRANSITION = 0.000025
SCHEDULER_INVOCATION = 0.000001
S3_PUT = 0.000005
S3_GET = 0.0000004
SQS_REQUEST = 0.0000004
SQS_UNCHARGED_REQUESTS = 1_000_000
DYNAMODB_WRITE = 0.000000705
CLOUDWATCH_METRIC = 0.30
CLOUDWATCH_ALARM = 0.10
CLOUDWATCH_DASHBOARD = 3.00
CLOUDWATCH_LOG_GB = 0.57
SECRET = 0.40
KMS_KEY = 1.00
SECRET_CALL = 0.000005

TRANSITIONS_A_RUN = 5
"""State transitions of a run in one invocation: start, `SetRunId`, `Fetch`, `Decide` and `Complete`."""

METRICS = 1
"""Custom metrics of a stack that always have values. AWS bills the others only for hours with values."""

METRICS_A_SUBSCRIPTION = 2
"""Custom metrics of a subscription, if the parameter `SubscriptionMetrics` is set."""

ALARMS = 10
"""Alarms of a stack."""

QUEUE_POLLS_A_DAY = 2 * 5 * 3 * 60 * 24
"""Requests to the two queues that Lambda polls: five pollers a queue, and each request waits 20 seconds."""


def cents(*, billed_seconds: float, invocations: int, puts: int) -> float:
    """Return the cost of a run of the state machine in US cents.

    The transitions of a run are its start, `SetRunId` and `Complete`, `Fetch` and `Decide` for each invocation, and
    `Pause` between two invocations.

    Args:
        billed_seconds: Billed time of all invocations together.
        invocations: Invocations of the function, at least 1.
        puts: Objects written to S3.
    """
    transitions = 3 + 2 * invocations + (invocations - 1)
    dollars = (
        billed_seconds * MEMORY_MB / 1024 * LAMBDA_ARM64_GB_SECOND
        + invocations * LAMBDA_REQUEST
        + transitions * STEP_FUNCTIONS_TRANSITION
        + puts * S3_PUT
    )
    return dollars * 100
