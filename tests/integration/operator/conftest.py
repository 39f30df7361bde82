"""A stack on moto whose two connections lead to a simulated shop."""

import datetime
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.s3.models import s3_backends

from connector.clients import AwsClients
from connector.operator.main import main
from connector.operator.stack import Stack
from tests.shop import Clock, Shop
from tests.support.aws import CloudFormation, moto_client
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
        self._noted: list[Any] = []

    @functools.cache  # noqa: B019 - as the class itself does
    def client(self, service: str) -> Any:
        if service == "cloudformation":
            return CloudFormation(self.outputs)
        client = moto_client(service, "operator")
        client.meta.events.register("before-call", self._note)
        self._noted.append(client)
        return client

    def close(self) -> None:
        """Note no calls any more; the clients are kept for other tests."""
        for client in self._noted:
            client.meta.events.unregister("before-call", self._note)

    def _note(self, model: Any, **_: Any) -> None:
        self.before_call(model.name)
        self.calls.append(model.name)


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
        scheduler = moto_client("scheduler")
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
        return bytes(moto_client("s3").get_object(Bucket="bucket", Key=key)["Body"].read())

    def put(self, key: str, body: object, written: str = "") -> None:
        """Write an object; `written` is when S3 says that it was written, ISO-8601."""
        moto_client("s3").put_object(Bucket="bucket", Key=key, Body=json.dumps(body).encode())
        if written:
            stored = s3_backends[ACCOUNT]["aws"].buckets["bucket"].keys[key]
            stored.last_modified = datetime.datetime.fromisoformat(written).replace(tzinfo=None)


@pytest.fixture
def operated(tmp_path: Path) -> Iterator[Operated]:
    clock = Clock(frozen_at=NOW)
    with mock_aws(), Shop(orders=3, products=3, clock=clock, quota=None, rate_per_second=None) as shop:
        secret = {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret, "language": "nl"}
        for name in ("default", "outlet"):
            moto_client("secretsmanager").create_secret(Name=f"mine/{name}", SecretString=json.dumps(secret))
        moto_client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        moto_client("scheduler").create_schedule_group(Name=GROUP)
        sqs = moto_client("sqs")
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
        aws = Aws(outputs)
        yield Operated(aws, shop, tmp_path)
        aws.close()


@pytest.fixture
def machines(operated: Operated) -> dict[str, str]:
    role = moto_client("iam").create_role(RoleName="sync", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    arns = {}
    for output, name in (("SyncStateMachineArn", "mine-sync"), ("PublishFileStateMachineArn", "mine-publish-file")):
        made = moto_client("stepfunctions").create_state_machine(name=name, definition=definition, roleArn=role)
        arns[output] = operated.aws.outputs[output] = made["stateMachineArn"]
    return arns
