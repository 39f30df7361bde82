"""The webhook functions' surroundings on moto: bucket, queue, table, state machine and a connection."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from moto import mock_aws

from connector.clients import AwsClients
from webhook import app, daily, trigger

SECRET = "hook-secret"
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Account:
    """One account with what the functions need.

    Attributes:
        aws: Its clients.
        bucket: Its name.
        prefix: Of the names of connections' secrets.
        table: Its name.
        queue: URL of the webhook queue.
        state_machine: ARN of `Sync`.
    """

    aws: AwsClients
    bucket: str
    prefix: str
    table: str
    queue: str
    state_machine: str

    def client(self, service: str) -> Any:
        return self.aws.client(service)

    def put(self, key: str, value: object) -> None:
        """Store a JSON value in the bucket."""
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=json.dumps(value))

    def json(self, key: str) -> Any:
        """Return a JSON value of the bucket."""
        return json.loads(self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def messages(self) -> list[dict[str, Any]]:
        """Take what is visible in the queue."""
        answer = self.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", ())]

    def keys(self, prefix: str = "") -> list[str]:
        answer = self.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [row["Key"] for row in answer.get("Contents", ())]

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return the input of every execution by its name."""
        states = self.client("stepfunctions")
        found = states.list_executions(stateMachineArn=self.state_machine)["executions"]
        described = [states.describe_execution(executionArn=one["executionArn"]) for one in found]
        return {one["name"]: json.loads(one["input"]) for one in described}

    def end(self, run: str) -> None:
        """End an execution."""
        arn = f"{self.state_machine.replace(':stateMachine:', ':execution:')}:{run}"
        self.client("stepfunctions").stop_execution(executionArn=arn)


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsClients]:
    """AWS in this process, and its clients, for one file of tests: clients take long to make."""
    with mock_aws(), pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        yield AwsClients()


@pytest.fixture
def account(aws: AwsClients, monkeypatch: pytest.MonkeyPatch) -> Account:
    number = next(_NUMBERS)
    bucket, prefix, table = f"bucket-{number}", f"stack-{number}/", f"table-{number}"
    region = {"LocationConstraint": "eu-west-1"}
    aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
    secret = json.dumps({"api_secret": SECRET, "shop_id": "1"})
    aws.client("secretsmanager").create_secret(Name=f"{prefix}default", SecretString=secret)
    aws.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    queue = aws.client("sqs").create_queue(QueueName=f"webhooks-{number}")["QueueUrl"]
    machine = aws.client("stepfunctions").create_state_machine(
        name=f"sync-{number}",
        definition=json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}),
        roleArn="arn:aws:iam::123456789012:role/sync",
    )["stateMachineArn"]
    settings = {
        "BUCKET": bucket,
        "SECRET_PREFIX": prefix,
        "IDEMPOTENCY_TABLE": table,
        "WEBHOOK_QUEUE_URL": queue,
        "SYNC_STATE_MACHINE_ARN": machine,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for module in (trigger, daily):
        monkeypatch.setattr(module, "AwsClients", lambda: aws)
    monkeypatch.setattr(app, "_client", aws.client)
    return Account(aws, bucket, prefix, table, queue, machine)
