"""Request parameters: path, query and payload, checked against an entity before anything is sent."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote

from lightspeed.catalogue.model import Endpoint, FilterType, Operation
from lightspeed.errors import InvalidParameters
from lightspeed.numbers import dumps, number_text

PAGE_LIMIT = 250
"""The most rows that the shop gives on a page (three independent clients agree); its default is 50."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request, as a user writes them.

    Attributes:
        path: The record's `id` and its parents' `<parent>_id`; whole numbers or text.
        query: Filters and the like; text, numbers, booleans, or a list of those.
        payload: The record to write, with or without its envelope; `None` for none.
    """

    path: Mapping[str, object] = field(default_factory=dict)
    query: Mapping[str, object] = field(default_factory=dict)
    payload: object = None


class Body(Protocol):
    """A body in pieces, which are read while it is sent. Every iteration starts at the beginning, for another try."""

    def to_json(self) -> object:
        """Return the body as JSON-able data, to show it to a person."""
        ...

    def __len__(self) -> int:
        """Return the bytes of the body."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Return the pieces of the body."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is ready to be sent.

    Attributes:
        entity: Catalogue name, for unwrapping the answer.
        path: The path after the origin, percent-encoded, such as `/nl/orders/7.json`.
        query: The query before encoding.
        body: JSON text, whole or in pieces; `None` for none.
        retry_not_found: Whether a 404 may be temporary, so that the request is tried again.
    """

    entity: str
    operation: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Body | None = None
    retry_not_found: bool = False


def build_request(
    endpoint: Endpoint, operation_name: str, parameters: Parameters, *, language: str, update_method: str = "PUT"
) -> Request:
    """Check the parameters against the operation and build the request.

    Args:
        endpoint: The entity's row.
        operation_name: A standard operation or an action of the entity.
        parameters: The parameters, as a user writes them.
        language: The language segment of the path.
        update_method: The verb of `update`.

    Raises:
        UnsupportedOperation: The entity lacks the operation.
        InvalidParameters: Path, query or payload have mistakes; it lists all of them.
    """
    operation = endpoint.operation(operation_name)
    errors: list[str] = []
    path = _path(operation, parameters.path, errors)
    query = _query(endpoint, parameters.query, errors)
    body = _body(operation, parameters.payload, errors)
    if errors:
        raise InvalidParameters(endpoint.name, operation_name, errors)
    method = update_method if operation_name == "update" else operation.verb
    retry_not_found = _is_404_transient(endpoint, operation_name)
    return Request(endpoint.name, operation_name, method, f"/{language}/{path}.json", query, body, retry_not_found)


def _is_404_transient(endpoint: Endpoint, operation_name: str) -> bool:
    """Whether a 404 may be temporary: for entities where that was observed, and for a list without a parent."""
    if operation_name in ("list", "count"):
        return endpoint.transient_404 or not endpoint.parents
    return operation_name == "get" and endpoint.transient_404


_ONE_RECORD = ("create", "update")


def format_time(moment: datetime) -> str:
    """Return a time in the form of the shop's time filters: UTC, whole seconds, `2026-11-23 06:00:00`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds")


def parse_time(text: str) -> datetime:
    """Read ISO-8601; a date alone is its midnight, a time without zone is UTC.

    Raises:
        ValueError: The text is no time, or in UTC it lies before the year 1 or after 9999.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"no date in UTC: {text}") from error
    return moment


def given_time(value: object) -> datetime:
    """Return a time that a user gives as ISO-8601, in UTC.

    Raises:
        ValueError: The value is no time; the message says what a time looks like.
    """
    try:
        if not isinstance(value, str):
            raise ValueError
        return parse_time(value).astimezone(UTC)
    except ValueError:
        raise ValueError(f"must be a time such as 2026-11-23T06:00:00Z, not {value!r:.100}") from None


def query_warnings(endpoint: Endpoint, query: Mapping[str, object]) -> list[str]:
    """Return a warning for each query name that the catalogue does not know, with the nearest known name.

    Such a name is sent all the same, because the catalogue does not list every filter.
    """
    warnings = []
    for name in query:
        if name not in endpoint.filter_names:
            near = difflib.get_close_matches(str(name)[:100], endpoint.filter_names, n=1)
            advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(endpoint.filter_names) or 'none'}"
            warnings.append(f"{endpoint.name} has no known filter {name!r:.100}, and the shop may ignore it; {advice}")
    return warnings


def _path(operation: Operation, given: Mapping[str, object], errors: list[str]) -> str:
    wanted = operation.path_parameters
    missing = [name for name in wanted if name not in given]
    if missing:
        example = json.dumps({name: 7 + 2 * position for position, name in enumerate(wanted)})
        errors.append(f"path lacks {' and '.join(missing)}; for example {example}")
    for name in given:
        if name not in wanted:
            known = f"; {operation.name} takes {', '.join(wanted)}" if wanted else f"; {operation.name} takes none"
            errors.append(f"unknown path parameter {name!r:.100}{known}")
    path = operation.path
    for name in [name for name in wanted if name in given]:
        value = given[name]
        text = str(value).strip()
        typed = isinstance(value, int | str) and not isinstance(value, bool)
        if not typed or text in ("", ".", "..") or not _sendable(text):
            errors.append(f"path parameter {name} must be an id such as 7, not {value!r:.100}")
            continue
        path = path.replace(f"{{{name}}}", quote(text, safe=""))
    return path


def _query(endpoint: Endpoint, given: Mapping[str, object], errors: list[str]) -> dict[str, str]:
    types: dict[str, FilterType] = {known.name: known.type for known in endpoint.filters}
    query = {}
    for name, value in given.items():
        try:
            query[_scalar(name)] = _query_text(name, value, types.get(name, "text"))
        except ValueError as error:
            known = f"; known filters are {', '.join(types)}" if types and name not in types else ""
            errors.append(f"query {name} {error}{known}")
    return query


def _query_text(name: str, value: object, kind: FilterType) -> str:
    if kind in ("id", "integer"):
        return _whole_number(name, value)
    if kind == "boolean":
        return _boolean(value)
    if kind == "time":
        return format_time(given_time(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(_scalar(item) for item in value)
    return _scalar(value)


def _whole_number(name: str, value: object) -> str:
    text = str(value).strip()
    if isinstance(value, bool | float) or not text.isascii() or not text.isdigit():
        raise ValueError(f"must be a whole number, not {value!r:.100}")
    if name == "limit" and not 1 <= int(text) <= PAGE_LIMIT:
        raise ValueError(f"must be from 1 to {PAGE_LIMIT}, not {value!r:.100}")
    if name == "page" and int(text) < 1:
        raise ValueError(f"must be 1 or more, not {value!r:.100}")
    return text


def _boolean(value: object) -> str:
    text = str(value).lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"must be true or false, not {value!r:.100}")
    return text


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ValueError(f"must be text, a number, true or false, or a list of those, not {value!r:.100}")
    if not _sendable(str(value)):
        raise ValueError(f"must be text that can be sent as UTF-8, not {value!r:.100}")
    return value if isinstance(value, str) else number_text(value)


def _sendable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _body(operation: Operation, payload: object, errors: list[str]) -> bytes | None:
    if payload is None:
        if operation.payload == "required":
            errors.append(f"payload is missing: {operation.name} sends a record")
            return None
        if operation.payload == "none" or operation.write is None:
            return None
        payload = {}
    elif operation.payload == "none":
        errors.append(f"{operation.name} takes no payload")
    types = Mapping if operation.name in _ONE_RECORD else (Mapping, list)
    if not isinstance(payload, types) or (operation.payload == "required" and not payload):
        errors.append(f"payload must be a record (a JSON object that is not empty), not {payload!r:.100}")
        return None
    try:
        return dumps(wrap(operation, payload))
    except (TypeError, ValueError) as error:
        errors.append(f"payload is not JSON: {error}")
        return None


def wrap(operation: Operation, payload: Mapping[str, object] | list[object]) -> object:
    """Put a payload into its envelope, unless it has one already or the operation takes none."""
    key = operation.write
    wrapped = isinstance(payload, Mapping) and set(payload) == {key} and isinstance(payload[key or ""], Mapping | list)
    return payload if key is None or wrapped else {key: payload}
