"""The subscribe event: what may stand in it, and what is wrong with one before anything is read."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal

import msgspec

from connector.errors import RequestError
from connector.events import EventParameters, decode
from connector.transform import transformers
from lightspeed import Endpoint, find
from lightspeed.catalogue import parent_of
from lightspeed.parameters import parse_time

EVERY = "*"
"""Written in place of a parent's id: every parent that the run reads."""

_RUN_ID = re.compile(r"[A-Za-z0-9_.=-]{1,80}")
_SUBSCRIPTION = re.compile(r"[A-Za-z0-9_./=-]{1,200}")
_LANGUAGE = r"^[a-z]{2}$"
_Language = Annotated[str, msgspec.Meta(pattern=_LANGUAGE)]
_OF_THE_RUN = ("cursor", "run_id")


class SubscribeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A subscribe event, checked.

    Attributes:
        mode: `full` reads everything, `incremental` what changed since the bookmark.
        subscription: Names the bookmark; the entity if left out.
        since: ISO-8601, where an incremental run without bookmark starts.
        languages: Two-letter codes; the connection's if neither this nor `language` is given.
        max_records: Stop after that many, at least 1.
        cursor: Of an earlier, partial result of the same event.
    """

    entity: str
    connection: str = "default"
    parameters: EventParameters = EventParameters()
    input_transformer: str | list[str] | None = None
    entity_transformer: str | list[str] | None = None
    mode: Literal["full", "incremental"] = "full"
    subscription: str | None = None
    since: str | None = None
    language: _Language | None = None
    languages: Annotated[list[_Language], msgspec.Meta(min_length=1)] | None = None
    max_records: Annotated[int, msgspec.Meta(ge=1)] | None = None
    run_id: str | None = None
    cursor: str | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The entity's row."""
        return find(self.entity)

    @property
    def bookmark_name(self) -> str:
        """What names the bookmark."""
        return self.subscription or self.entity

    def as_event(self, cursor: str | None = None) -> dict[str, object]:
        """Return the event that asks for the same, from a cursor on if one is given; it does not name its run."""
        event: dict[str, object] = {k: v for k, v in msgspec.to_builtins(self).items() if k not in _OF_THE_RUN}
        return event if cursor is None else {**event, "cursor": cursor}

    def fingerprint(self) -> str:
        """Return what two events share exactly if they ask for the same; 16 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self.as_event(), order="deterministic")).hexdigest()[:16]


def subscribe_request(event: object) -> SubscribeRequest:
    """Check an event.

    Raises:
        RequestError: It is malformed.
        UnknownEntity: There is no such entity.
        TransformError: A transformer cannot be parsed.
    """
    request = decode(SubscribeRequest, event)
    endpoint = request.endpoint
    errors = []
    if request.parameters.payload is not None:
        errors.append("parameters.payload is for publish; subscribe takes path and query")
    if request.language is not None and request.languages is not None:
        errors.append("give language or languages, not both")
    if request.run_id is not None and not _RUN_ID.fullmatch(request.run_id):
        errors.append("run_id may hold up to 80 letters, digits and . _ = -")
    if not _SUBSCRIPTION.fullmatch(request.bookmark_name):
        errors.append("subscription may hold up to 200 letters, digits and . _ = - /")
    if "page" in request.parameters.query:
        errors.append("query page is not needed: every page is read (max_records stops earlier)")
    if EVERY in request.parameters.path.values():
        parent = parent_of(endpoint)
        if (
            parent is None
            or request.parameters.path.get(endpoint.parents[0]) != EVERY
            or "id" in request.parameters.path
        ):
            errors.append('"*" stands for the id of every parent of a nested entity, and for nothing else')
        endpoint = parent or endpoint
    if request.mode == "incremental":
        errors += _incremental_errors(request, endpoint)
    elif request.since is not None:
        errors.append("since is for mode incremental")
    if errors:
        raise RequestError(errors)
    transformers(request.input_transformer)
    transformers(request.entity_transformer)
    return request


def _incremental_errors(request: SubscribeRequest, endpoint: Endpoint) -> list[str]:
    errors = []
    if endpoint.incremental is None:
        errors.append(f"{endpoint.name} cannot be read incrementally: it has no time filter; use mode full")
    if "id" in request.parameters.path:
        errors.append("mode incremental follows a list; leave out path id, or use mode full for one record")
    if "fields" in request.parameters.query:
        errors.append("mode incremental needs id and updatedAt of every record; leave out query fields")
    if request.since is not None:
        try:
            parse_time(request.since)
        except ValueError:
            errors.append(f"since must be a time such as 2026-11-23T06:00:00Z, not {request.since!r}")
    return errors
