"""Publish one event, once if it has an idempotency key."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lightspeed import Client
from publish.event import IncomingEvent, parse_request
from publish.idempotency import Claim, Idempotency
from publish.notifications import report
from publish.result import REFUSALS, Outcome, Result, refusal
from publish.write import WriteOperation

if TYPE_CHECKING:
    from publish.dependencies import Dependencies


class Publisher:
    """Prepares and sends the events of one invocation, with one client per connection.

    Args:
        deps: Clients and stores that are kept between invocations.
        remaining_seconds: Returns how long requests to the shop may still start; by default, the time of the function.
        background: Whether no caller waits. The calls of other workers then go first.
    """

    def __init__(
        self,
        deps: Dependencies,
        context: Any,
        remaining_seconds: Callable[[], float] | None = None,
        *,
        background: bool = False,
    ) -> None:
        self.deps = deps
        self.background = background
        # claims last as long as the function runs, although an HTTP caller may stop waiting earlier
        self._invocation_seconds: Callable[[], float] = lambda: float(context.get_remaining_time_in_millis()) / 1000
        self.remaining_seconds = remaining_seconds or self._invocation_seconds
        self._client_of: Callable[[str], Client] = functools.cache(
            functools.partial(deps.shops.open, background=background, remaining_seconds=self.remaining_seconds)
        )

    def publish(self, event: object) -> Result:
        """Publish one event and return its result.

        Raises:
            LightspeedError: As the client raises it.
            ConnectorError: The event is wrong, or its idempotency key was used with other content.
        """
        outcome: Outcome
        try:
            outcome = self.send(self.prepare(event))
        except Exception as error:
            outcome = refusal(error)
        report(self.deps, [(IncomingEvent(event), outcome)])
        if not isinstance(outcome, dict):
            raise outcome
        return outcome

    def prepare(self, event: object) -> WriteOperation:
        """Check an event completely; nothing is sent.

        Raises:
            CatalogueError: The entity, the action or a parameter is wrong.
            ConnectorError: The event, its connection, its transformer or its file is wrong.
        """
        request = parse_request(event)
        return WriteOperation.prepare(request, self._client_of(request.connection), self.deps)

    def send(self, operation: WriteOperation, default_key: str = "") -> Result:
        """Send a request, once if it has a key.

        Args:
            operation: The request.
            default_key: The idempotency key if the event has none; empty for none.

        Raises:
            LightspeedError: As the client raises it; also if `match` finds several records.
            ConnectorError: As in `claim`, or the time is used up.
        """
        claim = self.claim(operation, default_key)
        if claim is not None and claim.earlier_result is not None:
            return claim.earlier_result
        try:
            outcome = operation.send(begun_after=None if claim is None else claim.begun_after)
        except REFUSALS as error:
            self.complete(claim, error)
            raise
        self.complete(claim, outcome)
        return outcome

    def claim(self, operation: WriteOperation, default_key: str) -> Claim | None:
        """Claim the idempotency key of a request.

        If the stored result is `unknown`, the record is looked up again.

        Args:
            operation: The request.
            default_key: The key if the event has none; empty for none.

        Returns:
            The claim; `None` for a request without a key, and for a dry run.

        Raises:
            IdempotencyConflict: The key was used with other content, or its first call is still running.
        """
        key = operation.request.idempotency_key or default_key
        if not key or operation.request.dry_run:
            return None
        claim = self._keys.claim(operation.request, key, self._invocation_seconds())
        if claim.earlier_result is None or claim.earlier_result.get("status") != "unknown":
            return claim
        resolved = operation.find_created()
        if resolved is None:
            return claim
        # the record has other values, so another write may have created it: this write is sent, as an update
        if "ignored" in resolved:
            return replace(claim, earlier_result=None)
        self.complete(claim, resolved)
        return replace(claim, earlier_result=resolved)

    def complete(self, claim: Claim | None, outcome: Outcome) -> None:
        """Store a result under its idempotency key, or free the key of a request that was refused."""
        if claim is not None:
            self._keys.complete(claim, outcome)

    @functools.cached_property
    def _keys(self) -> Idempotency:
        return Idempotency(*self.deps.table_client_clock)
