"""The words of a command: which there are, and what they say as parameters and connection."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lightspeed.catalogue.entities import CATALOGUE
from lightspeed.cli.output import STANDARD_OUTPUT
from lightspeed.connection import Connection
from lightspeed.errors import InvalidConnection
from lightspeed.numbers import DoubledKey, unique_members
from lightspeed.request import Parameters

Run = Callable[[argparse.Namespace], "int | None"]
"""What carries a command out. It returns an exit status other than 0, or nothing."""

SETTINGS = ("cluster", "base_url", "api_key", "api_secret", "language")
"""What makes a connection."""

_SETTING = re.compile(rf"\b({'|'.join(SETTINGS)})\b")
_VARIABLES = {f"LIGHTSPEED_{setting.upper()}": setting for setting in SETTINGS}
_EPILOG = (
    "The connection comes from LIGHTSPEED_CLUSTER (eu1 or us1) or LIGHTSPEED_BASE_URL, LIGHTSPEED_API_KEY, "
    "LIGHTSPEED_API_SECRET and LIGHTSPEED_LANGUAGE, or from --connection FILE. Exit status: 0 done, 1 the shop refused "
    "or gave no answer, 2 the command was wrong, 130 ended by Ctrl-C, 143 by SIGTERM."
)


class CommandError(Exception):
    """The command was wrong; nothing was sent."""


class Parser(argparse.ArgumentParser):
    """A parser that raises `CommandError` for a wrong word."""

    def error(self, message: str) -> NoReturn:
        """Raise `CommandError`, with every word of the caller cut."""
        raise CommandError(f"{_cut(message)} ({self.advice(message)})")

    def advice(self, _message: str) -> str:
        """Return what helps somebody who gave a wrong word."""
        return f"{self.prog} --help explains it"


class _ShopParser(Parser):
    """A parser that knows where a stray word of a shop's command belongs."""

    def advice(self, message: str) -> str:
        stray = re.fullmatch(r"unrecognized arguments: ([0-9]+)", message)
        option = re.fullmatch(r"unrecognized arguments: --(\w+)[ =](\S+)", message)
        if stray:
            return f"give it as --path id={stray[1]:.100}"
        if option and any(option[1] in endpoint.filter_names for endpoint in CATALOGUE.values()):
            return f"give it as --query {option[1]}={option[2]:.100}"
        return super().advice(message)


def build_parser(commands: Mapping[str, Run]) -> argparse.ArgumentParser:
    """Return the parser; what it reads carries the command's function as `run` and its name as `command`.

    Args:
        commands: The function of each command, by the command's name.
    """
    parser = _ShopParser(
        prog="python -m lightspeed", description="Read and write a Lightspeed eCom (C-Series) shop.", epilog=_EPILOG
    )
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    connection = Parser(add_help=False)
    connection.add_argument("--connection", metavar="FILE", help="cluster or base_url, api_key … as a JSON object")
    connection.add_argument("--language", metavar="CODE", help="another language of the shop, such as nl or en")
    entity = Parser(add_help=False, parents=[connection])
    entity.add_argument("entity", metavar="ENTITY", help="a name of the catalogue, such as orders or products/images")
    for option, text in (
        ("--path", "which record, such as id=9 product_id=7"),
        ("--query", "filters and the like, such as updated_at_min=2026-11-23"),
    ):
        entity.add_argument(option, metavar="NAME=VALUE", nargs="+", action="extend", default=[], help=text)
    payload = Parser(add_help=False)
    payload.add_argument("--payload", metavar="FILE", help="the record as JSON, with or without envelope; - is stdin")
    dry_run = Parser(add_help=False)
    dry_run.add_argument(
        "--dry-run", action="store_true", help="only read: show the request, and what it would change field by field"
    )
    as_json = Parser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="as JSON")

    def add(name: str, text: str, *parents: Any) -> argparse.ArgumentParser:
        command = subparsers.add_parser(name, parents=parents, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.set_defaults(run=commands[name], command=name)
        return command

    entities = add("entities", "show the catalogue, or what one entity can do", as_json)
    entities.add_argument("entity", metavar="ENTITY", nargs="?")
    add("get", "read one record", entity)
    listing = add("list", "read a page of records, or all pages, as JSON Lines", entity)
    listing.add_argument(
        "--all",
        action="store_true",
        help="every record, each once, as the shop had them five seconds ago; the list's last page comes first. "
        "With the id * for a parent: the records of every parent",
    )
    listing.add_argument(
        "--out", metavar="FILE", default=STANDARD_OUTPUT, help="a file, gzipped where it ends in .gz; - is stdout"
    )
    add("count", "count records", entity)
    estimate = add("estimate", "say how many requests and minutes reading an entity would take", entity, as_json)
    estimate.add_argument("--mode", choices=("full", "incremental"), default="full", help="full is the default")
    estimate.add_argument("--since", metavar="TIME", help="where an incremental run starts; all changes if left out")
    estimate.add_argument(
        "--reserve-percent", metavar="N", type=float, default=10.0, help="share of the quota left for others; 10"
    )
    create = add("create", "create a record", entity, payload, dry_run)
    create.add_argument(
        "--match",
        metavar="FIELD",
        action="append",
        help="update the record that already has the payload's value of this field, such as sku or email; "
        "may be given more than once",
    )
    add("update", "change the fields of a record that the payload names", entity, payload, dry_run)
    add("delete", "delete a record", entity, dry_run)
    action = add("action", "run an action of an entity, such as quotes convert", entity, payload, dry_run)
    action.add_argument("name", metavar="NAME", nargs="?", default="", help="the action; if left out, they are listed")
    tap = add("tap", "write lists as Singer messages: SCHEMA, RECORD and STATE", Parser(add_help=False))
    tap.epilog = (
        "A stream with a bookmark is read from a minute before it, so the last records of a run come again in the "
        "next one. Only messages go to standard output. The script tap-lightspeed-ecom is the same command."
    )
    for option, text in (
        ("--config", "settings as a JSON object (--about lists them); without it, the LIGHTSPEED_ variables"),
        (
            "--catalog",
            "what --discover printed, with the wanted streams and fields selected; without it, all but nested lists",
        ),
        ("--state", "the value of the last STATE message of the run before"),
    ):
        tap.add_argument(option, metavar="FILE", help=text)
    tap.add_argument("--discover", action="store_true", help="print the catalogue of streams; nothing is sent")
    tap.add_argument("--about", action="store_true", help="print settings and capabilities as JSON; nothing is sent")
    sync = subparsers.add_parser(
        "sync", add_help=False, prefix_chars="\0", help="store an entity in a folder, as the bundle does in its bucket"
    )
    sync.add_argument("words", nargs="*")
    sync.set_defaults(run=commands["sync"], command="sync")
    add("check", "check credentials, cluster, language, permissions and quota", connection, as_json)
    return parser


def read_parameters(arguments: argparse.Namespace) -> Parameters:
    """Return path, query and payload as the command gives them.

    Raises:
        CommandError: A pair has no `=` or comes twice, or the payload cannot be read.
    """
    source = getattr(arguments, "payload", None)
    payload = None if source is None else read_json("--payload", source)
    return Parameters(_pairs("--path", arguments.path), _pairs("--query", arguments.query), payload)


def read_connection(arguments: argparse.Namespace) -> Connection:
    """Return the connection of `--connection FILE` or of the environment, in the language asked for.

    Raises:
        CommandError: There is none, or its file cannot be read.
        InvalidConnection: Its settings are wrong.
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
    """Return a message with every word of the caller cut at 100 characters."""
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


def read_json(option: str, source: str) -> object:
    """Return the JSON value of a file, or of standard input for `-`.

    Raises:
        CommandError: It cannot be read, is no JSON, is `null`, or has a key twice in one object.
    """
    if source == "-" and sys.stdin is None:
        raise CommandError(f"{option} -: standard input is closed")
    try:
        text = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        value: object = json.loads(text, object_pairs_hook=unique_members)
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
