"""`run` and `runs`: start a run, follow it, and find it again."""

import io
import json
from typing import Any

import pytest

from connector.timestamps import iso_text
from tests.integration.operator.conftest import Operated
from tests.integration.operator.test_redrive import inputs
from tests.integration.operator.test_status import add_run
from tests.support.aws import moto_client


def note(operated: Operated, run_id: str, **more: object) -> None:
    body = {"run_id": run_id, "connection": "default", "entity": "orders", "status": "partial", "records": 250}
    operated.put(f"state/runs/{run_id}.json", {**body, "requests": 3, "manifest": None, **more})


def test_a_run_is_started_and_followed_to_its_end(
    operated: Operated, machines: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = operated.folder / "event.json"
    path.write_text('{"entity": "orders", "run_id": "r-1"}')
    looks = 0

    def finish(name: str) -> None:
        nonlocal looks
        looks += name == "DescribeExecution"
        if looks == 3:
            note(operated, "r-1", status="complete", records=400, verified=True)

    note(operated, "r-1")
    operated.aws.before_call = finish
    assert operated("run", str(path)) == 0
    assert inputs(machines["SyncStateMachineArn"]) == [{"entity": "orders"}]
    assert "r-1 complete: 400 records, 3 requests, verified" in capsys.readouterr().out
    assert looks == 3


def test_ctrl_c_leaves_the_run_going_and_says_how_to_come_back(
    operated: Operated,
    machines: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"entity": "orders", "run_id": "r-2"}'))

    def interrupt(name: str) -> None:
        if name == "DescribeExecution":
            raise KeyboardInterrupt

    operated.aws.before_call = interrupt
    assert operated("run", "-") == 130
    assert "run r-2 goes on; come back with: python -m connector runs r-2 --follow" in capsys.readouterr().out
    client = moto_client("stepfunctions")
    (row,) = client.list_executions(stateMachineArn=machines["SyncStateMachineArn"])["executions"]
    assert row["status"] == "RUNNING"


def test_a_failed_run_says_why(
    operated: Operated, machines: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    client = moto_client("stepfunctions")
    started = client.start_execution(stateMachineArn=machines["SyncStateMachineArn"], name="r-3", input="{}")
    client.stop_execution(executionArn=started["executionArn"], error="ServerError", cause="the shop fails")

    assert operated("runs", "r-3", "--follow") == 1
    assert "r-3 failed at " in capsys.readouterr().out
    assert operated("runs", "r-3") == 1
    assert json.loads(capsys.readouterr().out)["status"] == "failed"
    assert operated("runs", "--json") == 0
    assert json.loads(capsys.readouterr().out)["started"] == iso_text(started["startDate"])


@pytest.mark.usefixtures("machines")
@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"error": "ServerError", "cause": "the shop fails"}, ": ServerError: the shop fails"),
        ({"error": "E", "cause": '{"errorMessage": "no time", "stackTrace": ["File x"]}'}, ": E: no time"),
        ({"error": "E", "cause": '["no time"]'}, ': E: ["no time"]'),
        ({"error": None, "cause": None}, ""),
    ],
)
def test_the_reason_of_a_failed_run_is_one_line_without_a_stack_trace(
    operated: Operated,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: dict[str, str | None],
    why: str,
) -> None:
    monkeypatch.setattr("connector.runs.lookup.Runs.get", lambda *_: {"status": "failed", **found})

    assert operated("runs", "r-3", "--follow") == 1
    line, _ = capsys.readouterr().out.splitlines()
    assert line == f"r-3 failed at 2026-11-23T06:00:00Z{why}"


@pytest.mark.usefixtures("machines")
def test_the_newest_runs_are_listed(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(operated, "default", "orders", "2026-11-23T05:00:00Z", "r-4", verified=False, reason="no count")
    add_run(operated, "outlet", "brands", "2026-11-22T05:00:00Z", "r-5")

    assert operated("runs") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("2026-11-23T05:00:00Z  complete  default.orders")
    assert first.endswith("r-4  not verified: no count")
    assert second.endswith("r-5")
    assert operated("runs", "--connection", "outlet", "--json") == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == "r-5"
    assert operated("runs", "unknown") == 1


@pytest.mark.usefixtures("machines")
def test_a_compacted_day_is_listed_once(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    folder = "manifests/connection=default/entity=orders/lang=nl/date=2026-11-20"
    for hour in range(3):
        add_run(operated, "default", "orders", f"2026-11-20T0{hour}:00:00Z", f"r-{hour}")
    add_run(operated, "default", "orders", "2026-11-20T08:00:00Z", "mine-compact", records=1)
    compacted: dict[str, Any] = {"replaces": [f"{folder}/r-{hour}.json" for hour in range(3)], "records": 15}
    add_run(operated, "default", "orders", "2026-11-20T00:00:00Z", "2026-11-20-compact", **compacted)

    assert operated("runs", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["run_id"], row["records"]) for row in rows] == [("mine-compact", 1), ("2026-11-20-compact", 15)]


@pytest.mark.usefixtures("machines")
@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("[]", "must hold a subscribe event"),
        ("{", "cannot be read"),
        ('{"entity": "ordrs"}', "ordrs"),
        ('{"entity": "orders", "estimate": true}', "asks for an estimate, which is no run"),
        ('{"entity": "orders", "run_id": "a b"}', "run_id has up to 80"),
    ],
)
def test_a_wrong_event_starts_nothing(
    operated: Operated,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    event: str,
    message: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(event))

    assert operated("run", "-") == 2
    assert message in capsys.readouterr().err


def test_a_closed_standard_input_starts_nothing(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", None)

    assert operated("run", "-") == operated("connect", "new", "--stdin") == 2
    assert capsys.readouterr().err == "connector: standard input is closed\n" * 2
    assert operated("connect", "new", "--cluster", "eu1", "--language", "nl") == 2
    assert "standard input is not a terminal" in capsys.readouterr().err


@pytest.mark.usefixtures("machines")
def test_a_run_that_is_deleted_while_it_is_listed_is_left_out(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("kept", "deleted", "2026-11-23-compact")
    for hour, name in enumerate(names):
        add_run(operated, "default", "orders", f"2026-11-23T0{hour}:00:00Z", name)

    def delete(name: str) -> None:
        if name == "GetObject":
            for one in names[1:]:
                key = f"manifests/connection=default/entity=orders/lang=nl/date=2026-11-23/{one}.json"
                moto_client("s3").delete_object(Bucket="bucket", Key=key)

    operated.aws.before_call = delete
    assert operated("runs") == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["kept"]
