"""Messages of the publish queue: each is published or goes back to the queue, and none stops another.

All messages of an invocation are one batch, so that their updates can be joined; Powertools' batch processor hands them
over one by one. A message is told apart by its id. Waiting for the shop's quota costs a message nothing: it lies in the
queue for as long as the quota asks, and before the queue would give it up for having been received too often, a copy
takes its place that keeps the message's first id and time.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from connector.errors import OutOfTime, RequestError
from connector.observability import logger
from lightspeed import RateLimited
from publish.item import Entry
from publish.outcome import Outcome

if TYPE_CHECKING:
    from publish.app import Invocation, Wiring

_LONGEST_VISIBILITY_SECONDS = 43_200
_LONGEST_DELAY_SECONDS = 900
_OFTEN = 5
"""Receipts after which a message that waits for the quota is replaced; the queue gives up at twice as many."""

_FIRST_ID = "FirstMessageId"
_FIRST_SENT = "FirstSentTimestamp"


def consume(event: dict[str, Any], invocation: Invocation) -> dict[str, Any]:
    """Publish the messages of a batch; return `{"batchItemFailures": …}`."""
    records: list[dict[str, Any]] = event["Records"]
    entries = [_entry(record) for record in records]
    readable = [(record, entry) for record, entry in zip(records, entries, strict=True) if entry is not None]
    outcomes: dict[str, Outcome] = {record["messageId"]: _UNREADABLE for record in records}
    found = invocation.publish_all([entry for _, entry in readable], background=True)
    outcomes |= {record["messageId"]: outcome for (record, _), outcome in zip(readable, found, strict=True)}
    told = [entry if entry is not None else Entry(None) for entry in entries]
    facts = [{"message_id": _first_id(record), "attempt": _receipts(record)} for record in records]
    invocation.tell(told, [outcomes[record["messageId"]] for record in records], facts)
    failures = [record for record in records if not _is_done(record, outcomes[record["messageId"]], invocation.held)]
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failures]}


_UNREADABLE = RequestError(["the message must be a JSON object: a publish event"])


def _entry(record: dict[str, Any]) -> Entry | None:
    try:
        body = json.loads(record["body"])
    except ValueError:
        return None
    sent = _attribute(record, _FIRST_SENT) or record.get("attributes", {}).get("SentTimestamp")
    return Entry(body, key=_first_id(record), queued=int(sent) if sent else None)


def _is_done(record: dict[str, Any], outcome: Outcome, held: Wiring) -> bool:
    """Whether a message may leave the queue; see to it that one which may not comes again at the right time."""
    if isinstance(outcome, dict):
        if outcome["status"] != "unknown":
            return True
        logger().error("published with unknown outcome", extra={"message_id": _first_id(record), **_told(outcome)})
        return False
    if isinstance(outcome, RateLimited):
        return _wait_for_quota(record, outcome.retry_after_seconds, held)
    if isinstance(outcome, OutOfTime):
        _hide(record, 0, held)
        return False
    seconds = getattr(outcome, "retry_after_seconds", None)
    if seconds is not None:
        _hide(record, seconds, held)
    facts = {"message_id": _first_id(record), "error": type(outcome).__name__, "detail": str(outcome)}
    logger().error("publish failed", extra=facts)
    return False


def _told(outcome: dict[str, Any]) -> dict[str, Any]:
    return {name: outcome[name] for name in ("detail", "check") if name in outcome}


def _wait_for_quota(record: dict[str, Any], seconds: float, held: Wiring) -> bool:
    """Let the message lie in its queue, itself or as a copy; return whether it was replaced by one."""
    queue_url = held.settings.publish_queue_url
    if _receipts(record) < _OFTEN or not queue_url:
        _hide(record, seconds, held)
        return False
    kept = {_FIRST_ID: _first_id(record), _FIRST_SENT: _attribute(record, _FIRST_SENT) or _sent(record)}
    held.aws.client("sqs").send_message(
        QueueUrl=queue_url,
        MessageBody=record["body"],
        DelaySeconds=min(math.ceil(seconds), _LONGEST_DELAY_SECONDS),
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in kept.items() if value},
    )
    return True


def _hide(record: dict[str, Any], seconds: float, held: Wiring) -> None:
    """Let the message come again after so many seconds."""
    queue_url = held.settings.publish_queue_url
    if not queue_url:
        return
    try:
        held.aws.client("sqs").change_message_visibility(
            QueueUrl=queue_url,
            ReceiptHandle=record.get("receiptHandle", ""),
            VisibilityTimeout=min(math.ceil(seconds), _LONGEST_VISIBILITY_SECONDS),
        )
    except ClientError as error:  # it then comes again when the queue's own time is up
        facts = {"message_id": record["messageId"], "error": str(error)}
        logger().warning("a message could not be told when to come again", extra=facts)


def _attribute(record: dict[str, Any], name: str) -> str:
    found = (record.get("messageAttributes") or {}).get(name) or {}
    return str(found.get("stringValue") or "")


def _first_id(record: dict[str, Any]) -> str:
    return _attribute(record, _FIRST_ID) or str(record["messageId"])


def _sent(record: dict[str, Any]) -> str:
    return str(record.get("attributes", {}).get("SentTimestamp") or "")


def _receipts(record: dict[str, Any]) -> int:
    return int(record.get("attributes", {}).get("ApproximateReceiveCount") or 1)
