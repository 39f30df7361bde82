"""The publish event: its keys, and the checks that need no connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated

import msgspec

from connector.errors import RequestError
from connector.transform import parse_transformers
from connector.validation import EventParameters, parse_event, parse_json, without_defaults
from lightspeed import Endpoint, UnsupportedOperation, get_entity
from lightspeed.numbers import Exact, comparable
from lightspeed.writing.natural_key import check_names

IDEMPOTENT_ACTIONS = ("update", "delete")
"""Actions that have the same effect when they are sent twice."""

KEPT_SECONDS = 15 * 24 * 3600
"""How long the table keeps keys and field versions: a day longer than SQS can keep a message."""

_READS = ("list", "get", "count")


@dataclass(frozen=True)
class IncomingEvent:
    """An event as it arrived.

    Attributes:
        event: The decoded event; `None` if it cannot be read.
        message_id: The id of its message or line, which is the default idempotency key. Empty if a caller waits.
        queued_at: When it was queued or uploaded, epoch milliseconds. It orders the updates of a record across batches.
        error: Why the message or line cannot be read.
        facts: The message or line of the event, for the log and the bus.
    """

    event: object
    message_id: str = ""
    queued_at: Decimal | None = None
    error: RequestError | None = None
    facts: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def from_text(
        cls, name: str, text: str, message_id: str, queued_at: Decimal | None, facts: Mapping[str, object]
    ) -> IncomingEvent:
        """Read an event from JSON text. Malformed text gives an event with an error, which calls the text `name`."""
        try:
            return cls(parse_json(text, exact=True), message_id, queued_at, facts=facts)
        except ValueError as error:
            wrong = RequestError([f"the {name} must be a JSON object, a publish event: {error}"])
            return cls(None, error=wrong, facts=facts)


class PublishRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A publish event, checked.

    Attributes:
        action: `create`, `update`, `delete`, or a named action of the entity.
        idempotency_key: Events with the same key and content are sent once.
        match: The fields of a natural key. A `create` updates the record that has their values.
        skip_unchanged: Read the record before an update; send nothing if it has these values already.
        dry_run: Only read, and answer with the request that would be sent.
    """

    entity: str
    action: str
    connection: str = "default"
    parameters: EventParameters = EventParameters()
    request_transformer: str | dict[str, str] | list[str | dict[str, str]] | None = None
    idempotency_key: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)] | None = None
    match: str | list[str] | None = None
    skip_unchanged: bool = False
    dry_run: bool = False

    @property
    def endpoint(self) -> Endpoint:
        """The entity's entry in the catalogue."""
        return get_entity(self.entity)

    @property
    def match_fields(self) -> list[str]:
        """The fields of `match`; none without `match`."""
        return [self.match] if isinstance(self.match, str) else list(self.match or ())

    def content(self) -> dict[str, object]:
        """Return the members that two events with one idempotency key must share: all but the key."""
        members: dict[str, object] = msgspec.to_builtins(without_defaults(self), enc_hook=_encode_number)
        return {key: value for key, value in members.items() if key != "idempotency_key"}


def _encode_number(number: Exact) -> float | dict[str, str]:
    """Return a number as a float if the float is exact, so that `1.10` and `1.1` are the same content.

    Any other number becomes an object, because the text of its digits is different content.
    """
    is_exact = comparable(number.text) == Decimal(str(float(number)))
    return float(number) if is_exact else {"number": number.text}


def takes_file(entity: str) -> bool:
    """Whether a record of the entity is an uploaded file."""
    return entity == "files" or entity.rpartition("/")[2] in ("image", "images")


def parse_request(event: object) -> PublishRequest:
    """Check an event.

    Raises:
        RequestError: It is malformed.
        UnknownEntity: There is no such entity.
        UnsupportedOperation: The entity lacks the action.
        InvalidParameters: The entity cannot be looked up by a field of `match`.
        TransformError: The request transformer cannot be parsed.
    """
    request = parse_event(PublishRequest, event)
    endpoint = request.endpoint
    writes = [name for name in endpoint.operation_names if name not in _READS]
    if request.action not in writes:
        advice = endpoint.alternatives.get(request.action, "")
        if request.action in _READS:
            advice = "publish only writes; read with subscribe."
        raise UnsupportedOperation(request.entity, request.action, writes or ["nothing to publish"], advice)
    if request.match is not None and request.action != "create":
        raise RequestError(["match is for action create: it updates the record that is already there"])
    if request.match is not None and not request.match_fields:
        raise RequestError(["match must name at least one field"])
    if request.skip_unchanged and not (request.action == "update" or request.match_fields):
        raise RequestError(["skip_unchanged is for action update, and for create with match"])
    check_names(endpoint, request.match_fields)
    parse_transformers(request.request_transformer)
    return request


def batch_items(body: dict[str, object]) -> list[object]:
    """Return the items of a batch.

    Raises:
        RequestError: It has another key, or its items are no list.
    """
    items = body["items"]
    if set(body) != {"items"} or not isinstance(items, list):
        raise RequestError(['a batch is {"items": [event, …]} and nothing else'])
    return items
