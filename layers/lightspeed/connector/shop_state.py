"""Ask a shop for its quota with one read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from connector.aws_errors import aws_error_types, reason
from connector.errors import ConnectorError
from connector.status import ShopState
from lightspeed import AuthenticationError, Client, LightspeedError
from lightspeed.connection_check import diagnosis

PATIENCE_SECONDS = 1.5
"""How long a shop may take to say its quota."""


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
