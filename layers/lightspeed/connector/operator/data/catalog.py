"""`catalog`: create the tables and views in Athena, and describe them to dbt.

The template creates the database and the workgroup, but not the tables: their partition projection names each
connection and language, and new ones come later. An update keeps the members of a table and adds to them.

Examples:
  python -m connector catalog apply
  python -m connector catalog apply --save-sql catalog.sql     creates nothing; run the file in Athena yourself
  python -m connector catalog check                            lists connections and languages that Athena does not show
  python -m connector catalog dbt > models/sources.yml         dbt-athena: the views as sources
  python -m connector catalog dbt --parquet lake               dbt-duckdb: files that `query --out` writes as sources
  python -m connector query orders_current --out lake/orders_current.parquet
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from connector.operator.data.athena import (
    MAX_PARTITIONS,
    Table,
    create_views,
    make_table,
    missing_in_athena,
    stored_entities,
    tables_of,
    view_statements,
)
from connector.operator.data.dbt import sources
from connector.operator.data.views import FIELDS, RAW, views_named
from connector.operator.parsers import add_command, add_group
from connector.operator.stack import CommandError, OperationFailed, Stack
from lightspeed.cli.output import print_note

APPLY = "python -m connector catalog apply"


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    verbs = add_group(commands, "catalog", "create the tables and views in Athena", __doc__)
    text = "create or update the tables and views of every entity with stored records"
    parser = add_command(verbs, common, "apply", text, __doc__, _apply)
    parser.add_argument("--save-sql", type=Path, metavar="FILE", help="write the SQL, and create nothing")
    text = "list the connections and languages that Athena does not show; exit with 1 if there are any"
    add_command(verbs, common, "check", text, __doc__, _check)
    parser = add_command(verbs, common, "dbt", "print the views as sources of dbt", __doc__, _dbt)
    parser.add_argument("entities", nargs="*", metavar="ENTITY", help=f"default: {', '.join(FIELDS)}")
    parser.add_argument(
        "--parquet", default="", metavar="DIR", help="for dbt-duckdb: the folder of the files of `query`"
    )
    parser.add_argument("--database", default="", metavar="NAME", help="for dbt-athena (default: the stack's database)")


def _apply(arguments: argparse.Namespace, stack: Stack) -> int:
    bucket, database = stack.settings.bucket, _database(stack)
    stored = list(stored_entities(stack.bucket))
    if not stored:
        raise OperationFailed("no run has finished yet, so Athena has no records to show")
    tables = [table for views, names, languages in stored for table in tables_of(views, bucket, names, languages)]
    statements = [view_statements(views, bucket) for views, _, _ in stored]
    _warn(tables, stack.clock.time())
    if arguments.save_sql is not None:
        texts = [table.statement() for table in tables] + [text for views in statements for text in views.values()]
        head = f"-- For Athena. Run the statements one after the other in the database {database}.\n"
        arguments.save_sql.write_text(head + ";\n\n".join(texts) + ";\n", encoding="utf-8")
        return 0
    glue = stack.client("glue")
    done = [make_table(glue, database, table) for table in tables]
    for level in zip(*(views.items() for views in statements), strict=True):
        create_views(stack, database, level)
    shown = sorted({name for _, names, _ in stored for name in names})
    sys.stdout.write(
        f"{len(stored)} entities: {done.count('created')} tables created, {done.count('updated')} updated, "
        f"{done.count('')} unchanged; {sum(map(len, statements))} views created\n"
        f"Athena shows {', '.join(shown)}. "
        "Run this again after the first run of a new connection, language or entity.\n"
    )
    return 0


def _check(_: argparse.Namespace, stack: Stack) -> int:
    lines = missing_in_athena(stack.client("glue"), _database(stack), stack.bucket)
    if not lines:
        sys.stdout.write("Athena shows every connection and language\n")
        return 0
    sys.stdout.writelines(f"{line}; run: {APPLY}\n" for line in lines)
    return 1


def _dbt(arguments: argparse.Namespace, stack: Stack) -> int:
    if arguments.parquet and arguments.database:
        raise CommandError("--parquet is for dbt-duckdb and --database for dbt-athena; give one of them")
    entities = views_named(arguments.entities or list(FIELDS))
    schema = "" if arguments.parquet else arguments.database or _database(stack)
    sys.stdout.write(sources(entities, schema=schema, parquet=arguments.parquet.rstrip("/")))
    return 0


def _database(stack: Stack) -> str:
    """Return the name of Athena's database."""
    database = stack.outputs.get("CatalogDatabase", "")
    if not database:
        raise CommandError("the stack has no catalogue; deploy it with the parameter CatalogDatabase=<name>")
    return database


def _warn(tables: Iterable[Table], now: float) -> None:
    for table in tables:
        partitions = table.partitions(now)
        if table.name.endswith(RAW) and partitions > MAX_PARTITIONS:
            advice = 'name connection, lang or "date" in WHERE, or queries are slow'
            print_note(f"{table.name} has about {partitions} partitions; {advice}", "connector")
