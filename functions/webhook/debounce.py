"""Decide when the webhooks of a subscription start a run: a mark, and the rules that change it. Nothing here calls AWS.

A webhook makes the mark dirty. The run starts on the trailing edge: after `LAG_SECONDS` without a webhook, or when the
window is nearly over. A run reads changes up to some seconds before its start. So it covers the webhooks that came at
least `LAG_SECONDS` before. Younger webhooks keep the mark dirty, and another run follows.

The trigger writes each step to the mark before it acts. Every dirty mark has a tick: a delayed message in the queue,
which comes back to the mark. So the trigger may be killed at any call: the tick, or a message that it did not delete,
lets another invocation finish.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from connector.timestamps import iso_text
from connector.webhooks.window import LAG_SECONDS, MARGIN_SECONDS, Policy

POLL_SECONDS = 8.0
"""Time between two checks of a run under way. So the next run starts within 10 s of its end."""

LOST_TICK_SECONDS = 90.0
"""A tick that is late by this much is lost, for example in the failure queue. The next webhook sends another one."""

MAX_BY_ID = 10
"""The most records that a run reads by id if the entity has no filter by time of change. Beyond, it reads all."""

MAX_IDS = 100
"""The most ids that one run asks for."""

Status = Literal["missing", "running", "superseded", "ended"]


class Webhooks(msgspec.Struct, frozen=True):
    """Some webhooks of a subscription.

    Attributes:
        since: When the oldest came, epoch seconds.
        latest: When the newest came, epoch seconds.
        ids: The ids of their records, each once.
        every: Whether the ids do not name every record: a webhook had none, or there were too many.
    """

    since: float = 0.0
    latest: float = 0.0
    ids: tuple[str, ...] = ()
    every: bool = False


class Run(Webhooks, frozen=True, kw_only=True):
    """A run to start or under way, and its webhooks. It may not cover the newest ones.

    Attributes:
        name: The name of the execution. It holds the start, so no other window uses it.
        event: The subscribe event.
    """

    name: str
    event: dict[str, Any]


class Mark(Webhooks, frozen=True, kw_only=True):
    """The webhooks of one subscription that no run covers, and its runs. All times are epoch seconds; 0 means none.

    Attributes:
        event: The subscribe event of its runs.
        by: `change`: a run reads what changed, or everything. `id`: it reads records by id. `existence`: it asks for
            deleted ids.
        run: The run under way; `None` if there is none.
        last_start: When the last run started.
        day: The UTC day that `runs` counts, ISO-8601.
        runs: Number of runs started that day.
        tick_at: When the tick in the queue is due.
    """

    event: dict[str, Any]
    by: Literal["change", "id", "existence"] = "change"
    run: Run | None = None
    last_start: float = 0.0
    day: str = ""
    runs: int = 0
    tick_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the mark is dirty or has a run under way."""
        return bool(self.since) or self.run is not None

    def due(self, policy: Policy) -> float:
        """Return when the next run starts, if none is under way."""
        wait = policy.window(self.runs) - MARGIN_SECONDS
        quiet = min(self.latest + LAG_SECONDS, self.since + wait)
        return max(quiet, self.last_start + wait - LAG_SECONDS)


def add_webhooks(mark: Mark, new: Webhooks, now: float, policy: Policy) -> tuple[Mark, bool]:
    """Return the mark with more webhooks, and whether the caller must send a tick for its `tick_at` first.

    Webhooks that the last run covers start no run, so a repeated message costs none.
    """
    if mark.by == "change" and new.latest <= mark.last_start - LAG_SECONDS:
        if mark.run is not None:
            run = msgspec.structs.replace(mark.run, since=min(mark.run.since, new.since))
            mark = msgspec.structs.replace(mark, run=run)
        return mark, False
    mark = _merge(mark, new)
    has_tick = not _is_lost(mark.tick_at, now)
    if mark.run is not None and has_tick:
        return mark, False
    at = max(now, mark.due(policy))
    if has_tick and mark.tick_at <= at:
        return mark, False
    return msgspec.structs.replace(mark, tick_at=at), True


def is_stale(mark: Mark, tick_at: float, now: float) -> bool:
    """Whether a tick has nothing to do: the mark is not open, or another tick comes back to it."""
    return not mark.is_open or (tick_at != mark.tick_at and not _is_lost(mark.tick_at, now))


def advance(mark: Mark, status: Status, now: float, policy: Policy, key: str) -> tuple[Mark, Run | None]:
    """Return the mark after a tick, and the run to start once the mark is written.

    Args:
        mark: An open mark.
        status: The status of the run under way; not used without a run.
        now: Epoch seconds.
        policy: How often runs start.
        key: The mark's key.
    """
    if mark.run is not None:
        if status == "running":
            return msgspec.structs.replace(mark, tick_at=now + POLL_SECONDS), None
        if status == "missing":  # an invocation was killed before it started the run
            return msgspec.structs.replace(mark, last_start=now, tick_at=now + POLL_SECONDS), mark.run
        run, mark = mark.run, msgspec.structs.replace(mark, run=None)
        if status == "superseded":  # another run was faster; it may have started before the webhooks came
            mark = _merge(mark, run)
    if not mark.since:
        return msgspec.structs.replace(mark, tick_at=0.0), None
    at = mark.due(policy)
    if now < at:
        return msgspec.structs.replace(mark, tick_at=at), None
    return _start_run(mark, now, key)


def _start_run(mark: Mark, now: float, key: str) -> tuple[Mark, Run]:
    start = max(now, mark.last_start + 0.001)
    name, event = execution_name(key, start), _event(mark)
    run = Run(mark.since, mark.latest, mark.ids, mark.every, name=name, event=event)
    covered, day = start - LAG_SECONDS, iso_text(start)[:10]
    is_dirty = mark.by == "change" and mark.latest > covered  # a run by ids has no window, so it covers all webhooks
    return (
        msgspec.structs.replace(
            mark,
            since=max(mark.since, covered) if is_dirty else 0.0,
            latest=mark.latest if is_dirty else 0.0,
            ids=(),
            every=False,
            run=run,
            last_start=start,
            day=day,
            runs=mark.runs + 1 if mark.day == day else 1,
            tick_at=now + POLL_SECONDS,
        ),
        run,
    )


def execution_name(key: str, start: float) -> str:
    """Return the name of a run: its start, so that names sort by time, and a hash of the key; at most 80 letters."""
    moment = iso_text(start, "milliseconds").replace("-", "").replace(":", "").replace(".", "-").removesuffix("Z")
    return f"{moment}-webhook-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _event(mark: Mark) -> dict[str, Any]:
    few = not mark.every and 0 < len(mark.ids) <= MAX_BY_ID
    by_id = mark.by == "existence" or (mark.by == "id" and few)
    return {**mark.event, "ids": [_number(identity) for identity in mark.ids]} if by_id else mark.event


def _merge(mark: Mark, new: Webhooks) -> Mark:
    """Return the mark with more webhooks."""
    ids = tuple(dict.fromkeys((*mark.ids, *new.ids)))
    return msgspec.structs.replace(
        mark,
        since=min(mark.since, new.since) if mark.since else new.since,
        latest=max(mark.latest, new.latest),
        ids=ids[:MAX_IDS] if mark.by != "change" else (),
        every=mark.every or new.every or len(ids) > MAX_IDS,
    )


def _is_lost(tick_at: float, now: float) -> bool:
    return tick_at < now - LOST_TICK_SECONDS


def _number(identity: str) -> int | str:
    return int(identity) if identity.isdecimal() else identity
