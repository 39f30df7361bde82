"""A subscription's table in `subscriptions.toml`: its keys, their defaults, and the mistakes that it may have."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from connector.cadence import DAY, parse_interval, parse_time_of_day
from connector.errors import TransformError
from connector.operator.webhook_plan import ITEM_GROUPS
from connector.transform import parse_transformers
from connector.validation import plain_message
from lightspeed import CATALOGUE, Endpoint
from lightspeed.listing.read_operation import listed_entity
from lightspeed.request import given_time

REFERENCE = "s3:config/transformers/"
TRANSFORMERS = ("input_transformer", "entity_transformer")
HEADER = "a subscription is a table with the header [connection.subscription]"

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LANGUAGE = re.compile(r"[a-z]{2}")

Transformer = str | dict[str, str] | list[str | dict[str, str]]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of one subscription.

    Attributes:
        every: The interval of runs: `15 minutes`, `6 hours`, `1 day`.
        at: Time of the day, such as `03:00`. An interval of a day or more needs it.
        timezone: IANA name of the time zone of `at` and of days.
        entity: The entity, if the subscription does not have its name.
        webhooks: Whether the shop's webhooks start runs as well.
        enabled: `false` pauses the subscription.
        reconcile: The interval of runs that look for deleted records, such as `7 days`.
        languages: Two-letter codes of the shop's languages.
        parameters: `path` and `query` of the requests to the shop.
        input_transformer: Rewrites the parameters: JSONata, or `s3:config/transformers/<name>.jsonata`.
        entity_transformer: Rewrites each record: JSONata, or `s3:config/transformers/<name>.jsonata`.
        mode: `incremental` or `full`. The default is incremental, if the entity has a time filter.
        since: The start of the first incremental run, ISO-8601.
        max_rejected_percent: The share of records that the entity_transformer may reject.
        max_deleted_percent: The share of known records that one reconcile run may find deleted.
    """

    every: str
    at: str | None = None
    timezone: str = "UTC"
    entity: str | None = None
    webhooks: bool = False
    enabled: bool = True
    reconcile: str | None = None
    languages: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    parameters: dict[str, dict[str, Any]] | None = None
    input_transformer: Transformer | None = None
    entity_transformer: Transformer | None = None
    mode: str | None = None
    since: str | None = None
    max_rejected_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    max_deleted_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None


def table_mistakes(name: str, table: object) -> Iterable[tuple[str, str]]:
    """Return the mistakes of a subscription by key; the key is empty for the header.

    Mistakes of several keys together are looked for only if each key is right on its own.
    """
    if not isinstance(table, dict):
        return [("", HEADER)]
    return list(_key_mistakes(name, table)) or _combined_mistakes(name, msgspec.convert(table, Table))


def _key_mistakes(name: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if name not in CATALOGUE and not _NAME.fullmatch(name):
        yield "", "a subscription has the name of an entity, or up to 64 letters, digits, _ and -"
    if "every" not in table:
        yield "", 'every is missing, such as every = "15 minutes"'
    fields = {field.name: field for field in msgspec.structs.fields(Table)}
    for key, value in table.items():
        if key in fields:
            try:
                _CHECKS.get(key, str)(msgspec.convert(value, fields[key].type))
            except msgspec.ValidationError as error:
                yield key, plain_message(str(error), key)
            except (ValueError, TransformError) as error:
                yield key, str(error)
        elif isinstance(value, dict):
            yield key, "the header has too many names; it is [connection.subscription], without further dots"
        else:
            near = difflib.get_close_matches(key, fields, n=1)
            yield key, f"unknown key{f'; did you mean {near[0]}?' if near else ''} (known: {', '.join(fields)})"


def _combined_mistakes(name: str, table: Table) -> Iterator[tuple[str, str]]:
    entity = table.entity or name
    row = CATALOGUE.get(entity)
    if row is None:
        near = difflib.get_close_matches(entity, CATALOGUE, n=1)
        advice = f"did you mean {near[0]}?" if near else "name it with entity = ..."
        yield "entity" if table.entity else "", f"unknown entity {entity!r:.100}; {advice}"
        return
    mode = mode_of(row, table)
    if set(row.parents) - _path(table).keys() and table.input_transformer is None:
        example = "{ " + ", ".join(f'{one} = "*"' for one in row.parents) + " }"
        yield "", f"{entity} needs parameters = {{ path = {example} }}; * is every parent"
    if mode == "incremental" and not _is_incremental(row, table):
        yield "mode", f"{entity} has no time filter; leave mode out, or write full"
    if table.since is not None and mode != "incremental":
        yield "since", "since is for mode incremental"
    if table.max_rejected_percent is not None and table.entity_transformer is None:
        yield "max_rejected_percent", "max_rejected_percent needs entity_transformer"
    if table.webhooks and entity not in ITEM_GROUPS:
        yield "webhooks", f"the shop sends webhooks of {', '.join(ITEM_GROUPS)} only"
    yield from _cadence_mistakes(row, table)


def _cadence_mistakes(row: Endpoint, table: Table) -> Iterator[tuple[str, str]]:
    days = parse_interval(table.every) >= DAY
    if days and table.at is None:
        yield "every", 'an interval of a day or more needs at, such as at = "03:00"'
    if table.reconcile is None:
        if not days and table.at is not None:
            yield "at", "at is for an interval of a day or more"
        if table.max_deleted_percent is not None:
            yield "max_deleted_percent", "max_deleted_percent needs reconcile"
        return
    if row.parents or not row.collection or not all(row.has(one) for one in ("list", "get", "count")):
        yield "reconcile", f"{row.name} cannot be reconciled: it needs a list without parent, a count and records by id"
    if table.parameters or table.input_transformer is not None:
        yield "reconcile", "reconcile compares the whole list; leave out parameters and input_transformer"


def _path(table: Table) -> Mapping[str, Any]:
    return (table.parameters or {}).get("path", {})


def _is_incremental(row: Endpoint, table: Table) -> bool:
    return listed_entity(row, _path(table)).incremental is not None


def mode_of(row: Endpoint, table: Table) -> str:
    """Return the mode of a table's runs: that of the key, or the default of the entity."""
    return table.mode or ("incremental" if _is_incremental(row, table) else "full")


def _check_mode(text: str | None) -> None:
    if text not in (None, "incremental", "full"):
        raise ValueError(f"mode must be incremental or full, not {text!r:.100}")


def _check_parameters(value: Mapping[str, Any]) -> None:
    for key in value:
        if key not in ("path", "query"):
            raise ValueError(f"parameters has only path and query, not {key!r:.100}")


def _check_languages(languages: list[str]) -> None:
    for language in languages:
        if not _LANGUAGE.fullmatch(language):
            raise ValueError(f"a language is the shop's two-letter code such as nl or us, not {language!r:.60}")
    if len(set(languages)) < len(languages):
        raise ValueError("languages names a language more than once")


def _check_timezone(text: str) -> None:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'{text!r:.100} is not a time zone; write one such as "Europe/Amsterdam"') from None


def as_event(transformer: Any) -> Any:
    """Return a transformer in the form of an event, where `{"$ref": "s3:…"}` names a saved one."""
    if isinstance(transformer, list):
        return [as_event(each) for each in transformer]
    is_saved = isinstance(transformer, str) and transformer.startswith(REFERENCE)
    return {"$ref": transformer} if is_saved else transformer


_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "every": parse_interval,
    "reconcile": parse_interval,
    "at": parse_time_of_day,
    "timezone": _check_timezone,
    "since": given_time,
    "mode": _check_mode,
    "languages": _check_languages,
    "parameters": _check_parameters,
    **dict.fromkeys(TRANSFORMERS, lambda given: parse_transformers(as_event(given))),
}
"""The check of a key's value. It raises ValueError or TransformError with what would be right."""
