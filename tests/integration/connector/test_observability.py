"""One line of log and one of metrics for each invocation."""

import json
from typing import Any

import pytest

from connector.http import respond_json
from tests.integration.subscribe.bundle import Bundle, quote_event


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_an_invocation_logs_what_it_did(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    bundle.invoke(quote_event(), "request-1")

    (line,) = [line for line in lines(capsys) if line.get("message") == "subscribe"]
    assert (line["run_id"], line["entity"], line["status"], line["records"]) == ("request-1", "quotes", "complete", 1)


def test_an_invocation_counts_records_and_requests(
    bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Mine")

    bundle.invoke({"entity": "orders"})

    (line,) = [line for line in lines(capsys) if "_aws" in line]
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Mine"
    assert (line["connection"], line["entity"]) == ("default", "orders")
    assert (line["Records"], line["Requests"]) == (30, 2)
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["stack"]]


def test_two_invocations_do_not_mix_their_dimensions(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    bundle.invoke(quote_event())
    bundle.invoke({"entity": "shop"})

    assert [line["entity"] for line in lines(capsys) if "_aws" in line] == ["quotes", "shop"]


def test_a_body_that_is_text_is_taken_for_json() -> None:
    answer = respond_json(200, '{"a": 1.10}', {"X-A": "b"})

    assert (answer.body, answer.headers) == ('{"a": 1.10}', {"X-A": "b", "Content-Type": "application/json"})
    assert respond_json(200, {"a": "é"}).body == '{"a":"é"}'
