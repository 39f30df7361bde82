"""Whether a batch may send another request, and what it learns from the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from connector.errors import OutOfTime
from lightspeed import AuthenticationError, RateLimited
from publish.result import Outcome, Refusal, attempt

if TYPE_CHECKING:
    from publish.publisher import Publisher
    from publish.write import WriteOperation

_Found = TypeVar("_Found")

_LEAST_SECONDS = 5.0
_LEAST_SECONDS_IN_BACKGROUND = 10.0
"""A request that starts later than this before the end of the invocation may lose its answer."""


class Guard:
    """Stops a batch when time, quota, credentials or the right to write are used up."""

    def __init__(self, publisher: Publisher, *, background: bool) -> None:
        """Prepare.

        Args:
            publisher: The invocation.
            background: Whether no caller waits: the quota reserve is left to others, and an exhausted quota is
                remembered from one batch to the next.
        """
        self._publisher = publisher
        self._least_seconds = _LEAST_SECONDS_IN_BACKGROUND if background else _LEAST_SECONDS
        self._reserve = publisher.deps.settings.quota_reserve_percent if background else None
        self._pauses = publisher.deps.pauses if background else {}
        self._locked_out: dict[str, AuthenticationError] = {}

    def stop_reason(self, operation: WriteOperation) -> Refusal | None:
        """Return why no request may start now, or `None`."""
        connection = operation.request.connection
        busy = self._publisher.leases.refusal(connection)
        if busy is not None:
            return busy
        if self._publisher.remaining_seconds_for(connection) < self._least_seconds:
            return OutOfTime("not sent: the time of this invocation is used up")
        if connection in self._locked_out:
            return self._locked_out[connection]
        wait = self._pauses.get(connection, 0.0) - self._publisher.deps.clock.time()
        if wait <= 0:
            return None
        built = operation.built
        message = "not sent: the shop's quota is used up"
        return RateLimited(message, method=built.method, path=built.path, retry_after_seconds=max(1.0, wait))

    def attempt(self, operation: WriteOperation, call: Callable[[], _Found]) -> _Found | Refusal:
        """Return what a call returns or why it failed; do not call if no request may start."""
        stop = self.stop_reason(operation)
        return attempt(call) if stop is None else stop

    def observe(self, operation: WriteOperation, outcome: Outcome | None = None) -> None:
        """Remember an exhausted quota and refused credentials; in the background also a quota down to its reserve.

        Args:
            operation: The write whose connection was used.
            outcome: Its outcome, if it has one yet.
        """
        connection = operation.request.connection
        if isinstance(outcome, AuthenticationError):
            self._locked_out[connection] = outcome
        wait = 0.0
        if isinstance(outcome, RateLimited):
            wait = outcome.retry_after_seconds
        elif self._reserve is not None and (quota := operation.client.transport.quota) is not None:
            wait = quota.wait_seconds(self._reserve)
        if wait:
            self._pauses[connection] = self._publisher.deps.clock.time() + wait

    def room(self, operation: WriteOperation) -> int | None:
        """Return how many requests fit into the quota, or `None` if that is not known."""
        quota = operation.client.transport.quota
        return None if quota is None else quota.room(self._reserve or 0)
