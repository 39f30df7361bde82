"""The stack's failure queues: what is in them, and why.

A message says its cause in the attribute `Error`, or in `ERROR_CODE` if EventBridge Scheduler wrote it. A message that
SQS moved by itself says none: it was received too often.
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
"""The cause of a message that SQS itself moved."""

MOST_READ = 1_000
"""Messages of a queue that are read at once."""

SORTING_SECONDS = 300
"""How long messages are hidden while they are sorted."""

Queue = Literal["runs", "publish", "webhooks"]
_BATCH = 10
_EMPTY_ANSWERS = 2


@dataclass(frozen=True, slots=True)
class Failure:
    """One message of a failure queue.

    Attributes:
        queue: Which queue holds it.
        cause: One word, such as `AuthenticationError`.
        detail: A sentence, if the message has one.
        connection: The connection of its event; empty if it names none.
        subscription: The subscription of a run's event; empty for others.
        sent: Epoch seconds when it was first queued.
        message: The message, as SQS gave it.
        attributes: The message's attributes as texts.
        event: The event that the message holds; empty if it holds none.
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
    """Return the addresses of a stack's failure queues."""
    found: dict[Queue, str] = {
        "runs": settings.run_failure_queue_url,
        "publish": settings.publish_failure_queue_url,
        "webhooks": settings.webhook_failure_queue_url,
    }
    return {queue: url for queue, url in found.items() if url}


def event_in(body: str) -> dict[str, Any]:
    """Return the event of a message's body, or of the call that EventBridge Scheduler could not make."""
    try:
        found = json.loads(body)
        if isinstance(found, dict) and "entity" not in found:
            inside = found.get("Input") or found.get("input")
            if isinstance(inside, str):
                found = json.loads(inside)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def receive(sqs: Any, queue: Queue, url: str) -> list[Failure]:
    """Return at most `MOST_READ` messages of a queue, hidden for five minutes; `release` shows them again.

    SQS may answer with nothing although there is more, so two empty answers end it.
    """
    found: dict[str, Failure] = {}
    empty = 0
    while empty < _EMPTY_ANSWERS and len(found) < MOST_READ:
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=SORTING_SECONDS,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        empty = 0 if messages else empty + 1
        for message in messages:
            found[message["MessageId"]] = _failure(queue, message)
    return list(found.values())


def look(sqs: Any, urls: Mapping[Queue, str]) -> list[Failure]:
    """Return the messages of several queues at once, and leave them where they are."""

    def look_into(queue: Queue) -> list[Failure]:
        found = receive(sqs, queue, urls[queue])
        release(sqs, urls[queue], found)
        return found

    return [one for found in map_concurrently(look_into, list(urls)) for one in found]


def release(sqs: Any, url: str, failures: Sequence[Failure]) -> None:
    """Show messages again at once."""
    for batch in chunks(failures, _BATCH):
        entries = [
            {"Id": str(number), "ReceiptHandle": one.message["ReceiptHandle"], "VisibilityTimeout": 0}
            for number, one in enumerate(batch)
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def causes(failures: Iterable[Failure]) -> dict[tuple[Queue, str], list[Failure]]:
    """Return failures by queue and cause, the most frequent first."""
    groups: dict[tuple[Queue, str], list[Failure]] = {}
    for one in failures:
        groups.setdefault((one.queue, one.cause), []).append(one)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def describe(queue: Queue, cause: str, group: Sequence[Failure]) -> dict[str, Any]:
    """Return what people need to know of the failures of one cause, as JSON-able data."""
    return {
        "queue": queue,
        "cause": cause,
        "messages": len(group),
        "oldest_at": iso_text(min(one.sent for one in group)),
        "of": sorted({one.subscription or one.connection for one in group} - {""})[:5],
        "detail": next((one.detail for one in group if one.detail), "")[:300],
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
