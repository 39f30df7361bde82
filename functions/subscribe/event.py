"""The subscribe event."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

from connector.validation import EventParameters, without_defaults
from lightspeed import Endpoint, get_entity

_OF_THE_RUN = ("cursor", "run_id", "estimate")


class SubscribeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A subscribe event, checked.

    Attributes:
        mode: `full` reads everything, `incremental` what changed since the bookmark, `reconcile` finds deleted records.
        subscription: The name of the bookmark; by default, the entity.
        ids: Up to 100 ids. Mode `full` reads these records one by one and leaves out those that do not exist. Mode
            `reconcile` asks for these alone and stores tombstones of the deleted ones.
        since: Start of an incremental run without a bookmark, ISO-8601.
        languages: Two-letter codes; by default `language`, or else the language of the connection.
        max_records: The run stops after this many, at least 1.
        max_rejected_percent: The run fails if the entity transformer rejects a larger share of records; 10 by default.
        max_deleted_percent: The run stores no tombstones if a larger share of the known ids is absent; 10 by default.
        cursor: The cursor of an earlier, partial result of the same event.
        estimate: Report the requests, the time and the cost of the run, and read nothing.
    """

    entity: str
    connection: str = "default"
    parameters: EventParameters = EventParameters()
    input_transformer: str | dict[str, str] | list[str | dict[str, str]] | None = None
    entity_transformer: str | dict[str, str] | list[str | dict[str, str]] | None = None
    mode: Literal["full", "incremental", "reconcile"] = "full"
    subscription: str | None = None
    ids: Annotated[list[int | str], msgspec.Meta(min_length=1, max_length=100)] | None = None
    since: str | None = None
    language: str | None = None
    languages: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    max_records: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_rejected_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    max_deleted_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    run_id: str | None = None
    cursor: str | None = None
    estimate: bool = False

    @property
    def endpoint(self) -> Endpoint:
        """The entity's row of the catalogue."""
        return get_entity(self.entity)

    @property
    def bookmark_name(self) -> str:
        """The name of the bookmark."""
        return self.subscription or self.entity

    def as_event(self, cursor: str | None = None) -> dict[str, object]:
        """Return the event without run id and estimate, and with the cursor if one is given."""
        members = msgspec.to_builtins(without_defaults(self))
        event: dict[str, object] = {k: v for k, v in members.items() if k not in _OF_THE_RUN}
        return event if cursor is None else {**event, "cursor": cursor}

    def fingerprint(self) -> str:
        """Return a hash that is equal for events that ask for the same; 16 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self.as_event(), order="deterministic")).hexdigest()[:16]
