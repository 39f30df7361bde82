"""The shop's clock, by the `Date` headers of its answers.

A header may be wrong. A cache repeats an old answer with its old date, and a proxy sets a date of its own. So a date
that is more than a minute off our clock counts only once another answer agrees with it.
"""

from __future__ import annotations

import threading

BELIEVED_SECONDS = 60.0
"""A `Date` this close to our clock, or to another answer of the shop, is believed."""

_MAX_GROUPS = 100


class ShopClock:
    """How far the shop's clock is ahead of ours. Safe to share between threads.

    Attributes:
        skew_seconds: By the latest believed date. It is close to our clock, to the date before it, or to the believed
            date before it. 0 before the first one.
        latest_skew_seconds: By the latest date, believed or not; 0 before the first one.
        dates: How many answers had a date; errors count as answers.
    """

    def __init__(self) -> None:
        self.skew_seconds = 0.0
        self.latest_skew_seconds = 0.0
        self.dates = 0
        self._groups: list[tuple[float, int]] = []
        self._lock = threading.Lock()

    def add_date(self, skew_seconds: float) -> None:
        """Record the date of an answer, as seconds ahead of our clock."""
        with self._lock:
            known = (0.0, self.skew_seconds, self.latest_skew_seconds)
            if any(abs(skew_seconds - other) <= BELIEVED_SECONDS for other in known):
                self.skew_seconds = skew_seconds
            self.latest_skew_seconds = skew_seconds
            self.dates += 1
            for position, (least, dates) in enumerate(self._groups):
                if abs(skew_seconds - least) <= BELIEVED_SECONDS:
                    self._groups[position] = min(least, skew_seconds), dates + 1
                    return
            if len(self._groups) < _MAX_GROUPS:
                self._groups.append((skew_seconds, 1))

    @property
    def least_skew_seconds(self) -> float | None:
        """The smallest skew of all believed dates; of all dates if none is believed; `None` before the first date.

        At each answer, the shop's clock was at least this far ahead of ours.
        """
        with self._lock:
            believed = [least for least, dates in self._groups if dates > 1 or abs(least) <= BELIEVED_SECONDS]
            return min(believed or [least for least, _ in self._groups], default=None)
