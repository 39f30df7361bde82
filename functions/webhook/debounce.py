"""When the webhooks of a subscription lead to a run: a mark, and the rules that change it. Nothing here calls AWS.

A webhook makes the mark dirty. The run starts on the trailing edge: once no webhook came for `LAG_SECONDS`, or the
window is nearly over. It covers the webhooks that came at least `LAG_SECONDS` before its start, because a run reads
up to some seconds before its start. Younger webhooks keep the mark dirty, so another run follows.

Every step is written to the mark before it is done. Every dirty mark has a tick in the queue, which handles it later.
So a consumer may be killed at any call: the tick, or the message that was not deleted, finishes what is left.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from connector.timestamps import iso_text
from connector.webhooks.window import LAG_SECONDS, MARGIN_SECONDS, Policy

POLL_SECONDS = 8.0
"""Between two looks at a run under way; the next one starts within 10 s of its end."""

LOST_TICK_SECONDS = 90.0
"""A tick that is late by this much is lost, for example in the failure queue. The next webhook sends another one."""

MOST_BY_ID = 10
"""Records that a run reads one by one, where the entity has no filter by change; beyond, all."""

MOST_IDS = 100
"""Ids that one run asks for."""

Status = Literal["missing", "running", "superseded", "ended"]


class Webhooks(msgspec.Struct, frozen=True):
    """Some webhooks of a subscription.

    Attributes:
        since: When the oldest came, epoch seconds.
        latest: When the newest came.
        ids: Records that they named.
        every: Whether one named none, or they named too many.
    """

    since: float = 0.0
    latest: float = 0.0
    ids: tuple[str, ...] = ()
    every: bool = False


class Run(Webhooks, frozen=True, kw_only=True):
    """A run that was decided, and the webhooks that led to it. The newest ones may be too young to be covered.

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
        by: `change`: the run reads what changed, or everything. `id`: it reads records by id. `existence`: it asks for
            deleted ids.
        run: The run under way.
        last_start: When the last run started.
        day: The day of UTC that `runs` counts, ISO-8601.
        runs: Runs started that day.
        tick_at: When the tick in the queue is due; 0 if there is none.
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
        """Whether there is anything left to do."""
        return bool(self.since) or self.run is not None

    def due(self, policy: Policy) -> float:
        """Return when the next run starts, if none is under way."""
        wait = policy.window(self.runs) - MARGIN_SECONDS
        quiet = min(self.latest + LAG_SECONDS, self.since + wait)
        return max(quiet, self.last_start + wait - LAG_SECONDS)


def note(mark: Mark, new: Webhooks, now: float, policy: Policy) -> tuple[Mark, bool]:
    """Return the mark with more webhooks, and whether a tick has to be sent for its `tick_at` first.

    Webhooks that the last run covers start nothing: a message that comes twice costs no run.
    """
    if mark.by == "change" and new.latest <= mark.last_start - LAG_SECONDS:
        if mark.run is not None:
            run = msgspec.structs.replace(mark.run, since=min(mark.run.since, new.since))
            mark = msgspec.structs.replace(mark, run=run)
        return mark, False
    noted = _dirty(mark, new)
    if noted.run is not None and _alive(noted.tick_at, now):
        return noted, False
    at = max(now, noted.due(policy))
    if _alive(noted.tick_at, now) and noted.tick_at <= at:
        return noted, False
    return msgspec.structs.replace(noted, tick_at=at), True


def is_stale(mark: Mark, tick_at: float, now: float) -> bool:
    """Return whether another tick than this one comes back to the mark, or nothing is left to do."""
    return not mark.is_open or (tick_at != mark.tick_at and _alive(mark.tick_at, now))


def advance(mark: Mark, status: Status, now: float, policy: Policy, key: str) -> tuple[Mark, Run | None]:
    """Return the mark after a tick, and the run that has to be started once the mark is written.

    Args:
        mark: With something left to do.
        status: The status of the run under way, if there is one.
        now: Epoch seconds.
        policy: How often runs start.
        key: The mark's key.
    """
    if mark.run is not None:
        if status == "running":
            return msgspec.structs.replace(mark, tick_at=now + POLL_SECONDS), None
        if status == "missing":  # a consumer was killed before it started the run
            return msgspec.structs.replace(mark, last_start=now, tick_at=now + POLL_SECONDS), mark.run
        run, mark = mark.run, msgspec.structs.replace(mark, run=None)
        if status == "superseded":  # another run was faster, which may have started before the webhooks
            mark = _dirty(mark, run)
    if not mark.since:
        return msgspec.structs.replace(mark, tick_at=0.0), None
    at = mark.due(policy)
    if now < at:
        return msgspec.structs.replace(mark, tick_at=at), None
    return _started(mark, now, key)


def _started(mark: Mark, now: float, key: str) -> tuple[Mark, Run]:
    start = max(now, mark.last_start + 0.001)
    name, event = execution_name(key, start), _event(mark)
    run = Run(mark.since, mark.latest, mark.ids, mark.every, name=name, event=event)
    covered, day = start - LAG_SECONDS, iso_text(start)[:10]
    left = mark.by == "change" and mark.latest > covered  # what is asked for by id has no window
    return (
        msgspec.structs.replace(
            mark,
            since=max(mark.since, covered) if left else 0.0,
            latest=mark.latest if left else 0.0,
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
    """Return what a run is called: its start, so that names sort by time, and the subscription; at most 80 letters."""
    moment = iso_text(start, "milliseconds").replace("-", "").replace(":", "").replace(".", "-").removesuffix("Z")
    return f"{moment}-webhook-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _event(mark: Mark) -> dict[str, Any]:
    few = not mark.every and 0 < len(mark.ids) <= MOST_BY_ID
    by_id = mark.by == "existence" or (mark.by == "id" and few)
    return {**mark.event, "ids": [_number(identity) for identity in mark.ids]} if by_id else mark.event


def _dirty(mark: Mark, new: Webhooks) -> Mark:
    known = tuple(dict.fromkeys((*mark.ids, *new.ids)))
    return msgspec.structs.replace(
        mark,
        since=min(mark.since, new.since) if mark.since else new.since,
        latest=max(mark.latest, new.latest),
        ids=known[:MOST_IDS] if mark.by != "change" else (),
        every=mark.every or new.every or len(known) > MOST_IDS,
    )


def _alive(tick_at: float, now: float) -> bool:
    return tick_at >= now - LOST_TICK_SECONDS


def _number(identity: str) -> int | str:
    return int(identity) if identity.isdecimal() else identity
