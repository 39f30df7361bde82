"""Messages of the publish queue: each is published, goes back to the queue, or goes to the failure queue.

All messages of an invocation are one batch, so that their updates can be merged. A message may wait for the shop's
quota, for time or for another writer. A copy replaces it before the queue has delivered it too often. A message with an
error of its own goes to the failure queue at once, because the shop would refuse it every time.

A copy keeps the first id and time of its message, because the id is the idempotency key and the time orders updates. If
SQS itself moves a message to the failure queue, a redrive gives it a new id and a new time.
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

_MESSAGE_ERRORS = (CatalogueError, RequestError, TransformError, IdempotencyConflict, InvalidRequest, NotFound)
"""Errors of the message or its record. Others may end without a change of the message: after an error of credentials,
permissions or language, somebody corrects the connection."""

_LONGEST_VISIBILITY_SECONDS = 43_200
_LONGEST_DELAY_SECONDS = 900
_MANY_RECEIVES = 5
"""Receives after which a copy replaces a message that only waits. The queue moves a message to the failure queue after
twice as many."""

_LAST_RECEIVE = 2 * _MANY_RECEIVES - 1
"""The receive at which this function moves any other message to the failure queue: the last but one. If it is killed
there, SQS moves the message after the next receive."""

_MAX_CHARACTERS = 1000
"""The longest `Detail` attribute of a message."""

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
    """Postpone or dead-letter a message according to its outcome; return whether it leaves the queue."""
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
    # Lambda can return a message to the queue only by its id
    give_up = message.is_exhausted or not message.id or _is_wrong(message.incoming.event, outcome)
    if give_up and message.dead_letter(name, str(outcome)):
        return True
    if seconds is not None:
        message.set_visibility(seconds)
    return False


def _is_wrong(event: object, outcome: Outcome) -> bool:
    """Whether the event itself is wrong, so that another try would fail too."""
    if isinstance(outcome, NotFound):
        may_pass = isinstance(event, dict) and get_entity(str(event["entity"])).transient_404
        return is_gone(outcome) and not may_pass
    waits = retry_after_seconds(outcome) is not None  # the first call with its idempotency key is still running
    return isinstance(outcome, _MESSAGE_ERRORS) and not waits


class Message:
    """A message as Lambda delivers it.

    Args:
        record: The record of the event.
        deps: Provide the queues and the SQS client.

    Attributes:
        id: Empty if SQS gave none.
        first_id: Its id when it was first queued.
        first_sent: When it was first queued, epoch milliseconds as text; empty if the time is not known.
        receives: How often it was received, with this time; 1 if the number is not known.
        is_exhausted: Whether the queue will soon move it to the failure queue.
    """

    def __init__(self, record: object, deps: Dependencies) -> None:
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
        """Its event. A malformed time is an error too, because the message could undo a newer update."""
        facts = {"message_id": self.first_id, "attempt": self.receives}
        queued_at = None
        if self.first_sent:
            if not _MILLISECONDS.fullmatch(self.first_sent):
                wrong = f"{_FIRST_SENT} must be epoch milliseconds, not {self.first_sent!r:.100}"
                return IncomingEvent(None, error=RequestError([wrong]), facts=facts)
            queued_at = Decimal(self.first_sent) if self.first_id else None  # an id is needed to know a second delivery
        return IncomingEvent.from_text("message", self.body, self.first_id, queued_at, facts)

    def set_visibility(self, seconds: float) -> None:
        """Let the queue deliver it again after this many seconds."""
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
        """Let the queue deliver the message or a copy after this many seconds; return whether a copy replaced it.

        The queue moves a message after too many receives. A wait must not count, so a copy starts at zero.
        """
        if self.receives >= _MANY_RECEIVES and self._send(self._deps.settings.publish_queue_url, {}, seconds):
            return True
        self.set_visibility(seconds)
        return False

    def dead_letter(self, error: str, detail: str) -> bool:
        """Put a copy with its error into the failure queue; return whether that succeeded.

        Args:
            error: The name of the error type, or `unknown`.
            detail: A sentence, cut after 1,000 characters.
        """
        why = {"Error": error, "Detail": _NOT_SENDABLE.sub("", detail)[:_MAX_CHARACTERS]}
        return self._send(self._deps.settings.publish_failure_queue_url, why, 0)

    def _send(self, queue_url: str, more: dict[str, str], delay_seconds: float) -> bool:
        """Put a copy into a queue; return whether that succeeded. An empty URL stands for no queue."""
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
        """Return an attribute that the sender set; empty if there is none."""
        found = _members(_members(self._record.get("messageAttributes")).get(name))
        return str(found.get("stringValue") or "")


def _members(value: object) -> dict[str, Any]:
    """Return the members of a JSON object; none of any other value, so that it fails its message alone."""
    return value if isinstance(value, dict) else {}
