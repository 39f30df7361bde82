"""Executes the state machine of template.yaml, with just the states and fields that it uses, on a virtual clock.

Anything that the definition uses and that is not known here is refused, so that nothing of it is passed over.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonata import Jsonata
from samtranslator.yaml_helper import yaml_parse

from tests.property.world import Killed, VirtualTime

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
MAX_EVENTS = 25_000
MAX_PAYLOAD = 256 * 1024
"""Of events in a history, and of bytes between two states: the quotas of Step Functions."""

_KNOWN = {
    "Pass": {"Assign", "Output", "Next"},
    "Task": {"Resource", "Arguments", "TimeoutSeconds", "Output", "Retry", "Catch", "Next"},
    "Choice": {"Choices", "Default"},
    "Wait": {"Seconds", "Next"},
    "Succeed": {"Output"},
    "Fail": {"Error", "Cause"},
}


def definition() -> dict[str, Any]:
    """Return the definition of Sync as the template holds it."""
    sync = yaml_parse(TEMPLATE.read_text())["Resources"]["Sync"]
    found: dict[str, Any] = sync["Properties"]["Definition"]
    assert found.pop("QueryLanguage") == "JSONata"
    for name, state in found["States"].items():
        assert set(state) - {"Type"} <= _KNOWN[state["Type"]], name
    return found


class TaskFailed(Exception):
    """A task failed, by the name that Step Functions gives to it."""

    def __init__(self, error: str, cause: str) -> None:
        self.output = {"Error": error, "Cause": cause}
        super().__init__(error, cause)


@dataclass
class Execution:
    """One execution, as it is described in the end.

    Attributes:
        output: Of the last state; of a failed execution its error and cause.
        events: How long its history is.
        payload: Bytes of the largest value between two states.
        waited: Seconds in states that wait.
    """

    name: str
    status: str = "RUNNING"
    output: Any = None
    events: int = 1
    payload: int = 0
    waited: float = 0.0


@dataclass
class Sync:
    """The state machine, with its function and its failure queue.

    Attributes:
        function: The subscribe function.
        queue: Bodies of the messages in the failure queue.
        queue_fails: How often the queue fails before it takes a message.
    """

    function: Callable[[dict[str, Any]], dict[str, Any]]
    time: VirtualTime
    queue: list[dict[str, Any]] = field(default_factory=list)
    queue_fails: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def start(self, event: Mapping[str, Any], name: str) -> Execution:
        """Execute the state machine to its end."""
        machine, execution = definition(), Execution(name)
        variables: dict[str, Any] = {}
        value: Any = dict(event)
        current: str | None = machine["StartAt"]
        while current is not None:
            state = machine["States"][current]
            scope = _Scope(execution, variables, value)
            value, current = getattr(self, f"_{state['Type'].lower()}")(state, scope, execution)
            value = _carried(value, execution)
            variables.update({key: _carried(each, execution) for key, each in scope.assigned.items()})
            assert execution.events <= MAX_EVENTS
        execution.output = value
        return execution

    def _pass(self, state: dict[str, Any], scope: _Scope, execution: Execution) -> tuple[Any, str]:
        execution.events += 2
        scope.assign(state)
        return scope.output(state, scope.input), state["Next"]

    def _choice(self, state: dict[str, Any], scope: _Scope, execution: Execution) -> tuple[Any, str]:
        execution.events += 2
        for choice in state["Choices"]:
            assert set(choice) <= {"Condition", "Assign", "Next"}
            held = scope.value(choice["Condition"])
            assert isinstance(held, bool)
            if held:
                scope.assign(choice)
                return scope.input, choice["Next"]
        return scope.input, state["Default"]

    def _wait(self, state: dict[str, Any], scope: _Scope, execution: Execution) -> tuple[Any, str]:
        execution.events += 2
        seconds = scope.value(state["Seconds"])
        assert isinstance(seconds, int)
        assert 0 <= seconds <= 99_999_999
        self.time.passes(seconds)
        execution.waited += seconds
        return scope.input, state["Next"]

    def _succeed(self, state: dict[str, Any], scope: _Scope, execution: Execution) -> tuple[Any, None]:
        execution.events += 3
        execution.status = "SUCCEEDED"
        return scope.output(state, scope.input), None

    def _fail(self, state: dict[str, Any], scope: _Scope, execution: Execution) -> tuple[Any, None]:
        execution.events += 2
        execution.status = "FAILED"
        output = {key: scope.value(state[key]) for key in ("Error", "Cause")}
        assert all(isinstance(each, str) for each in output.values())
        return output, None

    def _task(self, state: dict[str, Any], scope: _Scope, execution: Execution) -> tuple[Any, str]:
        execution.events += 2
        tried = [0] * len(state["Retry"])
        while True:
            execution.events += 3
            try:
                scope.states["result"] = self._called(state["Resource"], scope.value(state["Arguments"]))
                return scope.output(state, scope.states["result"]), state["Next"]
            except TaskFailed as failed:
                delay = self._retry(state["Retry"], tried, failed.output["Error"])
                if delay is not None:
                    self.time.passes(delay)
                    continue
                for catch in state.get("Catch", ()):
                    assert set(catch) == {"ErrorEquals", "Next"}
                    if _matches(catch, failed.output["Error"]):
                        return failed.output, catch["Next"]
                raise

    def _retry(self, retriers: list[dict[str, Any]], tried: list[int], error: str) -> float | None:
        for number, retrier in enumerate(retriers):
            if not _matches(retrier, error):
                continue
            if tried[number] >= retrier["MaxAttempts"]:
                return None
            delay: float = retrier["IntervalSeconds"] * retrier.get("BackoffRate", 2) ** tried[number]
            tried[number] += 1
            delay = min(delay, retrier.get("MaxDelaySeconds", delay))
            return delay * self.rng.random() if retrier.get("JitterStrategy") == "FULL" else delay
        return None

    def _called(self, resource: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if resource == "arn:aws:states:::lambda:invoke":
            assert arguments["FunctionName"] == "${SubscribeFunctionArn}"
            return {"Payload": self._invoked(arguments["Payload"])}
        assert resource == "arn:aws:states:::sqs:sendMessage"
        assert arguments["QueueUrl"] == "${RunFailureQueueUrl}"
        if self.queue_fails:
            self.queue_fails -= 1
            raise TaskFailed("Sqs.SqsException", "the queue is not there")
        for attribute in arguments["MessageAttributes"].values():
            assert attribute["DataType"] == "String"
            assert attribute["StringValue"]
        self.queue.append(json.loads(arguments["MessageBody"]))
        return {"MessageId": str(len(self.queue))}

    def _invoked(self, payload: dict[str, Any]) -> Any:
        try:
            return json.loads(json.dumps(self.function(json.loads(json.dumps(payload)))))
        except Killed:
            raise TaskFailed("Runtime.ExitError", "the process ended") from None
        except Exception as error:
            raise TaskFailed(type(error).__name__, json.dumps({"errorMessage": str(error)})) from error


class _Scope:
    """What the expressions of one state see."""

    def __init__(self, execution: Execution, variables: dict[str, Any], value: Any) -> None:
        context = {"Execution": {"Name": execution.name, "Id": f"arn:aws:states:::execution:sync:{execution.name}"}}
        self.input = value
        self.states: dict[str, Any] = {"input": value, "context": context}
        self.assigned: dict[str, Any] = {}
        self._variables = variables

    def value(self, given: Any) -> Any:
        """Return a part of a definition with its expressions evaluated."""
        if isinstance(given, dict):
            return {key: self.value(each) for key, each in given.items()}
        if isinstance(given, list):
            return [self.value(each) for each in given]
        if not isinstance(given, str) or not given.startswith("{%"):
            return given
        expression = Jsonata(given.removeprefix("{%").removesuffix("%}"))
        frame = expression.create_frame()
        for name, each in {"states": self.states, **self._variables}.items():
            frame.bind(name, each)
        found = expression.evaluate(None, frame)
        assert found is not None, f"{given} is undefined, which fails an execution"
        return json.loads(json.dumps(found))

    def assign(self, state: Mapping[str, Any]) -> None:
        self.assigned = self.value(state.get("Assign", {}))

    def output(self, state: Mapping[str, Any], otherwise: Any) -> Any:
        return self.value(state["Output"]) if "Output" in state else otherwise


def _matches(rule: Mapping[str, Any], error: str) -> bool:
    names = rule["ErrorEquals"]
    assert "States.TaskFailed" not in names
    return error in names or "States.ALL" in names


def _carried(value: Any, execution: Execution) -> Any:
    size = len(json.dumps(value, separators=(",", ":")).encode())
    execution.payload = max(execution.payload, size)
    assert size <= MAX_PAYLOAD, f"{size} bytes cannot be carried from one state to the next"
    return value
