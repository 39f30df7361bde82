"""The operator's commands on a stack that publishes: nothing fails, and no write is made twice."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from connector.operator.main import main
from connector.operator.stack import Stack
from publish.dependencies import Dependencies
from tests.integration.publish.conftest import Publisher, event
from tests.support.aws import CloudFormation, FakedClients

Json = dict[str, Any]
NEW_TAG = event("tags", "create", {"title": "new"})


class Operator:
    """The command line on the stack of a publisher, and the stack's queues."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher, self.aws = publisher, publisher.deps.aws
        self.settings = publisher.deps.settings
        self.sqs = self.aws.client("sqs")
        self.failures = self.sqs.create_queue(QueueName=self.settings.idempotency_table + "-failures")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.failures, AttributeNames=["QueueArn"])["Attributes"]
        policy = json.dumps({"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": 2})
        changed = {"RedrivePolicy": policy, "VisibilityTimeout": "0"}
        self.sqs.set_queue_attributes(QueueUrl=self.settings.publish_queue_url, Attributes=changed)

    def __call__(self, *words: str) -> int:
        outputs = {"Bucket": self.settings.bucket, "PublishQueueUrl": self.settings.publish_queue_url}
        outputs |= {"PublishFailureQueueUrl": self.failures}
        parameters = {"SecretPrefix": self.settings.secret_prefix}
        aws = FakedClients(self.aws, cloudformation=CloudFormation(outputs, parameters))
        return main([*words, "--stack", "mine"], open_stack=lambda name: Stack(name, aws, self.publisher.deps.clock))

    def receive(self) -> list[Json]:
        """Receive messages of the publish queue, as Lambda hands them over; nothing is deleted."""
        asked = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "AttributeNames": ["All"]}
        found = self.sqs.receive_message(QueueUrl=self.settings.publish_queue_url, **asked).get("Messages", [])
        return [
            {
                "messageId": one["MessageId"],
                "receiptHandle": one["ReceiptHandle"],
                "body": one["Body"],
                "attributes": one["Attributes"],
                "messageAttributes": {
                    name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
                    for name, value in one.get("MessageAttributes", {}).items()
                },
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:publish",
                "awsRegion": "eu-west-1",
            }
            for one in found
        ]

    def left(self) -> int:
        """How many messages the failure queue holds."""
        found = self.sqs.get_queue_attributes(QueueUrl=self.failures, AttributeNames=["ApproximateNumberOfMessages"])
        return int(found["Attributes"]["ApproximateNumberOfMessages"])


@pytest.fixture
def operator(publisher: Publisher) -> Operator:
    return Operator(publisher)


def tags(publisher: Publisher, title: str = "new") -> int:
    return [row["title"].get("nl") for row in publisher.shop.store.rows("tags")].count(title)


def test_a_create_that_sqs_itself_moved_to_the_failure_queue_is_not_doubled_by_redrive(
    publisher: Publisher, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.sqs.send_message(QueueUrl=operator.settings.publish_queue_url, MessageBody=json.dumps(NEW_TAG))
    (first,) = operator.receive()
    assert publisher.failed(first) == []  # and Lambda is killed before it deletes the message
    assert tags(publisher) == 1
    while operator.receive():
        pass
    assert operator.left() == 1

    monkeypatch.setattr(operator.sqs, "delete_message", interrupted)
    assert operator("redrive", "--queue", "publish") == 130
    monkeypatch.undo()
    assert operator("redrive", "--queue", "publish") == 0
    copies = operator.receive()
    assert len(copies) == 2
    assert {one["messageAttributes"]["FirstMessageId"]["stringValue"] for one in copies} == {first["messageId"]}
    assert publisher.failed(*copies) == []
    assert (tags(publisher), operator.left()) == (1, 0)


def interrupted(**_: Any) -> None:
    raise KeyboardInterrupt


def test_a_key_is_rotated_under_load_without_a_failed_item(
    publisher: Publisher, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, begun, rotated = publisher.shop, threading.Semaphore(0), threading.Event()

    def work(worker: int) -> list[str]:
        deps = Dependencies(replace(operator.settings), publisher.deps.clock, publisher.deps.aws)
        own = Publisher(deps, shop)
        found = []
        for number in range(12):
            if number == 4:
                begun.release()
            if number == 8:
                rotated.wait(60)
            found.append(own(event("tags", "create", {"title": f"{worker}-{number}"}))["status"])
        return found

    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(work, worker) for worker in range(4)]
        for _ in results:
            assert begun.acquire(timeout=60)
        shop.add_key("key-2", "secret-2")
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"api_key": "key-2", "api_secret": "secret-2"})))
        assert operator("connect", "default", "--stdin", "--rotate") == 0
        shop.old_authorizations.clear()
        rotated.set()
        statuses = [status for result in results for status in result.result()]

    assert statuses == ["created"] * 48
    assert all(tags(publisher, f"{worker}-{number}") == 1 for worker in range(4) for number in range(12))
    refused = [seen for seen in shop.requests if seen.status == 401]
    assert len(refused) == 4  # each worker asks once with the old key, reads the secret again and goes on
