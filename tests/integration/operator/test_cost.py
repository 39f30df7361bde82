"""`cost`: the report of a month from its runs."""

import json

import pytest

from tests.integration.operator.conftest import Operated
from tests.integration.operator.test_status import add_run


def test_a_month_is_priced_by_service_by_shop_and_per_million_records(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in range(1, 24):
        add_run(operated, "default", "orders", f"2026-11-{day:02}T03:00:00Z", f"r-{day}", records=1_000)
        add_run(operated, "outlet", "orders", f"2026-11-{day:02}T04:00:00Z", f"o-{day}", records=0)

    assert operated("cost", "--month", "2026-11", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["days"], found["runs"], found["records"]) == (23, 46, 23_000)
    assert found["services"]["Step Functions"] == pytest.approx(46 * 5 * 0.000025, abs=1e-4)
    assert found["services"]["CloudWatch alarms"] == pytest.approx(10 * 0.10 * 23 / 30, abs=1e-4)
    assert found["dollars"] == pytest.approx(sum(found["services"].values()), abs=1e-3)
    assert found["dollars_per_million_records"] == pytest.approx(found["dollars"] / 0.023, rel=1e-3)
    assert found["shops"]["default"] > found["shops"]["outlet"] > 0
    assert operated("cost") == 0
    shown = capsys.readouterr().out
    assert operated("cost", "--month") == 0
    assert capsys.readouterr().out == shown
    assert "Step Functions " in shown
    assert "runs of outlet " in shown
    assert "46 runs, 23,000 records; AWS list prices in US dollars, eu-west-1, November 2026" in shown


@pytest.mark.parametrize(
    ("month", "message"),
    [
        ("november", "--month 'november' is not a month; write one such as 2026-11"),
        ("2026-12", "2026-12 has not begun"),
    ],
)
def test_a_month_that_is_none_is_refused(
    operated: Operated, capsys: pytest.CaptureFixture[str], month: str, message: str
) -> None:
    assert operated("cost", "--month", month) == 2
    assert message in capsys.readouterr().err
