"""The limits of one invocation: the shop's quota above its reserve, and the remaining time."""

from __future__ import annotations

from collections.abc import Callable

from lightspeed import Transport
from lightspeed.listing.budget import UNBOUNDED
from lightspeed.listing.reader import THREADS

PATIENCE_SECONDS = 5
"""The longest wait of an invocation for the quota. The state machine makes longer waits."""

_ENDING_SECONDS = 5
_PAGE_AND_COUNT = 2


class Suspend(Exception):
    """The invocation ends, and the run continues later.

    Attributes:
        resume_after_seconds: How long the run must wait for the shop's quota; 0 if it need not.
    """

    def __init__(self, resume_after_seconds: float) -> None:
        self.resume_after_seconds = resume_after_seconds
        super().__init__(resume_after_seconds)


class InvocationBudget:
    """The request budget of every list that an invocation reads.

    Args:
        transport: The shop's transport. Its last answer shows the quota.
        remaining_seconds: Returns the time until this invocation must be over.
        reserve_percent: Share of each quota window that stays free for others.
    """

    def __init__(self, transport: Transport, remaining_seconds: Callable[[], float], reserve_percent: float) -> None:
        self._transport = transport
        self._remaining_seconds = remaining_seconds
        self._reserve_percent = reserve_percent
        self._slowest_seconds = 0.0

    def record_latency(self, seconds: float) -> None:
        """Record a page's latency. The slowest page decides how many more fit into the remaining time."""
        self._slowest_seconds = max(self._slowest_seconds, seconds)

    def left(self) -> int:
        """Return how many requests the quota of the shop's last answer and the remaining time allow; at least 0."""
        quota = self._transport.quota
        by_quota = UNBOUNDED if quota is None else quota.room(self._reserve_percent)
        return min(by_quota, self._left_by_time())

    def wait_for_room(self) -> int:
        """Return how many requests may be sent now. Waits up to `PATIENCE_SECONDS` for the quota.

        Raises:
            Suspend: A page and a count have to wait longer, or the time is too short for another page.
        """
        quota = self._transport.quota
        wait = 0 if quota is None else quota.wait_seconds(self._reserve_percent, _PAGE_AND_COUNT)
        if wait > PATIENCE_SECONDS:
            raise Suspend(wait)
        if wait:
            self._transport.clock.sleep(wait)
        if self._left_by_time() == 0:
            raise Suspend(0)
        return _PAGE_AND_COUNT if wait else self.left()

    def _left_by_time(self) -> int:
        """Return how many requests the time allows: at least two, a page and its count; or 0."""
        left = self._remaining_seconds() - _ENDING_SECONDS
        if left < 2 * self._slowest_seconds or left <= 0:
            return 0
        if not self._slowest_seconds:
            return UNBOUNDED
        return max(_PAGE_AND_COUNT, int((left / self._slowest_seconds - 1) * THREADS))
