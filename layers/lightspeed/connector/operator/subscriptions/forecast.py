"""What a file's subscriptions take a day: runs, requests of each shop's quota, and money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.aws.errors import aws_error_types, reason
from connector.cadence import DAY
from connector.errors import ConnectorError
from connector.operator.stack import Stack
from connector.operator.subscriptions.file import Subscription
from connector.webhooks.window import Policy, dollars_a_month
from lightspeed import CATALOGUE, Client, LightspeedError, Parameters
from lightspeed.estimate import ListCounter, Span, estimate


@dataclass(frozen=True, slots=True)
class _Load:
    """What a subscription takes a day.

    Attributes:
        runs: The runs that its schedules start.
        requests: The requests of those runs that could be counted.
        uncounted: Why the requests of other runs could not be counted.
    """

    runs: float
    requests: float
    uncounted: tuple[str, ...]

    def text(self, limit: str = "") -> str:
        """Return requests and money as text; the limit follows the requests."""
        number = f"about {self.requests:,.0f}"
        if self.uncounted:
            number = f"more than {self.requests:,.0f}" if self.requests else "an unknown number of"
        return f"{number} requests a day{limit}; about ${dollars_a_month(self.runs):.2f} a month"


def forecast(subscriptions: Sequence[Subscription], stack: Stack) -> Iterator[str]:
    """Yield lines that say what subscriptions take from each shop's quota a day, and what they cost.

    Each shop counts each list once. An incremental run is assumed to find the changes of one interval.
    """
    for connection in sorted({one.connection for one in subscriptions}):
        active = [one for one in subscriptions if one.connection == connection and one.enabled]
        yield from _forecast_of_shop(connection, active, stack)


def _forecast_of_shop(connection: str, active: Sequence[Subscription], stack: Stack) -> Iterator[str]:
    shop, why = None, ""
    try:
        shop = stack.shop(connection)
    except (LightspeedError, ConnectorError) as error:
        why = str(error)
    except aws_error_types() as error:
        why = reason(error)
    loads = [_load_a_day(one, shop, stack) if shop else _Load(_runs_a_day(one), 0.0, (why,)) for one in active]
    uncounted = tuple(dict.fromkeys(text for load in loads for text in load.uncounted))
    total = _Load(sum(load.runs for load in loads), sum(load.requests for load in loads), uncounted)
    limit = _daily_limit(shop, stack) if shop else None
    of_limit = "" if limit is None else f" (the quota without its reserve: {limit:,.0f})"
    yield f"{connection}: {total.runs:,.0f} runs and {total.text(of_limit)}"
    for one, load in zip(active, loads, strict=True):
        runs = f"{load.runs:,.0f}" if load.runs >= 10 else f"{load.runs:.1f}"
        yield f"  {one.title}: {runs} runs and {load.text()}"
    if hooks := Policy.of(stack.settings).most_runs_a_day() * sum(one.webhooks for one in active):
        yield (
            f"{connection}: webhooks add at most {hooks:,} runs a day, if records change all day: "
            f"${dollars_a_month(hooks):.2f} a month"
        )
    yield from (f"{connection}: not counted: {text}" for text in uncounted)
    if limit is not None and total.requests > limit:
        yield f"warning: {connection} needs more than its quota of a day; read less, or less often"


def _runs_a_day(subscription: Subscription) -> float:
    return sum(DAY / cadence.seconds for cadence, _ in subscription.runs)


def _load_a_day(subscription: Subscription, shop: Client, stack: Stack) -> _Load:
    requests, uncounted = 0.0, []
    for cadence, event in subscription.runs:
        try:
            requests += DAY / cadence.seconds * _requests_of_run(shop, event, cadence.seconds, stack)
        except (LightspeedError, ConnectorError) as error:
            uncounted.append(f"{subscription.title}: {error}")
    return _Load(_runs_a_day(subscription), requests, tuple(uncounted))


def _requests_of_run(shop: Client, event: Mapping[str, Any], seconds: int, stack: Stack) -> int:
    """Return the requests of a run that reads the changes of the last `seconds`."""
    given = event.get("parameters", {})
    parameters = Parameters(given.get("path", {}), given.get("query", {}))
    end = datetime.fromtimestamp(stack.clock.time(), UTC)
    incremental = event["mode"] == "incremental"
    span = Span(end, end - timedelta(seconds=seconds) if incremental else None, incremental)
    counter, entity = ListCounter(shop), CATALOGUE[event["entity"]]
    languages = event.get("languages", [shop.transport.connection.language])
    readings = [counter.reading(entity, parameters, language, span) for language in languages]
    return estimate(readings, counter.quota, reserve_percent=0).requests["total"]


def _daily_limit(shop: Client, stack: Stack) -> float | None:
    """Return the requests a day that the reserve leaves; `None` if the shop names no daily limit."""
    quota = shop.transport.quota
    limits = [window.limit for window in quota.windows if window.name == "day"] if quota else []
    return limits[0] * (1 - stack.settings.quota_reserve_percent / 100) if limits else None
