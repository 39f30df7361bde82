"""How often webhooks start runs of a subscription, and what that costs at most."""

from __future__ import annotations

import math

import msgspec

from connector.costs.prices import cents
from connector.settings import Settings

LAG_SECONDS = 10.0
"""A run covers what came this long before its start: the settling lag of its window, and the clocks' difference."""

MARGIN_SECONDS = 3.0
"""How much earlier than the end of the window a run starts, since a tick may be late."""

DAY_SECONDS = 86_400


class Policy(msgspec.Struct, frozen=True):
    """How often runs start.

    Attributes:
        window_seconds: The longest wait of a webhook; at least 20.
        busy_window_seconds: The same from the run on that makes a day busy.
        busy_after_runs: That run's number in a day of UTC.
    """

    window_seconds: float = 60.0
    busy_window_seconds: float = 300.0
    busy_after_runs: int = 30

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """Return the policy that a stack's settings say."""
        return cls(
            settings.webhook_window_seconds, settings.webhook_busy_window_seconds, settings.webhook_busy_after_runs
        )

    def window(self, runs: int) -> float:
        """Return the window once so many runs started today, in seconds."""
        return self.window_seconds if runs < self.busy_after_runs else self.busy_window_seconds

    def most_runs_a_day(self) -> int:
        """Return how many runs of a subscription start on a day on which webhooks never stop."""
        apart = self.window_seconds - MARGIN_SECONDS - LAG_SECONDS
        quick = min(self.busy_after_runs, math.ceil(DAY_SECONDS / apart))
        left = max(0.0, DAY_SECONDS - quick * apart)
        return quick + math.ceil(left / (self.busy_window_seconds - MARGIN_SECONDS - LAG_SECONDS))


def dollars_a_month(runs_a_day: float) -> float:
    """Return what so many small runs a day cost in 30 days: Step Functions, Lambda and S3, at list prices."""
    return runs_a_day * 30 * cents(billed_seconds=2.0, invocations=1, puts=6) / 100
