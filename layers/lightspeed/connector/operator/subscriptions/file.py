"""Read `subscriptions.toml`: one table per subscription, `[connection.subscription]`.

TOML's parser keeps no positions, so this module keeps its own index of headers and keys. Every mistake is reported with
its line and key, and a file with one mistake is refused as a whole.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from connector.cadence import DAY, Cadence, minutes_of, seconds_of, spread
from connector.errors import TransformError
from connector.operator.stack import CommandError
from connector.operator.webhook_plan import ITEM_GROUPS
from connector.transform import parse_transformers
from connector.validation import plain_message
from lightspeed import CATALOGUE, Endpoint
from lightspeed.connection import is_connection_name
from lightspeed.listing.read_operation import listed_entity
from lightspeed.request import given_time

REFERENCE = "s3:config/transformers/"

_POSITION = re.compile(r"\(at line (\d+), column \d+\)")
_NEEDS_QUOTES = re.compile(r"""\s*\[+\s*(?:([^"'\].]*)\.)?([^"'\]]*/[^"'\]]*?)\s*\]""")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TRANSFORMERS = ("input_transformer", "entity_transformer")
_LANGUAGE = re.compile(r"[a-z]{2}")
_HEADER = "a subscription is a table with the header [connection.subscription]"

KeyPath = tuple[str, ...]
"""The keys that lead to a value: connection, subscription, key."""

Transformer = str | dict[str, str] | list[str | dict[str, str]]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of one subscription.

    Attributes:
        every: How often it is read: `15 minutes`, `6 hours`, `1 day`.
        at: Time of the day, `03:00`. An interval of a day or more needs it.
        timezone: IANA name of the zone in which `at` and days count.
        entity: The entity, if the subscription has another name.
        webhooks: Whether the shop's webhooks start a run, too.
        enabled: `false` pauses the subscription.
        reconcile: How often deletes are looked for, such as `7 days`.
        languages: Two-letter codes of the shop's languages.
        parameters: `path` and `query` of the shop's requests.
        input_transformer: JSONata, or `s3:config/transformers/<name>.jsonata`.
        entity_transformer: The same for each record.
        mode: `incremental` or `full`; incremental if the entity can be read so.
        since: Where an incremental subscription starts, ISO-8601.
        max_rejected_percent: Share of records that the transformer may reject.
        max_deleted_percent: Share of known records that one reconcile run may find deleted.
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


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription, checked.

    Attributes:
        cadence: When it runs.
        reconcile: When deletes are looked for, or `None`.
        event: The subscribe event of its runs.
        line: The line of its header in the file.
    """

    connection: str
    name: str
    entity: str
    cadence: Cadence
    reconcile: Cadence | None
    webhooks: bool
    enabled: bool
    event: Mapping[str, Any]
    reconcile_event: Mapping[str, Any]
    line: int

    @property
    def runs(self) -> list[tuple[Cadence, Mapping[str, Any]]]:
        """When its runs start, with their event: those that read, and then those that look for deletes."""
        deletes = [] if self.reconcile is None else [(self.reconcile, self.reconcile_event)]
        return [(self.cadence, self.event), *deletes]

    @property
    def title(self) -> str:
        """How people name it."""
        return f"{self.connection}.{self.name}"


class WrongFile(CommandError):
    """The file is wrong.

    Attributes:
        lines: One message a mistake, each with file, line and key.
    """

    def __init__(self, lines: list[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("; ".join(lines))


def read_file(path: Path) -> list[Subscription]:
    """Read and check a file.

    Raises:
        CommandError: There is no such file.
        WrongFile: It is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path.name} cannot be read: {error}") from error
    return read_text(text, path.name)


def read_text(text: str, name: str = "subscriptions.toml") -> list[Subscription]:
    """Check the text of a file and return its subscriptions, in the order of the file.

    Raises:
        WrongFile: It is wrong.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongFile([_syntax(text, name, str(error))]) from None
    index = _index(text)
    wrong = sorted((_line(index, path), path, message) for path, message in _mistakes(document))
    if wrong:
        raise WrongFile([f"{name}:{line}: {'.'.join(path)}: {message}" for line, path, message in wrong])
    found = [
        _subscription(connection, one, msgspec.convert(table, Table), _line(index, (connection, one)))
        for connection, tables in document.items()
        for one, table in tables.items()
    ]
    return sorted(found, key=lambda one: one.line)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors."""
    connection = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]+$")]
    schema = msgspec.json.schema(dict[connection, dict[str, Table]])
    table = schema["$defs"]["Table"]
    about = _attribute_texts(table.pop("description"))
    for key, described in table["properties"].items():
        described["description"] = about[key]
    table["properties"]["mode"]["enum"] = ["incremental", "full", None]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "subscriptions.schema.json",
        "title": "subscriptions.toml",
        "description": "What a stack reads: [connection.subscription]",
        **schema,
    }


def _mistakes(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield every mistake: the keys that lead to it, and what would be right."""
    for connection, tables in document.items():
        if not is_connection_name(connection):
            yield (connection,), "a connection has letters, digits, _ and - only"
        elif not isinstance(tables, dict):
            yield (connection,), _HEADER
        else:
            for name, table in tables.items():
                for key, message in _wrong(name, table):
                    yield (connection, name, key) if key else (connection, name), message


def _wrong(name: str, table: object) -> Iterable[tuple[str, str]]:
    """Return what is wrong with a subscription, by key; the key is empty for the header.

    Keys are compared with each other only if each is right on its own.
    """
    if not isinstance(table, dict):
        return [("", _HEADER)]
    return list(_wrong_keys(name, table)) or _wrong_together(name, msgspec.convert(table, Table))


def _wrong_keys(name: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
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


def _wrong_together(name: str, table: Table) -> Iterator[tuple[str, str]]:
    entity = table.entity or name
    row = CATALOGUE.get(entity)
    if row is None:
        near = difflib.get_close_matches(entity, CATALOGUE, n=1)
        advice = f"did you mean {near[0]}?" if near else "name it with entity = ..."
        yield "entity" if table.entity else "", f"unknown entity {entity!r:.100}; {advice}"
        return
    mode = _mode(row, table)
    if set(row.parents) - _path(table).keys() and table.input_transformer is None:
        example = "{ " + ", ".join(f'{one} = "*"' for one in row.parents) + " }"
        yield "", f"{entity} needs parameters = {{ path = {example} }}; * is every parent"
    if mode == "incremental" and not _is_incremental(row, table):
        yield "mode", f"{entity} has no time filter; leave mode out, or write full"
    if table.since is not None and mode != "incremental":
        yield "since", "since is for mode incremental"
    if table.max_rejected_percent is not None and table.entity_transformer is None:
        yield "max_rejected_percent", "it limits what the entity_transformer rejects; give both"
    if table.webhooks and entity not in ITEM_GROUPS:
        yield "webhooks", f"the shop sends webhooks of {', '.join(ITEM_GROUPS)} only"
    yield from _wrong_cadence(row, table)


def _wrong_cadence(row: Endpoint, table: Table) -> Iterator[tuple[str, str]]:
    days = seconds_of(table.every) >= DAY
    if days and table.at is None:
        yield "every", 'an interval of a day or more needs at, such as at = "03:00"'
    if table.reconcile is None:
        if not days and table.at is not None:
            yield "at", "at is for an interval of a day or more"
        if table.max_deleted_percent is not None:
            yield "max_deleted_percent", "it limits what reconcile finds; give both"
        return
    if row.parents or not row.collection or not all(row.has(one) for one in ("list", "get", "count")):
        yield "reconcile", f"{row.name} cannot be reconciled: no list and no request show what is gone"
    if table.parameters or table.input_transformer is not None:
        yield "reconcile", "reconcile compares the whole list; leave out parameters and input_transformer"


def _subscription(connection: str, name: str, table: Table, line: int) -> Subscription:
    """Return the subscription of a table without mistakes."""
    entity = table.entity or name
    mode = _mode(CATALOGUE[entity], table)
    event: dict[str, Any] = {"connection": connection, "entity": entity, "mode": mode, "subscription": name}
    reconcile_event = {**event, "mode": "reconcile"}
    for key in ("languages", "parameters", "since", "max_rejected_percent", *_TRANSFORMERS):
        if (value := getattr(table, key)) is not None:
            event[key] = as_event(value) if key in _TRANSFORMERS else value
    if table.max_deleted_percent is not None:
        reconcile_event["max_deleted_percent"] = table.max_deleted_percent
    at = None if table.at is None else minutes_of(table.at)
    cadence = _cadence(table.every, at, table.timezone, spread(connection, name))
    reconcile = None
    if table.reconcile is not None:
        offset = spread(connection, name, "reconcile")
        an_hour_later = (offset if at is None else at + 60) % (24 * 60)
        reconcile = _cadence(table.reconcile, an_hour_later, table.timezone, offset)
    return Subscription(
        connection, name, entity, cadence, reconcile, table.webhooks, table.enabled, event, reconcile_event, line
    )


def _cadence(every: str, at: int | None, timezone: str, offset: int) -> Cadence:
    seconds = seconds_of(every)
    return Cadence(seconds, at if seconds >= DAY else None, timezone, offset)


def _path(table: Table) -> Mapping[str, Any]:
    return (table.parameters or {}).get("path", {})


def _is_incremental(row: Endpoint, table: Table) -> bool:
    return listed_entity(row, _path(table)).incremental is not None


def _mode(row: Endpoint, table: Table) -> str:
    return table.mode or ("incremental" if _is_incremental(row, table) else "full")


def _line(index: Mapping[KeyPath, int], path: KeyPath) -> int:
    while path and path not in index:
        path = path[:-1]
    return index.get(path, 1)


def _check_mode(text: str | None) -> None:
    if text not in (None, "incremental", "full"):
        raise ValueError(f"mode is incremental or full, not {text!r:.100}")


def _check_parameters(value: Mapping[str, Any]) -> None:
    for key in value:
        if key not in ("path", "query"):
            raise ValueError(f"parameters has path and query, not {key!r:.100}")


def _check_languages(languages: list[str]) -> None:
    for language in languages:
        if not _LANGUAGE.fullmatch(language):
            raise ValueError(f"a language is the shop's two-letter code such as nl or us, not {language!r:.60}")
    if len(set(languages)) < len(languages):
        raise ValueError("it names a language more than once")


def _check_timezone(text: str) -> None:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"it is a zone such as Europe/Amsterdam, not {text!r:.100}") from None


def as_event(transformer: Any) -> Any:
    """Return a transformer as an event holds it: the text `s3:…` names a saved one."""
    if isinstance(transformer, list):
        return [as_event(one) for one in transformer]
    is_saved = isinstance(transformer, str) and transformer.startswith(REFERENCE)
    return {"$ref": transformer} if is_saved else transformer


_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "every": seconds_of,
    "reconcile": seconds_of,
    "at": minutes_of,
    "timezone": _check_timezone,
    "since": given_time,
    "mode": _check_mode,
    "languages": _check_languages,
    "parameters": _check_parameters,
    **dict.fromkeys(_TRANSFORMERS, lambda given: parse_transformers(as_event(given))),
}
"""Checks of a key's value; each raises ValueError or TransformError with what would be right."""


def _index(text: str) -> dict[KeyPath, int]:
    """Return the line of every header and key of a valid document, counted from 1."""
    index: dict[KeyPath, int] = {}
    header, start, lines = "", 0, text.replace("\r\n", "\n").split("\n")
    for end in range(1, len(lines) + 1):
        statement = "\n".join(lines[start:end])
        try:
            found = tomllib.loads(f"{header}\n{statement}")
        except tomllib.TOMLDecodeError:
            continue  # the statement goes on in the next line
        for path in _paths(found):
            index.setdefault(path, start + 1)
        if statement.lstrip().startswith("["):
            header = statement
        start = end
    return index


def _paths(table: Mapping[str, Any], at: KeyPath = ()) -> Iterator[KeyPath]:
    for name, inside in table.items():
        yield (*at, name)
        if isinstance(inside, dict):
            yield from _paths(inside, (*at, name))


def _syntax(text: str, name: str, message: str) -> str:
    found = _POSITION.search(message)
    lines = text.splitlines()
    line = int(found[1]) if found else max(1, len(lines))
    needs_quotes = _NEEDS_QUOTES.match(lines[line - 1]) if line <= len(lines) else None
    plain = _POSITION.sub("", message).strip()
    if needs_quotes:
        plain = f'a name with / is quoted: [{needs_quotes[1] or "default"}."{needs_quotes[2]}"]'
    return f"{name}:{line}: {plain}"


def _attribute_texts(doc: str) -> dict[str, str]:
    """Return what a docstring says of each attribute."""
    found = re.findall(r"^ +(\w+): (.+?)$", doc.partition("Attributes:")[2], re.MULTILINE)
    return {key: text.replace("`", "") for key, text in found}
