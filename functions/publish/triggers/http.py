"""The HTTP side of the publish function."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from connector.errors import RequestError, SettingsError
from connector.http import answer, json_body, prefers_async, resolver, respond_json
from publish.event import batch_items, publish_request

if TYPE_CHECKING:
    from lightspeed import Clock
    from publish.publisher import Publisher

ANSWER_SECONDS = 25.0
"""How long a call may take; API Gateway gives up at 30."""

_MESSAGES_AT_ONCE = 10


def respond(event: dict[str, Any], context: Any, publisher: Publisher) -> dict[str, Any]:
    """Answer one HTTP call."""
    return answer(_routes(), event, context, publisher=publisher)


def deadline(clock: Clock) -> Callable[[], float]:
    """Return what tells how much of a call's time is left, in seconds."""
    end = clock.monotonic() + ANSWER_SECONDS
    return lambda: end - clock.monotonic()


@functools.cache
def _routes() -> APIGatewayHttpResolver:
    app = resolver()
    app.post("/publish")(lambda: _publish(app))
    return app


def _publish(app: APIGatewayHttpResolver) -> Response[Any]:
    publisher: Publisher = app.context["publisher"]
    body = json_body(app)
    events = batch_items(body) if isinstance(body, dict) and "items" in body else None
    if prefers_async(app):
        return _queue([body] if events is None else events, publisher)
    if events is not None:
        from publish.batch.batch import publish_batch  # noqa: PLC0415 - a single event does not pay for it

        return respond_json(200, {"results": publish_batch(events, publisher)})
    result = publisher.publish(body)
    return respond_json(201 if result["status"] == "created" else 200, result)


def _queue(events: list[object], publisher: Publisher) -> Response[Any]:
    """Check every event and put them on the queue, or refuse them all."""
    queue_url = publisher.deps.settings.publish_queue_url
    if not queue_url:
        raise SettingsError(["PUBLISH_QUEUE_URL is not set, so nothing can be queued"])
    for event in events:
        publisher.prepare(publish_request(event))
    sqs = publisher.deps.aws.client("sqs")
    message_ids: list[str] = []
    for start in range(0, len(events), _MESSAGES_AT_ONCE):
        entries = [
            {"Id": str(number), "MessageBody": json.dumps(event, ensure_ascii=False)}
            for number, event in enumerate(events[start : start + _MESSAGES_AT_ONCE])
        ]
        sent = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        if sent.get("Failed"):
            queued = len(message_ids) + len(sent.get("Successful", ()))
            raise RequestError(
                [f"only {queued} of {len(events)} items could be queued: {sent['Failed'][0]['Message']}"]
            )
        message_ids += [found["MessageId"] for found in sent["Successful"]]
    return respond_json(202, {"status": "queued", "message_ids": message_ids})
