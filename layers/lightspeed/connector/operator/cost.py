"""`cost`: what a month cost, from what its runs did and the list prices.

Examples:
  python -m connector cost --month 2026-11
  python -m connector cost --month 2026-11 --json
"""

from __future__ import annotations

import argparse
import json
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connector.costs import prices
from connector.costs.spending import run_dollars, services
from connector.operator.parsers import add_command
from connector.operator.stack import CommandError, Stack
from connector.runs.log import RunLog


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "show what the runs of a month cost, by service, by shop and per million records"
    parser = add_command(commands, common, "cost", text, __doc__, _run)
    parser.add_argument("--month", default="", help="such as 2026-11 (default: this month so far)")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    now = datetime.fromtimestamp(stack.clock.time(), UTC).date()
    days = list(_days(arguments.month or f"{now:%Y-%m}", now))
    runs, given = RunLog(stack.bucket, stack.clock).runs(days), stack.parameters
    found: dict[str, Any] = {
        "month": f"{days[0]:%Y-%m}",
        "days": len(days),
        "runs": len(runs),
        "records": sum(run.records for run in runs),
        "prices": prices.PRICES,
        "services": services(
            runs,
            len(days),
            dashboard=given.get("CreateDashboard") == "true",
            subscription_metrics=given.get("SubscriptionMetrics") == "true",
            own_key=bool(given.get("KmsKeyArn")),
        ),
        "shops": {
            name: round(sum(run_dollars(run) for run in runs if run.connection == name), 4)
            for name in sorted({run.connection for run in runs})
        },
    }
    total = sum(found["services"].values())
    found["dollars"] = round(total, 4)
    found["dollars_per_million_records"] = round(total / found["records"] * 1e6, 4) if found["records"] else None
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    lines = {**found["services"], f"together, {len(days)} days": total}
    lines |= {f"runs of {name}": dollars for name, dollars in found["shops"].items()}
    if found["records"]:
        lines["per million records"] = found["dollars_per_million_records"]
    for name, dollars in lines.items():
        print(f"{name:32} ${dollars:10.4f}")
    print(f"{len(runs):,} runs, {found['records']:,} records; {prices.PRICES.replace('US cents', 'US dollars')}")
    return 0


def _days(month: str, today: date) -> Iterator[date]:
    """Yield the days of a month, up to today."""
    try:
        day = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise CommandError(f"a month is written 2026-11, not {month!r:.40}") from None
    if day > today:
        raise CommandError(f"{month} has not begun")
    month_days = (day + timedelta(more) for more in range(monthrange(day.year, day.month)[1]))
    yield from (one for one in month_days if one <= today)
