"""The watcher: the metric of each alarm changes in the trouble that the alarm is for."""

import dataclasses
import json
from typing import Any

import pytest

from connector.aws.bucket import Bucket
from connector.observability import METRICS
from connector.runs.log import RunLog
from connector.settings import Settings
from connector.status.reader import read_status
from subscribe import watch
from tests.integration.operator.conftest import GROUP, Operated
from tests.integration.operator.test_redrive import put as put_message
from tests.integration.operator.test_status import FILE, add_run, pause

DAY = 86_400
START = 1_795_402_800  # 2026-11-23T03:00:00Z


def measured(operated: Operated, **more: Any) -> dict[str, float]:
    outputs = operated.aws.outputs
    settings = dataclasses.replace(
        Settings.from_env({"BUCKET": "bucket", "STACK_NAME": "mine"}),
        schedule_group=GROUP,
        run_failure_queue_url=outputs["RunFailureQueueUrl"],
        publish_failure_queue_url=outputs["PublishFailureQueueUrl"],
        webhook_failure_queue_url=outputs["WebhookFailureQueueUrl"],
        **more,
    )
    found = watch.measure(settings, operated.aws, operated.clock)
    assert set(found) <= set(METRICS)
    return found


def problems(operated: Operated) -> dict[str, float]:
    """The metrics without the lag, which always has a value."""
    found = measured(operated)
    assert "LagOfAllowed" in found
    return {name: value for name, value in found.items() if name != "LagOfAllowed"}


def test_an_empty_stack_is_quiet(operated: Operated) -> None:
    assert measured(operated) == {"LagOfAllowed": 0.0}


def test_a_weekly_subscription_that_stops_is_late_after_two_weeks_and_a_quarter_of_an_hour(operated: Operated) -> None:
    operated("apply", operated.file('[default.orders]\nevery = "7 days"\nat = "03:00"\n'))
    add_run(operated, "default", "orders", "2026-11-23T03:00:00Z", "r-1")

    operated.clock.advance(START + 10 * DAY - operated.clock.time())
    assert 0 < measured(operated)["LagOfAllowed"] <= 1
    operated.clock.advance(START + 14 * DAY + 600 - operated.clock.time())
    assert measured(operated)["LagOfAllowed"] <= 1
    operated.clock.advance(START + 14 * DAY + 960 - operated.clock.time())
    assert measured(operated)["LagOfAllowed"] > 1
    operated.clock.advance(START + 40 * DAY - operated.clock.time())
    assert measured(operated)["LagOfAllowed"] > 2


def test_a_subscription_that_never_runs_is_late(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    operated.put("config/subscriptions.json", operated.listed(), written="2026-11-23T06:00:00Z")

    operated.clock.advance(START + 3 * 3600 + 1200 - operated.clock.time())
    assert measured(operated)["LagOfAllowed"] <= 1
    operated.clock.advance(START + 3 * 3600 + 2400 - operated.clock.time())
    assert measured(operated)["LagOfAllowed"] > 1


def test_what_a_person_paused_is_not_late(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    add_run(operated, "default", "orders", "2026-11-23T05:50:00Z", "r-1")
    add_run(operated, "default", "products", "2026-11-23T03:00:00Z", "p-1")
    operated.clock.advance(7200)
    assert measured(operated)["LagOfAllowed"] > 1
    pause(operated, "default-orders")

    assert measured(operated)["LagOfAllowed"] < 1


def test_a_run_that_is_not_verified_and_one_that_rejects_much_are_incomplete(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    add_run(operated, "default", "orders", "2026-11-23T05:50:00Z", "r-1")
    add_run(operated, "default", "products", "2026-11-23T05:00:00Z", "p-1")
    add_run(operated, "outlet", "orders", "2026-11-20T05:00:00Z", "o-1", verified=False, reason="paused")
    assert problems(operated) == {}

    add_run(operated, "default", "products", "2026-11-23T05:30:00Z", "p-2", verified=False, reason="no count")
    add_run(operated, "default", "orders", "2026-11-23T05:51:00Z", "r-2", rejected=[{"records": 4}])
    assert problems(operated) == {"Incomplete": 2}


def test_a_late_subscription_that_rejects_much_is_both(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    add_run(operated, "default", "orders", "2026-11-23T05:51:00Z", "r-2", rejected=[{"records": 4}])
    operated.clock.advance(7200)

    found = measured(operated)
    assert (found["LagOfAllowed"] > 1, found["Incomplete"]) == (True, 1)


def test_a_subscription_that_succeeds_without_records_is_silent(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    for day in range(12, 24):
        records = 9 if day < 20 else 0
        add_run(operated, "default", "products", f"2026-11-{day}T03:00:00Z", f"p-{day}", records=records)

    assert problems(operated) == {"Silent": 1}


def test_runs_that_take_longer_than_their_interval_are_slow(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    for number in range(6):
        started, ended = f"2026-11-23T0{number}:00:00Z", f"2026-11-23T0{number}:20:00Z"
        add_run(operated, "default", "orders", started, f"r-{number}", ended=ended)
    add_run(operated, "default", "products", "2026-11-23T03:00:00Z", "p-1", ended="2026-11-23T05:00:00Z")

    assert problems(operated) == {"Slow": 1}


def test_messages_in_the_failure_queues_are_failures(operated: Operated) -> None:
    put_message(operated, "RunFailureQueueUrl", {"entity": "orders"}, Error="ServerError")
    put_message(operated, "PublishFailureQueueUrl", {"entity": "orders"}, Error="NotFound")
    put_message(operated, "WebhookFailureQueueUrl", {"key": "events/1.json"})

    assert problems(operated) == {"Failures": 3}


def test_webhooks_that_are_off_or_missed_are_trouble(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    add_run(operated, "default", "orders", "2026-11-23T05:50:00Z", "r-1")
    operated.put("state/webhooks/connection=default.json", {"off": ["orders"], "missing": [], "command": "mend it"})
    report = {"connection": "default", "subscription": "orders", "date": "2026-11-22", "alarm": "30 % missed"}
    operated.put("state/reports/connection=default/date=2026-11-22/orders.json", report)

    assert problems(operated) == {"WebhookTrouble": 2}


def test_a_week_that_costs_more_than_the_budget_allows_is_told_in_dollars(operated: Operated) -> None:
    for number in range(8):
        add_run(operated, "default", "orders", f"2026-11-2{number % 3}T0{number}:00:00Z", f"r-{number}")
    assert "Cost" not in measured(operated, monthly_budget=20.0)

    assert 2 < measured(operated, monthly_budget=2.0)["Cost"] < 3
    assert "Cost" not in measured(operated, monthly_budget=0.0)


@pytest.mark.usefixtures("operated")
def test_the_handler_writes_one_metric_line_with_the_stack_as_its_only_dimension(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUCKET", "bucket")
    monkeypatch.setenv("STACK_NAME", "mine")
    context = type("Context", (), {"function_name": "w", "memory_limit_in_mb": 1, "invoked_function_arn": "a"})()
    context.aws_request_id = "r"

    assert watch.lambda_handler({}, context) == {"LagOfAllowed": 0.0}
    (line,) = [json.loads(row) for row in capsys.readouterr().out.splitlines() if '"_aws"' in row]
    (described,) = line["_aws"]["CloudWatchMetrics"]
    assert (described["Dimensions"], line["stack"]) == ([["stack"]], "mine")
    assert [one["Name"] for one in described["Metrics"]] == ["LagOfAllowed"]


def test_a_second_look_lists_todays_folders_only_and_reads_only_what_is_new(operated: Operated) -> None:
    operated("apply", operated.file(FILE))
    for hour in range(6):
        add_run(operated, "default", "orders", f"2026-11-23T0{hour}:00:00Z", f"r-{hour}")
    measured(operated)
    add_run(operated, "default", "orders", "2026-11-23T05:59:00Z", "r-9")
    operated.aws.calls.clear()

    assert problems(operated) == {}
    reads = operated.aws.calls.count("GetObject")
    operated.aws.calls.clear()
    measured(operated)
    assert operated.aws.calls.count("GetObject") == reads - 2  # but for the new manifest and its run's note
    assert operated.aws.calls.count("ListObjectsV2") == 1  # today's folder
    operated.clock.advance(3 * 3600)
    operated.aws.calls.clear()
    measured(operated)
    assert operated.aws.calls.count("ListObjectsV2") == 3 + 1  # folders, and one list of two open days


def test_runs_that_became_one_count_once(operated: Operated) -> None:
    folder = "manifests/connection=default/entity=orders/lang=nl/date=2026-11-22"
    for hour in range(3):
        add_run(operated, "default", "orders", f"2026-11-22T0{hour}:00:00Z", f"r-{hour}")
    replaced = [f"{folder}/r-{hour}.json" for hour in range(3)]
    started: dict[str, Any] = {"replaces": replaced, "records": 15, "rewritten": [{"by": "compact"}]}

    def per_day() -> Any:
        log = RunLog(Bucket(operated.aws.client("s3"), "bucket"), operated.clock)
        (orders,) = read_status(log, Settings())["subscriptions"]
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
