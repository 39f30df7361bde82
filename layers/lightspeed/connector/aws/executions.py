"""Starts and finds executions of state machines by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connector.aws.botocore_errors import answer_unless


def start_execution(client: Any, state_machine_arn: str, name: str, event: Mapping[str, Any]) -> bool:
    """Start an execution and return `True`, or return `False` if its name was used before.

    Step Functions also accepts the name of a running execution that has the same input. It then starts nothing.
    """
    given = {"stateMachineArn": state_machine_arn, "name": name, "input": json.dumps(event)}
    return answer_unless(("ExecutionAlreadyExists",), client.start_execution, **given) is not None


def find_execution(client: Any, state_machine_arn: str, name: str) -> dict[str, Any] | None:
    """Return an execution as Step Functions describes it, or `None` if none has this name."""
    arn = f"{state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"
    unknown = ("ExecutionDoesNotExist", "InvalidArn")
    found: dict[str, Any] | None = answer_unless(unknown, client.describe_execution, executionArn=arn)
    return found
