"""Read `subscriptions.toml`: one table per subscription, `[connection.subscription]`.

Python's TOML parser keeps no positions, so this module makes an index of the lines of headers and keys. A file with a
mistake is refused as a whole. The error names every mistake, each with its line and key.
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

from connector.cadence import DAY, Cadence, offset_of, parse_interval, parse_time_of_day
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


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of a file without mistakes.

    Attributes:
        cadence: When runs read changes.
        reconcile: When runs look for deleted records; `None` for never.
        event: The subscribe event of the runs that read changes.
        reconcile_event: The subscribe event of the runs that look for deleted records.
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
        """Cadence and event of the runs that read changes, and then of those that look for deleted records."""
        reconcile = [] if self.reconcile is None else [(self.reconcile, self.reconcile_event)]
        return [(self.cadence, self.event), *reconcile]

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"{self.connection}.{self.name}"


class WrongFile(CommandError):
    """The file has mistakes.

    Attributes:
        lines: A message for each mistake, with file, line and key.
    """

    def __init__(self, lines: list[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("; ".join(lines))


def read_file(path: Path) -> list[Subscription]:
    """Return the subscriptions of a file, in the order of the file.

    Raises:
        CommandError: The file cannot be read.
        WrongFile: The file has mistakes.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path.name} cannot be read: {error}") from error
    return read_text(text, path.name)


def read_text(text: str, file_name: str = "subscriptions.toml") -> list[Subscription]:
    """Return the subscriptions of a file's text, in the order of the file.

    Raises:
        WrongFile: The text has mistakes.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongFile([_syntax(text, file_name, str(error))]) from None
    index = _index(text)
    mistakes = sorted((_line(index, path), path, message) for path, message in _mistakes(document))
    if mistakes:
        raise WrongFile([f"{file_name}:{line}: {'.'.join(path)}: {message}" for line, path, message in mistakes])
    subscriptions = [
        _subscription(connection, name, msgspec.convert(table, Table), _line(index, (connection, name)))
        for connection, tables in document.items()
        for name, table in tables.items()
    ]
    return sorted(subscriptions, key=lambda subscription: subscription.line)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors."""
    connection = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]+$")]
    schema = msgspec.json.schema(dict[connection, dict[str, Table]])
    table = schema["$defs"]["Table"]
    texts = _attribute_texts(table.pop("description"))
    for key, schema_of_key in table["properties"].items():
        schema_of_key["description"] = texts[key]
    table["properties"]["mode"]["enum"] = ["incremental", "full", None]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "subscriptions.schema.json",
        "title": "subscriptions.toml",
        "description": "What a stack reads: [connection.subscription]",
        **schema,
    }


def _mistakes(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield every mistake of a document: the keys that lead to it, and what would be right."""
    for connection, tables in document.items():
        if not is_connection_name(connection):
            yield (connection,), "a connection has letters, digits, _ and - only"
        elif not isinstance(tables, dict):
            yield (connection,), _HEADER
        else:
            for name, table in tables.items():
                for key, message in _table_mistakes(name, table):
                    yield (connection, name, key) if key else (connection, name), message


def _table_mistakes(name: str, table: object) -> Iterable[tuple[str, str]]:
    """Return the mistakes of a subscription by key; the key is empty for the header.

    Mistakes of several keys together are looked for only if each key is right on its own.
    """
    if not isinstance(table, dict):
        return [("", _HEADER)]
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
    mode = _mode(row, table)
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
    at = None if table.at is None else parse_time_of_day(table.at)
    cadence = _cadence(table.every, at, table.timezone, offset_of(connection, name))
    reconcile = None
    if table.reconcile is not None:
        offset = offset_of(connection, name, "reconcile")
        an_hour_later = (offset if at is None else at + 60) % (24 * 60)
        reconcile = _cadence(table.reconcile, an_hour_later, table.timezone, offset)
    return Subscription(
        connection=connection,
        name=name,
        entity=entity,
        cadence=cadence,
        reconcile=reconcile,
        webhooks=table.webhooks,
        enabled=table.enabled,
        event=event,
        reconcile_event=reconcile_event,
        line=line,
    )


def _cadence(every: str, at: int | None, timezone: str, offset: int) -> Cadence:
    seconds = parse_interval(every)
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
        raise ValueError(f"timezone must be a time zone such as Europe/Amsterdam, not {text!r:.100}") from None


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
    **dict.fromkeys(_TRANSFORMERS, lambda given: parse_transformers(as_event(given))),
}
"""The check of a key's value. It raises ValueError or TransformError with what would be right."""


def _index(text: str) -> dict[KeyPath, int]:
    """Return the line of every header and key of a valid document, counted from 1."""
    index: dict[KeyPath, int] = {}
    header, start, lines = "", 0, text.replace("\r\n", "\n").split("\n")
    for end in range(1, len(lines) + 1):
        statement = "\n".join(lines[start:end])
        try:
            found = tomllib.loads(f"{header}\n{statement}")
        except tomllib.TOMLDecodeError:
            continue  # the statement has more lines
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


def _syntax(text: str, file_name: str, message: str) -> str:
    """Return the message of Python's TOML parser, with the line in front."""
    found = _POSITION.search(message)
    lines = text.splitlines()
    line = int(found[1]) if found else max(1, len(lines))
    needs_quotes = _NEEDS_QUOTES.match(lines[line - 1]) if line <= len(lines) else None
    plain = _POSITION.sub("", message).strip()
    if needs_quotes:
        plain = f'a name with / is quoted: [{needs_quotes[1] or "default"}."{needs_quotes[2]}"]'
    return f"{file_name}:{line}: {plain}"


def _attribute_texts(doc: str) -> dict[str, str]:
    """Return the text of each attribute of a docstring."""
    found = re.findall(r"^ +(\w+): (.+?)$", doc.partition("Attributes:")[2], re.MULTILINE)
    return {key: text.replace("`", "") for key, text in found}
