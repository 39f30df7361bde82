"""Decide before each request of a batch whether it may start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from connector.errors import OutOfTime
from lightspeed import AuthenticationError, LightspeedError, RateLimited
from lightspeed.transport import WRITE_MARGIN_SECONDS
from publish.result import Refusal

if TYPE_CHECKING:
    from publish.publisher import Publisher
    from publish.write import WriteOperation

_LEAST_SECONDS_IN_BACKGROUND = 10.0
"""No request starts later than this before the end of the invocation, as its answer might be lost."""


class Guard:
    """Stops requests to a shop if time or quota is used up, credentials are refused, or the writer lease is not held.

    If no caller waits, a batch leaves the quota reserve to others. It also remembers an exhausted quota for the next
    batches.

    Args:
        publisher: The publisher of this invocation.
        refusals: By connection name, why this batch may not write to the shop.
    """

    def __init__(self, publisher: Publisher, refusals: Mapping[str, Refusal]) -> None:
        deps, background = publisher.deps, publisher.background
        self._clock = deps.clock
        self._publisher_seconds = publisher.remaining_seconds
        # the lease ends at a time of day, and that clock may be set while the invocation runs
        self._lease_end = deps.clock.time() + publisher.remaining_seconds()
        self._stops = dict(refusals)
        self._least_seconds = _LEAST_SECONDS_IN_BACKGROUND if background else WRITE_MARGIN_SECONDS
        self._reserve = deps.settings.quota_reserve_percent if background else None
        self._pauses = deps.pauses if background else {}

    def remaining_seconds(self) -> float:
        """Return the seconds until the publisher's time or the writer lease ends, whichever is earlier."""
        return min(self._publisher_seconds(), self._lease_end - self._clock.time())

    def stop_reason(self, operation: WriteOperation) -> Refusal | None:
        """Return why no request to the operation's shop may start now, or `None`."""
        connection = operation.request.connection
        if connection in self._stops:
            return self._stops[connection]
        if self.remaining_seconds() < self._least_seconds:
            return OutOfTime("not sent: the time of this invocation is used up")
        wait = self._pauses.get(connection, 0.0) - self._clock.time()
        if wait <= 0:
            return None
        http_request = operation.http_request
        message = "not sent: the shop's quota is used up"
        return RateLimited(
            message, method=http_request.method, path=http_request.path, retry_after_seconds=max(1.0, wait)
        )

    def check(self, operation: WriteOperation) -> None:
        """Check whether a request may start now.

        Raises:
            LightspeedError: The quota is used up, or the shop refused the credentials.
            ConnectorError: The time is used up, or another batch holds the writer lease.
        """
        stop = self.stop_reason(operation)
        if stop is not None:
            raise stop.with_traceback(None)  # one error may be raised many times, and its traceback would grow

    @contextmanager
    def request(self, operation: WriteOperation) -> Iterator[None]:
        """Check whether the request of the `with` block may start, and observe how it ends.

        Raises:
            LightspeedError: The request failed, or as in `check`.
            ConnectorError: As in `check`.
        """
        self.check(operation)
        failure: LightspeedError | None = None
        try:
            yield
        except LightspeedError as error:
            failure = error
            raise
        finally:
            self.observe(operation, failure)

    def observe(self, operation: WriteOperation, failure: LightspeedError | None = None) -> None:
        """Remember refused credentials and an exhausted quota. If no caller waits, a quota at its reserve is exhausted.

        Args:
            operation: The write that used the connection.
            failure: The error of the request; `None` if it succeeded.
        """
        connection = operation.request.connection
        if isinstance(failure, AuthenticationError):
            self._stops[connection] = failure
        wait = 0.0
        if isinstance(failure, RateLimited):
            wait = failure.retry_after_seconds
        elif self._reserve is not None and (quota := operation.client.transport.quota) is not None:
            wait = quota.wait_seconds(self._reserve)
        if wait:
            self._pauses[connection] = self._clock.time() + wait

    def room(self, operation: WriteOperation) -> int | None:
        """Return how many requests fit into the quota, or `None` if the quota is not known."""
        quota = operation.client.transport.quota
        return None if quota is None else quota.room(self._reserve or 0)
