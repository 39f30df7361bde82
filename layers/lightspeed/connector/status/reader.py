"""The status of a stack: the data that `status` and `GET /status` show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from connector.aws.bucket import Bucket
from connector.aws.errors import aws_error_types, reason
from connector.cadence import schedule_name
from connector.clients import AwsClients
from connector.concurrency import map_concurrently
from connector.errors import ConnectorError
from connector.runs.log import RunLog, RunRow
from connector.settings import Settings
from connector.status.failure_queues import Failure, Queue, by_cause, describe, peek, urls_of
from connector.status.subscription import DAYS, Facts, subscription_status
from connector.storage_keys import SUBSCRIPTIONS
from connector.timestamps import iso_text
from connector.webhooks.report import SUMMARY, report_key
from lightspeed import AuthenticationError, Client, Clock, LightspeedError
from lightspeed.connection_check import diagnosis
from lightspeed.quota import WINDOW_SECONDS

VERSION = 1
"""The version of the JSON form. It changes if a key goes or gets another meaning."""

LEVELS = ("red", "warning", "good", "paused")
"""The levels, worst first. A level of `red` needs action."""

PATIENCE_SECONDS = 1.5
"""How long the status waits for the quota of a shop."""


@dataclass(frozen=True, slots=True)
class ShopState:
    """The answer of a shop.

    Attributes:
        windows: The windows of its quota, each with name, limit, remaining and seconds to its reset.
        level: `red` for settings that are wrong or refused, `warning` for a shop that did not answer, else `good`.
        why: What is wrong; empty if nothing is wrong.
        command: The command that helps; empty if there is none.
    """

    windows: tuple[Mapping[str, Any], ...] = ()
    level: str = "good"
    why: str = ""
    command: str = ""


def read_status(
    log: RunLog,
    settings: Settings,
    *,
    failures: Sequence[Failure] = (),
    actions: Sequence[Mapping[str, str]] = (),
    paused: Container[str] = (),
    ask_shop: Callable[[str], ShopState] | None = None,
    links: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the status of a stack as JSON-able data, worst first.

    Args:
        log: The finished runs.
        settings: The stack's settings: its name, and the share of each quota window that stays free.
        failures: The messages of the failure queues.
        actions: Further actions for the operator, each with level, what, why and command.
        paused: Names of the paused schedules.
        ask_shop: Returns the quota of a shop, or why there is none, within `PATIENCE_SECONDS`.
        links: The result of `console_links`.
    """
    now = datetime.fromtimestamp(log.clock.time(), UTC)
    days = last_days(now.date())
    rows = log.runs(days)
    subscriptions = _subscriptions(log, rows, days, now, failures, paused)
    connections = sorted({one["connection"] for one in subscriptions})

    def shop(name: str) -> dict[str, Any]:
        state = ShopState() if ask_shop is None else ask_shop(name)
        registered = log.bucket.read_json(f"state/webhooks/connection={name}.json") or {}
        return _shop(name, state, registered, _requests(rows, name, state, now), settings.quota_reserve_percent)

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


def _shop(
    name: str, state: ShopState, registered: Mapping[str, Any], users: Sequence[Mapping[str, int]], reserve: float
) -> dict[str, Any]:
    off = [*registered.get("off", ()), *registered.get("missing", ())]
    short = [window for window in state.windows if window["remaining"] < window["limit"] * reserve / 100]
    level, why, command = state.level, state.why, state.command
    if off and level != "red":
        level, why = "red", f"webhooks are missing or switched off: {', '.join(off)}"
        command = str(registered.get("command") or "")
    elif short and level == "good":
        level, why = "warning", f"the {short[0]['name']} quota is used up to its reserve of {reserve:g} %"
    quota = [
        {**window, "used": window["limit"] - window["remaining"], "used_by": dict(by)}
        for window, by in zip(state.windows, users, strict=True)
    ]
    return {
        "connection": name,
        "quota": quota,
        "webhooks_off": off,
        "level": level,
        "why": why,
        "command": command,
    }


def _rank(one: Mapping[str, Any]) -> int:
    return LEVELS.index(one["level"])


def _requests(rows: Sequence[RunRow], connection: str, state: ShopState, now: datetime) -> list[dict[str, int]]:
    """Return the requests by subscription for each quota window of a shop, the most requests first.

    They are those of finished runs that started in the window. The rest of `used` is by publish, other apps and runs
    under way.
    """
    if not state.windows:
        return []
    day_before = iso_text((now - timedelta(days=1)).timestamp())
    runs = {row.run_id: row for row in rows if row.connection == connection and row.started > day_before}
    found = []
    for window in state.windows:
        age = WINDOW_SECONDS[window["name"]] - window["reset_seconds"]
        since = iso_text((now - timedelta(seconds=age)).timestamp())
        by: Counter[str] = Counter()
        for run in runs.values():
            if run.started >= since:
                by[run.subscription] += run.requests
        found.append({name: count for name, count in by.most_common() if count})
    return found


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
        ask_shop=lambda name: _shop_state(open_shop, name),
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


def _shop_state(open_shop: Callable[[str, float], Client], name: str) -> ShopState:
    """Return a shop's quota, or why there is none. Wrong settings are red. A shop that is down is a warning."""
    command = f"python -m connector connect {name}"
    try:
        client = open_shop(name, PATIENCE_SECONDS)
    except (LightspeedError, ConnectorError) as error:
        return ShopState((), "red", str(error), command)
    except aws_error_types() as error:
        return ShopState((), "red", f"the connection's secret cannot be read: {reason(error)}", command)
    connection = client.transport.connection
    try:
        client.record(client.build("shop", "get"))
    except AuthenticationError as error:
        return ShopState((), "red", diagnosis(error, connection), f"{command} --rotate")
    except LightspeedError:
        if client.transport.quota is None:
            return ShopState((), "warning", "the shop did not answer in time, or is down")
    quota = client.transport.quota
    return ShopState(tuple(asdict(window) for window in quota.windows) if quota else ())


def last_days(today: date) -> list[date]:
    """Return the days that a status shows, UTC, today last."""
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


def console_links(region: str, bucket: str, stack: str, sync_arn: str) -> dict[str, str]:
    """Return the addresses of a stack's pages in the AWS console, by their content."""
    console = f"https://{region}.console.aws.amazon.com"
    group = quote(quote(f"/aws/lambda/{stack}-subscribe", safe=""), safe="").replace("%", "$")
    found = {
        "runs": f"{console}/states/home?region={region}#/statemachines/view/{quote(sync_arn, safe='')}",
        "logs": f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}",
        "alarms": f"{console}/cloudwatch/home?region={region}#alarmsV2:?search={quote(stack, safe='')}",
        "objects": f"https://s3.console.aws.amazon.com/s3/buckets/{quote(bucket, safe='')}?region={region}",
    }
    return {name: link for name, link in found.items() if name != "runs" or sync_arn}


def execution_link(arn: str) -> str:
    """Return the address of an execution in the AWS console; empty if the text is no ARN of an execution."""
    parts = arn.split(":")
    if len(parts) != 8 or parts[2] != "states" or parts[5] != "execution":
        return ""
    region = quote(parts[3], safe="")
    page = f"https://{region}.console.aws.amazon.com/states/home?region={region}"
    return f"{page}#/v2/executions/details/{quote(arn, safe=':')}"


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
