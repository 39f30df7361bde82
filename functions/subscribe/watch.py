"""Entry of the watcher: measures every quarter of an hour how far behind the stack is."""

from __future__ import annotations

from typing import Any

from connector.clients import AwsClients
from connector.observability import emit_metrics, logged, logger
from connector.settings import Settings
from connector.status import StatusReader
from lightspeed import SystemClock


@logged
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda calls with both
    """Measure how late subscriptions are, and count those that need a look.

    Returns:
        The measures: `LagOfAllowed` is the largest lag divided by what is allowed, 0 without subscriptions.

    Raises:
        SettingsError: The environment is wrong.
    """
    settings = Settings.from_env(needs=("BUCKET", "STACK_NAME"))
    reader = StatusReader(
        AwsClients().client("s3"), settings.bucket, SystemClock(), stack=settings.stack_name, most_rejected_percent=10
    )
    found = measures(reader.read())
    emit_metrics(settings.metrics_namespace, settings.stack_name, {}, **found)
    return found


def measures(status: dict[str, Any]) -> dict[str, float]:
    """Return the metrics that a status means; a late subscription is logged with its name."""
    active = [one for one in status["subscriptions"] if not one["paused"]]
    worst = 0.0
    for one in active:
        allowed = one["allowed_lag_seconds"]
        if allowed and one["lag_seconds"] is not None:
            share = one["lag_seconds"] / allowed
            worst = max(worst, share)
        if one["level"] in ("red", "warning"):
            facts = {"subscription": f"{one['connection']}.{one['name']}", "why": one["why"], "command": one["command"]}
            logger().warning("a subscription needs a look", extra=facts)
    return {
        "LagOfAllowed": round(worst, 6),
        "NotVerified": sum(bool(one["last_run"] and not one["last_run"]["verified"]) for one in active),
        "Rejecting": sum("were rejected" in one["why"] for one in active),
        "Silent": sum(one["why"].startswith("no record for") for one in active),
    }
