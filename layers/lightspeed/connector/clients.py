"""What an execution environment opens once: AWS clients on first use, and a client of the shop per invocation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from connector.aws.cold_start import without_garbage_collection
from connector.connections import Connections
from connector.observability import current_request_id, emit_metrics
from connector.settings import Settings
from lightspeed import Client, SystemClock, Transport
from lightspeed.listing.reader import CONNECTIONS
from lightspeed.quota import RateLimiter

if TYPE_CHECKING:
    from connector.rate import TableShare
    from lightspeed import Clock


CALLS_AT_ONCE = 32
"""Calls that a client of AWS makes at once without opening a connection for each: as many as a reader has threads."""

MANY_REFUSALS = 3
"""Answers with 429 in one invocation that mean that others use up the quota. Fewer happen, and are waited out."""

_DAY = "day"
"""The windows of minutes and of an hour fill up in every long run, and are free again soon."""


class AwsClients:
    """Clients of AWS services, each made on first use and kept."""

    @functools.cached_property
    def _session(self) -> Any:
        import boto3  # noqa: PLC0415 - the slowest import of a cold start, and some paths never need it

        return boto3.session.Session()

    @functools.cache  # noqa: B019 - one instance per execution environment
    def client(self, service: str) -> Any:
        """Return the client of a service, such as `s3`."""
        return self._client(service, max_pool_connections=CALLS_AT_ONCE)

    @functools.cache  # noqa: B019 - as above
    def impatient_client(self, service: str) -> Any:
        """Return a client that waits a second for an answer and does not try again."""
        return self._client(service, connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})

    def _client(self, service: str, **config: Any) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - as boto3

        with without_garbage_collection():
            return self._session.client(service, config=Config(**config))


class ShopClients:
    """Opens clients of shops by connection name.

    Attributes:
        transports: The transport of the client that was opened last, by connection.
    """

    def __init__(self, aws: AwsClients, settings: Settings, clock: Clock | None = None) -> None:
        self._aws = aws
        self._settings = settings
        self._clock = clock or SystemClock()
        self._limiters: dict[str, tuple[RateLimiter, TableShare]] = {}
        self.transports: dict[str, Transport] = {}

    @functools.cached_property
    def connections(self) -> Connections:
        """The connections in Secrets Manager."""
        return Connections(self._aws.client("secretsmanager"), self._settings.secret_prefix, self._clock)

    def open(
        self,
        name: str,
        *,
        fresh: bool = False,
        background: bool = False,
        remaining_seconds: Callable[[], float] = lambda: math.inf,
    ) -> Client:
        """Return a client of the shop; nothing is sent to it yet.

        Args:
            name: The connection's name.
            fresh: Read the connection's secret now, whatever is cached.
            background: No caller waits, so calls of other workers go first.
            remaining_seconds: How long the invocation may still run.

        Raises:
            RequestError: The name cannot be one.
            UnknownConnection: There is no such connection.
            InvalidConnection: Its settings are wrong.
        """
        transport = Transport(
            self.connections.get(name, fresh=fresh),
            renew=functools.partial(self.connections.get, name, fresh=True),
            clock=self._clock,
            limiter=self._limiter(name, background),
            remaining_seconds=remaining_seconds,
            threads=CONNECTIONS,
            request_id=current_request_id(),
            max_body_bytes=self._settings.max_response_mb << 20,
        )
        self.transports[name] = transport
        return Client(transport)

    def release(self) -> None:
        """Return this process's share of the requests per second to other workers."""
        for _, share in self._limiters.values():
            share.release()

    def report_quota(self) -> None:
        """Write `QuotaShort` for each shop whose daily quota is used up to its reserve, or that answered 429 often."""
        settings = self._settings
        for connection, transport in self.transports.items():
            windows = transport.quota.windows if transport.quota else ()
            reserve = settings.quota_reserve_percent / 100
            is_used_up = any(one.name == _DAY and one.remaining - one.limit * reserve < 1 for one in windows)
            if is_used_up or transport.rate_limited >= MANY_REFUSALS:
                left = {window.name: window.remaining for window in windows}
                facts = {"connection": connection, "rate_limited": transport.rate_limited, "left": left}
                emit_metrics(settings.metrics_namespace, {"stack": settings.stack_name}, facts, QuotaShort=1)
        self.transports.clear()

    def _limiter(self, name: str, background: bool) -> RateLimiter | None:
        """Return the limiter that all clients of a connection share with other workers; `None` without a table."""
        table = self._settings.idempotency_table
        if not table:
            return None
        if name not in self._limiters:
            from connector.rate import TableShare  # noqa: PLC0415 - botocore is not needed without a table

            share = TableShare(table, lambda: self._aws.impatient_client("dynamodb"), name, self._clock)
            self._limiters[name] = RateLimiter(self._clock, share=share), share
        limiter, share = self._limiters[name]
        share.background = background
        return limiter
