"""The names of the schedules that `apply` makes, and which of them are paused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

NAME_CHARACTERS = 60
"""The run id is the schedule's name and a time, and an execution's name has 80 characters at most."""


def schedule_name(connection: str, subscription: str, purpose: str = "") -> str:
    """Return the name of a schedule: readable, at most 60 characters, and unique by its hash."""
    readable = "-".join(filter(None, (connection, subscription, purpose)))
    digest = hashlib.sha256("\n".join((connection, subscription, purpose)).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', readable)[: NAME_CHARACTERS - 9]}-{digest}"


def paused_schedules(scheduler: Any, group: str) -> Callable[[str, str], bool]:
    """Return what says whether a subscription's schedule is paused, by the file or by hand.

    Args:
        scheduler: The client of EventBridge Scheduler. It lists the group once, without the schedules themselves.
        group: The stack's group of schedules; without one nothing is paused.
    """
    names: set[str] = set()
    if group:
        pages = scheduler.get_paginator("list_schedules").paginate(GroupName=group)
        names = {row["Name"] for found in pages for row in found["Schedules"] if row.get("State") == "DISABLED"}
    return lambda connection, subscription: schedule_name(connection, subscription) in names
