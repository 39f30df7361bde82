"""What the subscriptions of a file take from each shop's quota per day, and what they cost, before they run.

The shop is asked for one count per list. An incremental run is taken to find what changed in the last interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.cadence import DAY
from connector.errors import ConnectorError
from connector.operator.stack import Stack
from connector.operator.subscriptions_file import Subscription
from connector.webhook_window import Policy, dollars_a_month
from lightspeed import CATALOGUE, LightspeedError, Parameters
from lightspeed.catalogue.entities import parent_of
from lightspeed.estimate import Counter, Operation, Span, estimate

ALL_PARENTS = "*"


@dataclass(frozen=True, slots=True)
class Forecast:
    """The use of one shop.

    Attributes:
        connection: The connection's name.
        runs: A day, by schedule.
        requests: A day, by schedule.
        room: Requests a day that the reserve leaves; `None` if the shop names no daily limit.
        dollars: A month, by schedule.
        webhook_runs: A day, at most.
        webhook_dollars: A month, at most.
        unknown: Subscriptions that could not be counted, with the reason.
        parts: The same of each subscription, in the order of the file: its name, runs, requests and dollars.
    """

    connection: str
    runs: float
    requests: float
    room: float | None
    dollars: float
    webhook_runs: int
    webhook_dollars: float
    unknown: tuple[str, ...] = ()
    parts: tuple[tuple[str, float, float, float], ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        of = "" if self.room is None else f" of {self.room:,.0f} that the reserve leaves"
        yield (
            f"{self.connection}: {self.runs:,.0f} runs and about {self.requests:,.0f} requests a day{of}; "
            f"about ${self.dollars:.2f} a month"
        )
        for title, runs, requests, dollars in self.parts:
            daily = f"{_short(runs)} runs and about {requests:,.0f} requests a day"
            yield f"  {title}: {daily}; about ${dollars:.2f} a month"
        if self.webhook_runs:
            yield (
                f"{self.connection}: webhooks add at most {self.webhook_runs:,} runs a day, if records change all day: "
                f"${self.webhook_dollars:.2f} a month"
            )
        for text in self.unknown:
            yield f"{self.connection}: not counted: {text}"
        if self.room is not None and self.requests > self.room:
            yield f"warning: {self.connection} needs more than its quota of a day; read less, or less often"


def forecast(subscriptions: Sequence[Subscription], stack: Stack) -> Iterator[Forecast]:
    """Yield the use of each connection of a file, in the order of names."""
    policy = Policy.of(stack.settings)
    for connection in sorted({one.connection for one in subscriptions}):
        own = [one for one in subscriptions if one.connection == connection and one.enabled]
        yield _of_shop(connection, own, stack, policy)


def _of_shop(connection: str, own: Sequence[Subscription], stack: Stack, policy: Policy) -> Forecast:
    parts: list[tuple[str, float, float, float]] = []
    unknown: list[str] = []
    counter: Counter | None = None
    language = ""
    try:
        shop = stack.shop(connection)
        language = shop.transport.connection.language
        counter = Counter(shop)
    except (LightspeedError, ConnectorError) as error:
        unknown.append(str(error))
    for one in own:
        runs = requests = 0.0
        wanted = [(one.cadence, one.event)] + ([(one.reconcile, one.reconcile_event)] if one.reconcile else [])
        for cadence, event in wanted:
            times = DAY / cadence.seconds
            runs += times
            if counter is None:
                continue
            try:
                requests += times * _requests(counter, {"languages": [language], **event}, cadence.seconds, stack)
            except (LightspeedError, ConnectorError) as error:
                unknown.append(f"{one.title}: {error}")
        parts.append((one.title, runs, requests, dollars_a_month(runs)))
    hooks = policy.most_runs_a_day() * sum(one.webhooks for one in own)
    runs, requests = sum(part[1] for part in parts), sum(part[2] for part in parts)
    room = None if counter is None else _room(counter, stack)
    return Forecast(
        connection,
        runs,
        requests,
        room,
        dollars_a_month(runs),
        hooks,
        dollars_a_month(hooks),
        tuple(unknown),
        tuple(parts),
    )


def _requests(counter: Counter, event: Any, seconds: int, stack: Stack) -> float:
    """Return the requests of one run."""
    row = CATALOGUE[event["entity"]]
    given = event.get("parameters", {})
    path, query = dict(given.get("path", {})), dict(given.get("query", {}))
    operation: Operation = "get" if "id" in path or not row.collection else "list"
    parent = parent_of(row)
    if parent is not None and ALL_PARENTS in path.values():
        operation, row, path = "each", parent, {}
    end = datetime.fromtimestamp(stack.clock.time(), UTC)
    incremental = event["mode"] == "incremental"
    span = Span(end, end - timedelta(seconds=seconds) if incremental else None, incremental)
    readings = [
        counter.reading(operation, row, Parameters(path, query), language, span) for language in event["languages"]
    ]
    found = estimate(readings, counter.quota, reserve_percent=0)
    return float(found.requests["total"])


def _room(counter: Counter, stack: Stack) -> float | None:
    quota = counter.quota
    limits = [window.limit for window in quota.windows if window.name == "day"] if quota else []
    return limits[0] * (1 - stack.settings.quota_reserve_percent / 100) if limits else None


def _short(runs: float) -> str:
    """Return runs a day as text: `288`, or `1.1` if they are few."""
    return f"{runs:,.0f}" if runs >= 10 else f"{runs:.1f}"
