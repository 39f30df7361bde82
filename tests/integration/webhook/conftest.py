"""The webhook functions' surroundings on moto: bucket, queue, table, state machine and a connection."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

SECRET = "hook-secret"


@dataclass(frozen=True)
class Account:
    """One account with what the functions need.

    Attributes:
        queue: URL of the webhook queue.
        state_machine: ARN of `Sync`.
    """

    queue: str
    state_machine: str

    def client(self, service: str) -> Any:
        return boto3.client(service)

    def messages(self) -> list[dict[str, Any]]:
        """Take what is visible in the queue."""
        answer = self.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", ())]

    def keys(self, prefix: str = "") -> list[str]:
        answer = self.client("s3").list_objects_v2(Bucket="bucket", Prefix=prefix)
        return [row["Key"] for row in answer.get("Contents", ())]

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return the input of every execution by its name."""
        states = self.client("stepfunctions")
        found = states.list_executions(stateMachineArn=self.state_machine)["executions"]
        described = [states.describe_execution(executionArn=one["executionArn"]) for one in found]
        return {one["name"]: json.loads(one["input"]) for one in described}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with mock_aws():
        region = {"LocationConstraint": "eu-west-1"}
        boto3.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration=region)
        secret = json.dumps({"api_secret": SECRET, "shop_id": "1"})
        boto3.client("secretsmanager").create_secret(Name="lightspeed/default", SecretString=secret)
        boto3.client("dynamodb").create_table(
            TableName="table",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        queue = boto3.client("sqs").create_queue(QueueName="webhooks")["QueueUrl"]
        machine = boto3.client("stepfunctions").create_state_machine(
            name="sync",
            definition=json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/sync",
        )["stateMachineArn"]
        monkeypatch.setenv("BUCKET", "bucket")
        monkeypatch.setenv("IDEMPOTENCY_TABLE", "table")
        monkeypatch.setenv("WEBHOOK_QUEUE_URL", queue)
        monkeypatch.setenv("SYNC_STATE_MACHINE_ARN", machine)
        yield Account(queue, machine)
