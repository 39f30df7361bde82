"""How often a subscription runs: its interval as EventBridge's expression, the next run, and the schedule's name.

An interval of minutes or hours that divides the next larger unit becomes a cron expression with an offset. So the runs
of many shops do not start in the same minute. Days are calendar days of a time zone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = 60, 3600, 86_400
LONGEST_DAYS = 31
NAME_CHARACTERS = 60
"""The most characters of a schedule's name. A run's id is this name and a time, and Step Functions takes 80."""

_EVERY = re.compile(r"([1-9][0-9]{0,5}) (minute|hour|day|week)s?")
_AT = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_UNITS = {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY}
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


@dataclass(frozen=True, slots=True)
class Cadence:
    """When runs start.

    Attributes:
        seconds: The interval.
        at: Minutes after midnight, for an interval of days; else `None`.
        timezone: IANA name of the time zone of `at`.
        offset: A whole number from 0 that moves the runs of this subscription within the interval.
    """

    seconds: int
    at: int | None
    timezone: str
    offset: int

    @property
    def expression(self) -> str:
        """The schedule expression of EventBridge Scheduler."""
        minutes, hours, days = self.seconds // MINUTE, self.seconds // HOUR, self.seconds // DAY
        if self.at is not None:
            clock = f"{self.at % 60} {self.at // 60}"
            if days == 1:
                return f"cron({clock} * * ? *)"
            if days == 7:
                return f"cron({clock} ? * {_WEEKDAYS[self.offset % 7]} *)"
            return f"cron({clock} 1/{days} * ? *)" if days < 28 else f"cron({clock} 1 * ? *)"
        if self._phase is None:
            return f"rate({minutes} minutes)"
        minute, hour = self._phase % HOUR // MINUTE, self._phase // HOUR
        if minutes < 60:
            return "rate(1 minute)" if minutes == 1 else f"cron({minute}/{minutes} * * * ? *)"
        return f"cron({minute} * * * ? *)" if hours == 1 else f"cron({minute} {hour}/{hours} * * ? *)"

    @property
    def _phase(self) -> int | None:
        """Seconds after midnight (UTC) of a day's first run; `None` if the interval divides no hour and no day.

        The first run of a shorter interval than an hour is on any of its minutes, else on any of its minutes and hours.
        """
        hours = self.seconds // HOUR
        if self.seconds < HOUR and HOUR % self.seconds == 0:
            return self.offset % (self.seconds // MINUTE) * MINUTE
        if self.seconds % HOUR == 0 and hours < 24 and 24 % hours == 0:
            return self.offset % 60 * MINUTE + self.offset // 60 % hours * HOUR
        return None

    def next_after(self, moment: datetime, last: datetime | None = None) -> datetime:
        """Return when the next run starts, UTC.

        Args:
            moment: The present, with its time zone.
            last: The start of the last run. Only an interval that no cron expression can hold counts from it.
        """
        for local in self._days(moment, LONGEST_DAYS + 2):
            if local.astimezone(UTC) > moment and self._is_day(local) and local_time_exists(local):
                return local.astimezone(UTC)
        if self._phase is None:
            return (last or moment) + timedelta(seconds=self.seconds)
        passed = (moment.timestamp() - self._phase) // self.seconds
        return datetime.fromtimestamp((passed + 1) * self.seconds + self._phase, UTC)

    def first_skipped(self, start: datetime) -> datetime | None:
        """Return the local time of the first run within a year that a clock change skips, or `None`."""
        return next((local for local in self._days(start, 366) if not local_time_exists(local)), None)

    def _days(self, start: datetime, count: int) -> Iterator[datetime]:
        """Yield the local time of the run on each of `count` days; nothing for an interval below a day."""
        if self.at is not None:
            zone, clock = ZoneInfo(self.timezone), time(self.at // 60, self.at % 60)
            first = start.astimezone(zone).date()
            yield from (datetime.combine(first + timedelta(more), clock, zone) for more in range(count))

    def _is_day(self, local: datetime) -> bool:
        days = self.seconds // DAY
        if days == 1:
            return True
        if days == 7:
            return local.weekday() == self.offset % 7
        return (local.day - 1) % days == 0 if days < 28 else local.day == 1


def local_time_exists(local: datetime) -> bool:
    """Return whether a local time exists. In spring the clock skips an hour."""
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None)


def parse_interval(text: str) -> int:
    """Return the seconds of `15 minutes`, `1 hour`, `7 days` or `1 week`.

    Raises:
        ValueError: The text is no such interval, is more than a day but not whole days, or is longer than 31 days.
    """
    found = _EVERY.fullmatch(text)
    if found is None:
        raise ValueError(f'{text!r:.100} is not an interval; write one such as "15 minutes", "6 hours" or "7 days"')
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds >= DAY and seconds % DAY:
        raise ValueError(f"{text!r:.100} is longer than a day; write such an interval in whole days")
    if seconds > LONGEST_DAYS * DAY:
        raise ValueError(f"{text!r:.100} is too long; an interval has at most {LONGEST_DAYS} days")
    return seconds


def parse_time_of_day(text: str) -> int:
    """Return the minutes after midnight of `03:00`.

    Raises:
        ValueError: The text is no such time.
    """
    found = _AT.fullmatch(text)
    if found is None:
        raise ValueError(f'{text!r:.100} is not a time of the day; write one such as "03:00"')
    return int(found[1]) * 60 + int(found[2])


def offset_of(*names: str) -> int:
    """Return an offset for `Cadence` that depends only on the names."""
    return int(hashlib.sha256("\n".join(names).encode()).hexdigest()[:8], 16)


def schedule_name(connection: str, subscription: str, purpose: str = "") -> str:
    """Return the name of a schedule: readable, at most 60 characters, with a hash that makes it unique."""
    readable = "-".join(filter(None, (connection, subscription, purpose)))
    digest = hashlib.sha256("\n".join((connection, subscription, purpose)).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', readable)[: NAME_CHARACTERS - 9]}-{digest}"
