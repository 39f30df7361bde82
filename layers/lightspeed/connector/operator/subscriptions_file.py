"""Read `subscriptions.toml`: one table per subscription, `[connection.subscription]`.

TOML's parser keeps no positions, so this module keeps its own index of headers and keys. Every mistake is reported with
its line and key, and a file with one mistake is refused as a whole.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from connector.cadence import DAY, Cadence, minutes_of, seconds_of, spread
from connector.errors import TransformError
from connector.operator.registrations import ITEM_GROUPS
from connector.operator.stack import CommandError
from connector.transform import parse_transformers
from lightspeed import CATALOGUE, Endpoint
from lightspeed.connection import is_connection_name
from lightspeed.listing.way import way_to_read
from lightspeed.request import format_time, parse_time

SCHEMA_ID = "subscriptions.schema.json"
REFERENCE = "s3:config/transformers/"

_POSITION = re.compile(r"\(at line (\d+), column \d+\)")
_NEEDS_QUOTES = re.compile(r"\s*\[[^\"'\]]*/[^\"'\]]*\]")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TRANSFORMERS = ("input_transformer", "entity_transformer")
_LANGUAGE = re.compile(r"[a-z]{2}")

Path_ = tuple[str, ...]
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
        looks = [] if self.reconcile is None else [(self.reconcile, self.reconcile_event)]
        return [(self.cadence, self.event), *looks]

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
    reader = _Reader(_index(text))
    found = reader.subscriptions(document)
    if reader.errors:
        raise WrongFile(
            [f"{name}:{line}: {'.'.join(path)}: {message}" for line, path, message in sorted(reader.errors)]
        )
    return found


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors."""
    schema = msgspec.json.schema(Table)
    table = schema["$defs"]["Table"]
    about = _attributes(Table.__doc__ or "")
    for key, described in table["properties"].items():
        described["description"] = about[key]
    table.pop("description", None)
    table["properties"]["mode"]["enum"] = ["incremental", "full", None]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "subscriptions.toml",
        "description": "What a stack reads: [connection.subscription]",
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z0-9_-]+$"},
        "additionalProperties": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Table"}},
        "$defs": {"Table": table},
    }


class _Reader:
    """Checks a parsed document and collects every mistake."""

    def __init__(self, index: Mapping[Path_, int]) -> None:
        self._index = index
        self.errors: list[tuple[int, Path_, str]] = []

    def subscriptions(self, document: Mapping[str, Any]) -> list[Subscription]:
        found = []
        for connection, tables in document.items():
            if not is_connection_name(connection):
                self._wrong((connection,), "a connection has letters, digits, _ and - only")
            elif not isinstance(tables, dict):
                self._wrong((connection,), "a subscription is a table with the header [connection.subscription]")
            else:
                found += [self._subscription(connection, name, table) for name, table in tables.items()]
        return sorted((one for one in found if one is not None), key=lambda one: one.line)

    def _subscription(self, connection: str, name: str, table: object) -> Subscription | None:
        path, before = (connection, name), len(self.errors)
        if not isinstance(table, dict):
            self._wrong(path, "a subscription is a table with the header [connection.subscription]")
            return None
        if name not in CATALOGUE and not _NAME.fullmatch(name):
            self._wrong(path, "a subscription has the name of an entity, or up to 64 letters, digits, _ and -")
        values = self._values(path, table)
        if len(self.errors) > before or values is None:
            return None
        one = self._checked(path, values)
        return one if len(self.errors) == before else None

    def _values(self, path: Path_, table: Mapping[str, Any]) -> Table | None:
        fields = {field.name: field for field in msgspec.structs.fields(Table)}
        for key, value in table.items():
            if key not in fields:
                if isinstance(value, dict):
                    message = "the header has too many names; it is [connection.subscription], without further dots"
                else:
                    near = difflib.get_close_matches(key, fields, n=1)
                    message = f"unknown key{f'; did you mean {near[0]}?' if near else ''} (known: {', '.join(fields)})"
                self._wrong((*path, key), message)
                continue
            try:
                msgspec.convert(value, fields[key].type)
            except msgspec.ValidationError as error:
                self._wrong((*path, key), str(error).replace("`", ""))
        if "every" not in table:
            self._wrong(path, 'every is missing, such as every = "15 minutes"')
            return None
        try:
            return msgspec.convert(table, Table)
        except msgspec.ValidationError:
            return None  # reported above, key by key

    def _checked(self, path: Path_, table: Table) -> Subscription | None:
        connection, name = path
        entity = table.entity or name
        row = CATALOGUE.get(entity)
        if row is None:
            near = difflib.get_close_matches(entity, CATALOGUE, n=1)
            where = (*path, "entity") if table.entity else path
            advice = f"; did you mean {near[0]}?" if near else "; name it with entity = ..."
            self._wrong(where, f"unknown entity {entity!r:.100}{advice}")
            return None
        mode = self._mode(path, table, row)
        self._languages(path, table)
        self._transformers(path, table)
        if table.webhooks and entity not in ITEM_GROUPS:
            self._wrong((*path, "webhooks"), f"the shop sends webhooks of {', '.join(ITEM_GROUPS)} only")
        cadence = self._cadence(path, table)
        reconcile = self._reconcile(path, table, row)
        event: dict[str, Any] = {"connection": connection, "entity": entity, "mode": mode, "subscription": name}
        for key in ("languages", "parameters", "since", "max_rejected_percent", *_TRANSFORMERS):
            if (value := getattr(table, key)) is not None:
                event[key] = as_event(value) if key in _TRANSFORMERS else value
        looks: dict[str, Any] = {"connection": connection, "entity": entity, "mode": "reconcile", "subscription": name}
        if table.max_deleted_percent is not None:
            looks["max_deleted_percent"] = table.max_deleted_percent
        if cadence is None:
            return None
        about = (table.webhooks, table.enabled, event, looks, self._line(path))
        return Subscription(connection, name, entity, cadence, reconcile, *about)

    def _mode(self, path: Path_, table: Table, row: Endpoint) -> str:
        values = (table.parameters or {}).get("path", {})
        _, walked = way_to_read(row, values)
        for key in table.parameters or {}:
            if key not in ("path", "query"):
                self._wrong((*path, "parameters"), f"parameters has path and query, not {key!r:.100}")
        missing = [one for one in row.parents if one not in values]
        if missing and table.input_transformer is None:
            example = "{ " + ", ".join(f'{one} = "*"' for one in row.parents) + " }"
            self._wrong(path, f"{row.name} needs parameters = {{ path = {example} }}; * is every parent")
        if table.mode not in (None, "incremental", "full"):
            self._wrong((*path, "mode"), f"mode is incremental or full, not {table.mode!r:.100}")
        mode = table.mode or ("full" if walked.incremental is None else "incremental")
        if mode == "incremental" and walked.incremental is None:
            self._wrong((*path, "mode"), f"{row.name} has no time filter; leave mode out, or write full")
        if table.since is not None:
            if mode != "incremental":
                self._wrong((*path, "since"), "since is for mode incremental")
            try:
                format_time(parse_time(table.since))
            except (ValueError, OverflowError):
                self._wrong((*path, "since"), f"it is a time such as 2026-11-23T06:00:00Z, not {table.since!r:.100}")
        return mode

    def _languages(self, path: Path_, table: Table) -> None:
        languages = table.languages or []
        for language in languages:
            if not _LANGUAGE.fullmatch(language):
                message = f"a language is the shop's two-letter code such as nl or us, not {language!r:.60}"
                self._wrong((*path, "languages"), message)
        if len(set(languages)) < len(languages):
            self._wrong((*path, "languages"), "it names a language more than once")

    def _transformers(self, path: Path_, table: Table) -> None:
        if table.max_rejected_percent is not None and table.entity_transformer is None:
            self._wrong((*path, "max_rejected_percent"), "it limits what the entity_transformer rejects; give both")
        for key in _TRANSFORMERS:
            given = getattr(table, key)
            if given is not None:
                try:
                    parse_transformers(as_event(given))
                except TransformError as error:
                    self._wrong((*path, key), str(error))

    def _cadence(self, path: Path_, table: Table) -> Cadence | None:
        connection, name = path
        seconds = self._parsed((*path, "every"), seconds_of, table.every)
        at = None if table.at is None else self._parsed((*path, "at"), minutes_of, table.at)
        try:
            ZoneInfo(table.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._wrong((*path, "timezone"), f"it is a zone such as Europe/Amsterdam, not {table.timezone!r:.100}")
        if seconds is None:
            return None
        if seconds >= DAY and table.at is None:
            self._wrong((*path, "every"), 'an interval of a day or more needs at, such as at = "03:00"')
        if seconds < DAY and table.at is not None and table.reconcile is None:
            self._wrong((*path, "at"), "at is for an interval of a day or more")
        return Cadence(seconds, at if seconds >= DAY else None, table.timezone, spread(connection, name))

    def _reconcile(self, path: Path_, table: Table, row: Endpoint) -> Cadence | None:
        if table.reconcile is None:
            if table.max_deleted_percent is not None:
                self._wrong((*path, "max_deleted_percent"), "it limits what reconcile finds; give both")
            return None
        key = (*path, "reconcile")
        if row.parents or not row.collection or not all(row.has(one) for one in ("list", "get", "count")):
            self._wrong(key, f"{row.name} cannot be reconciled: no list and no request show what is gone")
        if table.parameters or table.input_transformer is not None:
            self._wrong(key, "reconcile compares the whole list; leave out parameters and input_transformer")
        seconds = self._parsed(key, seconds_of, table.reconcile)
        if seconds is None:
            return None
        offset = spread(*path, "reconcile")
        if seconds < DAY:
            return Cadence(seconds, None, table.timezone, offset)
        try:
            at = offset % (24 * 60) if table.at is None else (minutes_of(table.at) + 60) % (24 * 60)
        except ValueError:
            return None  # reported by the cadence
        return Cadence(seconds, at, table.timezone, offset)

    def _parsed(self, path: Path_, parse: Any, text: str) -> int | None:
        try:
            value: int = parse(text)
        except ValueError as error:
            self._wrong(path, str(error))
            return None
        return value

    def _line(self, path: Path_) -> int:
        while path and path not in self._index:
            path = path[:-1]
        return self._index.get(path, 1)

    def _wrong(self, path: Path_, message: str) -> None:
        self.errors.append((self._line(path), path, message))


def as_event(transformer: Any) -> Any:
    """Return a transformer as an event holds it: the text `s3:…` names a saved one."""
    if isinstance(transformer, list):
        return [as_event(one) for one in transformer]
    if isinstance(transformer, str) and transformer.startswith(REFERENCE):
        return {"$ref": transformer}
    return transformer


def references(transformer: Any) -> Iterator[str]:
    """Yield the references to saved transformers in a transformer of an event."""
    if isinstance(transformer, list):
        for one in transformer:
            yield from references(one)
    elif isinstance(transformer, dict) and "$ref" in transformer:
        yield str(transformer["$ref"])


def _index(text: str) -> dict[Path_, int]:
    """Return the line of every header and key of a valid document, counted from 1."""
    index: dict[Path_, int] = {}
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


def _paths(table: Mapping[str, Any], at: Path_ = ()) -> Iterator[Path_]:
    for name, inside in table.items():
        yield (*at, name)
        if isinstance(inside, dict):
            yield from _paths(inside, (*at, name))


def _syntax(text: str, name: str, message: str) -> str:
    found = _POSITION.search(message)
    lines = text.splitlines()
    line = int(found[1]) if found else max(1, len(lines))
    plain = _POSITION.sub("", message).strip()
    if line <= len(lines) and _NEEDS_QUOTES.match(lines[line - 1]):
        given = lines[line - 1].strip().strip("[]")
        first, _, rest = given.partition(".")
        plain = (
            f'a name with / is quoted: [{first}."{rest}"]'
            if rest
            else 'a name with / is quoted: [default."products/images"]'
        )
    return f"{name}:{line}: {plain}"


def _attributes(doc: str) -> dict[str, str]:
    found = re.findall(r"^ +(\w+): (.+?)$", doc.partition("Attributes:")[2], re.MULTILINE)
    return {key: text.replace("`", "") for key, text in found}


def schema_text() -> str:
    """Return the JSON Schema as the text of its file."""
    return json.dumps(json_schema(), indent=2) + "\n"
