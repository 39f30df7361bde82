"""`catalog dbt`: the views as sources of a dbt project.

Examples:
  python -m connector catalog dbt > models/sources.yml                   dbt-athena: the views of catalog apply
  python -m connector catalog dbt --parquet lake > models/sources.yml   dbt-duckdb: files that query writes
  python -m connector query orders_current --out lake/orders_current.parquet
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from connector.operator.parsers import add_command
from connector.operator.source import views_named
from connector.operator.stack import CommandError, Stack
from connector.operator.views import FIELDS, EntityViews, view_name

_DESCRIPTIONS = {
    "connection": "the shop, by the name of its connection",
    "lang": "the language in which the record was read",
    "date": "the day on which the run started, UTC",
    "run_id": "the run that stored the record",
    "started": "the start of that run, UTC",
    "parent_id": "the parent of a record of a nested list; empty for other records",
    "id": "the id of the record, as text",
    "created_at": "as the shop wrote it",
    "updated_at": "as the shop wrote it",
    "json": "the record as the shop sent it",
}


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to those of `catalog`."""
    text = "print the views as sources of dbt"
    parser = add_command(verbs, common, "dbt", text, __doc__, _print)
    parser.add_argument("entities", nargs="*", metavar="ENTITY", help="default: those with columns of their own")
    parser.add_argument("--parquet", default="", metavar="DIR", help="for dbt-duckdb: where the files of `query` are")
    parser.add_argument("--database", default="", metavar="NAME", help="for dbt-athena: default: that of the stack")


def sources(entities: Sequence[EntityViews], *, schema: str = "", parquet: str = "") -> str:
    """Return the text of a `sources.yml` with the two views of each entity.

    Args:
        entities: Whose views.
        schema: The database of Athena; empty for DuckDB.
        parquet: The folder of the files that dbt-duckdb reads, `<view>.parquet`; empty for Athena.
    """
    lines = ["version: 2", "", "sources:", "  - name: lightspeed"]
    if parquet:
        lines += ["    config:", "      meta:", f"        external_location: {_text(f'{parquet}/{{name}}.parquet')}"]
    else:
        lines += ["    database: awsdatacatalog", f"    schema: {_text(schema)}"]
    lines.append("    tables:")
    for views in entities:
        for name, what in ((views.name, "every stored version"), (views.name + "_current", "the latest version")):
            lines += [
                f"      - name: {name}",
                f"        description: {_text(f'{views.entity}: {what} of each record')}",
            ]
            lines.append("        columns:")
            lines += [line for column in views.columns() for line in _column(*column)]
    return "\n".join(lines) + "\n"


def _column(name: str, kind: str) -> Iterator[str]:
    yield f"          - name: {name}"
    yield f"            data_type: {kind}"
    if name in _DESCRIPTIONS:
        yield f"            description: {_text(_DESCRIPTIONS[name])}"


def _text(value: str) -> str:
    """Return a text as YAML quotes it; JSON is YAML."""
    return json.dumps(value)


def _print(arguments: argparse.Namespace, stack: Stack) -> int:
    if arguments.parquet and arguments.database:
        raise CommandError("--parquet is for dbt-duckdb and --database for dbt-athena; give one of them")
    entities = views_named([view_name(name) for name in arguments.entities or FIELDS])
    schema = "" if arguments.parquet else arguments.database or stack.outputs.get("CatalogDatabase", "")
    if not schema and not arguments.parquet:
        raise CommandError("the stack has no catalogue; give --parquet DIR, or deploy it with CatalogDatabase=<name>")
    sys.stdout.write(sources(entities, schema=schema, parquet=arguments.parquet.rstrip("/")))
    return 0
