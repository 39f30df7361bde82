"""Entry of the trigger function: messages of the webhook queue in, runs of `Sync` out; and what it uses of AWS."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from typing import Any

import msgspec

from connector.bucket import Bucket
from connector.clients import AwsClients
from connector.conditional_items import put_item
from connector.executions import find_execution, start_execution
from connector.observability import logged, logger
from connector.settings import Settings
from connector.webhook_window import Policy
from lightspeed import Clock, SystemClock
from webhook.debounce import Mark, Run, Status
from webhook.followers import followers
from webhook.scheduler import RunScheduler

KEPT_SECONDS = 60 * 86_400
"""How long a mark is kept that no webhook reaches."""

_PREFIX = "webhook#"
_COUNTED = "webhook-ids#"
_MOST_DELAY_SECONDS = 900
_NEEDS = ("BUCKET", "IDEMPOTENCY_TABLE", "SYNC_STATE_MACHINE_ARN", "WEBHOOK_QUEUE_URL")


@logged
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda calls with both
    """Handle a batch of the webhook queue.

    Args:
        event: The event of SQS. A message is a webhook that the receiver queued, or a tick that this function sent.
        context: Lambda's, not used.

    Returns:
        `{"batchItemFailures": […]}`: messages that have to come again.

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
    """Return the scheduler of these settings; it keeps clients between invocations."""
    aws = AwsClients()
    clock = SystemClock()
    return RunScheduler(
        marks=DynamoMarks(aws.client("dynamodb"), settings.idempotency_table, clock),
        runs=SyncRuns(aws.client("stepfunctions"), settings.sync_state_machine_arn),
        tick=functools.partial(send_tick, aws.client("sqs"), settings.webhook_queue_url),
        followers=functools.partial(followers, Bucket(aws.client("s3"), settings.bucket, clock).body),
        clock=clock,
        policy=Policy.of(settings),
    )


@dataclass(frozen=True, slots=True)
class DynamoMarks:
    """Marks in the idempotency table, one item each; keys of other items have no such prefix."""

    client: Any
    table: str
    clock: Clock

    def load(self, key: str) -> tuple[Mark | None, int]:
        """See `webhook.scheduler.Marks`; the read is strongly consistent."""
        answer = self.client.get_item(TableName=self.table, Key={"id": {"S": _PREFIX + key}}, ConsistentRead=True)
        item = answer.get("Item")
        if item is None:
            return None, 0
        return msgspec.json.decode(item["mark"]["S"], type=Mark), int(item["version"]["N"])

    def save(self, key: str, mark: Mark, version: int) -> bool:
        """See `webhook.scheduler.Marks`."""
        item = {
            "id": {"S": _PREFIX + key},
            "mark": {"S": msgspec.json.encode(mark).decode()},
            "version": {"N": str(version + 1)},
            "expiration": {"N": str(int(self.clock.time()) + KEPT_SECONDS)},
        }
        condition = "#version = :read" if version else "attribute_not_exists(id)"
        values = {":read": {"N": str(version)}} if version else {}
        return put_item(self.client, self.table, item, condition, values) is None

    def allow(self, key: str, wanted: int, most: int) -> int:
        """See `webhook.scheduler.Marks`; the count is one atomic update."""
        answer = self.client.update_item(
            TableName=self.table,
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


@dataclass(frozen=True, slots=True)
class SyncRuns:
    """Executions of the state machine `Sync`, see `webhook.scheduler.Runs`."""

    client: Any
    state_machine_arn: str

    def start(self, run: Run) -> None:
        """Start a run, once: its name holds the start of its window, so an execution of this name is this run."""
        start_execution(self.client, self.state_machine_arn, run.name, run.event)

    def status(self, name: str) -> Status:
        """Return the outcome of a run; a failed run has ended, and its event is in the failure queue of runs."""
        found = find_execution(self.client, self.state_machine_arn, name)
        if found is None:
            return "missing"
        if found["status"] == "RUNNING":
            return "running"
        output = json.loads(found.get("output") or "{}")
        return "superseded" if isinstance(output, dict) and output.get("superseded") else "ended"


def send_tick(client: Any, queue_url: str, message: str, delay_seconds: float) -> None:
    """Send a tick to the queue that the trigger reads.

    A delay is rounded up to whole seconds, and longer ones than 15 minutes are cut.
    """
    delay = min(math.ceil(delay_seconds), _MOST_DELAY_SECONDS)
    client.send_message(QueueUrl=queue_url, MessageBody=message, DelaySeconds=delay)
