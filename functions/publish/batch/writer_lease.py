"""One writer per shop: a batch of the queue or of a file holds a lease on its connection while it writes.

The shop's limits are per API key, so concurrent senders gain nothing. With one sender at a time, updates reach the shop
in the order of their requests. Queue and files together stay below the shop's limit per second.

The lease is one item of the table. It ends with its holder's invocation. If the holder dies, the others wait until that
deadline and a margin, in which the shop finishes the holder's last request. No request starts after the deadline.
Direct calls take no lease: their caller waits, and the order of the queue does not concern them.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from connector.aws.conditional_items import delete_item, put_item
from connector.aws.errors import aws_error_types
from connector.errors import OutOfTime
from connector.observability import logger
from lightspeed import Clock
from publish.idempotency import MARGIN_SECONDS
from publish.result import Refusal, refusal

WAIT_SECONDS = 5.0
"""How long a batch waits for the lease before it is postponed."""

POSTPONE_SECONDS = 30.0
"""The longest postponement of a batch; most holders end long before their deadline."""

_POLL_SECONDS = 0.5
_KEPT_SECONDS = 24 * 3600


class ShopBusy(OutOfTime):
    """Another batch writes to this shop.

    Attributes:
        retry_after_seconds: When to try again, in seconds from now.
    """

    def __init__(self, connection: str, retry_after_seconds: float) -> None:
        self.retry_after_seconds = max(1.0, retry_after_seconds)
        super().__init__(f"not sent: another batch writes to the shop of connection {connection!r}")


@dataclass(frozen=True, slots=True)
class WriterLease:
    """The right to write to a shop, one item of the table per connection.

    Attributes:
        table: The idempotency table.
        client: The DynamoDB client.
        clock: Time for deadlines and waits.
    """

    table: str
    client: Any
    clock: Clock

    @contextlib.contextmanager
    def hold(self, connections: Iterable[str], seconds: float) -> Iterator[dict[str, Refusal]]:
        """Hold the lease of each connection that becomes free within `WAIT_SECONDS`.

        Args:
            connections: Names, each once.
            seconds: How long the invocation may still run.

        Yields:
            The reasons why a lease is not held, by connection.
        """
        holder = uuid.uuid4().hex
        deadline = self.clock.time() + seconds
        give_up_at = self.clock.monotonic() + WAIT_SECONDS  # setting the time of day does not change it
        held: list[str] = []
        refusals: dict[str, Refusal] = {}
        try:
            for name in sorted(connections):
                try:
                    self._acquire(name, holder, deadline, give_up_at)
                    held.append(name)
                except Exception as error:
                    refusals[name] = refusal(error)
            yield refusals
        finally:
            for name in held:
                self._release(name, holder)

    def _acquire(self, connection: str, holder: str, deadline: float, give_up_at: float) -> None:
        """Take a lease that ends at `deadline`, epoch seconds.

        Raises:
            ShopBusy: Another batch still holds it at `give_up_at`, by the monotonic clock.
            ClientError: DynamoDB refuses the call.
            BotoCoreError: The same.
        """
        # the last term: boto3 may repeat the call after a lost answer
        condition = "attribute_not_exists(id) OR deadline < :over OR holder = :holder"
        item = {
            "id": {"S": _id(connection)},
            "holder": {"S": holder},
            "deadline": {"N": _milliseconds(deadline)},
            "expiration": {"N": str(int(deadline) + _KEPT_SECONDS)},
        }
        while True:
            now = self.clock.time()
            values = {":over": {"N": _milliseconds(now - MARGIN_SECONDS)}, ":holder": item["holder"]}
            other = put_item(self.client, self.table, item, condition, values)
            if other is None:
                return
            if self.clock.monotonic() >= give_up_at:
                left = int(other["deadline"]["N"]) / 1000 - now if other else 0  # DynamoDB may leave it out
                if left <= 0:  # the holder may be dead; then the lease is free after the margin
                    left += MARGIN_SECONDS
                raise ShopBusy(connection, min(left, POSTPONE_SECONDS))
            self.clock.sleep(_POLL_SECONDS)

    def _release(self, connection: str, holder: str) -> None:
        """Free a lease. After an error, it ends at its deadline."""
        key, values = {"id": {"S": _id(connection)}}, {":holder": {"S": holder}}
        try:
            delete_item(self.client, self.table, key, "holder = :holder", values)
        except aws_error_types() as error:
            facts = {"connection": connection, "error": str(error)}
            logger().warning("the lease of a writer could not be freed; its deadline ends it", extra=facts)


def _id(connection: str) -> str:
    return f"writer#{connection}"


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
