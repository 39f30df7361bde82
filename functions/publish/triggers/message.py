"""A message of the publish queue, and what happens to it when it is not done: postponed, replaced or dead-lettered.

A copy keeps the first id and time of its message: they name its idempotency key and order its updates. A message that
SQS itself moves to the failure queue and back gets a new id and a new time.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connector import botocore_errors
from connector.errors import RequestError
from connector.observability import logger

if TYPE_CHECKING:
    from publish.dependencies import Dependencies

_LONGEST_VISIBILITY_SECONDS = 43_200
_LONGEST_DELAY_SECONDS = 900
_OFTEN = 5
"""Receives after which a message that only waits is replaced by a copy; the queue moves it at twice as many."""

_LAST = 2 * _OFTEN - 1
"""The receive at which any other message is dead-lettered: one before the queue does it, in case this one is killed."""

_MOST_CHARACTERS = 1000
_NOT_SENDABLE = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_MILLISECONDS = re.compile("[0-9]{1,15}")
_RECEIPTS = re.compile("[0-9]{1,9}")
_FIRST_ID = "FirstMessageId"
_FIRST_SENT = "FirstSentTimestamp"


class Message:
    """A message as Lambda delivers it."""

    def __init__(self, record: dict[str, Any], deps: Dependencies) -> None:
        """Prepare; nothing is sent.

        Args:
            record: The record of the event.
            deps: Holds the queues and the SQS client.
        """
        self._record = record
        self._deps = deps
        self.id = str(record.get("messageId") or "")
        self.body = str(record.get("body") or "").removeprefix("\ufeff")

    @property
    def first_id(self) -> str:
        """Its id when it was first queued; empty if SQS gave none."""
        return self._kept(_FIRST_ID) or self.id

    @property
    def first_sent(self) -> str:
        """When it was first queued, as text in epoch milliseconds; empty if that is not known."""
        return self._kept(_FIRST_SENT) or str(self._system.get("SentTimestamp") or "")

    @property
    def moment(self) -> Decimal | None:
        """When it was first queued, epoch milliseconds, if that is known.

        Raises:
            RequestError: The text is something else.
        """
        text = self.first_sent
        if not text:
            return None
        if not _MILLISECONDS.fullmatch(text):
            raise RequestError([f"{_FIRST_SENT} must be epoch milliseconds, not {text!r:.100}"])
        return Decimal(text)

    @property
    def receives(self) -> int:
        """How often it was received, this time included; 1 if that is not known."""
        text = str(self._system.get("ApproximateReceiveCount") or "")
        return int(text) if _RECEIPTS.fullmatch(text) else 1

    @property
    def is_exhausted(self) -> bool:
        """Whether the queue moves it to the failure queue soon."""
        return self.receives >= _LAST

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
        except (botocore_errors.ClientError, botocore_errors.BotoCoreError) as error:  # the queue's own timeout applies
            facts = {"message_id": self.id, "error": str(error)}
            logger().warning("the visibility timeout of a message could not be changed", extra=facts)

    def postpone(self, seconds: float) -> bool:
        """Leave it in the queue for so many seconds, itself or as a copy; return whether a copy replaced it.

        The queue moves a message that is received too often. Waiting must not count, so a copy starts at zero.
        """
        queue_url = self._deps.settings.publish_queue_url
        if self.receives >= _OFTEN and queue_url and self._send(queue_url, {}, seconds):
            return True
        self.set_visibility(seconds)
        return False

    def dead_letter(self, error: str, detail: str) -> bool:
        """Put it into the failure queue with its error; return whether it is there.

        Args:
            error: Name of the error type, or `unknown`.
            detail: A sentence; at most 1,000 characters of it are kept.
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
        except (botocore_errors.ClientError, botocore_errors.BotoCoreError) as error:  # the message stays in its queue
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
