"""What an execution environment opens once: AWS clients on first use, and a client of the shop per invocation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from connector.cold_start import without_garbage_collection
from connector.connections import Connections
from connector.settings import Settings
from lightspeed import Client, Connection, Transport
from lightspeed.listing.reader import CONNECTIONS

if TYPE_CHECKING:
    from lightspeed import Clock


class AwsClients:
    """Clients of AWS services, each made on first use and kept."""

    @functools.cached_property
    def _session(self) -> Any:
        import boto3  # noqa: PLC0415 - the dearest import of a cold start, and some paths never need it

        return boto3.session.Session()

    @functools.cache  # noqa: B019 - one instance per execution environment
    def client(self, service: str) -> Any:
        """Return the client of a service, such as `s3`."""
        with without_garbage_collection():
            return self._session.client(service)


class ShopClients:
    """Opens clients of shops by connection name."""

    def __init__(self, aws: AwsClients, settings: Settings, clock: Clock | None = None) -> None:
        self._aws = aws
        self._settings = settings
        self._clock = clock

    @functools.cached_property
    def connections(self) -> Connections:
        """The connections in Secrets Manager."""
        return Connections(self._aws.client("secretsmanager"), self._settings.secret_prefix, self._clock)

    def open(
        self,
        name: str,
        *,
        fresh: bool = False,
        remaining_seconds: Callable[[], float] = lambda: math.inf,
    ) -> Client:
        """Return a client of the shop; nothing is sent to it yet.

        Args:
            name: The connection's name.
            fresh: Read the connection's secret now, whatever is cached.
            remaining_seconds: How long the invocation may still run.

        Raises:
            RequestError: The name cannot be one.
            UnknownConnection: There is no such connection.
            InvalidConnection: Its settings are wrong.
        """
        connection = self.connections.get(name, fresh=fresh)

        def renew() -> Connection:
            return self.connections.get(name, fresh=True)

        transport = Transport(
            connection, renew=renew, clock=self._clock, remaining_seconds=remaining_seconds, threads=CONNECTIONS
        )
        return Client(transport)
