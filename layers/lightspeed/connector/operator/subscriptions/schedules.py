"""The schedules of a stack in EventBridge Scheduler: the wanted ones, the live ones, and the changes between them.

A schedule has no tags. Its group names its owner: each stack has a group, and every call names it. `UpdateSchedule`
replaces the whole schedule, so every call sends all of it.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from connector.aws.botocore_errors import answer_unless
from connector.cadence import DAY, Cadence, schedule_name
from connector.operator.subscriptions.file import Subscription
from lightspeed import Clock

SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
"""EventBridge Scheduler replaces it by the planned time of a run, which is the same for every copy of the run."""

SPREAD_MINUTES = 15
"""A daily run starts within this time after `at`, so that many shops with the same `at` do not start together."""

PAUSED_BY_FILE = "Paused by enabled = false. "
_DESCRIPTION = "Starts Sync for {title}. Written by python -m connector apply."
_ATTEMPTS = 5
_CALL_SECONDS = 0.1
_GONE = ("ResourceNotFoundException",)
_AGAIN = ("ConflictException", "ThrottlingException", "TooManyRequestsException", "InternalServerException")

_COMPARED = (
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "State",
    "FlexibleTimeWindow",
    "Target",
    "Description",
)
"""The members of a schedule that `apply` compares."""

Change = tuple[str, Callable[[], object]]
"""A line for people, and the call that makes the change. A second call changes nothing."""


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """The changes of a stack's schedules.

    Attributes:
        changes: The changes in the order in which `apply` makes them.
        removed: How many of the changes remove a schedule.
        unnamed: Titles of the live schedules that the file does not name.
        paused: Titles of the schedules that a person paused.
        total: The number of live schedules.
    """

    changes: tuple[Change, ...]
    removed: int
    unnamed: tuple[str, ...]
    paused: tuple[str, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Schedules:
    """The schedules of a stack's group.

    Attributes:
        client: The client of EventBridge Scheduler.
        clock: The clock of the pauses between calls.
        target: The ARN of the state machine that each schedule starts.
        role: The ARN of the role that may start it.
        dead_letter: The ARN of the queue for runs that could not be started.
    """

    client: Any
    clock: Clock
    group: str
    target: str
    role: str
    dead_letter: str

    def wanted(self, subscriptions: Iterable[Subscription]) -> dict[str, dict[str, Any]]:
        """Return the schedules that subscriptions need, by name."""
        purposes = ("", "reconcile")
        documents = [
            self._document(subscription, *run)
            for subscription in subscriptions
            for run in zip(subscription.runs, purposes, strict=False)
        ]
        return {document["Name"]: document for document in documents}

    def _document(
        self, subscription: Subscription, run: tuple[Cadence, Mapping[str, Any]], purpose: str
    ) -> dict[str, Any]:
        """Return a schedule in the form of CreateSchedule and UpdateSchedule."""
        cadence, event = run
        title = f"{subscription.title} (reconcile)" if purpose else subscription.title
        name = schedule_name(subscription.connection, subscription.name, purpose)
        day = cadence.seconds >= DAY
        window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": SPREAD_MINUTES} if day else {"Mode": "OFF"}
        return {
            "Name": name,
            "GroupName": self.group,
            "Description": ("" if subscription.enabled else PAUSED_BY_FILE) + _DESCRIPTION.format(title=title),
            "ScheduleExpression": cadence.expression,
            "ScheduleExpressionTimezone": cadence.timezone,
            "FlexibleTimeWindow": window,
            "State": "ENABLED" if subscription.enabled else "DISABLED",
            "Target": {
                "Arn": self.target,
                "RoleArn": self.role,
                "Input": json.dumps({**event, "run_id": name, "scheduled_time": SCHEDULED_TIME}),
                "DeadLetterConfig": {"Arn": self.dead_letter},
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": min(max(cadence.seconds // 2, 60), DAY),
                    "MaximumRetryAttempts": 2,
                },
            },
        }

    def read(self) -> dict[str, dict[str, Any]]:
        """Return every schedule of the group by its name."""
        pages = self.client.get_paginator("list_schedules").paginate(GroupName=self.group)
        names = [row["Name"] for page in pages for row in page["Schedules"]]
        found = {}
        for name in names:
            row = self._call_unless_gone("get_schedule", name)
            if row is not None:
                found[name] = {key: row[key] for key in _COMPARED if key in row}
        return found

    def plan(
        self,
        wanted: Mapping[str, dict[str, Any]],
        live: Mapping[str, dict[str, Any]],
        *,
        prune: bool = False,
        resume: bool = False,
    ) -> SchedulePlan:
        """Return the changes that make the live schedules the wanted ones.

        Args:
            wanted: The result of `wanted`.
            live: The result of `read`.
            prune: Whether schedules that are not wanted are removed.
            resume: Whether schedules that a person paused are enabled.
        """
        changes: list[Change] = []
        paused = []
        for name, document in wanted.items():
            present, title = live.get(name), _title(document)
            if present is None:
                create = partial(self._call, "create_schedule", **document)
                changes.append((f"+ schedule {title}: {_when(document)}", create))
                continue
            state = document["State"]
            if state == "ENABLED" and is_paused_by_hand(present):
                paused.append(title)
                state = "ENABLED" if resume else "DISABLED"
            new = {**document, "State": state}
            if any(present.get(key) != new[key] for key in _COMPARED):
                update = partial(self._call, "update_schedule", **new)
                changes.append((f"~ schedule {title}: {_differences(present, new)}", update))
        unnamed = {name: _title(row) for name, row in sorted(live.items()) if name not in wanted}
        for name, title in unnamed.items() if prune else ():
            remove = partial(self._call_unless_gone, "delete_schedule", name)
            changes.append((f"- schedule {title}: the file does not name it; the bookmark stays", remove))
        removed = len(unnamed) if prune else 0
        return SchedulePlan(tuple(changes), removed, tuple(unnamed.values()), tuple(paused), len(live))

    def _call_unless_gone(self, operation: str, name: str) -> Any:
        """Call for one schedule; return `None` if it does not exist."""
        return answer_unless(_GONE, self._call, operation=operation, Name=name, GroupName=self.group)

    def _call(self, operation: str, **arguments: Any) -> Any:
        """Call at most ten times a second, and again if AWS is busy or another call changes the schedule."""
        for attempt in range(_ATTEMPTS - 1):
            self.clock.sleep(_CALL_SECONDS)
            try:
                return getattr(self.client, operation)(**arguments)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _AGAIN:
                    raise
            # the first try may have made the schedule although its answer was an error
            given = {"Name": arguments["Name"], "GroupName": self.group}
            if operation == "create_schedule" and answer_unless(_GONE, self.client.get_schedule, **given):
                operation = "update_schedule"
            self.clock.sleep(2**attempt * (0.5 + random.random() / 2))  # noqa: S311 - a wait is no secret
        return getattr(self.client, operation)(**arguments)


def is_paused_by_hand(row: Mapping[str, Any]) -> bool:
    """Return whether a person paused a schedule, and not the file."""
    return row.get("State") == "DISABLED" and not str(row.get("Description", "")).startswith(PAUSED_BY_FILE)


def connection_of(row: Mapping[str, Any]) -> str:
    """Return the connection of a live schedule; empty if `apply` did not write its input."""
    try:
        return str(json.loads(row["Target"]["Input"])["connection"])
    except (ValueError, KeyError, TypeError):
        return ""


def _title(row: Mapping[str, Any]) -> str:
    found = re.search(r"Starts Sync for (.+?)\. Written", str(row.get("Description", "")))
    return found[1] if found else "written by hand"


def _when(document: Mapping[str, Any]) -> str:
    paused = ", paused" if document["State"] == "DISABLED" else ""
    return f"{document['ScheduleExpression']} {document['ScheduleExpressionTimezone']}{paused}"


def _differences(present: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the differences of two schedules for people, down to the keys of the event.

    The description is left out if there is another difference.
    """
    before, after = dict(_leaves(present)), dict(_leaves({key: new[key] for key in _COMPARED}))
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    changes = ["pause" if new["State"] == "DISABLED" else "resume"] if "State" in changed else []
    for key in changed:
        if key != "State" and (key != "Description" or len(changed) == 1):
            was, becomes = (json.dumps(each.get(key)) for each in (before, after))
            changes.append(f"{key} {was:.80} -> {becomes:.80}")
    return "; ".join(changes)


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield path and value of every member of a schedule that is no object. The keys of its event have no prefix."""
    if path == "Target.Input":
        with contextlib.suppress(ValueError):  # `apply` did not write it
            value, path = json.loads(str(value)), ""
    if isinstance(value, Mapping):
        for key, inside in value.items():
            yield from _leaves(inside, f"{path}.{key}" if path else key)
    else:
        yield path, value
