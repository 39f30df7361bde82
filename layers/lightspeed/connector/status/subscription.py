"""The status of a subscription: how late it is, what is wrong, and which command helps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from connector.cadence import DAY, Cadence
from connector.runs.log import RunRow
from connector.status.failure_queues import Failure
from connector.timestamps import iso_text
from connector.transform.rejects import REJECTED_SHARE
from lightspeed.request import parse_time

DAYS = 14
"""The number of days that the charts show, UTC, today included."""

QUIET_DAYS = 3
BUSY_DAYS = 5
"""A subscription is silent if `BUSY_DAYS` of seven days had records and the next `QUIET_DAYS` had none."""

SLOW_DAYS = 7
SLOW_RUNS = 5
"""Runs may count as slow from `SLOW_RUNS` runs in `SLOW_DAYS` on."""

_LAST_RUN = ("run_id", "started", "finished", "records", "rejected", "verified", "reason", "mode")
_SPREAD_SECONDS = 15 * 60  # of the start of a daily run

Level = Literal["red", "warning", "good", "paused"]
Problem = Literal["failed", "late", "unverified", "rejecting", "silent", "slow", "none_yet"]

Finding = tuple[Problem, Level, str, str]
"""A problem, its level, why, and the command that helps."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the stack has stored of a subscription.

    Attributes:
        entry: Its member of the list that `apply` stores; empty if the list lacks it.
        listed_at: When `apply` stored the list.
        runs: Its finished runs of the shown days.
        latest: Its `last`, `verified` and `newest` runs, however old.
        failures: Its messages in the failure queues.
        is_paused: Whether the file or a person paused its schedule.
        days: The shown days, ISO-8601.
    """

    connection: str
    name: str
    entry: Mapping[str, Any]
    listed_at: datetime
    runs: Sequence[RunRow]
    latest: Mapping[str, RunRow]
    failures: Sequence[Failure] = ()
    is_paused: bool = False
    days: Sequence[str] = field(default=())

    @property
    def reads(self) -> list[RunRow]:
        """Its runs without reconcile runs, in the order of their ends."""
        return sorted((run for run in self.runs if run.mode != "reconcile"), key=lambda run: run.finished)

    @property
    def last(self) -> RunRow | None:
        """Its last run. Each language of a run has a row; the records of all rows are summed."""
        last = self.latest.get("last")
        rows = [run for run in self.runs if last is not None and run.run_id == last.run_id]
        if last is None or not rows:
            return last
        return msgspec.structs.replace(
            last, records=sum(run.records for run in rows), rejected=sum(run.rejected for run in rows)
        )

    @property
    def cadence(self) -> Cadence | None:
        """How often it runs; `None` if `apply` did not list it."""
        every = self.entry.get("every")
        return None if every is None else msgspec.convert(every, Cadence)


def subscription_status(facts: Facts, now: datetime) -> dict[str, Any]:
    """Return the status of a subscription, as JSON-able data."""
    reads, cadence = facts.reads, facts.cadence
    last, verified, newest = facts.last, facts.latest.get("verified"), facts.latest.get("newest")
    allowed = _allowed(cadence, reads)
    lag = _lag(facts, allowed, now)
    by_day: dict[str, list[RunRow]] = {day: [] for day in facts.days}
    for run in reads:
        by_day.get(run.started[:10], []).append(run)
    is_disabled = not facts.entry.get("enabled", True)
    is_paused = is_disabled or facts.is_paused
    status = {
        "connection": facts.connection,
        "name": facts.name,
        "entity": facts.entry.get("entity") or (last.entity if last else facts.name),
        "paused": is_paused,
        "paused_by": "file" if is_disabled else "hand" if is_paused else None,
        "webhooks": bool(facts.entry.get("webhooks")),
        "last_run": None if last is None else {key: getattr(last, key) for key in _LAST_RUN},
        "last_verified_at": None if verified is None else verified.finished,
        "newest_change_at": None if newest is None else newest.newest,
        "lag_seconds": None if lag is None else round(lag),
        "allowed_lag_seconds": allowed,
        "records_per_day": [sum(run.records for run in of_day) for of_day in by_day.values()],
        "runs": [
            {"day": day, "runs": len(of_day), "unverified": sum(not run.verified for run in of_day)}
            for day, of_day in by_day.items()
        ],
        "next_run_at": None if is_paused else _next(cadence, now, last),
        "failed": len(facts.failures),
        "deleted": sum(run.records for run in facts.runs if run.mode == "reconcile"),
    }
    findings = list(_findings(facts, _slow(reads, cadence, now), status))
    level, why, command = findings[0][1:] if findings else ("good", "", "")
    if is_paused and not findings:
        by_hand = " by hand; python -m connector apply FILE --resume starts it"
        level, why = "paused", f"paused{'' if is_disabled else by_hand}"
    return {**status, "problems": [problem for problem, *_ in findings], "level": level, "why": why, "command": command}


def duration(seconds: float) -> str:
    """Return a length of time as text, such as `2 h 5 min`."""
    whole = max(0, round(seconds))
    days, hours, minutes = whole // DAY, whole % DAY // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{whole} s"


def _findings(facts: Facts, slow: str | None, status: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the problems of a subscription, worst first. A paused one may be late."""
    look = f"python -m connector runs --connection {status['connection']} --entity {status['entity']}"
    if facts.failures:
        causes = list(dict.fromkeys(failure.cause for failure in facts.failures))
        detail = facts.failures[0].detail if len(causes) == 1 else ""
        why = f"{len(facts.failures)} failed: {', '.join(causes)}{f': {detail}' if detail else ''}"
        yield ("failed", "red", why, f"python -m connector redrive --cause {causes[0]}")
    if status["paused"]:
        return
    last, lag, allowed = facts.last, status["lag_seconds"], status["allowed_lag_seconds"]
    if allowed is not None and lag is not None and lag > allowed:
        behind = f"{duration(lag)} behind, {duration(allowed)} are allowed"
        because = f": {last.reason}" if last is not None and last.reason else ""
        never = "" if status["last_verified_at"] else f"; no run was verified yet{because}"
        yield ("late", "red", behind + never, look)
    if last is None:
        yield ("none_yet", "warning", "no run has finished yet", "")
        return
    if not last.verified:
        yield ("unverified", "warning", f"the last run is not verified: {last.reason}", look)
    read = last.records + last.rejected
    if read and last.rejected > read * REJECTED_SHARE / 2:
        yield ("rejecting", "warning", f"{last.rejected:,} of {read:,} records were rejected", look)
    if facts.cadence is not None and _fell_silent(status["records_per_day"]):
        yield ("silent", "warning", f"no record for {QUIET_DAYS} days, after changes on most days before", look)
    if slow is not None:
        yield ("slow", "warning", slow, look)


def _lag(facts: Facts, allowed: int | None, now: datetime) -> float | None:
    """Return the seconds that a subscription is behind. Without a verified run, they count from the list of `apply`."""
    verified = facts.latest.get("verified")
    if verified is not None:
        return (now - parse_time(verified.until)).total_seconds()
    return None if allowed is None else (now - facts.listed_at).total_seconds()


def _allowed(cadence: Cadence | None, runs: Sequence[RunRow]) -> int | None:
    """Return the seconds that a subscription may be behind: two intervals and its longest run."""
    if cadence is None:
        return None
    spread = _SPREAD_SECONDS if cadence.seconds >= DAY else 0
    return round(2 * cadence.seconds + max((run.seconds for run in runs), default=0.0) + spread)


def _next(cadence: Cadence | None, now: datetime, last: RunRow | None) -> str | None:
    if cadence is None:
        return None
    return iso_text(cadence.next_after(now, None if last is None else parse_time(last.started)).timestamp())


def _fell_silent(per_day: Sequence[int]) -> bool:
    """Return whether most days of a week had records, and the next three whole days and today had none."""
    before, quiet = per_day[-8 - QUIET_DAYS : -1 - QUIET_DAYS], per_day[-1 - QUIET_DAYS : -1]
    return sum(count > 0 for count in before) >= BUSY_DAYS and not any(quiet) and not per_day[-1]


def _slow(runs: Sequence[RunRow], cadence: Cadence | None, now: datetime) -> str | None:
    """Return why runs are too slow; `None` if 95 % of the last week's runs are shorter than the interval."""
    since = iso_text((now - timedelta(days=SLOW_DAYS)).timestamp())
    seconds = sorted(run.seconds for run in runs if run.started >= since)
    if cadence is None or len(seconds) < SLOW_RUNS:
        return None
    p95 = seconds[-(-95 * len(seconds) // 100) - 1]
    if p95 <= cadence.seconds:
        return None
    return f"runs take up to {duration(p95)} (95 % of them), longer than the interval of {duration(cadence.seconds)}"
