"""The HTTP route of the publish function."""

from __future__ import annotations

import functools
import secrets
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from connector.errors import SettingsError
from connector.http.calls import answer, deadline, fits, json_body, resolver, respond_json
from connector.http.headers import prefers_async
from connector.http.problem_details import HttpProblem
from lightspeed.numbers import dumps
from publish.event import IDEMPOTENT_ACTIONS, batch_items
from publish.publisher import Publisher
from publish.result import leave_out_records
from publish.triggers.enqueue import enqueue

if TYPE_CHECKING:
    from publish.dependencies import Dependencies

ANSWER_SECONDS = 25.0
"""How long a call may take. A write needs 5 s for its answer, so none starts later than 20 s after the request."""


def respond(event: dict[str, Any], context: Any, deps: Dependencies) -> dict[str, Any]:
    """Answer one HTTP call."""
    publisher = Publisher(deps, context, deadline(deps.clock, ANSWER_SECONDS))
    return answer(_routes(), event, context, publisher=publisher)


@functools.cache
def _routes() -> APIGatewayHttpResolver:
    app = resolver()
    app.post("/publish")(lambda: _publish(app))
    return app


def _publish(app: APIGatewayHttpResolver) -> Response[Any]:
    publisher: Publisher = app.context["publisher"]
    body = json_body(app, exact=True)
    events = batch_items(body) if isinstance(body, dict) and "items" in body else None
    if prefers_async(app):
        return _queue([body] if events is None else events, publisher)
    if events is not None:
        from publish.batch.batch import publish_batch  # noqa: PLC0415 - a single event does not pay for it

        return _respond(200, {"results": publish_batch(events, publisher)})
    result = publisher.publish(body)
    return _respond(201 if result["status"] == "created" else 200, result)


def _respond(status: int, body: dict[str, Any]) -> Response[Any]:
    """Answer with results, without their records if those are too large for an answer."""
    response = respond_json(status, body)
    if fits(str(response.body)):
        return response
    leave_out_records(body)
    return respond_json(status, body)


def _queue(events: list[object], publisher: Publisher) -> Response[Any]:
    """Check every event, then put all on the queue. If one is wrong, none is queued."""
    queue_url = publisher.deps.settings.publish_queue_url
    if not queue_url:
        raise SettingsError(["PUBLISH_QUEUE_URL is not set, so nothing can be queued"])
    for event in events:
        publisher.prepare(event)
    keyed = [_with_key(event) for event in events]
    bodies = [dumps(event).decode() for event in keyed]
    ids, why = enqueue(publisher.deps.aws.client("sqs"), queue_url, bodies)
    facts = {"message_ids": ids, "idempotency_keys": [event.get("idempotency_key") for event in keyed]}
    if why:
        queued = len(ids) - ids.count(None)
        detail = (
            f"{queued} of {len(ids)} events are queued; {why}. Send again the events whose message_id is "
            "null, each with its key from idempotency_keys"
        )
        raise HttpProblem(503, "not-all-queued", detail, {"Retry-After": "5"}, **facts)
    return respond_json(202, {"status": "queued", **facts})


def _with_key(event: Any) -> dict[str, Any]:
    """Return an event with an idempotency key if it needs one, because the queue may deliver it twice."""
    if event["action"] in IDEMPOTENT_ACTIONS or event.get("idempotency_key") or event.get("dry_run"):
        return dict(event)
    return {**event, "idempotency_key": secrets.token_hex(16)}
