"""Put many messages on an SQS queue, in as few calls as its limits allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connector.aws_errors import aws_error_types, reason
from connector.chunks import batches
from connector.problem_details import HttpProblem

MAX_BYTES = 262_144
"""The most that SQS takes in one call, and in one message of a queue with default settings."""

MAX_MESSAGES = 10
"""The most messages that SQS takes in one call."""

_ATTEMPTS = 3
_ESCAPED = str.maketrans({"\ufffe": "\\ufffe", "\uffff": "\\uffff"})
"""Characters that JSON text may hold and SQS refuses."""


@dataclass(frozen=True)
class QueueFailure:
    """A message that is not on the queue, as far as is known.

    Attributes:
        reason: What SQS answered.
    """

    reason: str


def enqueue(sqs: Any, queue_url: str, bodies: Sequence[str]) -> list[str | QueueFailure]:
    """Put messages on a queue; return the id of each, or why it may not be there, in order.

    Args:
        sqs: The SQS client.
        queue_url: The queue's URL.
        bodies: JSON texts.

    Raises:
        HttpProblem: 413 if a message is too large. Nothing was queued.
    """
    texts = [body.translate(_ESCAPED) for body in bodies]
    for number, text in enumerate(texts):
        size = len(text.encode())
        if size > MAX_BYTES:
            advice = "put the event into a file under publish/in/, or its attachment under publish/files/ (s3_key)"
            raise HttpProblem(
                413, "too-large", f"items[{number}] has {size:,} bytes; a message has at most {MAX_BYTES:,}; {advice}"
            )
    outcomes: dict[int, str | QueueFailure] = {}
    for batch in batches(enumerate(texts), lambda one: len(one[1].encode()), most=MAX_MESSAGES, most_bytes=MAX_BYTES):
        outcomes |= _send(sqs, queue_url, dict(batch))
    return [outcomes[number] for number in range(len(texts))]


def _send(sqs: Any, queue_url: str, texts: dict[int, str]) -> dict[int, str | QueueFailure]:
    """Send one batch; messages that SQS says it did not take are sent again."""
    outcomes: dict[int, str | QueueFailure] = dict.fromkeys(texts, QueueFailure("SQS did not mention it"))
    left = texts
    for _ in range(_ATTEMPTS):
        entries = [{"Id": str(number), "MessageBody": text} for number, text in left.items()]
        try:
            answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        except aws_error_types() as error:
            return outcomes | dict.fromkeys(left, QueueFailure(reason(error)))
        outcomes |= {int(found["Id"]): found["MessageId"] for found in answer.get("Successful", ())}
        failed = {int(found["Id"]): found for found in answer.get("Failed", ())}
        outcomes |= {number: QueueFailure(str(found.get("Message", found["Code"]))) for number, found in failed.items()}
        left = {number: texts[number] for number, found in failed.items() if not found.get("SenderFault")}
        if not left:
            break
    return outcomes
