"""Clients of AWS services, which an execution environment makes once, and of shops, one per invocation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from connector.aws.cold_start import without_garbage_collection
from connector.concurrency import THREADS
from connector.connections import Connections
from connector.observability import current_request_id, emit_metrics
from connector.settings import Settings
from lightspeed import Client, SystemClock, Transport
from lightspeed.listing.reader import CONNECTIONS
from lightspeed.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from connector.rate import TableShare
    from lightspeed import Clock


MANY_REFUSALS = 3
"""So many answers with 429 in one invocation mean that others use up the quota. Fewer are normal."""

_DAY = "day"
"""The quota window that `report_quota` checks. Every long run fills the shorter windows, which soon are free again."""


class AwsClients:
    """Clients of AWS services. Each is made on first use."""

    @functools.cached_property
    def _session(self) -> Any:
        import boto3  # noqa: PLC0415 - the slowest import of a cold start, and some paths never need it

        return boto3.session.Session()

    @functools.cache  # noqa: B019 - one instance per execution environment
    def client(self, service: str) -> Any:
        """Return the client of a service, such as `s3`."""
        return self._client(service, max_pool_connections=THREADS)

    @functools.cache  # noqa: B019 - as above
    def impatient_client(self, service: str) -> Any:
        """Return a client that waits one second for an answer and does not retry."""
        return self._client(service, connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})

    def _client(self, service: str, **config: Any) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - as boto3

        with without_garbage_collection():
            return self._session.client(service, config=Config(**config))


class ShopClients:
    """Opens clients of shops by connection name.

    Attributes:
        transports: The transport of the last client of each connection.
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
        """Return a client of a shop. It sends nothing before its first call.

        Args:
            name: The connection's name.
            fresh: Whether to read the connection's secret again, even if it is cached.
            background: Whether no caller waits. Then the calls of other workers go first.
            remaining_seconds: Returns the seconds that the invocation may still run.

        Raises:
            RequestError: The name has a wrong form.
            UnknownConnection: No secret has this name.
            InvalidConnection: The settings in the secret are wrong.
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
        """Give this process's share of the requests per second back to other workers."""
        for _, share in self._limiters.values():
            share.release()

    def report_quota(self) -> None:
        """Write `QuotaShort` for each shop that answered 429 often or whose daily quota is used up to its reserve."""
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
        """Return the limiter that a connection's clients share with other workers; `None` without a table."""
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
