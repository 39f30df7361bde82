"""`redrive` sends failed runs and messages back, one cause at a time, and doubles nothing."""

import json
from typing import Any

import pytest

from tests.integration.operator.conftest import Operated
from tests.support.aws import moto_client

EVENT = {"entity": "orders", "connection": "outlet", "subscription": "open", "run_id": "r-1", "mode": "incremental"}


def put(operated: Operated, output: str, body: object, **attributes: str) -> str:
    sent = moto_client("sqs").send_message(
        QueueUrl=operated.aws.outputs[output],
        MessageBody=body if isinstance(body, str) else json.dumps(body),
        MessageAttributes={name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()},
    )
    return str(sent["MessageId"])


def messages(operated: Operated, output: str) -> list[dict[str, Any]]:
    answer = moto_client("sqs").receive_message(
        QueueUrl=operated.aws.outputs[output],
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        VisibilityTimeout=0,
    )
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


def inputs(arn: str) -> list[dict[str, Any]]:
    client = moto_client("stepfunctions")
    rows = client.list_executions(stateMachineArn=arn)["executions"]
    return [json.loads(client.describe_execution(executionArn=row["executionArn"])["input"]) for row in rows]


@pytest.mark.parametrize("output", ["RunFailureQueueUrl", "WebhookFailureQueueUrl"])
def test_a_stack_whose_failure_queue_is_not_known_is_not_said_to_be_empty(
    operated: Operated, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    del operated.aws.outputs[output]

    assert operated("redrive") == 1
    assert f"has no output {output}: deploy this version" in capsys.readouterr().err


def test_a_dry_run_names_causes_and_leaves_the_messages(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    put(operated, "RunFailureQueueUrl", EVENT, Error="ServerError")
    put(operated, "PublishFailureQueueUrl", {"entity": "brands"}, Error="InvalidRequest", Detail="no title")

    assert operated("redrive", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "runs: 1 x ServerError of open, oldest " in shown
    assert "publish: 1 x InvalidRequest of default" in shown
    assert ": no title\n" in shown
    assert len(messages(operated, "RunFailureQueueUrl")) == len(messages(operated, "PublishFailureQueueUrl")) == 1


def test_a_message_writes_no_control_characters(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    put(operated, "PublishFailureQueueUrl", {"entity": "brands", "connection": "\x1b]0;x\x07"}, Error="InvalidRequest")

    assert operated("redrive", "--dry-run") == 0
    assert capsys.readouterr().out.strip().isprintable()


def test_several_causes_need_a_choice(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    put(operated, "RunFailureQueueUrl", EVENT, Error="ServerError")
    put(operated, "RunFailureQueueUrl", EVENT, Error="AuthenticationError")

    assert operated("redrive") == 2
    assert "--cause: AuthenticationError, ServerError" in capsys.readouterr().err
    for words in ([], ["--dry-run"]):
        assert operated("redrive", "--cause", "Other", *words) == 2
        assert "no message has the cause 'Other'" in capsys.readouterr().err
    assert len(messages(operated, "RunFailureQueueUrl")) == 2


def test_a_failed_run_is_started_again_with_its_event(operated: Operated, machines: dict[str, str]) -> None:
    put(operated, "RunFailureQueueUrl", {**EVENT, "cursor": "c"}, Error="ServerError")
    put(operated, "RunFailureQueueUrl", EVENT, Error="AuthenticationError")

    assert operated("redrive", "--cause", "ServerError") == 0
    assert inputs(machines["SyncStateMachineArn"]) == [{**EVENT, "cursor": "c"}]
    (left,) = messages(operated, "RunFailureQueueUrl")
    assert left["MessageAttributes"]["Error"]["StringValue"] == "AuthenticationError"


PLANNED = {**EVENT, "scheduled_time": "<aws.scheduler.scheduled-time>"}


@pytest.mark.parametrize(
    "body", [PLANNED, {"StateMachineArn": "arn", "Input": json.dumps(PLANNED)}], ids=["the input", "the call"]
)
def test_a_run_that_scheduler_could_not_start_is_started_as_planned(
    operated: Operated, machines: dict[str, str], body: object, capsys: pytest.CaptureFixture[str]
) -> None:
    attributes = {  # all that Scheduler sends
        "ERROR_CODE": "AccessDeniedException",
        "ERROR_MESSAGE": "the role may not start it",
        "EXECUTION_ID": "ad06616e51cdf74a",
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "IS_PAYLOAD_TRUNCATED": "false",
        "RETRY_ATTEMPTS": "2",
        "SCHEDULED_TIME": "2026-11-23T03:00:00Z",
        "SCHEDULE_ARN": "arn:aws:scheduler:eu-west-1:123456789012:schedule/mine-subscriptions/orders",
        "TARGET_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:mine-sync",
    }
    put(operated, "RunFailureQueueUrl", body, **attributes)

    assert operated("redrive", "--dry-run") == 0
    assert "runs: 1 x AccessDeniedException of open" in capsys.readouterr().out
    assert operated("redrive") == 0
    assert inputs(machines["SyncStateMachineArn"]) == [{**EVENT, "scheduled_time": "2026-11-23T03:00:00Z"}]


def test_a_planned_time_that_is_not_told_is_that_of_the_message(operated: Operated, machines: dict[str, str]) -> None:
    put(operated, "RunFailureQueueUrl", PLANNED, ERROR_CODE="AccessDenied")

    assert operated("redrive") == 0
    (started,) = inputs(machines["SyncStateMachineArn"])
    assert started.pop("scheduled_time").startswith("20")
    assert started == EVENT


def test_killed_after_the_start_a_second_redrive_starts_nothing(operated: Operated, machines: dict[str, str]) -> None:
    put(operated, "RunFailureQueueUrl", EVENT, Error="ServerError")

    def kill(name: str) -> None:
        if name == "DeleteMessage":
            raise KeyboardInterrupt

    operated.aws.before_call = kill
    assert operated("redrive") == 130
    operated.aws.before_call = lambda _: None
    assert operated("redrive") == 0
    assert inputs(machines["SyncStateMachineArn"]) == [EVENT]
    assert messages(operated, "RunFailureQueueUrl") == []


def test_a_publish_message_keeps_its_first_id(operated: Operated) -> None:
    moved = put(operated, "PublishFailureQueueUrl", {"entity": "brands"})
    put(operated, "PublishFailureQueueUrl", {"entity": "b"}, FirstMessageId="m", FirstSentTimestamp="7", Detail="x")

    assert operated("redrive") == 0
    sent = {
        row["MessageAttributes"]["FirstMessageId"]["StringValue"]: row["MessageAttributes"]
        for row in messages(operated, "PublishQueueUrl")
    }
    assert set(sent) == {moved, "m"}
    assert sent["m"]["FirstSentTimestamp"]["StringValue"] == "7"
    assert "Detail" not in sent["m"]
    assert sent[moved]["FirstSentTimestamp"]["StringValue"].isdigit()


def test_files_and_webhooks_go_back_to_where_they_came_from(operated: Operated, machines: dict[str, str]) -> None:
    file = {"detail": {"object": {"key": "publish/in/a.jsonl"}}}
    put(operated, "PublishFailureQueueUrl", file, Error="E", Execution="x")
    put(operated, "WebhookFailureQueueUrl", {"key": "events/1.json"})
    put(operated, "RunFailureQueueUrl", "no event", Error="F")

    assert operated("redrive", "--cause", "E") == 0
    assert operated("redrive", "--queue", "webhooks") == 0
    assert operated("redrive", "--cause", "F") == 1
    assert inputs(machines["PublishFileStateMachineArn"]) == [file]
    assert [json.loads(row["Body"]) for row in messages(operated, "WebhookQueueUrl")] == [{"key": "events/1.json"}]
    assert len(messages(operated, "RunFailureQueueUrl")) == 1
