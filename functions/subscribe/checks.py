"""Check subscribe events."""

from __future__ import annotations

import re

from connector.errors import RequestError
from connector.storage_keys import RUN_ID
from connector.transform import parse_transformers
from connector.validation import parse_event
from lightspeed import Endpoint
from lightspeed.listing.read_operation import ALL_PARENTS, listed_entity
from lightspeed.request import given_time
from subscribe.event import SubscribeRequest

_SUBSCRIPTION = re.compile(r"[A-Za-z0-9_=-]+(?:/[A-Za-z0-9_=-]+)*")
"""No dot: the key of a bookmark has a dot in place of `/`, so `a.b` and `a/b` would share one."""

_SUBSCRIPTION_CHARACTERS = 200
_LANGUAGE = re.compile(r"[a-z]{2}")
_RECONCILE_NEEDS = ("list", "get", "count")
_RECONCILE_TAKES_NO = ("input_transformer", "entity_transformer", "max_records")


def subscribe_request(event: object) -> SubscribeRequest:
    """Check an event and return the request.

    Raises:
        RequestError: It is malformed.
        UnknownEntity: There is no such entity.
        TransformError: A transformer cannot be parsed.
    """
    if isinstance(event, dict) and "plan" in event:
        raise RequestError(['plan is now called estimate: {"estimate": true}'])
    request = parse_event(SubscribeRequest, event)
    errors = []
    if request.parameters.payload is not None:
        errors.append("parameters.payload is for publish; subscribe takes path and query")
    errors += _language_errors(request)
    if request.run_id is not None and not RUN_ID.fullmatch(request.run_id):
        errors.append("run_id has up to 80 letters, digits and . _ = -")
    errors += _subscription_errors(request.bookmark_name)
    errors += _parent_errors(request)
    if request.mode == "incremental":
        errors += _incremental_errors(request, listed_entity(request.endpoint, request.parameters.path))
    elif request.since is not None:
        errors.append("since is for mode incremental")
    errors += _ids_errors(request)
    errors += reconcile_errors(request, request.endpoint)
    if request.estimate and request.cursor is not None:
        errors.append("estimate reports on a whole run; leave out cursor")
    if errors:
        raise RequestError(errors)
    if request.max_rejected_percent is not None and request.entity_transformer is None:
        raise RequestError(["max_rejected_percent limits what the entity_transformer rejects; give both or none"])
    parse_transformers(request.input_transformer)
    parse_transformers(request.entity_transformer)
    return request


def _subscription_errors(name: str) -> list[str]:
    if _SUBSCRIPTION.fullmatch(name) and len(name) <= _SUBSCRIPTION_CHARACTERS:
        return []
    slashed = name.replace(".", "/")
    if _SUBSCRIPTION.fullmatch(slashed) and len(name) <= _SUBSCRIPTION_CHARACTERS:
        return [f"a subscription has no dot; {slashed!r:.110} has the bookmark that {name!r:.110} had"]
    return [f"subscription may hold up to 200 letters, digits and _ = -, in parts joined by /, not {name!r:.100}"]


def _parent_errors(request: SubscribeRequest) -> list[str]:
    path, parents = request.parameters.path, request.endpoint.parents
    if ALL_PARENTS not in path.values() or (parents and path.get(parents[0]) == ALL_PARENTS and "id" not in path):
        return []
    return ['"*" may only replace the parent id of a nested entity; it reads the records of every parent']


def _ids_errors(request: SubscribeRequest) -> list[str]:
    if request.ids is None:
        return []
    errors = []
    if request.mode == "incremental":
        errors.append("ids are for modes full and reconcile")
    if request.endpoint.parents or not request.endpoint.has("get") or not request.endpoint.collection:
        errors.append(f"{request.entity} takes no ids: its records are not read by id alone")
    if request.parameters.path or request.parameters.query or request.input_transformer is not None:
        errors.append("ids name the records; leave out parameters and input_transformer")
    if request.estimate:
        errors.append("estimate reports on a list; leave out ids")
    if request.max_deleted_percent is not None or request.max_records is not None:
        errors.append("ids are few and named; leave out max_deleted_percent and max_records")
    if len(set(map(str, request.ids))) < len(request.ids):
        errors.append("ids names one more than once")
    return errors


def _language_errors(request: SubscribeRequest) -> list[str]:
    languages = request.languages or []
    if request.language is not None and languages:
        return ["give language or languages, not both"]
    given = languages if request.language is None else [request.language]
    wrong = [language for language in given if not _LANGUAGE.fullmatch(language)]
    if wrong:
        return [f"a language is the shop's two-letter code such as nl, en or us, not {wrong[0]!r:.60}"]
    return ["languages names one more than once"] if len(set(languages)) < len(languages) else []


def _incremental_errors(request: SubscribeRequest, endpoint: Endpoint) -> list[str]:
    """Return the errors of an incremental event; `endpoint` has the list that the run reads, perhaps the parent's."""
    errors = []
    if endpoint.incremental is None:
        errors.append(f"{endpoint.name} cannot be read incrementally: it has no time filter; use mode full")
    if request.since is not None:
        try:
            given_time(request.since)
        except ValueError as error:
            errors.append(f"since {error}")
    return errors


def reconcile_errors(request: SubscribeRequest, endpoint: Endpoint) -> list[str]:
    """Return the errors of an event of mode reconcile, and of `max_deleted_percent` in another mode."""
    if request.mode != "reconcile":
        given = request.max_deleted_percent is not None
        return ["max_deleted_percent is for mode reconcile"] if given else []
    errors = [
        f"mode reconcile compares ids and takes no {name}"
        for name in _RECONCILE_TAKES_NO
        if getattr(request, name) is not None
    ]
    if endpoint.parents:
        parent = endpoint.parents[0]
        errors.append(
            f"{endpoint.name} cannot be reconciled: the shop lists it for one {parent} at a time, so no list says what "
            f"is gone from the whole; reconcile the parents"
        )
    else:
        errors += _list_errors(request, endpoint)
    return errors


def _list_errors(request: SubscribeRequest, endpoint: Endpoint) -> list[str]:
    errors = []
    missing = [name for name in _RECONCILE_NEEDS if not endpoint.has(name)]
    if not endpoint.collection:
        errors.append(f"{endpoint.name} cannot be reconciled: it is one record")
    elif missing:
        errors.append(f"{endpoint.name} cannot be reconciled: it has no {' and no '.join(missing)}")
    elif "page" not in endpoint.filter_names:
        errors.append(f"{endpoint.name} cannot be reconciled: its list has no pages, so it may not be the whole")
    if request.parameters.path:
        errors.append("mode reconcile reads the whole list; leave out parameters.path")
    filters = [name for name in request.parameters.query if name != "limit"]
    if filters:
        errors.append(f"mode reconcile reads the whole list; leave out query {' and '.join(filters)}")
    return errors
