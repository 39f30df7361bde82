"""Sends a file of events/ to a stack on this machine, in the way of its trigger."""

import json
from pathlib import Path
from typing import Any

from tests.local import landed
from tests.local.build import ROOT
from tests.local.process import LocalError, wait_until
from tests.local.stack import STACK_NAME, Stack

SAVED = ROOT / "events" / "config"
"""Saved transformers that some events name."""

PATIENCE_SECONDS = 300

FUNCTIONS = {
    ("webhook", "queue"): "WebhookTriggerFunction",
    ("webhook", "schedule"): "WebhookDailyFunction",
    ("webhook", "http"): "WebhookFunction",
    ("authorizer", "http"): "AuthorizerFunction",
}
"""Functions that have no output of the template, by function and trigger: their logical ids."""


def invoke(stack: Stack, path: Path) -> Any:
    """Store the saved transformers in the bucket, send an event, wait for its end, and return the answer.

    A file of lines goes to publish/in/. The event of an upload starts PublishFile, and the file that it names goes to
    publish/in/ first. Every other event is the payload of a direct invocation.

    Raises:
        LocalError: The file does not exist, its name has no function's name, or the function failed.
    """
    function, trigger, *_ = [*path.name.split("-", 2), ""]
    if not path.is_file():
        raise LocalError(f"there is no file {path}; events/README.md lists the events")
    for saved in SAVED.rglob("*.jsonata"):
        key = str(saved.relative_to(SAVED.parent))
        stack.client("s3").put_object(Bucket=stack.outputs["Bucket"], Key=key, Body=saved.read_bytes())
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _publish_file(stack, path)
    if trigger == "file":
        return _publish_uploaded(stack, path)
    arn = _function(stack, function, trigger)
    answer = stack.client("lambda").invoke(FunctionName=arn, Payload=path.read_bytes())
    result = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise LocalError(f"{result.get('errorType')}: {result.get('errorMessage')}")
    return result


def _function(stack: Stack, function: str, trigger: str) -> str:
    output = f"{function.title()}FunctionArn"
    if output in stack.outputs:
        return stack.outputs[output]
    logical_id = FUNCTIONS.get((function, trigger))
    if logical_id is None:
        raise LocalError("an event is named <function>-<trigger>-<case>.json, as in events/README.md")
    found = stack.client("cloudformation").describe_stack_resource(StackName=STACK_NAME, LogicalResourceId=logical_id)
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def _publish_file(stack: Stack, path: Path) -> list[Any]:
    s3, bucket = stack.client("s3"), stack.outputs["Bucket"]
    results = f"publish/out/{path.name}"
    s3.delete_object(Bucket=bucket, Key=results)
    s3.put_object(Bucket=bucket, Key=f"publish/in/{path.name}", Body=path.read_bytes())
    if not wait_until(lambda: landed.exists(stack, results), PATIENCE_SECONDS, 0.2):
        raise LocalError(
            f"the file was not published within {PATIENCE_SECONDS} seconds: the shop's quota may be used up; "
            f"its results come to {results}"
        )
    body = s3.get_object(Bucket=bucket, Key=results)["Body"].read()
    return [json.loads(line) for line in body.splitlines()]


def _publish_uploaded(stack: Stack, path: Path) -> Any:
    states, machine = stack.client("stepfunctions"), stack.outputs["PublishFileStateMachineArn"]
    key = json.loads(path.read_text())["detail"]["object"]["key"]
    uploaded = path.with_name(Path(key).name)
    if uploaded.is_file() and not landed.exists(stack, key):
        stack.client("s3").put_object(Bucket=stack.outputs["Bucket"], Key=key, Body=uploaded.read_bytes())
    execution = states.start_execution(stateMachineArn=machine, input=path.read_text())["executionArn"]

    def is_over() -> bool:
        return bool(states.describe_execution(executionArn=execution)["status"] != "RUNNING")

    if not wait_until(is_over, PATIENCE_SECONDS, 0.2):
        raise LocalError(f"PublishFile did not end within {PATIENCE_SECONDS} seconds")
    found = states.describe_execution(executionArn=execution)
    if found["status"] != "SUCCEEDED":
        raise LocalError(f"PublishFile {found['status'].lower()}: {found.get('cause', '')}")
    return json.loads(found["output"])
