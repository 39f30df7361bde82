"""The state machine Sync as it is deployed, with a function in the place of subscribe that answers by script."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.local.build import build
from tests.local.stack import Stack

pytestmark = pytest.mark.e2e

SCRIPTED = '''
calls = {}


def lambda_handler(event, context):
    """Answer what the script has for this cursor; an error is raised as often as it says."""
    answer = event["script"][event.get("cursor", "start")]
    call = calls[event["run_id"]] = calls.get(event["run_id"], 0) + 1
    if call <= answer.pop("failures", 0):
        raise type(answer["error"], (Exception,), {})("as the script says")
    return answer | {"run_id": event["run_id"], "calls": call}
'''
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def machine(bundle: tuple[Stack, object]) -> str:
    """A state machine with the definition of Sync, but for the function that it invokes."""
    stack, states = bundle[0], bundle[0].client("stepfunctions")
    sync = states.describe_state_machine(stateMachineArn=stack.outputs["SyncStateMachineArn"])
    subscribe = stack.outputs["SubscribeFunctionArn"]
    definition = sync["definition"].replace(subscribe, _scripted(stack, subscribe))
    created = states.create_state_machine(name="scripted", definition=definition, roleArn=sync["roleArn"])
    return str(created["stateMachineArn"])


def _scripted(stack: Stack, subscribe: str) -> str:
    functions = stack.client("lambda")
    code = io.BytesIO()
    with zipfile.ZipFile(build().functions) as built, zipfile.ZipFile(code, "w") as archive:
        archive.writestr(built.getinfo("bootstrap"), built.read("bootstrap"))
        archive.writestr("scripted.py", SCRIPTED)
    configuration = functions.get_function_configuration(FunctionName=subscribe)
    created = functions.create_function(
        FunctionName="scripted",
        Runtime=configuration["Runtime"],
        Role=configuration["Role"],
        Handler="scripted.lambda_handler",
        Code={"ZipFile": code.getvalue()},
    )
    return str(created["FunctionArn"])


@pytest.fixture
def run(stack: Stack, machine: str, eventually: Callable[..., Any]) -> Run:
    """Run the machine with a script and wait for its end."""
    states = stack.client("stepfunctions")

    def ended(execution: str) -> dict[str, Any] | None:
        found: dict[str, Any] = states.describe_execution(executionArn=execution)
        return None if found["status"] == "RUNNING" else found

    def start(script: dict[str, Any], **event: object) -> dict[str, Any]:
        text = json.dumps({"entity": "orders", "script": script, **event})
        started = states.start_execution(stateMachineArn=machine, name=str(uuid.uuid4()), input=text)
        execution: dict[str, Any] = eventually(partial(ended, started["executionArn"]))
        return execution

    return start


def go_on(cursor: str, resume_after_seconds: float = 0) -> dict[str, Any]:
    return {"status": "partial", "cursor": cursor, "resume_after_seconds": resume_after_seconds}


def test_a_partial_result_is_gone_on_from_its_cursor_until_the_run_is_complete(run: Run) -> None:
    execution = run({"start": go_on("a"), "a": go_on("b", 0.4), "b": {"status": "complete"}})

    assert execution["status"] == "SUCCEEDED", execution
    assert json.loads(execution["output"]) == {"status": "complete", "run_id": execution["name"], "calls": 3}


def test_an_event_may_bring_its_run_id_and_a_cursor(run: Run) -> None:
    execution = run({"a": {"status": "complete"}}, run_id="given", cursor="a")

    assert json.loads(execution["output"])["run_id"] == "given"


def test_a_schedule_that_fires_twice_names_one_run_by_its_planned_time(run: Run) -> None:
    planned = {"run_id": "default-orders-1a2b3c4d", "scheduled_time": "2026-11-23T03:00:00Z"}
    first, second = (run({"start": {"status": "complete"}}, **planned) for _ in range(2))

    assert first["name"] != second["name"]
    assert {json.loads(one["output"])["run_id"] for one in (first, second)} == {
        "default-orders-1a2b3c4d-20261123T030000Z"
    }


@pytest.mark.parametrize("error", ["TransportError", "RateLimited"])
def test_an_error_that_may_pass_is_tried_again(run: Run, error: str) -> None:
    execution = run({"start": {"status": "complete", "error": error, "failures": 2}})

    assert execution["status"] == "SUCCEEDED", execution
    assert json.loads(execution["output"])["calls"] == 3


def test_a_run_that_fails_leaves_an_event_that_resumes_it(run: Run, stack: Stack, taken: Callable[..., Any]) -> None:
    script = {"start": go_on("a"), "a": {"status": "complete", "error": "InvalidParameters", "failures": 9}}

    execution = run(script)

    assert (execution["status"], execution["error"]) == ("FAILED", "InvalidParameters")
    assert "as the script says" in execution["cause"]
    message = taken(stack.outputs["RunFailureQueueUrl"], lambda body: execution["name"] in body)
    resumes = {"entity": "orders", "script": script, "run_id": execution["name"], "cursor": "a"}
    assert json.loads(message["Body"]) == resumes


def test_an_answer_that_is_no_result_fails_the_run(run: Run) -> None:
    execution = run({"start": {"status": "odd"}})

    assert (execution["status"], execution["error"]) == ("FAILED", "UnexpectedResult")
    assert "odd" in execution["cause"]
