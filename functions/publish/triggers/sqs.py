"""Messages of the publish queue: each is published, goes back to the queue, or goes to the failure queue.

All messages of an invocation are one batch, so that their updates can be merged. A message may wait for the shop's
quota, for time or for another writer. A copy replaces it before the queue has delivered it too often. A message that is
wrong itself goes to the failure queue at once, because the shop would refuse it every time.

A copy keeps the first id and time of its message: they name its idempotency key and order its updates. A message that
SQS itself moves to the failure queue and back gets a new id and a new time.
"""

from __future__ import annotations

import functools
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connector.aws.errors import aws_error_types
from connector.errors import IdempotencyConflict, RequestError, TransformError
from connector.observability import logger
from lightspeed import CatalogueError, InvalidRequest, NotFound, get_entity
from publish.batch.batch import send_all
from publish.event import IncomingEvent
from publish.notifications import report
from publish.result import Outcome, is_gone, is_postponed, retry_after_seconds

if TYPE_CHECKING:
    from publish.dependencies import Dependencies
    from publish.publisher import Publisher

_WRONG_ITSELF = (CatalogueError, RequestError, TransformError, IdempotencyConflict, InvalidRequest, NotFound)
"""Only the message or its record is wrong. An error of the connection (credentials, permissions, language) is corrected
there, and the message is right then."""

_LONGEST_VISIBILITY_SECONDS = 43_200
_LONGEST_DELAY_SECONDS = 900
_MANY_RECEIVES = 5
"""Receives after which a message that only waits is replaced by a copy; the queue moves it at twice as many."""

_LAST_RECEIVE = 2 * _MANY_RECEIVES - 1
"""The receive at which any other message is dead-lettered: one before the queue does it, in case this one is killed."""

_MOST_CHARACTERS = 1000
"""Of a detail in an attribute of a message."""

_NOT_SENDABLE = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Characters that SQS refuses in an attribute."""

_MILLISECONDS = re.compile("[0-9]{1,15}")
_COUNT = re.compile("[0-9]{1,9}")
_FIRST_ID = "FirstMessageId"
_FIRST_SENT = "FirstSentTimestamp"


def consume(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Publish the messages of a batch; return `{"batchItemFailures": …}`."""
    messages = [Message(record, publisher.deps) for record in event["Records"]]
    incoming = [message.incoming for message in messages]
    outcomes = send_all(incoming, publisher)
    report(publisher.deps, zip(incoming, outcomes, strict=True))
    failures = [message for message, outcome in zip(messages, outcomes, strict=True) if not _finish(message, outcome)]
    # Lambda takes an empty id for the failure of the whole batch
    return {"batchItemFailures": [{"itemIdentifier": message.id} for message in failures if message.id]}


def _finish(message: Message, outcome: Outcome) -> bool:
    """Postpone or dead-letter a message as its outcome demands; return whether it leaves the queue."""
    if isinstance(outcome, dict):
        if outcome["status"] != "unknown":
            return True
        facts: dict[str, Any] = {name: outcome[name] for name in ("detail", "check") if name in outcome}
        logger().error("published with unknown outcome", extra={"message_id": message.first_id, **facts})
        return message.is_exhausted and message.dead_letter("unknown", str(outcome.get("detail", "")))
    seconds = retry_after_seconds(outcome)
    if is_postponed(outcome):
        return message.postpone(seconds or 0)
    name = type(outcome).__name__
    failed = {"message_id": message.first_id, "error": name, "detail": str(outcome)}
    logger().error("publish failed", extra=failed)
    # only a message with an id can be handed back by itself
    give_up = message.is_exhausted or not message.id or _is_wrong(message.incoming.event, outcome)
    if give_up and message.dead_letter(name, str(outcome)):
        return True
    if seconds is not None:
        message.set_visibility(seconds)
    return False


def _is_wrong(event: object, outcome: Outcome) -> bool:
    """Whether the event itself is wrong, so that it would be refused again."""
    if isinstance(outcome, NotFound):
        may_pass = isinstance(event, dict) and get_entity(str(event["entity"])).transient_404
        return is_gone(outcome) and not may_pass
    waits = retry_after_seconds(outcome) is not None  # for the first call with its idempotency key
    return isinstance(outcome, _WRONG_ITSELF) and not waits


class Message:
    """A message as Lambda delivers it.

    Attributes:
        id: Empty if SQS gave none.
        first_id: Its id when it was first queued.
        first_sent: When it was first queued, as text in epoch milliseconds; empty if that is not known.
        receives: How often it was received, this time included; 1 if that is not known.
        is_exhausted: Whether the queue moves it to the failure queue soon.
    """

    def __init__(self, record: object, deps: Dependencies) -> None:
        """Prepare; nothing is sent.

        Args:
            record: The record of the event.
            deps: Holds the queues and the SQS client.
        """
        self._deps = deps
        self._record = _members(record)
        system = _members(self._record.get("attributes"))
        receives = str(system.get("ApproximateReceiveCount") or "")
        self.id = str(self._record.get("messageId") or "")
        self.body = str(self._record.get("body") or "")
        self.first_id = self._attribute(_FIRST_ID) or self.id
        self.first_sent = self._attribute(_FIRST_SENT) or str(system.get("SentTimestamp") or "")
        self.receives = int(receives) if _COUNT.fullmatch(receives) else 1
        self.is_exhausted = self.receives >= _LAST_RECEIVE

    @functools.cached_property
    def incoming(self) -> IncomingEvent:
        """Its event. A message whose time cannot be read has an error too, because it could undo a newer update."""
        facts = {"message_id": self.first_id, "attempt": self.receives}
        queued_at = None
        if self.first_sent:
            if not _MILLISECONDS.fullmatch(self.first_sent):
                wrong = f"{_FIRST_SENT} must be epoch milliseconds, not {self.first_sent!r:.100}"
                return IncomingEvent(None, error=RequestError([wrong]), facts=facts)
            queued_at = Decimal(self.first_sent) if self.first_id else None  # only an id shows a second delivery
        return IncomingEvent.from_text("message", self.body, self.first_id, queued_at, facts)

    def set_visibility(self, seconds: float) -> None:
        """Deliver it again after so many seconds."""
        queue_url = self._deps.settings.publish_queue_url
        if not queue_url:
            return
        try:
            self._deps.aws.client("sqs").change_message_visibility(
                QueueUrl=queue_url,
                ReceiptHandle=self._record.get("receiptHandle", ""),
                VisibilityTimeout=min(math.ceil(seconds), _LONGEST_VISIBILITY_SECONDS),
            )
        except aws_error_types() as error:  # the queue's own timeout applies
            facts = {"message_id": self.id, "error": str(error)}
            logger().warning("the visibility timeout of a message could not be changed", extra=facts)

    def postpone(self, seconds: float) -> bool:
        """Leave it in the queue for so many seconds, itself or as a copy; return whether a copy replaced it.

        The queue moves a message that is received too often. Waiting must not count, so a copy starts at zero.
        """
        if self.receives >= _MANY_RECEIVES and self._send(self._deps.settings.publish_queue_url, {}, seconds):
            return True
        self.set_visibility(seconds)
        return False

    def dead_letter(self, error: str, detail: str) -> bool:
        """Put it into the failure queue with its error; return whether it is there.

        Args:
            error: Name of the error type, or `unknown`.
            detail: A sentence; at most 1,000 characters of it are kept.
        """
        why = {"Error": error, "Detail": _NOT_SENDABLE.sub("", detail)[:_MOST_CHARACTERS]}
        return self._send(self._deps.settings.publish_failure_queue_url, why, 0)

    def _send(self, queue_url: str, more: dict[str, str], delay_seconds: float) -> bool:
        """Put a copy of it into a queue; return whether it is there. An empty URL is no queue."""
        if not queue_url:
            return False
        texts = {_FIRST_ID: self.first_id, _FIRST_SENT: self.first_sent, **more}
        attributes = {name: {"DataType": "String", "StringValue": text} for name, text in texts.items() if text}
        try:
            self._deps.aws.client("sqs").send_message(
                QueueUrl=queue_url,
                MessageBody=self.body,
                DelaySeconds=min(math.ceil(delay_seconds), _LONGEST_DELAY_SECONDS),
                MessageAttributes=attributes,
            )
        except aws_error_types() as error:  # the message stays in its queue
            facts = {"message_id": self.id, "queue_url": queue_url, "error": str(error)}
            logger().error("a message could not be put into a queue", extra=facts)
            return False
        return True

    def _attribute(self, name: str) -> str:
        """Return an attribute that the sender sets; empty if there is none."""
        found = _members(_members(self._record.get("messageAttributes")).get(name))
        return str(found.get("stringValue") or "")


def _members(value: object) -> dict[str, Any]:
    """Return the members of an object; none if it is another value, which fails its message alone."""
    return value if isinstance(value, dict) else {}
