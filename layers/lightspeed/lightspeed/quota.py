"""The shop's quota, which its answers give in headers.

Each of the headers `X-RateLimit-Limit`, `-Remaining` and `-Reset` holds three numbers separated by slashes: five
minutes, hour, day. `Reset` is in seconds (several live clients agree). `Remaining` may be -1 once a window is used up.
The numbers differ per shop and may change during a run, so every answer replaces the quota that was known. A number
that cannot be right is ignored.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT_SECONDS = 86_400
"""The longest wait, whatever a header asks for: a day."""

_OVERTAKING_SECONDS = 5
_TICK_SECONDS = 0.001
_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_WINDOWS = (("5 minutes", 300), ("hour", 3600), ("day", 86_400))
WINDOW_SECONDS = dict(_WINDOWS)
"""The length of each window by its name."""

_NUMBER = re.compile(r"\d{1,16}(\.\d{0,16})?", re.ASCII)
_COUNT = re.compile(r"-?\d{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuotaWindow:
    """One window of the quota.

    Attributes:
        name: `5 minutes`, `hour` or `day`.
        limit: Requests per window.
        remaining: Requests left, never negative here.
        reset_seconds: Seconds from the answer until the window starts again, at most a day.
    """

    name: str
    limit: int
    remaining: int
    reset_seconds: int

    def above_reserve(self, percent: float) -> QuotaWindow:
        """Return the window without a reserve for others, in percent of its limit, 0 to 100."""
        reserve = self.limit * percent / 100
        return replace(self, limit=int(self.limit - reserve), remaining=max(0, int(self.remaining - reserve)))


@dataclass(frozen=True, slots=True)
class Quota:
    """The windows that the headers of an answer give, shortest first; at least one."""

    windows: tuple[QuotaWindow, ...]

    @classmethod
    def from_headers(cls, headers: Mapping[str, str], now: float) -> Quota | None:
        """Read the three headers; return `None` if they are missing or hold no numbers.

        If a header is repeated, its last value counts.

        Args:
            headers: The answer's headers, a mapping that ignores case.
            now: The time of the answer by the shop's clock, in epoch seconds.
        """
        limits, remaining, resets = (headers.get(name, "").rpartition(",")[2].split("/") for name in _HEADERS)
        windows = []
        for (name, length), limit, left, reset in zip(_WINDOWS, limits, remaining, resets, strict=False):
            most, rest = _whole(limit), _whole(left)
            if most is not None and most > 0 and rest is not None:
                windows.append(QuotaWindow(name, most, max(0, rest), _reset_seconds(reset, now, length)))
        return cls(tuple(windows)) if windows else None

    def after(self, earlier: Quota | None, elapsed_seconds: float) -> Quota:
        """Return this quota, corrected by the quota of the answer that was read before.

        Answers of several threads may overtake each other, so within one window the lower number is the later one.

        Args:
            earlier: The quota so far.
            elapsed_seconds: How long ago its answer was read.
        """
        before = {window.name: window for window in earlier.windows} if earlier is not None else {}
        return Quota(
            tuple(_lower_in_same_window(before.get(window.name), window, elapsed_seconds) for window in self.windows)
        )

    def wait_seconds(self, reserve_percent: float = 0, needed: int = 1) -> int:
        """Return the seconds to wait: 0, or the longest reset, at least 1, of the windows without enough room.

        Args:
            reserve_percent: Share of each window's limit that is left for others, 0 to 100.
            needed: How many requests must fit.
        """
        short = (window for window in self.windows if window.above_reserve(reserve_percent).remaining < needed)
        return max((max(1, window.reset_seconds) for window in short), default=0)

    def room(self, reserve_percent: float = 0) -> int:
        """Return how many requests fit into every window above its reserve, 0 or more."""
        return min(window.above_reserve(reserve_percent).remaining for window in self.windows)


def _reset_seconds(text: str, now: float, length: int) -> int:
    """Return the whole seconds until a window ends, or the window's length if the header has no number.

    Windows end at whole multiples of their length by the shop's clock (seen in the vendor's samples). A shop that
    rounds `Reset` down gives the second before the end; then this adds a second. The answer's date may be of the second
    before the one in which the shop computed `Reset`.
    """
    seconds = seconds_until(text, now)
    if seconds is None:
        return length
    whole = math.ceil(seconds)
    is_rounded_down = -(math.floor(now + _TICK_SECONDS) + whole) % length in (1, 2)
    return min(whole + is_rounded_down, LONGEST_WAIT_SECONDS)


def _lower_in_same_window(before: QuotaWindow | None, now: QuotaWindow, elapsed_seconds: float) -> QuotaWindow:
    """Return a window, with the lower `remaining` if an earlier answer gave one for the same window."""
    if before is None or before.limit != now.limit or before.remaining >= now.remaining:
        return now
    same_window = now.reset_seconds <= before.reset_seconds - elapsed_seconds + _OVERTAKING_SECONDS
    return replace(now, remaining=before.remaining) if same_window else now


def seconds_until(text: str, now: float) -> float | None:
    """Return how many seconds after `now` a header's time is, from 0 to `LONGEST_WAIT_SECONDS`.

    Returns `None` if the text is no time, or one that is more than a day away.

    Args:
        text: Seconds (also with a fraction), an epoch in seconds or milliseconds, an HTTP date or ISO-8601.
        now: Epoch seconds.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number <= LONGEST_WAIT_SECONDS:
            return number
        distances = [number - now, number / 1000 - now]
    else:
        moment = parse_header_time(text)
        distances = [] if moment is None else [moment.timestamp() - now]
    near = (max(0.0, distance) for distance in distances if abs(distance) <= LONGEST_WAIT_SECONDS)
    return next(near, None)


@functools.lru_cache(maxsize=16)
def parse_header_time(text: str) -> datetime | None:
    """Return the time of an HTTP date or ISO-8601 text, or `None`; a time without zone is UTC.

    All answers of a second have the same date, so the latest results are cached.
    """
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text.strip())
            return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def _whole(text: str) -> int | None:
    return int(text) if _COUNT.fullmatch(text := text.strip()) else None
