"""The status of a shop: its quota, who used it, and whether its webhooks are switched on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from connector.aws.errors import aws_error_types, reason
from connector.errors import ConnectorError
from connector.runs.log import RunRow
from connector.timestamps import iso_text
from lightspeed import AuthenticationError, Client, LightspeedError
from lightspeed.connection_check import diagnose
from lightspeed.quota import WINDOW_SECONDS

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


def ask_shop(open_shop: Callable[[str, float], Client], name: str) -> ShopState:
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
        return ShopState((), "red", diagnose(error, connection), f"{command} --rotate")
    except LightspeedError:
        if client.transport.quota is None:
            return ShopState((), "warning", "the shop did not answer in time, or is down")
    quota = client.transport.quota
    return ShopState(tuple(asdict(window) for window in quota.windows) if quota else ())


def shop_status(
    name: str, state: ShopState, registered: Mapping[str, Any], rows: Sequence[RunRow], now: datetime, reserve: float
) -> dict[str, Any]:
    """Return the status of a shop, as JSON-able data.

    Args:
        name: The connection's name.
        state: The answer of the shop.
        registered: What the daily look found of the shop's webhooks: `off`, `missing` and `command`.
        rows: The finished runs of all connections.
        now: The time.
        reserve: The percentage of each quota window that stays free.
    """
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
        for window, by in zip(state.windows, _requests(rows, name, state, now), strict=True)
    ]
    return {
        "connection": name,
        "quota": quota,
        "webhooks_off": off,
        "level": level,
        "why": why,
        "command": command,
    }


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
