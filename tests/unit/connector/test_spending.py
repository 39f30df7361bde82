"""The cost of a stack follows from runs and prices, and the example of the documents stays cheap."""

import re
from pathlib import Path

import pytest

from connector.cadence import DAY
from connector.costs import prices
from connector.costs.spending import DAYS_A_MONTH, run_dollars, services
from connector.operator.subscriptions.file import read_file
from connector.runs.log import RunRow

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "events/subscriptions-two-shops.toml"
WHEN = ("2026-11-23T03:00:00Z", "2026-11-23T03:00:01Z")


def run(connection: str = "default", entity: str = "orders", mode: str = "incremental", records: int = 10) -> RunRow:
    return RunRow(connection, entity, entity, mode, "r", *WHEN, WHEN[1], records, 0, verified=True, reason="")


def month_of_the_example() -> list[RunRow]:
    """The runs of 30 days, a second each."""
    found = []
    for one in read_file(EXAMPLE):
        for cadence, mode in ((one.cadence, "incremental"), (one.reconcile, "reconcile")):
            if cadence is not None:
                found += [run(one.connection, one.entity, mode)] * round(DAYS_A_MONTH * DAY / cadence.seconds)
    return found


def test_two_shops_and_six_subscriptions_cost_at_most_three_dollars_a_month() -> None:
    files = read_file(EXAMPLE)
    assert (len(files), len({one.connection for one in files})) == (6, 2)

    assert sum(services(month_of_the_example(), DAYS_A_MONTH).values()) <= 3.00


def test_the_documented_costs_are_those_of_the_example() -> None:
    page = (ROOT / "functions/OPERATION.md").read_text(encoding="utf-8")
    found = services(month_of_the_example(), DAYS_A_MONTH)
    shown = dict(re.findall(r"(?m)^\| (\w[\w ]+) \|.*\| (\d+\.\d\d) \|$", page))

    assert {name: shown.get(name) for name in found} == {name: f"{dollars:.2f}" for name, dollars in found.items()}
    assert shown["together"] == f"{sum(found.values()):.2f}"


def test_each_line_follows_from_runs_and_prices() -> None:
    runs = [run(), run("outlet", records=0)]
    found = services(runs, 15)

    assert found["Step Functions"] == pytest.approx(2 * 5 * 0.000025, abs=1e-4)
    assert found["CloudWatch alarms"] == pytest.approx(prices.ALARMS * 0.10 / 2)
    assert found["CloudWatch metrics"] == pytest.approx(0.30 / 2)
    assert found["Secrets Manager"] == pytest.approx(3 * 0.40 / 2, abs=1e-4)
    assert found["SQS"] == pytest.approx((2 * 5 * 4320 * 15 - 500_000) * 4e-7, abs=1e-4)
    assert "KMS" not in found
    assert run_dollars(runs[0]) > run_dollars(runs[1])  # it writes a part


@pytest.mark.parametrize(
    ("changes", "line", "dollars"),
    [
        ({"dashboard": True}, "CloudWatch dashboard", 3.00),
        ({"subscription_metrics": True}, "CloudWatch metrics", 0.30 + 6 * 0.60),
        ({"own_key": True}, "KMS", 1.00),
    ],
)
def test_what_a_parameter_of_the_stack_adds_is_priced(changes: dict[str, bool], line: str, dollars: float) -> None:
    assert services(month_of_the_example(), DAYS_A_MONTH, **changes)[line] == pytest.approx(dollars)


def test_a_wait_for_the_quota_is_not_billed() -> None:
    long = RunRow("a", "b", "b", "full", "r", "2026-11-23T00:00:00Z", "2026-11-23T09:00:00Z", "", 1, 0, True, "")

    assert run_dollars(long) < prices.INVOCATION_SECONDS * prices.LAMBDA_ARM64_GB_SECOND + 0.01
