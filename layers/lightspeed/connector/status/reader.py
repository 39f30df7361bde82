"""The status of a stack: the data that `status` and `GET /status` show."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connector.aws.bucket import Bucket
from connector.cadence import schedule_name
from connector.clients import AwsClients
from connector.concurrency import map_concurrently
from connector.runs.log import RunLog, RunRow
from connector.settings import Settings
from connector.status.console import console_links, execution_link
from connector.status.failure_queues import Failure, Queue, by_cause, describe, peek, urls_of
from connector.status.shop import ShopState, ask_shop, shop_status
from connector.status.subscription import DAYS, Facts, subscription_status
from connector.storage_keys import SUBSCRIPTIONS
from connector.timestamps import iso_text
from connector.webhooks.report import SUMMARY, report_key
from lightspeed import Client, Clock

VERSION = 1
"""The version of the JSON form. It changes if a key goes or gets another meaning."""

LEVELS = ("red", "warning", "good", "paused")
"""The levels, worst first. A level of `red` needs action."""


def read_status(
    log: RunLog,
    settings: Settings,
    *,
    failures: Sequence[Failure] = (),
    actions: Sequence[Mapping[str, str]] = (),
    paused: Container[str] = (),
    ask: Callable[[str], ShopState] | None = None,
    links: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the status of a stack as JSON-able data, worst first.

    Args:
        log: The finished runs.
        settings: The stack's settings: its name, and the share of each quota window that stays free.
        failures: The messages of the failure queues.
        actions: Further actions for the operator, each with level, what, why and command.
        paused: Names of the paused schedules.
        ask: Returns the answer of a shop.
        links: The result of `console_links`.
    """
    now = datetime.fromtimestamp(log.clock.time(), UTC)
    days = last_days(now.date())
    rows = log.runs(days)
    subscriptions = _subscriptions(log, rows, days, now, failures, paused)
    connections = sorted({one["connection"] for one in subscriptions})

    def shop(name: str) -> dict[str, Any]:
        state = ShopState() if ask is None else ask(name)
        registered = log.bucket.read_json(f"state/webhooks/connection={name}.json") or {}
        return shop_status(name, state, registered, rows, now, settings.quota_reserve_percent)

    shops = map_concurrently(shop, connections)
    yesterday = now.date() - timedelta(days=1)
    # without a stored list, any subscription may have webhooks
    followers = [one for one in subscriptions if one["webhooks"]] or subscriptions
    arrivals = _arrivals(log.bucket, [(one["connection"], one["name"]) for one in followers], yesterday)
    queues = [_queue(queue, cause, group) for (queue, cause), group in by_cause(failures).items()]
    needed = sorted([*_actions(subscriptions, shops, queues, arrivals), *actions], key=_rank)
    levels = [one["level"] for one in (*subscriptions, *shops, *needed)]
    return {
        "version": VERSION,
        "stack": settings.stack_name,
        "at": iso_text(now.timestamp()),
        "level": min((one for one in levels if one != "paused"), key=LEVELS.index, default="good"),
        "days": [str(day) for day in days],
        "actions": needed,
        "subscriptions": sorted(subscriptions, key=lambda one: (_rank(one), -(one["lag_seconds"] or 0))),
        "shops": sorted(shops, key=_rank),
        "failures": queues,
        "arrivals": arrivals,
        "links": dict(links or {}),
    }


def _subscriptions(
    log: RunLog,
    rows: Sequence[RunRow],
    days: Sequence[date],
    now: datetime,
    failures: Sequence[Failure],
    paused: Container[str],
) -> list[dict[str, Any]]:
    """Return the status of every subscription that `apply` listed or that had a run."""
    stored = log.bucket.read(SUBSCRIPTIONS)
    listed = [] if stored is None else json.loads(stored.body)
    latest = log.latest(rows)
    entries = {(str(one["connection"]), str(one["subscription"])): one for one in listed}
    groups: dict[tuple[str, str], list[RunRow]] = {key: [] for key in entries}
    for row in rows:
        groups.setdefault((row.connection, row.subscription), []).append(row)
    statuses = []
    for key in sorted(groups):
        facts = Facts(
            *key,
            entry=entries.get(key, {}),
            listed_at=(stored and stored.written) or datetime.fromtimestamp(0, UTC),
            runs=groups[key],
            latest=latest.get("/".join(key), {}),
            failures=[one for one in failures if one.queue == "runs" and (one.connection, one.subscription) == key],
            is_paused=schedule_name(*key) in paused,
            days=[str(day) for day in days],
        )
        statuses.append(subscription_status(facts, now))
    return statuses


def _arrivals(bucket: Bucket, followers: Sequence[tuple[str, str]], day: date) -> list[dict[str, Any]]:
    """Return how the changes of a day arrived, by connection and name of a subscription.

    The daily look writes the reports of all subscriptions into one object.
    """
    summary = bucket.read_json(SUMMARY) or {}
    if summary.get("date") == str(day):
        reports = [summary["reports"].get("/".join(names)) for names in followers]
    else:
        reports = map_concurrently(bucket.read_json, [report_key(*names, day) for names in followers])
    keys = ("connection", "subscription", "date", "changes", "webhook", "poll", "both", "late_seconds", "alarm")
    return [{key: report.get(key) for key in keys} for report in reports if report]


def _rank(one: Mapping[str, Any]) -> int:
    return LEVELS.index(one["level"])


def stack_status(
    aws: AwsClients,
    settings: Settings,
    clock: Clock,
    open_shop: Callable[[str, float], Client],
    actions: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Return the status in the form of `read_status`.

    Args:
        aws: The clients of AWS.
        settings: The stack's settings.
        clock: The clock.
        open_shop: Returns the client of a connection. Its calls end within the given seconds.
        actions: Further actions for the operator.
    """
    s3 = aws.client("s3")
    return read_status(
        RunLog(Bucket(s3, settings.bucket), clock),
        settings,
        failures=peek(aws.client("sqs"), urls_of(settings)),
        actions=actions,
        paused=paused_schedules(aws.client("scheduler"), settings.schedule_group),
        ask=lambda name: ask_shop(open_shop, name),
        links=console_links(s3.meta.region_name, settings.bucket, settings.stack_name, settings.sync_state_machine_arn),
    )


def paused_schedules(scheduler: Any, group: str) -> set[str]:
    """Return the names of the schedules that the file or a person paused.

    Args:
        scheduler: The client of EventBridge Scheduler.
        group: The stack's group of schedules; empty if the stack has none.
    """
    pages = scheduler.get_paginator("list_schedules").paginate(GroupName=group) if group else ()
    return {row["Name"] for found in pages for row in found["Schedules"] if row.get("State") == "DISABLED"}


def last_days(today: date) -> list[date]:
    """Return the days that a status shows, UTC, today last."""
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


def _queue(queue: Queue, cause: str, group: Sequence[Failure]) -> dict[str, Any]:
    return {
        **describe(queue, cause, group),
        "link": next(filter(None, (execution_link(one.attributes.get("Execution", "")) for one in group)), ""),
        "command": f"python -m connector redrive --queue {queue} --cause {cause}",
    }


def _actions(
    subscriptions: Sequence[Mapping[str, Any]],
    shops: Sequence[Mapping[str, Any]],
    queues: Sequence[Mapping[str, Any]],
    arrivals: Sequence[Mapping[str, Any]],
) -> Iterable[dict[str, str]]:
    """Yield the actions that the parts of a status need."""
    for one in queues:
        why = f"{one['messages']} failed: {one['cause']}{': ' + one['detail'] if one['detail'] else ''}"
        yield {"level": "red", "what": f"failure queue {one['queue']}", "why": why, "command": one["command"]}
    named = [(f"{one['connection']}.{one['name']}", one) for one in subscriptions if not one["failed"]]
    for what, one in [*named, *((f"shop {one['connection']}", one) for one in shops)]:
        if one["level"] in ("red", "warning"):
            yield {"level": one["level"], "what": what, "why": one["why"], "command": one["command"]}
    for one in arrivals:
        if one["alarm"]:
            command = f"python -m connector webhooks plan --connection {one['connection']}"
            what = f"{one['connection']}.{one['subscription']}"
            yield {"level": "warning", "what": what, "why": str(one["alarm"]), "command": command}
