"""The stack's failure queues: their messages and the causes.

The attribute `Error` of a message names its cause; in a message of EventBridge Scheduler, `ERROR_CODE` does. SQS itself
moves a message that was received too often, and adds no such attribute.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from connector.chunks import chunks
from connector.concurrency import map_concurrently
from connector.settings import Settings
from connector.timestamps import iso_text

RECEIVED_TOO_OFTEN = "ReceivedTooOften"
"""The cause of a message without such an attribute."""

MAX_READ = 1_000
"""The most messages of a queue that one call reads."""

SORTING_SECONDS = 300
"""How long `receive` hides messages from other readers."""

Queue = Literal["runs", "publish", "webhooks"]
_BATCH = 10
_ANSWERS_WITHOUT_NEW = 2


@dataclass(frozen=True, slots=True)
class Failure:
    """One message of a failure queue.

    Attributes:
        queue: The queue of the message.
        cause: One word, such as `AuthenticationError`.
        detail: A sentence for people; empty if the message has none.
        connection: The connection of the message's event; empty if there is no event.
        subscription: The subscription of a run's event; empty in the other queues.
        sent: When the message was first queued, in epoch seconds.
        message: The message in the form of SQS.
        attributes: The message's attributes as texts.
        event: The event in the message's body; empty if the body is no event.
    """

    queue: Queue
    cause: str
    detail: str
    connection: str
    subscription: str
    sent: float
    message: dict[str, Any]
    attributes: dict[str, str]
    event: dict[str, Any]


def urls_of(settings: Settings) -> dict[Queue, str]:
    """Return the URLs of a stack's failure queues."""
    urls: dict[Queue, str] = {
        "runs": settings.run_failure_queue_url,
        "publish": settings.publish_failure_queue_url,
        "webhooks": settings.webhook_failure_queue_url,
    }
    return {queue: url for queue, url in urls.items() if url}


def event_in(body: str) -> dict[str, Any]:
    """Return the event in a message's body, or in the call that EventBridge Scheduler failed to make."""
    try:
        found = json.loads(body)
        if isinstance(found, dict) and "entity" not in found:
            inside = found.get("Input") or found.get("input")
            if isinstance(inside, str):
                found = json.loads(inside)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def hidden_messages(sqs: Any, url: str) -> int:
    """Return about how many messages of a queue another command has received and not yet released."""
    name = "ApproximateNumberOfMessagesNotVisible"
    return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


def receive(sqs: Any, queue: Queue, url: str, most: int | None = MAX_READ) -> list[Failure]:
    """Return messages of a queue. SQS hides them for five minutes, or until `release`.

    SQS may give an empty answer although the queue has messages, and gives messages again after five minutes. So two
    answers in a row without a new message end the call.

    Args:
        sqs: The client of SQS.
        queue: The queue.
        url: Its address.
        most: About how many messages are received; `None` for all.
    """
    found: dict[str, Failure] = {}
    without_new = 0
    while without_new < _ANSWERS_WITHOUT_NEW and (most is None or len(found) < most):
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=SORTING_SECONDS,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        )
        known = len(found)
        found |= {message["MessageId"]: _failure(queue, message) for message in answer.get("Messages", [])}
        without_new = 0 if len(found) > known else without_new + 1
    return list(found.values())


def peek(sqs: Any, urls: Mapping[Queue, str]) -> list[Failure]:
    """Return the messages of several queues, and leave them in the queues."""

    def peek_into(queue: Queue) -> list[Failure]:
        failures = receive(sqs, queue, urls[queue])
        release(sqs, urls[queue], failures)
        return failures

    return [failure for failures in map_concurrently(peek_into, list(urls)) for failure in failures]


def release(sqs: Any, url: str, failures: Sequence[Failure]) -> None:
    """Let other readers receive messages again at once."""
    for batch in chunks(failures, _BATCH):
        entries = [
            {"Id": str(number), "ReceiptHandle": failure.message["ReceiptHandle"], "VisibilityTimeout": 0}
            for number, failure in enumerate(batch)
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def by_cause(failures: Iterable[Failure]) -> dict[tuple[Queue, str], list[Failure]]:
    """Return failures by queue and cause, the most frequent first."""
    groups: dict[tuple[Queue, str], list[Failure]] = {}
    for failure in failures:
        groups.setdefault((failure.queue, failure.cause), []).append(failure)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def describe(queue: Queue, cause: str, group: Sequence[Failure]) -> dict[str, Any]:
    """Return a summary of the failures of one cause, as JSON-able data."""
    return {
        "queue": queue,
        "cause": cause,
        "messages": len(group),
        "oldest_at": iso_text(min(failure.sent for failure in group)),
        "of": sorted({failure.subscription or failure.connection for failure in group} - {""})[:5],
        "detail": next((failure.detail for failure in group if failure.detail), "")[:300],
    }


def _failure(queue: Queue, message: dict[str, Any]) -> Failure:
    given = message.get("MessageAttributes") or {}
    texts = {name: str(value.get("StringValue", "")) for name, value in given.items()}
    event = event_in(message["Body"])
    sent = texts.get("FirstSentTimestamp") or (message.get("Attributes") or {}).get("SentTimestamp") or "0"
    return Failure(
        queue,
        texts.get("Error") or texts.get("ERROR_CODE") or RECEIVED_TOO_OFTEN,
        texts.get("Detail") or texts.get("ERROR_MESSAGE") or "",
        str(event.get("connection") or ("default" if "entity" in event else "")),
        str(event.get("subscription") or event.get("entity") or "") if queue == "runs" else "",
        int(sent) / 1000 if sent.isdigit() else 0.0,
        message,
        texts,
        event,
    )
