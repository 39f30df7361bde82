"""The pacing of requests under the shop's limit per second."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Protocol

from lightspeed.clock import Clock

REQUESTS_PER_SECOND = 20
"""The shop's limit per key, besides the quota (vendor's community announcement of November 2021)."""

PACING_WINDOW_SECONDS = 1.02
"""The limiter's second, a little longer, because requests travel at different speeds."""

SHARE_CHECK_SECONDS = 0.1
"""A request that waits asks for the share of its process again after this time."""

_SHORTEST_PAUSE_SECONDS = 0.001
_SPREAD = 0.7


class RateShare(Protocol):
    """The part of the shop's requests per second that this process may use."""

    def requests_per_second(self, busy: int) -> int:
        """Return how many requests this process may send in any second from now on, 0 to `REQUESTS_PER_SECOND`.

        The limiter asks before every request, and at least every `SHARE_CHECK_SECONDS` while a request waits.

        Args:
            busy: How many requests this process sent in the last second.
        """
        ...


class RateLimiter:
    """Lets at most `REQUESTS_PER_SECOND` requests through in any second. Safe to share between threads.

    Args:
        share: The part of the limit for this process, if other processes send to the same shop too.
    """

    def __init__(self, clock: Clock, share: RateShare | None = None) -> None:
        self._clock = clock
        self._share = share
        self._longest_pause = math.inf if share is None else SHARE_CHECK_SECONDS
        self._sent: deque[float] = deque()
        self._last = -math.inf
        self._in_a_row = 0
        self._lock = threading.Lock()

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait until the next request may be sent, and count it as sent.

        Args:
            seconds: The longest wait. A request that needs no wait goes through even if this is negative.

        Returns:
            Whether the request may be sent. If not, it is not counted.
        """
        end = self._clock.monotonic() + seconds
        with self._lock:
            due = self._due()
            while due > (now := self._clock.monotonic()):
                if now >= end or (self._share is None and due > end):
                    return False
                self._clock.sleep(max(_SHORTEST_PAUSE_SECONDS, min(due - now, end - now, self._longest_pause)))
                due = self._due()
            moment = max(due, now)
            if moment > self._last + 2 * PACING_WINDOW_SECONDS:
                self._in_a_row = 0
            self._in_a_row += 1
            self._last = moment
            self._sent.append(moment)
            return True

    def _due(self) -> float:
        """Return when the next request may be sent, as far as it is known now; `inf` if the share is 0."""
        if self._share is None:
            most, earliest = REQUESTS_PER_SECOND, -math.inf
        else:
            most = min(REQUESTS_PER_SECOND, self._share.requests_per_second(self._busy()))
            if most == 0:
                return math.inf
            # spread the requests: after a burst, a worker cannot return a part of its share for a second
            spread = self._last + _SPREAD * PACING_WINDOW_SECONDS / most
            earliest = spread if self._in_a_row >= most else -math.inf
        due = self._clock.monotonic() if self._busy() < most else self._sent[-most] + PACING_WINDOW_SECONDS
        return max(due, earliest)

    def _busy(self) -> int:
        """Return how many requests were sent within the last second."""
        start = self._clock.monotonic() - PACING_WINDOW_SECONDS
        while self._sent and self._sent[0] <= start:
            self._sent.popleft()
        return len(self._sent)
