"""`cost`: what the runs of a month cost, by the list prices of AWS.

Examples:
  python -m connector cost --month          this month so far
  python -m connector cost --month 2026-11
  python -m connector cost --month 2026-11 --json
"""

from __future__ import annotations

import argparse
import json
from calendar import monthrange
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
    text = "the month, such as 2026-11 (default: this month so far)"
    parser.add_argument("--month", nargs="?", const="", default="", help=text)
    parser.add_argument("--json", action="store_true", help="print the costs as JSON")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    now = datetime.fromtimestamp(stack.clock.time(), UTC).date()
    days = _days(arguments.month or f"{now:%Y-%m}", now)
    runs, parameters = RunLog(stack.bucket, stack.clock).runs(days), stack.parameters
    report: dict[str, Any] = {
        "month": f"{days[0]:%Y-%m}",
        "days": len(days),
        "runs": len(runs),
        "records": sum(run.records for run in runs),
        "prices": prices.PRICES,
        "services": services(
            runs,
            len(days),
            dashboard=parameters.get("CreateDashboard") == "true",
            subscription_metrics=parameters.get("SubscriptionMetrics") == "true",
            own_key=bool(parameters.get("KmsKeyArn")),
        ),
        "shops": {
            name: round(sum(run_dollars(run) for run in runs if run.connection == name), 4)
            for name in sorted({run.connection for run in runs})
        },
    }
    total = sum(report["services"].values())
    report["dollars"] = round(total, 4)
    report["dollars_per_million_records"] = round(total / report["records"] * 1e6, 4) if report["records"] else None
    if arguments.json:
        print(json.dumps(report, indent=2))
        return 0
    lines = {**report["services"], f"total of {len(days)} day{'' if len(days) == 1 else 's'}": total}
    lines |= {f"runs of {name}": dollars for name, dollars in report["shops"].items()}
    if report["records"]:
        lines["per million records"] = report["dollars_per_million_records"]
    for name, dollars in lines.items():
        print(f"{name:32} ${dollars:10.4f}")
    print(f"{len(runs):,} runs, {report['records']:,} records; {prices.PRICES}")
    return 0


def _days(month: str, today: date) -> list[date]:
    """Return the days of a month up to today."""
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise CommandError(f"--month {month!r:.40} is not a month; write one such as 2026-11") from None
    if first > today:
        raise CommandError(f"the month {month} has not begun")
    last = min(today, first.replace(day=monthrange(first.year, first.month)[1]))
    return [first + timedelta(number) for number in range((last - first).days + 1)]
