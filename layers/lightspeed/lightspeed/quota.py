"""The shop's quota, and the pacing under its limit of requests per second.

Each of the headers `X-RateLimit-Limit`, `-Remaining` and `-Reset` holds three numbers separated by slashes: five
minutes, hour, day. `Reset` is in seconds (several live clients agree). `Remaining` may be -1 once a window is used up.
The numbers differ per shop and may change during a run, so every answer replaces the quota that was known. A number
that cannot be right is ignored.
"""

from __future__ import annotations

import functools
import math
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

REQUESTS_PER_SECOND = 20
"""The shop's limit per key, besides the quota (vendor's community announcement of November 2021)."""

LONGEST_WAIT_SECONDS = 86_400
"""The longest wait, whatever a header asks for: a day."""

PACING_WINDOW_SECONDS = 1.02
"""The limiter's second, a little longer, because requests travel at different speeds."""

SHARE_CHECK_SECONDS = 0.1
"""A request that waits asks for the share of its process again after this time."""

_SHORTEST_PAUSE_SECONDS = 0.001
_SPREAD = 0.7
_OVERTAKING_SECONDS = 5
_TICK_SECONDS = 0.001
_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_WINDOWS = (("5 minutes", 300), ("hour", 3600), ("day", 86_400))
WINDOW_SECONDS = dict(_WINDOWS)
"""The length of each window by its name."""

_NUMBER = re.compile(r"\d{1,16}(\.\d{0,16})?", re.ASCII)
_COUNT = re.compile(r"-?\d{1,12}", re.ASCII)


class Clock(Protocol):
    """Time for the client. Tests pass a clock that they move themselves."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...

    def time(self) -> float:
        """Return seconds since 1970, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    def time(self) -> float:
        """Return `time.time()`."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        time.sleep(seconds)


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


class RateShare(Protocol):
    """The part of the shop's requests per second that this process may use."""

    def requests_per_second(self, busy: int) -> int:
        """Return how many requests this process may send in any second from now on, 0 to `REQUESTS_PER_SECOND`.

        The limiter asks before every request, and every `SHARE_CHECK_SECONDS` while a request waits.

        Args:
            busy: How many requests this process sent in the last second.
        """
        ...


class RateLimiter:
    """Lets at most `REQUESTS_PER_SECOND` requests through in any second. Safe to share between threads.

    Args:
        clock: Time for the pace.
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
