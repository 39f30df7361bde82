"""`query`: ask the stored records in SQL, from the bucket or from a copy of it."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.operator import recipes
from connector.operator.lake import CACHE_BYTES, Cache, Folder, Scope
from connector.operator.stack import CommandError, Stack
from connector.operator.views import EntityViews, all_views, view_name

if TYPE_CHECKING:
    from connector.operator.database import Database

FORMATS = ("table", "csv", "json", "jsonl")

_NAME = re.compile(r"[A-Za-z0-9_./]+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_GIGABYTE = 1024**3
_EXAMPLES = """examples:
  python -m connector query orders_current
  python -m connector query "SELECT status, count(*) AS orders FROM orders_current GROUP BY status"
  python -m connector query --recipe revenue-per-day --plot revenue.svg
  python -m connector query --recipes
  python -m connector query orders --since 2026-11-01 --out orders.parquet
  python -m connector query products_current --lake ./copy-of-the-bucket

Each entity is two views: `orders` has every stored version, `orders_current` the latest version of each record without
the deleted ones. `/` in an entity is `_`. The columns are connection, lang, date, run_id, started, parent_id, id,
created_at, updated_at, some fields, and json: the record as the shop sent it.
"""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    parser = commands.add_parser(
        "query",
        help="ask the stored records in SQL",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    parser.set_defaults(run=run)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("query", nargs="?", metavar="NAME|SQL", help="the name of a view or an entity, or a SELECT")
    what.add_argument("--recipe", metavar="NAME", help="one of the queries that --recipes lists")
    what.add_argument("--recipes", action="store_true", help="list the recipes")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the recipe")
    add_source_arguments(parser)
    parser.add_argument("--format", choices=FORMATS, help="default: table on a terminal, jsonl elsewhere")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a file: .parquet, .csv, .json or .jsonl")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the first column against the last one")
    parser.add_argument("--save-sql", type=Path, metavar="FILE", help="write the SQL that DuckDB runs, with its views")


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which records are read."""
    parser.add_argument("--connection", action="append", default=[], metavar="C", help="only this connection")
    parser.add_argument("--since", default="", metavar="DATE", help="only runs that started on this day or later, UTC")
    parser.add_argument("--bucket", default="", help="the bucket's name (default: that of the stack)")
    parser.add_argument("--lake", type=Path, metavar="DIR", help="read a copy of the bucket instead of the bucket")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where parts are kept (default: ~/.cache)")
    parser.add_argument("--cache-gb", type=float, default=CACHE_BYTES / _GIGABYTE, metavar="N", help="default: 5")
    parser.add_argument("--offline", action="store_true", help="read only what the cache has")


def run(arguments: argparse.Namespace, stack: Stack) -> int:
    """Run the command."""
    if arguments.recipes:
        for name in recipes.names():
            sys.stdout.write(f"{name:24} {recipes.load(name).title}\n")
        return 0
    from connector.operator import results  # noqa: PLC0415 - DuckDB is not there where functions run
    from connector.operator.database import Database  # noqa: PLC0415 - as above

    if arguments.plot is not None and arguments.plot.suffix != ".svg":
        raise CommandError(f"--plot writes SVG; {str(arguments.plot)!r:.100} does not end in .svg")
    if arguments.out is not None:
        results.check_file(arguments.out)
    scope_of(arguments)
    with tempfile.TemporaryDirectory(prefix="connector-") as temporary:
        database = Database(Path(temporary))
        sql = _sql(arguments, stack)
        _load(database, _views(sorted(database.relations(sql))), arguments, stack)
        if arguments.save_sql is not None:
            results.save_sql(arguments.save_sql, database.statements, sql)
        if arguments.out is not None:
            results.write_file(database, sql, arguments.out)
        elif arguments.plot is None or arguments.format:
            kind = arguments.format or ("table" if sys.stdout.isatty() else "jsonl")
            results.show(database.ask(sql), kind, sys.stdout)
        if arguments.plot is not None:
            results.plot(database.ask(sql), arguments.plot)
    return 0


def scope_of(arguments: argparse.Namespace) -> Scope:
    """Return which runs the arguments ask for.

    Raises:
        CommandError: `--since` is no date, or `--connection` no name.
    """
    since = arguments.since
    try:
        if since and not (_DATE.fullmatch(since) and datetime.strptime(since, "%Y-%m-%d").replace(tzinfo=UTC)):
            raise ValueError
    except ValueError:
        raise CommandError(f"--since must be a date such as 2026-11-23, not {since!r:.100}") from None
    for name in arguments.connection:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise CommandError(f"{name!r:.100} is no name of a connection: letters, digits, _ and - only")
    return Scope(tuple(dict.fromkeys(arguments.connection)), since)


def open_folder(arguments: argparse.Namespace, stack: Stack) -> Folder:
    """Return where the stored runs are read: a copy, the cache as it is, or the cache of the bucket.

    Raises:
        CommandError: There is no such folder.
    """
    if arguments.lake is not None:
        if not arguments.lake.is_dir():
            raise CommandError(f"there is no folder {str(arguments.lake)!r:.100}")
        return Folder(arguments.lake)
    root = (arguments.cache or Path.home() / ".cache" / "lightspeed-connector") / (
        arguments.bucket or stack.required_name
    )
    if arguments.offline:
        if not root.is_dir():
            raise CommandError(f"nothing is cached in {root}")
        return Folder(root)
    bucket = arguments.bucket or stack.outputs["Bucket"]
    return Cache(root, stack.client("s3"), bucket, int(arguments.cache_gb * _GIGABYTE))


def _sql(arguments: argparse.Namespace, stack: Stack) -> str:
    if arguments.recipe:
        recipe = recipes.load(arguments.recipe)
        return recipe.sql(recipes.parameters(arguments.param), stack.clock.time())
    if arguments.param:
        raise CommandError("--param belongs to --recipe")
    text = str(arguments.query).strip().rstrip(";")
    if not _NAME.fullmatch(text):
        return text
    name = view_name(text)
    _views([name])
    return f"SELECT * FROM {name}"


def _load(database: Database, wanted: list[EntityViews], arguments: argparse.Namespace, stack: Stack) -> None:
    """Make the views of the entities that a query reads; fetch what is missing of them."""
    folder, scope = open_folder(arguments, stack), scope_of(arguments)
    if isinstance(folder, Cache):
        folder.refresh([views.entity for views in wanted], scope)
    for views in wanted:
        if not database.add(views, folder, scope):
            sys.stderr.write(f"connector: no finished run of {views.entity} yet\n")


def _views(names: Sequence[str]) -> list[EntityViews]:
    """Return the entities of some relations, each once.

    Raises:
        CommandError: One of the names is none; the message has the nearest known ones.
    """
    known = all_views()
    found = {}
    for name in names:
        views = known.get(name.lower())
        if views is None:
            near = difflib.get_close_matches(name.lower(), known, 3)
            hint = f"; is it {' or '.join(near)}?" if near else ""
            raise CommandError(f"there is no view {name!r:.100}{hint}")
        found[views.name] = views
    return list(found.values())
