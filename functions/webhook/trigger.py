"""Entry of the trigger function: it turns messages of the webhook queue into runs of `Sync`, and calls AWS for that."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from typing import Any

import msgspec

from connector.aws.bucket import Bucket
from connector.aws.conditional_items import put_item
from connector.aws.executions import find_execution, start_execution
from connector.clients import AwsClients
from connector.observability import logger, with_log_context
from connector.settings import Settings
from connector.webhooks.window import Policy
from lightspeed import Clock, SystemClock
from webhook.debounce import Mark, Run, Status
from webhook.followers import followers
from webhook.scheduler import RunScheduler

KEPT_SECONDS = 60 * 86_400
"""How long the table keeps a mark after its last write."""

_PREFIX = "webhook#"
_COUNTED = "webhook-ids#"
_MAX_DELAY_SECONDS = 900
_NEEDS = ("BUCKET", "IDEMPOTENCY_TABLE", "SYNC_STATE_MACHINE_ARN", "WEBHOOK_QUEUE_URL")


@with_log_context
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda calls with both
    """Handle a batch of the webhook queue.

    Args:
        event: The event of SQS. A message is a webhook that the receiver queued, or a tick that this function sent.
        context: Not used.

    Returns:
        `{"batchItemFailures": […]}`: messages that must come again.

    Raises:
        SettingsError: The environment is wrong.
    """
    records = event["Records"]
    failed = scheduler(Settings.from_env(needs=_NEEDS)).handle(record["body"] for record in records)
    for position, error in failed.items():
        logger().error("webhook message failed", exc_info=error, extra={"message_id": records[position]["messageId"]})
    return {"batchItemFailures": [{"itemIdentifier": records[position]["messageId"]} for position in sorted(failed)]}


@functools.cache
def scheduler(settings: Settings) -> RunScheduler:
    """Return the scheduler for these settings. It keeps clients between invocations."""
    aws, clock = AwsClients(), SystemClock()
    read = Bucket(aws.client("s3"), settings.bucket, clock).read_body
    cloud = AwsCloud(aws, settings, clock)
    return RunScheduler(cloud, functools.partial(followers, read), clock, Policy.of(settings))


@dataclass(frozen=True, slots=True)
class AwsCloud:
    """A `webhook.scheduler.Cloud`: the idempotency table, executions of `Sync`, and the queue of the trigger.

    A mark is one item of the table. The ids of other items have another prefix.
    """

    aws: AwsClients
    settings: Settings
    clock: Clock

    def load(self, key: str) -> tuple[Mark | None, int]:
        """As in the protocol; the read is strongly consistent."""
        given = {"TableName": self.settings.idempotency_table, "Key": {"id": {"S": _PREFIX + key}}}
        item = self.aws.client("dynamodb").get_item(**given, ConsistentRead=True).get("Item")
        if item is None:
            return None, 0
        return msgspec.json.decode(item["mark"]["S"], type=Mark), int(item["version"]["N"])

    def save(self, key: str, mark: Mark, version: int) -> bool:
        """As in the protocol."""
        item = {
            "id": {"S": _PREFIX + key},
            "mark": {"S": msgspec.json.encode(mark).decode()},
            "version": {"N": str(version + 1)},
            "expiration": {"N": str(int(self.clock.time()) + KEPT_SECONDS)},
        }
        condition = "#version = :read" if version else "attribute_not_exists(id)"
        values = {":read": {"N": str(version)}} if version else {}
        client, table = self.aws.client("dynamodb"), self.settings.idempotency_table
        return put_item(client, table, item, condition, values) is None

    def allow(self, key: str, wanted: int, most: int) -> int:
        """As in the protocol; the count is one atomic update."""
        answer = self.aws.client("dynamodb").update_item(
            TableName=self.settings.idempotency_table,
            Key={"id": {"S": _COUNTED + key}},
            UpdateExpression="SET expiration = :until ADD taken :wanted",
            ExpressionAttributeValues={
                ":wanted": {"N": str(wanted)},
                ":until": {"N": str(int(self.clock.time()) + 86_400)},
            },
            ReturnValues="UPDATED_NEW",
        )
        taken = int(answer["Attributes"]["taken"]["N"])
        return max(0, min(wanted, most - (taken - wanted)))

    def start(self, run: Run) -> None:
        """As in the protocol. The name holds the start of the run, so an execution of this name is this run."""
        start_execution(self.aws.client("stepfunctions"), self.settings.sync_state_machine_arn, run.name, run.event)

    def status(self, name: str) -> Status:
        """As in the protocol. A failed run is `ended`, and its event is in the failure queue of runs."""
        execution = find_execution(self.aws.client("stepfunctions"), self.settings.sync_state_machine_arn, name)
        if execution is None:
            return "missing"
        if execution["status"] == "RUNNING":
            return "running"
        output = json.loads(execution.get("output") or "{}")
        return "superseded" if isinstance(output, dict) and output.get("superseded") else "ended"

    def tick(self, message: str, delay_seconds: float) -> None:
        """As in the protocol. The delay is rounded up to whole seconds, and at most 15 minutes."""
        delay, url = min(math.ceil(delay_seconds), _MAX_DELAY_SECONDS), self.settings.webhook_queue_url
        self.aws.client("sqs").send_message(QueueUrl=url, MessageBody=message, DelaySeconds=delay)
