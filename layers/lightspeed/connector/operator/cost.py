"""`cost`: what the runs of a month cost, from what they did and the list prices.

Manifests say which runs there were, how many records they read and how long they took. Their parts say how many objects
they wrote. What no run causes, such as alarms, is a line of its own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connector import prices
from connector.operator.stack import CommandError, Stack
from connector.status import RunRow, StatusReader

DAYS_A_MONTH = 30
_BILLED_BESIDES_SECONDS = 1.0
_PUTS_A_RUN = 6
_GETS_A_RUN = 6
_LOG_BYTES_A_RUN = 4_000
_LISTS_A_WATCH = 25
_WATCHES_A_DAY = 96
_EXAMPLES = """examples:
  python -m connector cost --month 2026-11
  python -m connector cost --month 2026-11 --json
"""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "show what the runs of a month cost, by service, by shop and per million records"
    parser = commands.add_parser(
        "cost",
        help=text,
        description=text,
        epilog=_EXAMPLES,
        parents=[common],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)
    parser.add_argument("--month", default="", help="such as 2026-11 (default: this month so far)")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    now = datetime.fromtimestamp(stack.clock.time(), UTC).date()
    days = list(_days(arguments.month or f"{now:%Y-%m}", now))
    reader = StatusReader(stack.client("s3"), stack.settings.bucket, stack.clock, stack=stack.name)
    runs = reader.runs(days)
    connections = len({run.connection for run in runs})
    found: dict[str, Any] = {
        "month": f"{days[0]:%Y-%m}",
        "days": len(days),
        "runs": len(runs),
        "records": sum(run.records for run in runs),
        "prices": prices.PRICES,
        "services": _services(runs, len(days), connections),
        "shops": {
            name: round(sum(_run_dollars(run) for run in runs if run.connection == name), 4)
            for name in sorted({run.connection for run in runs})
        },
    }
    total = sum(found["services"].values())
    found["dollars"] = round(total, 4)
    found["dollars_per_million_records"] = round(total / found["records"] * 1e6, 4) if found["records"] else None
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, dollars in found["services"].items():
        print(f"{name:32} ${dollars:10.4f}")
    print(f"{'together, ' + str(len(days)) + ' days':32} ${total:10.4f}")
    for name, dollars in found["shops"].items():
        print(f"{'runs of ' + name:32} ${dollars:10.4f}")
    if found["records"]:
        print(f"{'per million records':32} ${found['dollars_per_million_records']:10.4f}")
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
    first = day
    while (day.year, day.month) == (first.year, first.month) and day <= today:
        yield day
        day += timedelta(days=1)


def _seconds(run: RunRow) -> float:
    """Return the billed time of a run. Time that it waited for the quota is not billed, so an invocation bounds it."""
    taken = (datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)).total_seconds()
    return min(max(taken, 0.0), float(prices.INVOCATION_SECONDS)) + _BILLED_BESIDES_SECONDS


def _run_dollars(run: RunRow) -> float:
    return prices.cents(billed_seconds=_seconds(run), invocations=1, puts=_PUTS_A_RUN) / 100


def _services(runs: list[RunRow], days: int, connections: int) -> dict[str, float]:
    """Return dollars by service."""
    share, count = days / DAYS_A_MONTH, len(runs)
    watches = _WATCHES_A_DAY * days
    gigabyte_seconds = sum(map(_seconds, runs)) * prices.MEMORY_MB / 1024 + watches * 0.5
    found = {
        "Step Functions": count * prices.TRANSITIONS_A_RUN * prices.STEP_FUNCTIONS_TRANSITION,
        "Lambda": gigabyte_seconds * prices.LAMBDA_ARM64_GB_SECOND + (count + watches) * prices.LAMBDA_REQUEST,
        "S3 writes and lists": (count * _PUTS_A_RUN + watches * _LISTS_A_WATCH) * prices.S3_PUT,
        "S3 reads": (count * _GETS_A_RUN + watches * _LISTS_A_WATCH) * prices.S3_GET,
        "CloudWatch metrics": prices.METRICS * prices.CLOUDWATCH_METRIC * share,
        "CloudWatch alarms": prices.ALARMS * prices.CLOUDWATCH_ALARM * share,
        "CloudWatch logs": (count + watches) * _LOG_BYTES_A_RUN / 1e9 * prices.CLOUDWATCH_LOG_GB,
        "Secrets Manager": (connections + 1) * prices.SECRET * share + count * prices.SECRET_CALL,
    }
    return {name: round(dollars, 4) for name, dollars in found.items()}
