"""Athena's tables and views as DuckDB has them: Trino's SQL, translated by sqlglot. No real Athena runs here."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from connector.operator.data.athena import MANIFESTS, parts_query
from connector.operator.data.database import MACROS
from connector.operator.data.views import DELETED, PARTS, RAW, EntityViews

BUCKET = "bucket"


class Athena:
    """Every object of a folder in the form of Athena's tables, with those that no manifest names."""

    def __init__(self, folder: Path, entities: Iterable[EntityViews]) -> None:
        self._database = duckdb.connect()
        self._database.execute("SET TimeZone = 'UTC'")
        self._database.execute(MACROS[0])
        for views in entities:
            for end, kind in ((RAW, "raw"), (DELETED, "deleted"), (MANIFESTS, "manifests")):
                self._table(views, folder, end, kind)
            self._database.execute(f"CREATE VIEW {views.name}{PARTS} AS {translated(parts_query(views, BUCKET))}")
            for name, query in views.queries().items():
                self._database.execute(f"CREATE VIEW {name} AS {translated(query)}")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._database.execute(translated(sql)).fetchall()

    def _table(self, views: EntityViews, folder: Path, end: str, kind: str) -> None:
        ending = "*.json" if kind == "manifests" else "run=*/*.gz"
        name = views.entity.replace("/", ".")
        files = [str(path) for path in folder.glob(f"{kind}/connection=*/entity={name}/lang=*/date=*/{ending}")]
        if not files:
            columns = 'connection VARCHAR, lang VARCHAR, date VARCHAR, "$path" VARCHAR, json VARCHAR'
            self._database.execute(f"CREATE TABLE {views.name}{end} ({columns})")
            return
        self._database.execute(
            f"""CREATE VIEW {views.name}{end} AS
            SELECT connection, lang, date, CAST(json AS VARCHAR) AS json,
              replace(filename, '{folder}', 's3://{BUCKET}') AS "$path"
            FROM read_ndjson_objects({files}, filename = true, hive_partitioning = true, hive_types_autocast = false)
            """  # noqa: S608 - names of a test
        )


def translated(sql: str) -> str:
    """Return Trino's SQL for DuckDB. An object has no scalar, which sqlglot's `->>` does not know."""
    tree = sqlglot.parse_one(sql, dialect="trino")

    def scalar(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.JSONExtractScalar):
            path = exp.Literal.string(node.expression.sql("duckdb").strip("'"))
            return exp.Anonymous(this="json_extract_scalar", expressions=[node.this, path])
        return node

    return tree.transform(scalar).sql("duckdb")
