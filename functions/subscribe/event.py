"""The subscribe event: what may stand in it."""

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
        mode: `full` reads everything, `incremental` what changed since the bookmark, `reconcile` notices what is gone.
        subscription: Names the bookmark; the entity if left out.
        ids: Up to 100 records. Mode `full` reads them one by one and leaves out those that do not exist. Mode
            `reconcile` asks for them alone and stores tombstones of those that are gone.
        since: ISO-8601, where an incremental run without bookmark starts.
        languages: Two-letter codes; the connection's if neither this nor `language` is given.
        max_records: Stop after that many, at least 1.
        max_rejected_percent: How much of what it is given the entity transformer may reject; 10 if left out.
        max_deleted_percent: How much of what is known a reconcile run may notice as deleted; 10 if left out.
        cursor: The cursor of an earlier, partial result of the same event.
        estimate: Report what the run would take, and read nothing.
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
        """The entity's row."""
        return get_entity(self.entity)

    @property
    def bookmark_name(self) -> str:
        """What names the bookmark."""
        return self.subscription or self.entity

    def as_event(self, cursor: str | None = None) -> dict[str, object]:
        """Return the event that asks for the same, from a cursor on if one is given; it does not name its run."""
        members = msgspec.to_builtins(without_defaults(self))
        event: dict[str, object] = {k: v for k, v in members.items() if k not in _OF_THE_RUN}
        return event if cursor is None else {**event, "cursor": cursor}

    def fingerprint(self) -> str:
        """Return what two events share exactly if they ask for the same; 16 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self.as_event(), order="deterministic")).hexdigest()[:16]
