"""Entry of the trigger function: messages of the webhook queue in, runs of `Sync` out."""

from __future__ import annotations

import functools
from typing import Any

from connector.bucket import Bucket
from connector.clients import AwsClients
from connector.observability import logged, logger
from connector.settings import Settings
from connector.webhook_window import Policy
from lightspeed import SystemClock
from webhook.followers import Followers
from webhook.scheduler import RunScheduler
from webhook.services import DynamoMarks, SyncRuns, send_tick

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
        followers=Followers(Bucket(aws.client("s3"), settings.bucket, clock).body),
        clock=clock,
        policy=Policy.of(settings),
    )
