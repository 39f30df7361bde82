"""Read `subscriptions.toml`: one table per subscription, `[connection.subscription]`.

Python's TOML parser keeps no positions, so this module makes an index of the lines of headers and keys. A file with a
mistake is refused as a whole. The error names every mistake, each with its line and key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from connector.cadence import DAY, Cadence, offset_of, parse_interval, parse_time_of_day
from connector.operator.stack import CommandError
from connector.operator.subscriptions.table import HEADER, TRANSFORMERS, Table, as_event, mode_of, table_mistakes
from lightspeed import CATALOGUE
from lightspeed.connection import is_connection_name

_POSITION = re.compile(r"\(at line (\d+), column \d+\)")
_NEEDS_QUOTES = re.compile(r"""\s*\[+\s*(?:([^"'\].]*)\.)?([^"'\]]*/[^"'\]]*?)\s*\]""")

KeyPath = tuple[str, ...]
"""The keys that lead to a value: connection, subscription, key."""


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
            yield (connection,), HEADER
        else:
            for name, table in tables.items():
                for key, message in table_mistakes(name, table):
                    yield (connection, name, key) if key else (connection, name), message


def _subscription(connection: str, name: str, table: Table, line: int) -> Subscription:
    """Return the subscription of a table without mistakes."""
    entity = table.entity or name
    mode = mode_of(CATALOGUE[entity], table)
    event: dict[str, Any] = {"connection": connection, "entity": entity, "mode": mode, "subscription": name}
    reconcile_event = {**event, "mode": "reconcile"}
    for key in ("languages", "parameters", "since", "max_rejected_percent", *TRANSFORMERS):
        if (value := getattr(table, key)) is not None:
            event[key] = as_event(value) if key in TRANSFORMERS else value
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


def _line(index: Mapping[KeyPath, int], path: KeyPath) -> int:
    while path and path not in index:
        path = path[:-1]
    return index.get(path, 1)


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
