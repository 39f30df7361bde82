"""The limits of one invocation: the shop's quota above its reserve, and the time that is left."""

from __future__ import annotations

from collections.abc import Callable

from lightspeed import Transport
from lightspeed.listing.budget import UNBOUNDED
from lightspeed.listing.reader import THREADS

PATIENCE_SECONDS = 5
"""The longest that an invocation waits for the quota; longer waits belong to the state machine."""

_ENDING_SECONDS = 5
_PAGE_AND_COUNT = 2


class Suspend(Exception):
    """The invocation ends here. The run continues later.

    Attributes:
        resume_after_seconds: How long the shop's quota asks to wait, or 0.
    """

    def __init__(self, resume_after_seconds: float) -> None:
        self.resume_after_seconds = resume_after_seconds
        super().__init__(resume_after_seconds)


class InvocationBudget:
    """The request budget of every list that an invocation reads."""

    def __init__(self, transport: Transport, remaining_seconds: Callable[[], float], reserve_percent: float) -> None:
        """Prepare; nothing is sent yet.

        Args:
            transport: The shop's transport. Its last answer shows the quota.
            remaining_seconds: Returns the time until this invocation must be over.
            reserve_percent: Share of each quota window that stays free for others.
        """
        self._transport = transport
        self._remaining_seconds = remaining_seconds
        self._reserve_percent = reserve_percent
        self._slowest_seconds = 0.0

    def record_latency(self, seconds: float) -> None:
        """Record a page's latency. The slowest page decides how many more fit into the remaining time."""
        self._slowest_seconds = max(self._slowest_seconds, seconds)

    def left(self) -> int:
        """Return how many requests the shop's last answer and the remaining time allow; 0 if none."""
        quota = self._transport.quota
        by_quota = UNBOUNDED if quota is None else quota.room(self._reserve_percent)
        return min(by_quota, self._left_by_time())

    def room(self) -> int:
        """Return how many requests may be sent now. It waits a few seconds for the quota if that is enough.

        Raises:
            Suspend: There is no room for a page and a count, or no time for another page.
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
        """Return how many requests the time allows: at least a page and its count, or 0."""
        left = self._remaining_seconds() - _ENDING_SECONDS
        if left < 2 * self._slowest_seconds or left <= 0:
            return 0
        if not self._slowest_seconds:
            return UNBOUNDED
        return max(_PAGE_AND_COUNT, int((left / self._slowest_seconds - 1) * THREADS))
