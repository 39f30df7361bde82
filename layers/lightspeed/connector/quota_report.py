"""Write a metric when a shop's quota is short, so that an alarm goes off."""

from __future__ import annotations

from connector.clients import ShopClients
from connector.observability import emit_metrics
from connector.settings import Settings

MANY_REFUSALS = 3
"""Answers with 429 in one invocation that mean that others use up the quota. Fewer happen, and are waited out."""

_WINDOW = "day"
"""The windows of minutes and of an hour fill up in every long run, and are free again soon."""


def report_quota(shops: ShopClients, settings: Settings) -> None:
    """Write `QuotaShort` for each shop whose daily quota is used up to its reserve, or that answered 429 often."""
    for connection, transport in shops.transports.items():
        windows = transport.quota.windows if transport.quota else ()
        day = next((window for window in windows if window.name == _WINDOW), None)
        is_used_up = day is not None and day.remaining - day.limit * settings.quota_reserve_percent / 100 < 1
        if is_used_up or transport.rate_limited >= MANY_REFUSALS:
            left = {window.name: window.remaining for window in windows}
            facts = {"connection": connection, "rate_limited": transport.rate_limited, "left": left}
            emit_metrics(settings.metrics_namespace, {"stack": settings.stack_name}, facts, QuotaShort=1)
    shops.transports.clear()
