"""The watcher: each alarm's measure moves in the trouble that it stands for."""

import json
from typing import Any

import pytest

from connector.status import StatusReader
from subscribe import watch
from tests.integration.operator.conftest import Operated
from tests.integration.operator.test_status import FILE, add_run

QUIET = {"LagOfAllowed": 0.0, "NotVerified": 0, "Rejecting": 0, "Silent": 0}


def measured(operated: Operated) -> dict[str, Any]:
    return watch.measures(StatusReader(operated.aws.client("s3"), "bucket", operated.clock, stack="mine").read())


def test_an_empty_stack_is_quiet(operated: Operated) -> None:
    assert measured(operated) == QUIET


def test_a_weekly_subscription_that_stops_is_late_after_two_weeks_and_a_quarter_of_an_hour(operated: Operated) -> None:
    operated("apply", operated.file('[default.orders]\nevery = "7 days"\nat = "03:00"\n'))
    add_run(operated, "default", "orders", "2026-11-23T03:00:00Z", "r-1")
    start = 1_795_402_800  # 2026-11-23T03:00:00Z

    operated.clock.set(start + 10 * 86_400)
    assert 0 < measured(operated)["LagOfAllowed"] <= 1
    operated.clock.set(start + 14 * 86_400 + 600)
    assert measured(operated)["LagOfAllowed"] <= 1
    operated.clock.set(start + 14 * 86_400 + 960)
    assert measured(operated)["LagOfAllowed"] > 1
    operated.clock.set(start + 40 * 86_400)
    assert measured(operated)["LagOfAllowed"] > 2


def test_trouble_is_counted_and_what_is_paused_is_not(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    add_run(operated, "default", "orders", "2026-11-23T05:50:00Z", "r-1")
    add_run(operated, "default", "products", "2026-11-23T05:00:00Z", "p-1", verified=False, reason="no count")
    add_run(operated, "default", "orders", "2026-11-23T05:51:00Z", "r-2", rejected=[{"records": 4}])
    add_run(operated, "outlet", "orders", "2026-11-20T05:00:00Z", "o-1", verified=False, reason="paused")
    operated.clock.advance(600)

    found = measured(operated)
    assert (found["NotVerified"], found["Rejecting"], found["Silent"]) == (1, 1, 0)
    operated.clock.advance(7200)
    assert measured(operated)["LagOfAllowed"] > 1


def test_a_subscription_that_succeeds_without_records_is_silent(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    for day in range(12, 24):
        records = 9 if day < 20 else 0
        add_run(operated, "default", "products", f"2026-11-{day}T03:00:00Z", f"p-{day}", records=records)

    assert measured(operated)["Silent"] == 1


@pytest.mark.usefixtures("operated")
def test_the_handler_writes_one_metric_line_with_the_stack_as_its_only_dimension(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUCKET", "bucket")
    monkeypatch.setenv("STACK_NAME", "mine")
    context = type("Context", (), {"function_name": "w", "memory_limit_in_mb": 1, "invoked_function_arn": "a"})()
    context.aws_request_id = "r"

    assert watch.lambda_handler({}, context) == QUIET
    (line,) = [json.loads(row) for row in capsys.readouterr().out.splitlines() if '"_aws"' in row]
    (described,) = line["_aws"]["CloudWatchMetrics"]
    assert (described["Dimensions"], line["stack"]) == ([["stack"]], "mine")
    assert [one["Name"] for one in described["Metrics"]] == list(QUIET)


def test_a_second_status_reads_only_what_is_new(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    for hour in range(6):
        add_run(operated, "default", "orders", f"2026-11-23T0{hour}:00:00Z", f"r-{hour}")
    measured(operated)
    add_run(operated, "default", "orders", "2026-11-23T05:59:00Z", "r-9")
    operated.aws.calls.clear()

    assert measured(operated)["NotVerified"] == 0
    reads = operated.aws.calls.count("GetObject")
    operated.aws.calls.clear()
    measured(operated)
    assert operated.aws.calls.count("GetObject") == reads - 1  # but for the new manifest
    assert operated.aws.calls.count("ListObjectsV2") == 3 + 2 + 2  # folders, two open days, reports


def test_runs_that_became_one_count_once(operated: Operated) -> None:
    folder = "manifests/connection=default/entity=orders/lang=nl/date=2026-11-22"
    for hour in range(3):
        add_run(operated, "default", "orders", f"2026-11-22T0{hour}:00:00Z", f"r-{hour}")
    replaced = [f"{folder}/r-{hour}.json" for hour in range(3)]
    started = {"replaces": replaced, "records": 15, "rewritten": [{"by": "compact"}]}

    def per_day() -> Any:
        reader = StatusReader(operated.aws.client("s3"), "bucket", operated.clock, stack="mine")
        (orders,) = reader.read()["subscriptions"]
        return orders["records_per_day"][-2], orders["last_run"]["run_id"]

    assert per_day() == (15, "r-2")
    add_run(operated, "default", "orders", "2026-11-22T00:00:00Z", "2026-11-22-compact", **started)
    assert per_day() == (15, "r-2")
    for key in replaced:
        operated.aws.client("s3").delete_object(Bucket="bucket", Key=key)
    assert per_day() == (15, "r-2")
    operated.aws.client("s3").delete_object(Bucket="bucket", Key="state/status/date=2026-11-22.json.gz")
    operated.aws.client("s3").delete_object(Bucket="bucket", Key="state/status/latest.json")
    assert per_day() == (15, "2026-11-22-compact")
