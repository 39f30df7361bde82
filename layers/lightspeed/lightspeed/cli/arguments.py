"""Read a command's arguments: its parameters, its connection and its JSON files."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from lightspeed.connection import Connection
from lightspeed.errors import InvalidConnection
from lightspeed.numbers import DoubledKey, loads, unique_members
from lightspeed.request import Parameters

SETTINGS = ("cluster", "base_url", "api_key", "api_secret", "language")
"""The settings of a connection."""

_SETTING = re.compile(rf"\b({'|'.join(SETTINGS)})\b")
_VARIABLES = {f"LIGHTSPEED_{setting.upper()}": setting for setting in SETTINGS}


class CommandError(Exception):
    """The command was wrong; nothing was sent."""


class Parser(argparse.ArgumentParser):
    """A parser that raises `CommandError` for a wrong argument."""

    def error(self, message: str) -> NoReturn:
        """Raise `CommandError`, with every long word cut."""
        raise CommandError(f"{_cut(message)} ({self.advice(message)})")

    def advice(self, _message: str) -> str:
        """Return advice for a wrong argument."""
        return f"{self.prog} --help explains it"


def read_parameters(arguments: argparse.Namespace) -> Parameters:
    """Return path, query and payload of a command.

    Raises:
        CommandError: A pair has no `=` or comes twice, or the payload cannot be read.
    """
    source = getattr(arguments, "payload", None)
    payload = None if source is None else read_json("--payload", source)
    return Parameters(_pairs("--path", arguments.path), _pairs("--query", arguments.query), payload)


def read_connection(arguments: argparse.Namespace) -> Connection:
    """Return the connection of `--connection FILE` or of the environment, in the language asked for.

    Raises:
        CommandError: The command has no connection, or its file cannot be read.
        InvalidConnection: The connection's settings are wrong.
    """
    changes = {"language": arguments.language} if arguments.language else {}
    if arguments.connection:
        settings = read_json("--connection", arguments.connection)
        if isinstance(settings, Mapping):
            settings = {**settings, **changes}
        return Connection.from_mapping(settings, arguments.connection)
    settings = {setting: os.environ[name] for name, setting in _VARIABLES.items() if os.environ.get(name)}
    if not settings:
        raise CommandError(
            f"no connection: set {', '.join(_VARIABLES)} (cluster or base URL, not both) or --connection"
        )
    try:
        return Connection.from_mapping({**settings, **changes}, "environment")
    except InvalidConnection as error:
        names = {setting: name for name, setting in _VARIABLES.items()} | dict.fromkeys(changes, "--language")
        reasons = _SETTING.sub(lambda setting: names[setting[0]], "; ".join(error.errors))
        raise CommandError(f"connection from the environment: {reasons}") from error


def _cut(text: str) -> str:
    """Return a message with every word cut at 100 characters."""
    return re.sub(r"\S{101,}", lambda word: f"{word[0][:100]}…", text)


def _pairs(option: str, given: Sequence[str]) -> dict[str, object]:
    pairs: dict[str, object] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise CommandError(f"{option} takes NAME=VALUE, such as id=7, not {pair!r:.100}; ENTITY comes before it")
        if name in pairs:
            raise CommandError(f"{option} {name:.100} is given twice")
        pairs[name] = value
    return pairs


def read_standard_input() -> str:
    """Return the text of standard input, without a byte order mark.

    Raises:
        CommandError: It is closed.
    """
    if sys.stdin is None:
        raise CommandError("standard input is closed")
    return sys.stdin.read().removeprefix("\ufeff")


def read_json(option: str, source: str) -> object:
    """Return the JSON value of a file, or of standard input for `-`; numbers keep their text.

    Raises:
        CommandError: It cannot be read, is no JSON, is `null`, or has a key twice in one object.
    """
    if source == "-" and sys.stdin is None:
        raise CommandError(f"{option} -: standard input is closed")
    try:
        text = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        value: object = loads(text, unique_members)
    except OSError as error:
        advice = "; to give the JSON itself, pipe it to - as the file" if source.lstrip().startswith(("{", "[")) else ""
        raise CommandError(f"{option} {source:.100}: {error.strerror}{advice}") from error
    except DoubledKey as error:
        raise CommandError(f"{option} {source}: {error} in one object") from error
    except (ValueError, RecursionError) as error:
        where = f" ({error})" if isinstance(error, json.JSONDecodeError) else ""
        raise CommandError(f"{option} {source} is not JSON{where}") from error
    if value is None:
        raise CommandError(f"{option} {source} holds null, not an object")
    return value
