"""Messages of the publish queue: each is published or goes back to the queue, and none stops another."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from connector.errors import ConnectorError, RequestError
from connector.observability import logger
from lightspeed import LightspeedError, RateLimited

if TYPE_CHECKING:
    from publish.app import Invocation, Wiring

_LONGEST_VISIBILITY_SECONDS = 43_200


class Unsettled(ConnectorError):
    """The shop may or may not have acted on a message; it is not sent again, and ends in the failure queue."""


def consume(event: dict[str, Any], context: Any, invocation: Invocation) -> dict[str, Any]:
    """Publish the messages of a batch; return `{"batchItemFailures": …}`."""
    quota_used_up: list[RateLimited] = []

    def handle(record: SQSRecord) -> None:
        try:
            if quota_used_up:
                raise quota_used_up[0]
            result = invocation.publish(_event(record.body), default_key=record.message_id)
            if result["status"] == "unknown":
                raise Unsettled(result["detail"])
        except RateLimited as error:
            quota_used_up.append(error)
            _give_back(record, error.retry_after_seconds, invocation.held)
            raise
        except (LightspeedError, ConnectorError) as error:
            facts = {"message_id": record.message_id, "error": type(error).__name__, "detail": str(error)}
            logger().error("publish failed", extra=facts)
            raise

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return dict(process_partial_response(event=event, record_handler=handle, processor=processor, context=context))


def _event(body: str) -> object:
    try:
        return json.loads(body)
    except ValueError as error:
        raise RequestError([f"the message must be a JSON object: {error}"]) from None


def _give_back(record: SQSRecord, seconds: float, held: Wiring) -> None:
    """Let the message lie in its queue for as long as the shop's quota asks."""
    queue_url = held.settings.publish_queue_url
    if queue_url:
        held.aws.client("sqs").change_message_visibility(
            QueueUrl=queue_url,
            ReceiptHandle=record.receipt_handle,
            VisibilityTimeout=min(math.ceil(seconds), _LONGEST_VISIBILITY_SECONDS),
        )
