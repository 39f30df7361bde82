"""Reads and checks the environment of the functions."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from connector.errors import SettingsError

GZIP_LEVEL = 4
"""The default of `GZIP_LEVEL`. The shop's rate limits leave the time for it."""

MAX_RESPONSE_MB = 64
"""The default of `MAX_RESPONSE_MB`. A page of 250 orders has about 1 MB."""

_NAMES = {"metrics_namespace": "POWERTOOLS_METRICS_NAMESPACE"}
"""Variables whose name differs from their setting's."""

_BOUNDS = {
    "QUOTA_RESERVE_PERCENT": (0, 90),
    "WEBHOOK_WINDOW_SECONDS": (20, 900),
    "WEBHOOK_BUSY_WINDOW_SECONDS": (20, 900),
    "WEBHOOK_BUSY_AFTER_RUNS": (1, 10_000),
    "MONTHLY_BUDGET": (0, 1_000_000),
    "GZIP_LEVEL": (1, 9),
    "MAX_RESPONSE_MB": (8, 1024),
}
"""The smallest and the largest value of each variable that is a number."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A function's settings, each with its variable. A variable that a function does not need may be empty.

    Attributes:
        bucket: `BUCKET`, the bucket of records and bookmarks.
        secret_prefix: `SECRET_PREFIX`, the start of the names of secrets; the connection's name follows.
        sync_state_machine_arn: `SYNC_STATE_MACHINE_ARN`, the state machine that continues runs.
        publish_queue_url: `PUBLISH_QUEUE_URL`, the queue of `Prefer: respond-async`.
        idempotency_table: `IDEMPOTENCY_TABLE`, the DynamoDB table of idempotency keys, leases and shares.
        metrics_namespace: `POWERTOOLS_METRICS_NAMESPACE`.
        quota_reserve_percent: `QUOTA_RESERVE_PERCENT`, the share of every quota window that stays free; 0 to 90.
        publish_failure_queue_url: `PUBLISH_FAILURE_QUEUE_URL`, the queue of messages that publish gave up.
        webhook_queue_url: `WEBHOOK_QUEUE_URL`, the queue of webhooks that wait for their run; empty only stores them.
        stack_name: `STACK_NAME`, a part of the addresses of the stack's own webhooks.
        webhook_window_seconds: `WEBHOOK_WINDOW_SECONDS`, the longest wait of a webhook for its run; 20 to 900.
        webhook_busy_window_seconds: `WEBHOOK_BUSY_WINDOW_SECONDS`, the longest wait on a busy day; 20 to 900.
        webhook_busy_after_runs: `WEBHOOK_BUSY_AFTER_RUNS`, so many runs of a subscription make a day (UTC) busy.
        api_token_secret: `API_TOKEN_SECRET`, name or ARN of the secret with the HTTP API's tokens.
        run_failure_queue_url: `RUN_FAILURE_QUEUE_URL`, the queue of failed runs.
        webhook_failure_queue_url: `WEBHOOK_FAILURE_QUEUE_URL`, the queue of webhooks that could not start a run.
        subscription_metrics: `SUBSCRIPTION_METRICS`, whether each subscription has its own metrics.
        monthly_budget: `MONTHLY_BUDGET`, dollars a month beyond which `CostAlarm` goes off; 0 for none.
        gzip_level: `GZIP_LEVEL`, the compression of parts, 1 (fastest) to 9 (smallest).
        max_response_mb: `MAX_RESPONSE_MB`, the largest answer of the shop in megabytes, before and after
            decompression; 8 to 1024.
        schedule_group: `SCHEDULE_GROUP`, the group of the schedules that `apply` makes.
        results_bus: `RESULTS_BUS`, name or ARN of the EventBridge bus that gets the results of publish events.
    """

    bucket: str = ""
    secret_prefix: str = "lightspeed/"  # noqa: S105 - no secret
    sync_state_machine_arn: str = ""
    publish_queue_url: str = ""
    idempotency_table: str = ""
    metrics_namespace: str = "LightspeedConnector"
    quota_reserve_percent: float = 10.0
    publish_failure_queue_url: str = ""
    results_bus: str = ""
    webhook_queue_url: str = ""
    stack_name: str = ""
    webhook_window_seconds: float = 60.0
    webhook_busy_window_seconds: float = 300.0
    webhook_busy_after_runs: int = 30
    api_token_secret: str = ""
    run_failure_queue_url: str = ""
    webhook_failure_queue_url: str = ""
    subscription_metrics: bool = False
    monthly_budget: float = 0.0
    schedule_group: str = ""
    gzip_level: int = GZIP_LEVEL
    max_response_mb: int = MAX_RESPONSE_MB

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, needs: tuple[str, ...] = ()) -> Settings:
        """Read the environment.

        Args:
            environ: Replaces the environment of the process.
            needs: Variables that may not be empty.

        Raises:
            SettingsError: Variables are missing or wrong. The error names each.
        """
        environ = os.environ if environ is None else environ
        errors = [f"{name} is not set" for name in needs if not environ.get(name)]
        given: dict[str, Any] = {}
        for each in fields(cls):
            name = _NAMES.get(each.name, each.name.upper())
            text = environ.get(name)
            if text is None or (not text and name != "SECRET_PREFIX"):  # an empty prefix is a value
                continue
            if name not in _BOUNDS:
                given[each.name] = text == "true" if isinstance(each.default, bool) else text
            elif error := _wrong_number(text, name):
                errors.append(error)
            else:
                given[each.name] = int(float(text)) if isinstance(each.default, int) else float(text)
        if errors:
            raise SettingsError(errors)
        return cls(**given)


def _wrong_number(text: str, name: str) -> str:
    """Return the mistake in a variable's number, or an empty text."""
    least, most = _BOUNDS[name]
    with contextlib.suppress(ValueError):
        if least <= float(text) <= most:
            return ""
    return f"{name} must be a number from {least} to {most}, not {text!r:.100}"
