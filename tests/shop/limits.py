"""The quota: three windows aligned to the clock and a rate per second, and the headers that report them.

Every answer carries `X-RateLimit-Limit`, `-Remaining` and `-Reset`, each three numbers: five minutes, hour, day (seen
live as `300/3000/12000`); `Reset` is the seconds left, rounded up or down (see `Habits`). An exhausted window shows -1
in the answer that refuses.
"""

import math
import threading
from datetime import UTC, datetime
from typing import Any

from .clock import Clock, http_date
from .habits import Habits

WINDOW_SECONDS = (300, 3600, 86_400)
_NAMES = ("limit5Min", "limitHour", "limitDay")
_UNLIMITED = (1_000_000, 10_000_000, 100_000_000)


class Limits:
    """Counts requests against the quota.

    Attributes:
        quota: requests allowed in five minutes, an hour and a day; None switches the windows off (the headers then show
            large numbers that never go down). May be changed while the shop runs.
        rate_per_second: requests allowed within one second of the clock; None switches it off.
    """

    def __init__(
        self, quota: tuple[int, int, int] | None, rate_per_second: int | None, clock: Clock, habits: Habits
    ) -> None:
        self.quota = quota
        self.rate_per_second = rate_per_second
        self._clock = clock
        self._habits = habits
        self._used = [0, 0, 0]
        self._window = [-1, -1, -1]
        self._second = (-1, 0)
        self._lock = threading.Lock()

    def use(self, requests: int) -> None:
        """Count requests of another client with the same key."""
        with self._lock:
            self._roll(self._clock.now())
            self._used = [used + requests for used in self._used]

    @property
    def remaining(self) -> tuple[int, ...]:
        """Requests left in the three windows, as the headers show them."""
        with self._lock:
            self._roll(self._clock.now())
            return self._left()

    def admit(self) -> tuple[bool, dict[str, str]]:
        """Count one request if there is room for it.

        Returns:
            Whether it is admitted, and the headers for its answer. A refused request counts against nothing.
        """
        now = self._clock.now()
        with self._lock:
            self._roll(now)
            if self.quota is not None and any(left <= 0 for left in self._left()):
                return False, self._headers(now, spent=True) | self._retry_after(now)
            if self.rate_per_second is not None:
                second, seen = self._second
                seen = seen + 1 if second == int(now) else 1
                if seen > self.rate_per_second:
                    return False, self._headers(now) | self._retry_after(now)
                self._second = (int(now), seen)
            self._used = [used + 1 for used in self._used]
            return True, self._headers(now)

    def headers(self) -> dict[str, str]:
        """Return the headers without counting anything, as an answer of 401 has them."""
        now = self._clock.now()
        with self._lock:
            self._roll(now)
            return self._headers(now)

    def as_record(self) -> dict[str, Any]:
        """Return the content of `account/ratelimit`; the request that asks is counted like any other."""
        now = self._clock.now()
        with self._lock:
            self._roll(now)
            limits, left = self.quota or _UNLIMITED, self._left()
            return {
                name: {
                    "limit": limits[i],
                    "remaining": left[i],
                    "reset": self._reset(now, i),
                    "resetTime": datetime.fromtimestamp(int(now) + self._reset(now, i), UTC).isoformat(),
                }
                for i, name in enumerate(_NAMES)
            }

    def _roll(self, now: float) -> None:
        for i, seconds in enumerate(WINDOW_SECONDS):
            window = int(now) // seconds
            if window != self._window[i]:
                self._window[i], self._used[i] = window, 0

    def _left(self) -> tuple[int, ...]:
        if self.quota is None:
            return _UNLIMITED
        return tuple(max(0, limit - used) for limit, used in zip(self.quota, self._used, strict=True))

    def _headers(self, now: float, *, spent: bool = False) -> dict[str, str]:
        left = self._left()
        if spent and self._habits.minus_one_when_spent:
            left = tuple(-1 if value <= 0 else value for value in left)
        return {
            "X-RateLimit-Limit": "/".join(map(str, self.quota or _UNLIMITED)),
            "X-RateLimit-Remaining": "/".join(map(str, left)),
            "X-RateLimit-Reset": "/".join(str(self._reset(now, i)) for i in range(3)),
        }

    def _retry_after(self, now: float) -> dict[str, str]:
        form = self._habits.retry_after
        if form is None:
            return {}
        spent = [self._reset(now, i) for i, left in enumerate(self._left()) if left <= 0 and self.quota is not None]
        seconds = max(spent, default=1)
        forms = {"seconds": str(seconds), "http-date": http_date(now + seconds), "iso": _iso(now + seconds)}
        return {"Retry-After": forms[form]}

    def _reset(self, now: float, window: int) -> int:
        seconds = WINDOW_SECONDS[window]
        left = seconds - now % seconds
        return math.ceil(left) if self._habits.reset == "up" else math.floor(left)


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(int(epoch), UTC).isoformat()
