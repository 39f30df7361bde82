"""One invocation of the publish function: the connections it opens, and what becomes of the events it was given."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from connector.aws_errors import aws_error_types
from connector.observability import emit_metrics, logger
from connector.validation import QUOTED_CHARACTERS, invalid_reason
from lightspeed import Client
from publish.batch.item import IncomingEvent
from publish.batch.writer_lease import WriterLeases
from publish.event import PublishRequest, publish_request
from publish.notifications import Results
from publish.result import REFUSALS, Outcome, Result, aws_failure, to_json
from publish.write import WriteOperation

if TYPE_CHECKING:
    from publish.batch.field_versions import FieldVersions
    from publish.batch.lookups import Lookups
    from publish.dependencies import Dependencies
    from publish.idempotency import Idempotency


class Publisher:
    """Publishes what one invocation was given; the connections it opens are kept for its length.

    Attributes:
        remaining_seconds: How long it may still run.
        results: What the bus is told of it.
    """

    def __init__(
        self,
        deps: Dependencies,
        context: Any,
        remaining_seconds: Callable[[], float] | None = None,
        *,
        background: bool = False,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            deps: What outlives it.
            context: Of Lambda.
            remaining_seconds: How long the caller waits, if that is less than the function may run.
            background: No caller waits, so calls of other workers go first.
        """
        self.deps = deps
        self.results = Results(deps.settings.results_bus, lambda: deps.aws.client("events"))
        self._until_the_end = lambda: float(context.get_remaining_time_in_millis()) / 1000
        self.remaining_seconds = remaining_seconds or self._until_the_end
        self._background = background
        self._clients: dict[str, Client] = {}

    @functools.cached_property
    def idempotency(self) -> Idempotency | None:
        """The idempotency keys, if there is a table for them."""
        if not self.deps.settings.idempotency_table:
            return None
        from publish.idempotency import Idempotency  # noqa: PLC0415 - dear at a cold start, and only needed with a key

        return Idempotency(self.deps.records, self._until_the_end)

    @functools.cached_property
    def lookups(self) -> Lookups:
        """What was read to look up many records at once."""
        from publish.batch.lookups import Lookups  # noqa: PLC0415 - only for batches

        return Lookups(self.remaining_seconds)

    @functools.cached_property
    def field_versions(self) -> FieldVersions | None:
        """The order of queued updates, if there is a table for it."""
        table = self.deps.settings.idempotency_table
        if not table:
            return None
        from publish.batch.field_versions import FieldVersions  # noqa: PLC0415 - only for messages

        return FieldVersions(table, self.deps.aws.client("dynamodb"), self.deps.clock)

    @functools.cached_property
    def leases(self) -> WriterLeases:
        """The leases of this invocation."""
        return WriterLeases(
            self.deps.settings.idempotency_table, lambda: self.deps.aws.client("dynamodb"), self.deps.clock
        )

    def hold_leases(self, connections: Iterable[str]) -> AbstractContextManager[None]:
        """Be the only writer of connections while the context lasts, as far as they are free."""
        return self.leases.hold(connections, self.remaining_seconds())

    def remaining_seconds_for(self, connection: str) -> float:
        """Return how long requests to a connection may still start, in seconds."""
        return min(self.remaining_seconds(), self.leases.remaining_seconds(connection))

    def prepare(self, request: PublishRequest) -> WriteOperation:
        """Return the request, checked to the last, before anything of it is sent."""
        client = self._clients.get(request.connection)
        if client is None:
            remaining_seconds = functools.partial(self.remaining_seconds_for, request.connection)
            client = self.deps.shops.open(
                request.connection, background=self._background, remaining_seconds=remaining_seconds
            )
            self._clients[request.connection] = client
        s3 = functools.partial(self.deps.aws.client, "s3")
        library = None if request.request_transformer is None else self.deps.library
        bucket = self.deps.settings.bucket
        return WriteOperation(request, client, self.deps.clock, s3=s3, bucket=bucket, library=library)

    def send(self, operation: WriteOperation, default_key: str | None = None) -> Result:
        """Send a request, once if it has a key.

        Raises:
            LightspeedError: As the client raises it.
            ConnectorError: Its idempotency key was used for another, or `match` finds several.
        """
        request = operation.request
        key = None if request.dry_run else request.idempotency_key or default_key
        if key is None or self.idempotency is None:
            return operation.send()
        return self.idempotency.send(operation, key)

    def publish(self, event: object) -> Result:
        """Publish one event and return its result.

        Raises:
            LightspeedError: As the client raises it.
            ConnectorError: The event is wrong, or its idempotency key was used for another.
        """
        try:
            outcome = self.send(self.prepare(publish_request(event)))
        except REFUSALS as error:
            self.tell([IncomingEvent(event)], [error])
            raise
        except aws_error_types() as error:
            failed = aws_failure(error)
            self.tell([IncomingEvent(event)], [failed])
            raise failed from error
        self.tell([IncomingEvent(event)], [outcome])
        return outcome

    def tell(
        self, entries: Sequence[IncomingEvent], outcomes: Sequence[Outcome], facts: Sequence[dict[str, object]] = ()
    ) -> None:
        """Write what became of events to the log and to the bus."""
        counted: dict[tuple[str, ...], int] = {}
        for position, (entry, outcome) in enumerate(zip(entries, outcomes, strict=True)):
            event = None if invalid_reason(entry.event) else entry.event
            named = _named(event)
            result = to_json(outcome)
            more = facts[position] if facts else {}
            logger().info("publish", extra={**named, **more, "status": result["status"], "id": result.get("id")})
            self.results.add(event, outcome, **more)
            if result["status"] not in ("unknown", "dry_run", "failed", "unchanged"):
                counted[tuple(named.values())] = counted.get(tuple(named.values()), 0) + 1
        for values, number in counted.items():
            about = dict(zip(("connection", "entity", "action"), values, strict=True))
            settings = self.deps.settings
            emit_metrics(settings.metrics_namespace, settings.stack_name, about, Published=number)
        self.results.tell()


def _named(event: object) -> dict[str, str]:
    inside = event if isinstance(event, dict) else {}
    return {
        "connection": str(inside.get("connection", "default"))[:QUOTED_CHARACTERS],
        "entity": str(inside.get("entity", ""))[:QUOTED_CHARACTERS],
        "action": str(inside.get("action", ""))[:QUOTED_CHARACTERS],
    }
