"""Entry of the subscribe function: a schedule's or state machine's event, or a call of the HTTP API."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from connector.bootstrap import Aws, Shops
from connector.observability import count, logger
from connector.settings import Settings
from lightspeed import SystemClock
from subscribe.landing import Bucket
from subscribe.request import SubscribeRequest, subscribe_request
from subscribe.service import Result, Subscription

_REPORTED = ("run_id", "connection", "entity", "status", "records", "requests", "manifest")


class Wiring:
    """What the function holds between invocations."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing is opened yet."""
        self.settings = settings
        self.aws = Aws()
        self.shops = Shops(self.aws, settings)

    @functools.cached_property
    def bucket(self) -> Bucket:
        """The bundle's bucket."""
        return Bucket(self.aws.client("s3"), self.settings.bucket)

    def subscription(
        self, request: SubscribeRequest, run_id: str, remaining_seconds: Callable[[], float]
    ) -> Subscription:
        """Return the run that a request asks for; the connection's secret is read afresh, once an invocation."""
        return Subscription(
            request,
            run_id,
            client=self.shops.open(request.connection, fresh=True, remaining_seconds=remaining_seconds),
            bucket=self.bucket,
            clock=SystemClock(),
            remaining_seconds=remaining_seconds,
            reserve_percent=self.settings.quota_reserve_percent,
        )

    def run(self, request: SubscribeRequest, run_id: str, remaining_seconds: Callable[[], float]) -> Result:
        """Carry one invocation of a run and report what it did."""
        result = self.subscription(request, run_id, remaining_seconds).invoke()
        body = result.body
        logger().info("subscribe", extra={key: body[key] for key in _REPORTED})
        dimensions = {"connection": body["connection"], "entity": body["entity"]}
        count(self.settings.metrics_namespace, dimensions, Records=body["records"], Requests=body["requests"])
        return result


@functools.cache
def wiring(settings: Settings) -> Wiring:
    """Return what is kept for these settings."""
    return Wiring(settings)


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer a subscribe event with its result, or an HTTP call with its response.

    Raises:
        LightspeedError: Of a direct invocation, as the reading raises it.
        ConnectorError: Of a direct invocation: the event, a transformer, the connection or the environment is wrong.
    """
    held = wiring(Settings.from_env(needs=("BUCKET",)))
    if isinstance(event, dict) and "requestContext" in event:
        from subscribe.routes import respond  # noqa: PLC0415 - schedules do not pay for HTTP

        return respond(event, context, held)
    request = subscribe_request(event)
    return held.run(request, context.aws_request_id, lambda: context.get_remaining_time_in_millis() / 1000).body
