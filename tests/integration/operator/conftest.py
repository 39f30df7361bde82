"""A stack on moto whose two connections lead to a simulated shop."""

import datetime
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.s3.models import s3_backends

from connector.clients import AwsClients
from connector.operator.main import main
from connector.operator.stack import Stack
from tests.shop import Clock, Shop
from tests.support.aws import CloudFormation
from tests.support.clock import FakeClock

NOW = 1_795_413_600  # 2026-11-23T06:00:00Z
ACCOUNT = "123456789012"
GROUP = "mine-subscriptions"
SYNC = "arn:aws:states:eu-west-1:123456789012:stateMachine:mine-sync"


class Aws(AwsClients):
    """AWS on moto, but for CloudFormation."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.outputs = outputs
        self.calls: list[str] = []
        self.before_call: Callable[[str], None] = lambda _: None

    @functools.cache  # noqa: B019 - as the class itself does
    def client(self, service: str) -> Any:
        if service == "cloudformation":
            return CloudFormation(self.outputs)
        client = boto3.client(service)

        def note(model: Any, **_: Any) -> None:
            self.before_call(model.name)
            self.calls.append(model.name)

        client.meta.events.register("before-call", note)
        return client


@dataclass
class Operated:
    """A stack, and the command line on it."""

    aws: Aws
    shop: Shop
    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)

    def __call__(self, *words: str) -> int:
        """Run one command and return its exit status."""
        return main([*words, "--stack", "mine"], open_stack=lambda name: Stack(name, self.aws, self.clock))

    def file(self, text: str) -> str:
        """Write subscriptions.toml and return its path."""
        path = self.folder / "subscriptions.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def schedules(self) -> dict[str, Any]:
        """Every schedule of the stack's group by name, as EventBridge Scheduler has it."""
        scheduler = boto3.client("scheduler")
        rows = scheduler.list_schedules(GroupName=GROUP)["Schedules"]
        found = {row["Name"]: scheduler.get_schedule(GroupName=GROUP, Name=row["Name"]) for row in rows}
        return {name: {key: row[key] for key in row if key != "ResponseMetadata"} for name, row in found.items()}

    def hooks(self) -> list[tuple[str, str]]:
        """The webhooks of the stack in the shop: connection and item group."""
        rows = [row for row in self.shop.store.rows("webhooks") if row["address"].endswith("?stack=mine")]
        return sorted((row["address"].rpartition("/")[2].partition("?")[0], row["itemGroup"]) for row in rows)

    def listed(self) -> Any:
        """The list that the webhook trigger reads."""
        return json.loads(self.read("config/subscriptions.json"))

    def read(self, key: str) -> bytes:
        return bytes(boto3.client("s3").get_object(Bucket="bucket", Key=key)["Body"].read())

    def put(self, key: str, body: object, written: str = "") -> None:
        """Write an object; `written` is when S3 says that it was written, ISO-8601."""
        boto3.client("s3").put_object(Bucket="bucket", Key=key, Body=json.dumps(body).encode())
        if written:
            stored = s3_backends[ACCOUNT]["aws"].buckets["bucket"].keys[key]
            stored.last_modified = datetime.datetime.fromisoformat(written).replace(tzinfo=None)


@pytest.fixture
def operated(tmp_path: Path) -> Iterator[Operated]:
    clock = Clock(frozen_at=NOW)
    with mock_aws(), Shop(orders=3, products=3, clock=clock, quota=None, rate_per_second=None) as shop:
        secret = {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret, "language": "nl"}
        for name in ("default", "outlet"):
            boto3.client("secretsmanager").create_secret(Name=f"mine/{name}", SecretString=json.dumps(secret))
        boto3.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        boto3.client("scheduler").create_schedule_group(Name=GROUP)
        sqs = boto3.client("sqs")
        queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("runs", "publish", "failed", "hooks")}
        queues |= {"hook-failures": sqs.create_queue(QueueName="hook-failures")["QueueUrl"]}
        outputs = {
            "ApiUrl": "https://api.example",
            "Bucket": "bucket",
            "ScheduleGroupName": GROUP,
            "ScheduleRoleArn": "arn:aws:iam::123456789012:role/schedule",
            "SyncStateMachineArn": SYNC,
            "RunFailureQueueArn": "arn:aws:sqs:eu-west-1:123456789012:runs",
            "RunFailureQueueUrl": queues["runs"],
            "PublishQueueUrl": queues["publish"],
            "PublishFailureQueueUrl": queues["failed"],
            "WebhookQueueUrl": queues["hooks"],
            "WebhookFailureQueueUrl": queues["hook-failures"],
        }
        yield Operated(Aws(outputs), shop, tmp_path)


@pytest.fixture
def machines(operated: Operated) -> dict[str, str]:
    role = boto3.client("iam").create_role(RoleName="sync", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    arns = {}
    for output, name in (("SyncStateMachineArn", "mine-sync"), ("PublishFileStateMachineArn", "mine-publish-file")):
        made = boto3.client("stepfunctions").create_state_machine(name=name, definition=definition, roleArn=role)
        arns[output] = operated.aws.outputs[output] = made["stateMachineArn"]
    return arns
