"""The subscribe event: what may stand in it, and what is wrong with one before anything is read."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal

import msgspec

from connector.errors import RequestError
from connector.events import EventParameters, decode
from connector.transform import checked
from lightspeed import Endpoint, find
from lightspeed.catalogue import parent_of
from lightspeed.parameters import format_time, parse_time
from subscribe.reconcile_rules import reconcile_errors

EVERY = "*"
"""Written in place of a parent's id: every parent that the run reads."""

RUN_ID = re.compile(r"[A-Za-z0-9_.=-]{1,80}")
"""What a run may be called; the state machine's executions are called the same."""

_SUBSCRIPTION = re.compile(r"[A-Za-z0-9_./=-]{1,200}")
_LANGUAGE = re.compile(r"[a-z]{2}")
_OF_THE_RUN = ("cursor", "run_id", "plan")


class SubscribeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A subscribe event, checked.

    Attributes:
        mode: `full` reads everything, `incremental` what changed since the bookmark, `reconcile` notices what is gone.
        subscription: Names the bookmark; the entity if left out.
        since: ISO-8601, where an incremental run without bookmark starts.
        languages: Two-letter codes; the connection's if neither this nor `language` is given.
        max_records: Stop after that many, at least 1.
        max_rejected_percent: How much of what it is given the entity transformer may reject; 10 if left out.
        max_deleted_percent: How much of what is known a reconcile run may notice as deleted; 10 if left out.
        cursor: Of an earlier, partial result of the same event.
        plan: Say what the run would take instead of running it.
    """

    entity: str
    connection: str = "default"
    parameters: EventParameters = EventParameters()
    input_transformer: str | dict[str, str] | list[str | dict[str, str]] | None = None
    entity_transformer: str | dict[str, str] | list[str | dict[str, str]] | None = None
    mode: Literal["full", "incremental", "reconcile"] = "full"
    subscription: str | None = None
    since: str | None = None
    language: str | None = None
    languages: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    max_records: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_rejected_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    max_deleted_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    run_id: str | None = None
    cursor: str | None = None
    plan: bool = False

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
    errors = []
    if request.parameters.payload is not None:
        errors.append("parameters.payload is for publish; subscribe takes path and query")
    errors += _language_errors(request)
    if request.run_id is not None and not RUN_ID.fullmatch(request.run_id):
        errors.append("run_id may hold up to 80 letters, digits and . _ = -")
    if not _SUBSCRIPTION.fullmatch(request.bookmark_name):
        errors.append("subscription may hold up to 200 letters, digits and . _ = - /")
    errors += _parent_errors(request)
    if request.mode == "incremental":
        errors += _incremental_errors(request, _walked(request))
    elif request.since is not None:
        errors.append("since is for mode incremental")
    errors += reconcile_errors(request, request.endpoint)
    if request.plan and request.cursor is not None:
        errors.append("plan speaks of a whole run; leave out cursor")
    if errors:
        raise RequestError(errors)
    if request.max_rejected_percent is not None and request.entity_transformer is None:
        raise RequestError(["max_rejected_percent speaks of the entity_transformer, and there is none"])
    checked(request.input_transformer)
    checked(request.entity_transformer)
    return request


def _walked(request: SubscribeRequest) -> Endpoint:
    """Return whose list a run walks: the parent's where every parent is asked for."""
    parent = parent_of(request.endpoint)
    return parent if parent is not None and EVERY in request.parameters.path.values() else request.endpoint


def _parent_errors(request: SubscribeRequest) -> list[str]:
    path, parents = request.parameters.path, request.endpoint.parents
    if EVERY not in path.values() or (parents and path.get(parents[0]) == EVERY and "id" not in path):
        return []
    return ['"*" stands for the id of every parent of a nested entity, and for nothing else']


def _language_errors(request: SubscribeRequest) -> list[str]:
    languages = request.languages or []
    if request.language is not None and languages:
        return ["give language or languages, not both"]
    given = languages if request.language is None else [request.language]
    wrong = [language for language in given if not _LANGUAGE.fullmatch(language)]
    if wrong:
        return [f"a language is the shop's two-letter code such as nl, en or us, not {wrong[0]!r:.60}"]
    return ["languages names one of them more than once"] if len(set(languages)) < len(languages) else []


def _incremental_errors(request: SubscribeRequest, endpoint: Endpoint) -> list[str]:
    errors = []
    if endpoint.incremental is None:
        errors.append(f"{endpoint.name} cannot be read incrementally: it has no time filter; use mode full")
    if request.since is not None:
        try:
            format_time(parse_time(request.since))
        except (ValueError, OverflowError):
            errors.append(f"since must be a time such as 2026-11-23T06:00:00Z, not {request.since!r}")
    return errors
