"""The course of a batch, as those see it who gather its events before they send them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publish.result import Outcome, Refusal

if TYPE_CHECKING:
    from publish.publisher import Publisher
    from publish.write import WriteOperation


@dataclass(frozen=True)
class BatchContext:
    """What has become of a batch so far, and whether it may go on.

    Attributes:
        publisher: Has idempotency keys and the order of queued updates, if there is a table for them; both are dear to
            open, and only looked at where they are needed.
        halt: Tells why nothing more may be sent, if so.
        notice: Is told of every outcome.
        outcomes: Where outcomes are noted, by position in the batch.
    """

    publisher: Publisher
    halt: Callable[[WriteOperation], Refusal | None]
    notice: Callable[[WriteOperation, Outcome], None]
    outcomes: dict[int, Outcome]
