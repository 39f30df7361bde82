"""What the subscriptions of a file take from each shop's quota per day, and what they cost, before they run.

The shop is asked for one count per list. An incremental run is taken to find what changed in the last interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.cadence import DAY
from connector.errors import ConnectorError
from connector.operator.stack import Stack
from connector.operator.subscriptions_file import Subscription
from connector.webhook_window import Policy, dollars_a_month
from lightspeed import CATALOGUE, LightspeedError, Parameters
from lightspeed.estimate import ListCounter, Span, estimate


def forecast(subscriptions: Sequence[Subscription], stack: Stack) -> Iterator[str]:
    """Yield what people read of each connection of a file, in the order of names."""
    for connection in sorted({one.connection for one in subscriptions}):
        yield from _of_shop(connection, [one for one in subscriptions if one.connection == connection], stack)


def _of_shop(connection: str, subscriptions: Sequence[Subscription], stack: Stack) -> Iterator[str]:
    own, unknown = [one for one in subscriptions if one.enabled], []
    counter, language = None, ""
    try:
        shop = stack.shop(connection)
        counter, language = ListCounter(shop), shop.transport.connection.language
    except (LightspeedError, ConnectorError) as error:
        unknown.append(str(error))
    parts, all_runs, all_requests = [], 0.0, 0.0
    for one in own:
        runs = requests = 0.0
        for cadence, event in one.runs:
            times = DAY / cadence.seconds
            runs += times
            if counter is None:
                continue
            try:
                requests += times * _requests(counter, {"languages": [language], **event}, cadence.seconds, stack)
            except (LightspeedError, ConnectorError) as error:
                unknown.append(f"{one.title}: {error}")
        all_runs, all_requests = all_runs + runs, all_requests + requests
        short = f"{runs:,.0f}" if runs >= 10 else f"{runs:.1f}"
        parts.append(f"  {one.title}: {short} runs and {_daily(requests, runs)}")
    room = None if counter is None else _room(counter, stack)
    of = "" if room is None else f" of {room:,.0f} that the reserve leaves"
    yield f"{connection}: {all_runs:,.0f} runs and {_daily(all_requests, all_runs, of)}"
    yield from parts
    if hooks := Policy.of(stack.settings).most_runs_a_day() * sum(one.webhooks for one in own):
        yield (
            f"{connection}: webhooks add at most {hooks:,} runs a day, if records change all day: "
            f"${dollars_a_month(hooks):.2f} a month"
        )
    yield from (f"{connection}: not counted: {text}" for text in unknown)
    if room is not None and all_requests > room:
        yield f"warning: {connection} needs more than its quota of a day; read less, or less often"


def _daily(requests: float, runs: float, of: str = "") -> str:
    return f"about {requests:,.0f} requests a day{of}; about ${dollars_a_month(runs):.2f} a month"


def _requests(counter: ListCounter, event: Mapping[str, Any], seconds: int, stack: Stack) -> float:
    """Return the requests of one run."""
    given = event.get("parameters", {})
    parameters = Parameters(given.get("path", {}), given.get("query", {}))
    end = datetime.fromtimestamp(stack.clock.time(), UTC)
    incremental = event["mode"] == "incremental"
    span = Span(end, end - timedelta(seconds=seconds) if incremental else None, incremental)
    entity = CATALOGUE[event["entity"]]
    readings = [counter.reading(entity, parameters, language, span) for language in event["languages"]]
    return float(estimate(readings, counter.quota, reserve_percent=0).requests["total"])


def _room(counter: ListCounter, stack: Stack) -> float | None:
    """Return the requests a day that the reserve leaves; `None` if the shop names no daily limit."""
    quota = counter.quota
    limits = [window.limit for window in quota.windows if window.name == "day"] if quota else []
    return limits[0] * (1 - stack.settings.quota_reserve_percent / 100) if limits else None
