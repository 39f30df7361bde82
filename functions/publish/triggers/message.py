"""A message of the publish queue, and what becomes of it when it is not done: it is hidden, replaced, or given up.

Whatever takes its place keeps its first id and time, by which its idempotency key and the order of updates know it; a
message that SQS itself moves to the failure queue and back comes with a new id and a new time.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from connector.errors import RequestError
from connector.observability import logger

if TYPE_CHECKING:
    from publish.dependencies import Dependencies

_LONGEST_VISIBILITY_SECONDS = 43_200
_LONGEST_DELAY_SECONDS = 900
_OFTEN = 5
"""Receipts after which a message that only waits is replaced; the queue gives up at twice as many."""

_LAST = 2 * _OFTEN - 1
"""The receipt at which any other is given up: one before the queue would, lest this one is stopped on the way."""

_MOST_CHARACTERS = 1000
_NOT_SENDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MILLISECONDS = re.compile("[0-9]{1,15}")
_RECEIPTS = re.compile("[0-9]{1,9}")
_FIRST_ID = "FirstMessageId"
_FIRST_SENT = "FirstSentTimestamp"


class Message:
    """A message as Lambda hands it over."""

    def __init__(self, record: dict[str, Any], deps: Dependencies) -> None:
        """Prepare; nothing is sent.

        Args:
            record: Of the event.
            deps: Knows the queues.
        """
        self._record = record
        self._deps = deps
        self.id = str(record["messageId"])
        self.body = str(record["body"])

    @property
    def first_id(self) -> str:
        """Its id when it was first queued."""
        return self._kept(_FIRST_ID) or self.id

    @property
    def first_sent(self) -> str:
        """When it was first queued, as it was told: epoch milliseconds; empty if that is not known."""
        return self._kept(_FIRST_SENT) or str(self._system.get("SentTimestamp") or "")

    @property
    def queued(self) -> int | None:
        """When it was first queued, epoch milliseconds, if that is known.

        Raises:
            RequestError: Something else stands there.
        """
        text = self.first_sent
        if not text:
            return None
        if not _MILLISECONDS.fullmatch(text):
            raise RequestError([f"{_FIRST_SENT} must be epoch milliseconds, not {text!r:.60}"])
        return int(text)

    @property
    def receipts(self) -> int:
        """How often it was received, this time included; 1 if that is not known."""
        text = str(self._system.get("ApproximateReceiveCount") or "")
        return int(text) if _RECEIPTS.fullmatch(text) else 1

    @property
    def is_worn(self) -> bool:
        """Whether it has come so often that the queue is about to give it up."""
        return self.receipts >= _LAST

    def hide(self, seconds: float) -> None:
        """Let it come again after so many seconds."""
        queue_url = self._deps.settings.publish_queue_url
        if not queue_url:
            return
        try:
            self._deps.aws.client("sqs").change_message_visibility(
                QueueUrl=queue_url,
                ReceiptHandle=self._record.get("receiptHandle", ""),
                VisibilityTimeout=min(math.ceil(seconds), _LONGEST_VISIBILITY_SECONDS),
            )
        except ClientError as error:  # it then comes again when the queue's own time is up
            facts = {"message_id": self.id, "error": str(error)}
            logger().warning("a message could not be told when to come again", extra=facts)

    def wait(self, seconds: float) -> bool:
        """Let it lie in the queue for so many seconds, itself or as a copy; return whether it was replaced.

        A queue gives up what it delivered too often, and waiting is no reason for that.
        """
        queue_url = self._deps.settings.publish_queue_url
        if self.receipts >= _OFTEN and queue_url and self._send(queue_url, {}, seconds):
            return True
        self.hide(seconds)
        return False

    def give_up(self, error: str, detail: str) -> bool:
        """Put it into the failure queue with what was wrong; return whether it lies there.

        Args:
            error: One word.
            detail: A sentence; the start of it is kept.
        """
        queue_url = self._deps.settings.publish_failure_queue_url
        why = {"Error": error, "Detail": _NOT_SENDABLE.sub("", detail)[:_MOST_CHARACTERS]}
        return bool(queue_url) and self._send(queue_url, why, 0)

    def _send(self, queue_url: str, more: dict[str, str], delay_seconds: float) -> bool:
        texts = {_FIRST_ID: self.first_id, _FIRST_SENT: self.first_sent, **more}
        attributes = {name: {"DataType": "String", "StringValue": text} for name, text in texts.items() if text}
        try:
            self._deps.aws.client("sqs").send_message(
                QueueUrl=queue_url,
                MessageBody=self.body,
                DelaySeconds=min(math.ceil(delay_seconds), _LONGEST_DELAY_SECONDS),
                MessageAttributes=attributes,
            )
        except (ClientError, BotoCoreError) as error:  # it then stays where it is
            facts = {"message_id": self.id, "queue_url": queue_url, "error": str(error)}
            logger().error("a message could not be put into a queue", extra=facts)
            return False
        return True

    @property
    def _system(self) -> dict[str, Any]:
        found: dict[str, Any] = self._record.get("attributes") or {}
        return found

    def _kept(self, name: str) -> str:
        found = (self._record.get("messageAttributes") or {}).get(name) or {}
        return str(found.get("stringValue") or "")
