"""Reading: from an event, wherever it comes from, to a verified run in the bucket."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import Landed, ShopSeen
from tests.local.stack import Stack

pytestmark = pytest.mark.e2e

QUOTE_ID = 1016615295
QUOTE = {"entity": "quotes", "parameters": {"path": {"id": QUOTE_ID}}}
Eventually = Callable[..., Any]
Taken = Callable[..., dict[str, Any]]


def test_a_quote_asked_for_over_http_is_answered_and_landed(stack: Stack, shop: ShopSeen, landed: Landed) -> None:
    answer = stack.http("POST", "/subscribe", QUOTE)

    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert result["status"] == "complete"
    assert result["data"] == shop.get(f"quotes/{QUOTE_ID}")["quote"]
    assert landed.records(result["run_id"]) == [result["data"]]
    assert landed.manifest(result["run_id"])["verified"]


def test_a_quote_asked_for_directly_is_landed(stack: Stack, landed: Landed) -> None:
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs["SubscribeFunctionArn"], Payload=json.dumps(QUOTE)
    )

    result = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    assert [record["id"] for record in landed.records(result["run_id"])] == [QUOTE_ID]


def test_a_run_asked_for_asynchronously_can_be_followed_to_its_end(
    stack: Stack, shop: ShopSeen, landed: Landed, eventually: Eventually
) -> None:
    answer = stack.http("POST", "/subscribe", {"entity": "customers"}, Prefer="respond-async")

    assert answer.status_code == 202, answer.text
    run_id = answer.json()["run_id"]
    assert answer.headers["Location"] == f"/runs/{run_id}"

    def complete() -> bool:
        progress = stack.http("GET", f"/runs/{run_id}")
        assert progress.status_code == 200, progress.text
        assert progress.json()["status"] in ("running", "complete")
        return bool(progress.json()["status"] == "complete")

    eventually(complete)
    assert sorted(record["id"] for record in landed.records(run_id)) == shop.ids("customers")


def test_an_unknown_run_is_not_found(stack: Stack) -> None:
    assert stack.http("GET", "/runs/never-started").status_code == 404


def test_the_schedule_starts_sync_which_lands_all_orders(
    stack: Stack, shop: ShopSeen, landed: Landed, eventually: Eventually
) -> None:
    states, machine = stack.client("stepfunctions"), stack.outputs["SyncStateMachineArn"]
    # another test may have read orders before
    stack.client("s3").delete_object(Bucket=stack.outputs["Bucket"], Key="state/connection=default/orders.json")

    def executions() -> set[str]:
        return {row["executionArn"] for row in states.list_executions(stateMachineArn=machine)["executions"]}

    before = executions()
    _fire_in(stack, timedelta(seconds=2))

    (started,) = eventually(lambda: executions() - before)
    execution = eventually(lambda: _ended(states, started))
    assert execution["status"] == "SUCCEEDED", execution
    result = json.loads(execution["output"])
    assert result["run_id"] == started.rpartition(":")[2]
    assert sorted(record["id"] for record in landed.records(result["run_id"])) == shop.ids("orders")


def test_a_failed_run_leaves_the_event_that_replays_it(stack: Stack, eventually: Eventually, taken: Taken) -> None:
    states = stack.client("stepfunctions")
    event = {"entity": "orders", "connection": "nobody"}

    started = states.start_execution(stateMachineArn=stack.outputs["SyncStateMachineArn"], input=json.dumps(event))

    execution = eventually(lambda: _ended(states, started["executionArn"]))
    assert (execution["status"], execution["error"]) == ("FAILED", "UnknownConnection")
    run_id = started["executionArn"].rpartition(":")[2]
    message = taken(stack.outputs["RunFailureQueueUrl"], lambda body: run_id in body)
    assert json.loads(message["Body"]) == event | {"run_id": run_id}
    assert message["MessageAttributes"]["Error"]["StringValue"] == "UnknownConnection"
    assert message["MessageAttributes"]["Execution"]["StringValue"] == started["executionArn"]


def _fire_in(stack: Stack, delay: timedelta) -> None:
    scheduler = stack.client("scheduler")
    schedule = scheduler.get_schedule(Name=stack.outputs["ScheduleName"])
    kept = {name: schedule[name] for name in ("Name", "FlexibleTimeWindow", "Target")}
    moment = f"at({datetime.now(UTC) + delay:%Y-%m-%dT%H:%M:%S})"
    scheduler.update_schedule(**kept, State="ENABLED", ScheduleExpression=moment)


def _ended(states: Any, execution: str) -> dict[str, Any] | None:
    found: dict[str, Any] = states.describe_execution(executionArn=execution)
    return None if found["status"] == "RUNNING" else found
