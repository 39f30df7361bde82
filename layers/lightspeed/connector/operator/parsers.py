"""What commands of the operator share: their parser and help, and the arguments that say which records are read."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from connector.bucket import Bucket
from connector.operator.lake import CACHE_BYTES, Cache, Folder, Scope
from connector.operator.stack import CommandError, Stack
from connector.operator.views import EntityViews, all_views, view_name
from lightspeed.connection import is_connection_name

_GIGABYTE = 1024**3
_MOST_CACHE_GB = 100_000


def add_command(
    commands: Any, common: argparse.ArgumentParser, name: str, text: str, doc: str | None, run: Callable[..., int]
) -> argparse.ArgumentParser:
    """Add a command and return its parser.

    Args:
        commands: The subparsers of the command line.
        common: The parser of the options that every command has.
        name: The command's name.
        text: What it does, for the list of commands and its own help.
        doc: The docstring of its module. What follows `Examples:` is shown below the options, as written.
        run: Takes the parsed words and the stack, and returns the exit status.
    """
    parser: argparse.ArgumentParser = commands.add_parser(name, description=text, parents=[common], **_help(text, doc))
    parser.set_defaults(run=run, command=name)
    return parser


def add_group(commands: Any, name: str, text: str, doc: str | None) -> Any:
    """Add a command that has verbs, and return what its verbs are added to; arguments as in `add_command`."""
    return commands.add_parser(name, **_help(text, doc)).add_subparsers(required=True, metavar="VERB")


def _help(text: str, doc: str | None) -> dict[str, Any]:
    examples = (doc or "").partition("\nExamples:")[2]
    formatter = argparse.RawDescriptionHelpFormatter
    return {"help": text, "epilog": f"examples:{examples}", "formatter_class": formatter}


def day(text: str) -> str:
    """Return a word that is a day, such as `2026-11-23`; the type of an argument."""
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a date such as 2026-11-23, not {text!r:.100}")


def connection_name(text: str) -> str:
    """Return a word that is the name of a connection; the type of an argument."""
    if not is_connection_name(text):
        raise argparse.ArgumentTypeError(f"a connection has letters, digits, _ and - only, not {text!r:.100}")
    return text


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which records are read."""
    parser.add_argument(
        "--connection", type=connection_name, action="append", default=[], metavar="C", help="only this connection"
    )
    parser.add_argument("--since", type=day, metavar="DATE", help="only runs that started on this day or later, UTC")
    parser.add_argument("--until", type=day, metavar="DATE", help="only runs that started until this day, UTC")
    parser.add_argument("--bucket", default="", help="the bucket's name (default: that of the stack)")
    parser.add_argument("--lake", type=Path, metavar="DIR", help="read a copy of the bucket instead of the bucket")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where parts are kept (default: ~/.cache)")
    parser.add_argument("--cache-gb", type=float, default=CACHE_BYTES / _GIGABYTE, metavar="N", help="default: 5")
    parser.add_argument("--offline", action="store_true", help="read only what the cache has")


def scope_of(arguments: argparse.Namespace) -> Scope:
    """Return which runs the arguments ask for.

    Raises:
        CommandError: `--until` is before `--since`.
    """
    since, until = arguments.since or "", arguments.until or ""
    if until and until < since:
        raise CommandError(f"--until {until} is before --since {since}")
    return Scope(tuple(dict.fromkeys(arguments.connection)), since, until)


def no_run(entity: str, scope: Scope) -> str:
    """Return the note that no finished run of an entity is among those that are asked for."""
    return f"no finished run of {entity} {'yet' if scope == Scope() else 'in these days and connections'}"


def open_folder(arguments: argparse.Namespace, stack: Stack, entities: Iterable[str]) -> tuple[Folder, Scope]:
    """Return where runs of some entities are read, and which: from a copy, the cache as it is, or that of the bucket.

    What the cache lacks is fetched.

    Raises:
        CommandError: There is no such folder, or `--cache-gb` is out of bounds.
        OperationFailed: The bucket lacks an object that a manifest names.
    """
    scope = scope_of(arguments)
    if not 0 <= arguments.cache_gb <= _MOST_CACHE_GB:
        raise CommandError(f"--cache-gb must be 0 to {_MOST_CACHE_GB}, not {arguments.cache_gb}")
    if arguments.lake is not None:
        if not arguments.lake.is_dir():
            raise CommandError(f"there is no folder {str(arguments.lake)!r:.100}")
        return Folder(arguments.lake), scope
    root = (arguments.cache or Path.home() / ".cache" / "lightspeed-connector") / (
        arguments.bucket or stack.required_name
    )
    if arguments.offline:
        if not root.is_dir():
            raise CommandError(f"nothing is cached in {root}")
        return Folder(root), scope
    bucket = Bucket(stack.client("s3"), arguments.bucket or stack.outputs["Bucket"])
    cache = Cache(root, bucket, int(arguments.cache_gb * _GIGABYTE))
    cache.refresh(entities, scope)
    return cache, scope


def views_named(names: Sequence[str]) -> list[EntityViews]:
    """Return the relations of some entities or relations, each entity once.

    Raises:
        CommandError: One of the names is none; the message has the nearest known ones.
    """
    known = all_views()
    found = {}
    for name in names:
        views = known.get(view_name(name))
        if views is None:
            near = difflib.get_close_matches(view_name(name), known, 3)
            hint = f"; is it {' or '.join(near)}?" if near else ""
            raise CommandError(f"there is no view {name!r:.100}{hint}")
        found[views.name] = views
    return list(found.values())
