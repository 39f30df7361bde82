"""`query`: ask the stored records in SQL, from the bucket or from a copy of it.

Examples:
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

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.operator import recipes
from connector.operator.lake import Cache
from connector.operator.parsers import add_command
from connector.operator.source import add_source_arguments, open_folder, scope_of, views_named
from connector.operator.stack import CommandError, Stack
from connector.operator.views import EntityViews, view_name
from lightspeed.cli.output import print_note

if TYPE_CHECKING:
    from connector.operator.database import Database

FORMATS = ("table", "csv", "json", "jsonl")

_NAME = re.compile(r"[A-Za-z0-9_./]+")


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    parser = add_command(commands, common, "query", "ask the stored records in SQL", __doc__, run)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("query", nargs="?", metavar="NAME|SQL", help="the name of a view or an entity, or a SELECT")
    what.add_argument("--recipe", metavar="NAME", help="one of the queries that --recipes lists")
    what.add_argument("--recipes", action="store_true", help="list the recipes")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the recipe")
    add_source_arguments(parser)
    parser.add_argument("--format", choices=FORMATS, help="default: table on a terminal, jsonl elsewhere")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a file: .parquet, .csv, .json or .jsonl")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the last column of numbers: .svg or .png")
    parser.add_argument("--memory-gb", type=float, default=0.85, metavar="N", help="most memory (default: 0.85)")
    parser.add_argument("--save-sql", type=Path, metavar="FILE", help="write the SQL that DuckDB runs, with its views")


def run(arguments: argparse.Namespace, stack: Stack) -> int:
    """Run the command."""
    if arguments.recipes:
        for name in recipes.names():
            sys.stdout.write(f"{name:24} {recipes.load(name).title}\n")
        return 0
    from connector.operator import results  # noqa: PLC0415 - DuckDB is not there where functions run
    from connector.operator.database import Database  # noqa: PLC0415 - as above

    if arguments.plot is not None and arguments.plot.suffix not in results.PLOTS:
        raise CommandError(f"--plot writes {', '.join(results.PLOTS)}; {str(arguments.plot)!r:.100} is none of them")
    if arguments.out is not None:
        results.check_file(arguments.out)
    if not 0.1 <= arguments.memory_gb <= 1000:
        raise CommandError(f"--memory-gb must be 0.1 to 1000, not {arguments.memory_gb}")
    scope_of(arguments)
    with tempfile.TemporaryDirectory(prefix="connector-") as temporary:
        database = Database(Path(temporary), arguments.memory_gb)
        sql = _sql(arguments, stack)
        _load(database, views_named(sorted(database.relations(sql))), arguments, stack)
        if arguments.save_sql is not None:
            results.save_sql(arguments.save_sql, database.statements, sql)
            print_note(f"wrote {arguments.save_sql}", "connector")
        if arguments.out is not None:
            rows = results.write_file(database, sql, arguments.out)
            print_note(f"wrote {rows:,} row{'' if rows == 1 else 's'} to {arguments.out}", "connector")
        elif arguments.plot is None or arguments.format:
            kind = arguments.format or ("table" if sys.stdout.isatty() else "jsonl")
            results.show(database.ask(sql), kind, sys.stdout)
        if arguments.plot is not None:
            results.plot(database.ask(sql), arguments.plot)
            print_note(f"wrote {arguments.plot}", "connector")
    return 0


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
    views_named([name])
    return f"SELECT * FROM {name}"


def _load(database: Database, wanted: list[EntityViews], arguments: argparse.Namespace, stack: Stack) -> None:
    """Make the views of the entities that a query reads; fetch what is missing of them."""
    folder, scope = open_folder(arguments, stack), scope_of(arguments)
    if isinstance(folder, Cache):
        folder.refresh([views.entity for views in wanted], scope)
    for views in wanted:
        if not database.add(views, folder, scope):
            print_note(f"no finished run of {views.entity} yet", "connector")
