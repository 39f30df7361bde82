"""Ask a shop for its quota with one read."""

from __future__ import annotations

from dataclasses import asdict

from connector.status import ShopState
from lightspeed import AuthenticationError, Client, LightspeedError
from lightspeed.connection_check import diagnosis


def shop_state(client: Client) -> ShopState:
    """Return what a shop says of its quota. Only wrong settings are an error; a slow or busy shop is not known."""
    connection = client.transport.connection
    try:
        client.record(client.build("shop", "get"))
    except AuthenticationError as error:
        return ShopState(error=diagnosis(error, connection))
    except LightspeedError:
        pass
    quota = client.transport.quota
    return ShopState(tuple(asdict(window) for window in quota.windows) if quota else ())
