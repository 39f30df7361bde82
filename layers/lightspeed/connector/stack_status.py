"""The status of a stack, from its bucket, its queues, its schedules and its shops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from connector.aws_errors import aws_error_types, reason
from connector.bucket import Bucket
from connector.clients import AwsClients
from connector.errors import ConnectorError
from connector.failure_queues import Queue, look
from connector.schedule_names import paused_schedules
from connector.settings import Settings
from connector.status import ShopState, StatusReader, console_links
from lightspeed import AuthenticationError, Client, Clock, LightspeedError
from lightspeed.connection_check import diagnosis

PATIENCE_SECONDS = 1.5
"""How long a shop may take to say its quota."""


def stack_status(
    aws: AwsClients,
    settings: Settings,
    clock: Clock,
    open_shop: Callable[[str, float], Client],
    actions: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Return the status as `StatusReader.read` does.

    Args:
        aws: The clients of AWS.
        settings: Of the stack.
        clock: The time.
        open_shop: Returns the client of a connection whose calls end within so many seconds.
        actions: What else a person should look at.
    """
    s3 = aws.client("s3")
    urls: dict[Queue, str] = {
        "runs": settings.run_failure_queue_url,
        "publish": settings.publish_failure_queue_url,
        "webhooks": settings.webhook_failure_queue_url,
    }
    return StatusReader(Bucket(s3, settings.bucket), settings, clock).read(
        failures=look(aws.client("sqs"), urls),
        actions=actions,
        is_paused=paused_schedules(aws.client("scheduler"), settings.schedule_group),
        ask_shop=lambda name: shop_state(lambda: open_shop(name, PATIENCE_SECONDS)),
        links=console_links(s3.meta.region_name, settings.bucket, settings.stack_name, settings.sync_state_machine_arn),
    )


def shop_state(open_shop: Callable[[], Client]) -> ShopState:
    """Return what a shop says of its quota. Only wrong settings are an error: a shop that is down comes back.

    Args:
        open_shop: Returns the shop's client, whose calls end in time.
    """
    try:
        client = open_shop()
    except (LightspeedError, ConnectorError) as error:
        return ShopState(error=str(error))
    except aws_error_types() as error:
        return ShopState(error=f"the connection's secret cannot be read: {reason(error)}")
    connection = client.transport.connection
    try:
        client.record(client.build("shop", "get"))
    except AuthenticationError as error:
        return ShopState(error=diagnosis(error, connection), refused=True)
    except LightspeedError:
        if client.transport.quota is None:
            return ShopState(warning="the shop did not answer in time, or is down")
    quota = client.transport.quota
    return ShopState(tuple(asdict(window) for window in quota.windows) if quota else ())
