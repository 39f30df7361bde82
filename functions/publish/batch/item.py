"""An event of a batch, before and after it was checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publish.event import PublishRequest
    from publish.idempotency import Claim
    from publish.write import WriteOperation


def number(identity: object) -> int | None:
    """Return an id as a number, if it is written as the shop writes one: then two are the same if they are equal."""
    text = str(identity)
    digits = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if digits and text == str(int(text)) else None


@dataclass(frozen=True)
class IncomingEvent:
    """An event as it came.

    Attributes:
        key: The idempotency key if the event has none.
        queued: When it was queued, epoch milliseconds; orders the updates of a record over several batches.
    """

    event: object
    key: str | None = None
    queued: int | None = None


@dataclass
class PreparedWrite:
    """An event that is ready to be sent.

    Attributes:
        position: In its batch.
        claim: The right to send it, while it is held.
    """

    position: int
    entry: IncomingEvent
    publication: WriteOperation
    claim: Claim | None = None

    @property
    def request(self) -> PublishRequest:
        """The event, checked."""
        return self.publication.request

    @property
    def record(self) -> str:
        """Names the record that the event concerns."""
        request = self.request
        path = {name: str(value) for name, value in self.publication.parameters.path.items()}
        return f"{request.connection} {request.entity} {json.dumps(path, sort_keys=True)}"

    @property
    def key(self) -> str | None:
        """The event's own idempotency key, with its connection."""
        key = self.request.idempotency_key
        return None if key is None else f"{self.request.connection} {key}"

    @property
    def may_update(self) -> bool:
        """Whether it is a create that becomes a plain update where its record is there already."""
        request = self.request
        plain = not (request.dry_run or request.skip_unchanged) and isinstance(self.publication.built.body, bytes)
        return bool(request.match_fields) and plain and request.endpoint.has("update")

    @property
    def waits(self) -> bool:
        """Whether it is an update that may be joined with others."""
        request, publication = self.request, self.publication
        asks_first = request.dry_run or request.skip_unchanged
        plain = not publication.built.query and isinstance(publication.built.body, bytes)
        return request.action == "update" and not asks_first and plain and bool(publication.fields)
