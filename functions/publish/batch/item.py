"""One event of a batch, before and after it is checked."""

from __future__ import annotations

import enum
import functools
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publish.event import PublishRequest
    from publish.idempotency import Claim
    from publish.write import WriteOperation

PLACEMENT = "categories/products"
"""The entity of a product's place in a category."""

PLACEMENT_FIELDS = frozenset(("category", "product"))


class Kind(enum.Enum):
    """How a batch sends a write."""

    UPDATE = enum.auto()
    """Merged with other updates of its record."""
    PLACEMENT = enum.auto()
    """Puts a product into a category; sent with the other placements of its product."""
    UPSERT = enum.auto()
    """A create that becomes an update if its record exists."""
    OTHER = enum.auto()
    """Sent alone."""


def canonical_id(identity: object) -> int | None:
    """Return an id as a number if it is written as the shop writes one, else `None`."""
    text = str(identity)
    digits = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if digits and text == str(int(text)) else None


@dataclass(frozen=True)
class IncomingEvent:
    """An event as it arrived.

    Attributes:
        key: Names the message or line; the idempotency key if the event has none.
        moment: When it was queued or uploaded, epoch milliseconds; orders the updates of a record across batches.
    """

    event: object
    key: str | None = None
    moment: Decimal | None = None


@dataclass(frozen=True)
class PreparedWrite:
    """A checked event, ready to be sent.

    Attributes:
        position: Its place in the batch.
        incoming: The event as it arrived.
        claim: The right to send it, if an idempotency key is claimed already.
    """

    position: int
    incoming: IncomingEvent
    operation: WriteOperation
    claim: Claim | None = None

    @property
    def request(self) -> PublishRequest:
        """The checked event."""
        return self.operation.request

    @property
    def place(self) -> tuple[str, str]:
        """Connection and entity."""
        return self.request.connection, self.request.entity

    @property
    def fields(self) -> Mapping[str, object]:
        """The fields of the record that is written."""
        return self.operation.fields

    @functools.cached_property
    def record(self) -> str:
        """The record that the event names, as text; stored hashed, so its form must not change."""
        path = {name: str(value) for name, value in self.operation.parameters.path.items()}
        return f"{self.request.connection} {self.request.entity} {json.dumps(path, sort_keys=True)}"

    @property
    def parents(self) -> dict[str, object]:
        """The path of the record without its id."""
        path = self.operation.parameters.path
        return {name: path[name] for name in self.request.endpoint.parents}

    @property
    def key(self) -> str | None:
        """The event's own idempotency key, with its connection."""
        key = self.request.idempotency_key
        return None if key is None else f"{self.request.connection} {key}"

    @functools.cached_property
    def kind(self) -> Kind:
        """How the batch sends it."""
        request, built = self.request, self.operation.built
        if request.dry_run or not isinstance(built.body, bytes):
            return Kind.OTHER
        if request.action == "create" and set(request.match_fields) == PLACEMENT_FIELDS == set(self.fields):
            ids = [canonical_id(end) for end in self.fields.values()]
            if request.entity == PLACEMENT and not built.query and None not in ids:
                return Kind.PLACEMENT
        if request.skip_unchanged:
            return Kind.OTHER
        if request.action == "update" and not built.query and self.fields:
            return Kind.UPDATE
        return Kind.UPSERT if request.match_fields and request.endpoint.has("update") else Kind.OTHER
