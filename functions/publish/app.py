"""Entry of the publish function: a direct event, a batch of them, messages of the queue, or a call of the HTTP API."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from connector.bootstrap import Aws, Shops
from connector.errors import ConnectorError
from connector.observability import count, logger
from connector.problems import problem
from connector.settings import Settings
from lightspeed import Client, LightspeedError, SystemClock
from publish.request import PublishRequest, batch_items, publish_request
from publish.service import Publication


class Wiring:
    """What the function holds between invocations."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing is opened yet."""
        self.settings = settings
        self.aws = Aws()
        self.shops = Shops(self.aws, settings)


class Invocation:
    """Publishes the items of one invocation; the connections it opens are kept for its length."""

    def __init__(self, held: Wiring, context: Any, remaining_seconds: Callable[[], float]) -> None:
        """Prepare; nothing is opened yet."""
        self.held = held
        self._context = context
        self._remaining_seconds = remaining_seconds
        self._clients: dict[str, Client] = {}

    def prepare(self, request: PublishRequest) -> Publication:
        """Return the request, checked to the last, before anything of it is sent."""
        client = self._clients.get(request.connection)
        if client is None:
            client = self.held.shops.open(request.connection, remaining_seconds=self._remaining_seconds)
            self._clients[request.connection] = client
        return Publication(request, client, SystemClock())

    def publish(self, event: object, default_key: str | None = None) -> dict[str, Any]:
        """Publish one event and return its result.

        Args:
            event: As it came.
            default_key: The idempotency key if the event has none.

        Raises:
            LightspeedError: As the client raises it.
            ConnectorError: The event is wrong, or its idempotency key was used for another.
        """
        request = publish_request(event)
        publication = self.prepare(request)
        key = request.idempotency_key or default_key
        if key is None or request.dry_run or not self.held.settings.idempotency_table:
            result = publication.send()
        else:
            from publish.once import send_once  # noqa: PLC0415 - dear at a cold start, and only needed with a key

            result = send_once(publication, request, key, self.held, self._context)
        facts = {"connection": request.connection, "entity": request.entity, "action": request.action}
        logger().info("publish", extra={**facts, "status": result["status"], "id": result.get("id")})
        count(
            self.held.settings.metrics_namespace, facts, Published=int(result["status"] not in ("unknown", "dry_run"))
        )
        return result

    def publish_all(self, events: list[object]) -> list[dict[str, Any]]:
        """Publish events one after another; one that fails becomes a result with its problem and stops no other."""
        results = []
        for event in events:
            try:
                results.append(self.publish(event))
            except (LightspeedError, ConnectorError) as error:
                results.append({"status": "failed", "error": problem(error)[2]})
        return results


@functools.cache
def wiring(settings: Settings) -> Wiring:
    """Return what is kept for these settings."""
    return Wiring(settings)


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer a publish event with its result, a batch with one result each, messages with those to try again.

    Raises:
        LightspeedError: Of a direct invocation with one event.
        ConnectorError: The same.
    """
    held = wiring(Settings.from_env())

    def remaining_seconds() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000

    if isinstance(event, dict) and "requestContext" in event:
        from publish.routes import deadline, respond  # noqa: PLC0415 - messages do not pay for HTTP

        return respond(event, context, Invocation(held, context, deadline()))
    invocation = Invocation(held, context, remaining_seconds)
    if isinstance(event, dict) and "Records" in event:
        from publish.messages import consume  # noqa: PLC0415 - direct events do not pay for messages

        return consume(event, context, invocation)
    if isinstance(event, dict) and "items" in event:
        return {"results": invocation.publish_all(batch_items(event))}
    return invocation.publish(event)
