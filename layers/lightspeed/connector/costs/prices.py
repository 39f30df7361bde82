"""What AWS charges: list prices of Europe (Ireland), eu-west-1, in US dollars, without any free tier.

Taken from AWS's public price pages in November 2026; the first paid tier of each. SQS is the exception: its list
starts with a million requests a month at no charge, which every account has.
"""

from __future__ import annotations

PRICES = "AWS list prices, eu-west-1, November 2026, US cents, no free tier"

MEMORY_MB = 512
"""Memory of the subscribe function, as the template sets it by default."""

WATCH_MEMORY_MB = 512
"""Memory of the watcher, as the template sets it."""

INVOCATION_SECONDS = 900
"""The longest that one invocation lasts, as the template sets it."""

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
"""Of a run in one invocation: its start, `SetRunId`, `Fetch`, `Decide` and `Complete`."""

METRICS = 1
"""Custom metrics of a stack that always have values. The others are written in trouble only, and billed by the hour."""

METRICS_A_SUBSCRIPTION = 2
"""Custom metrics of a subscription, if the stack's parameter asks for them."""

ALARMS = 10
"""Alarms of a stack."""

QUEUE_POLLS_A_DAY = 2 * 5 * 3 * 60 * 24
"""Requests to the two queues that Lambda reads: five at once, each waiting 20 seconds."""


def cents(*, billed_seconds: float, invocations: int, puts: int) -> float:
    """Return what a run of the state machine costs.

    A run is its start, `SetRunId` and `Complete`; `Fetch` and `Decide` for each invocation, and `Pause` between two.

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
