"""Put many messages on an SQS queue, in as few calls as its limits allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connector.aws.errors import aws_error_types, reason
from connector.chunks import batches
from connector.http.problem_details import HttpProblem

MAX_BYTES = 262_144
"""The most that SQS takes in one call, and in one message of a queue with default settings."""

MAX_MESSAGES = 10
"""The most messages that SQS takes in one call."""

_ATTEMPTS = 3
_ESCAPED = str.maketrans({"\ufffe": "\\ufffe", "\uffff": "\\uffff"})
"""Characters that JSON text may hold and SQS refuses."""


def enqueue(sqs: Any, queue_url: str, bodies: Sequence[str]) -> tuple[list[str | None], str]:
    """Put messages on a queue.

    Args:
        sqs: The SQS client.
        queue_url: The queue's URL.
        bodies: JSON texts.

    Returns:
        The id of each message in order, `None` if it may not be on the queue. Then why the first such message is not.

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
    ids: dict[int, str] = {}
    why = ""
    for batch in batches(enumerate(texts), lambda one: len(one[1].encode()), most=MAX_MESSAGES, most_bytes=MAX_BYTES):
        queued, reason_of_rest = _send(sqs, queue_url, dict(batch))
        ids |= queued
        why = why or ("" if len(queued) == len(batch) else reason_of_rest)
    return [ids.get(number) for number in range(len(texts))], why


def _send(sqs: Any, queue_url: str, texts: dict[int, str]) -> tuple[dict[int, str], str]:
    """Send messages in one call, and repeat those that SQS refuses; return ids, and why the rest may not be queued."""
    ids: dict[int, str] = {}
    why, left = "SQS did not mention it", texts
    for _ in range(_ATTEMPTS):
        entries = [{"Id": str(number), "MessageBody": text} for number, text in left.items()]
        try:
            answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        except aws_error_types() as error:
            return ids, reason(error)
        ids |= {int(found["Id"]): found["MessageId"] for found in answer.get("Successful", ())}
        failed = answer.get("Failed", ())
        why = next((str(found.get("Message", found["Code"])) for found in failed), why)
        left = {int(found["Id"]): texts[int(found["Id"])] for found in failed if not found.get("SenderFault")}
        if not left:
            break
    return ids, why
