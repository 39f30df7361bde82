"""One line of log for each invocation, and metrics in trouble."""

import json
from typing import Any

import pytest

from connector.http.calls import respond_json
from tests.integration.subscribe.bundle import Bundle, quote_event
from tests.shop import Fault


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_an_invocation_logs_what_it_did(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    bundle.invoke(quote_event(), "request-1")

    (line,) = [line for line in lines(capsys) if line.get("message") == "subscribe"]
    assert (line["run_id"], line["entity"], line["status"], line["records"]) == ("request-1", "quotes", "complete", 1)


def metrics(capsys: pytest.CaptureFixture[str]) -> list[tuple[list[str], dict[str, float]]]:
    """Return dimensions and values of each line of metrics."""
    found = []
    for line in lines(capsys):
        for described in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            (dimensions,) = described["Dimensions"]
            values = {one["Name"]: line[one["Name"]] for one in described["Metrics"]}
            found.append(([f"{name}={line[name]}" for name in dimensions], values))
    return found


def test_a_run_without_trouble_writes_no_metric(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    bundle.invoke({"entity": "orders"})
    bundle.invoke(quote_event())

    assert metrics(capsys) == []


def test_a_subscription_has_metrics_of_its_own_if_the_stack_asks_for_them(
    bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Mine")
    monkeypatch.setenv("SUBSCRIPTION_METRICS", "true")
    monkeypatch.setenv("STACK_NAME", "mine")

    bundle.invoke({"entity": "orders", "subscription": "open"})

    assert metrics(capsys) == [
        (["stack=mine", "connection=default", "subscription=open"], {"Records": 30, "Requests": 2})
    ]


def test_a_daily_quota_at_its_reserve_is_short(
    bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACK_NAME", "mine")
    bundle.shop.limits.quota = (10, 20, 40)
    for _ in range(5):
        bundle.invoke(quote_event())
    assert metrics(capsys) == []

    bundle.shop.limits.quota = (300, 20, 6)
    bundle.invoke(quote_event())
    assert metrics(capsys) == [(["stack=mine"], {"QuotaShort": 1})]


def test_a_shop_that_often_answers_429_is_short_of_quota_and_one_429_is_waited_out(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = Fault.answers(429, headers={"Retry-After": "1"})
    bundle.shop.faults.next(refusal)
    bundle.invoke(quote_event())
    assert metrics(capsys) == []

    bundle.shop.faults.next(refusal, times=3)
    bundle.invoke(quote_event())
    assert metrics(capsys) == [(["stack="], {"QuotaShort": 1})]


def test_a_body_that_is_text_is_taken_for_json() -> None:
    answer = respond_json(200, '{"a": 1.10}', {"X-A": "b"})

    assert (answer.body, answer.headers) == ('{"a": 1.10}', {"X-A": "b", "Content-Type": "application/json"})
    assert respond_json(200, {"a": "é"}).body == '{"a":"é"}'
