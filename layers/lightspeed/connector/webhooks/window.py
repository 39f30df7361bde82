"""How often webhooks start runs of a subscription, and the most that this costs."""

from __future__ import annotations

import math

import msgspec

from connector.costs.prices import cents
from connector.settings import Settings

LAG_SECONDS = 10.0
"""A run covers webhooks up to this long before its start: the settling lag, and the difference of the clocks."""

MARGIN_SECONDS = 3.0
"""A run starts this long before the end of the window, because a tick may be late."""

DAY_SECONDS = 86_400


class Policy(msgspec.Struct, frozen=True):
    """The rules for the starts of runs.

    Attributes:
        window_seconds: The longest wait of a webhook; at least 20.
        busy_window_seconds: The longest wait on a busy day.
        busy_after_runs: The number of runs that makes a day busy, UTC.
    """

    window_seconds: float = 60.0
    busy_window_seconds: float = 300.0
    busy_after_runs: int = 30

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """Return the policy of a stack's settings."""
        return cls(
            settings.webhook_window_seconds, settings.webhook_busy_window_seconds, settings.webhook_busy_after_runs
        )

    def window(self, runs: int) -> float:
        """Return the longest wait of a webhook in seconds, after this number of runs on the same day."""
        return self.window_seconds if runs < self.busy_after_runs else self.busy_window_seconds

    def most_runs_a_day(self) -> int:
        """Return the most runs of a subscription in a day: webhooks arrive all day."""
        apart = self.window_seconds - MARGIN_SECONDS - LAG_SECONDS
        quick = min(self.busy_after_runs, math.ceil(DAY_SECONDS / apart))
        left = max(0.0, DAY_SECONDS - quick * apart)
        return quick + math.ceil(left / (self.busy_window_seconds - MARGIN_SECONDS - LAG_SECONDS))


def dollars_a_month(runs_a_day: float) -> float:
    """Return the cost of small runs in 30 days: Step Functions, Lambda and S3, at list prices."""
    return runs_a_day * 30 * cents(billed_seconds=2.0, invocations=1, puts=6) / 100
