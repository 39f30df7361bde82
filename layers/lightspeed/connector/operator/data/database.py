"""Stored runs as views in DuckDB. Records are read as text, never by guessed types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from connector.chunks import chunks
from connector.operator.data.lake import Folder, Run, RunFilter
from connector.operator.data.views import DELETED, ISO_8601, PARTS, RAW, EntityViews
from connector.operator.stack import CommandError, OperationFailed

SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET threads = 2",
    "SET preserve_insertion_order = false",
    "SET autoinstall_known_extensions = false",
)

MACROS = (
    # one parse of the record; the second one is of a scalar
    """CREATE MACRO json_extract_scalar(record, path) AS
  CASE WHEN json_type(json_extract(record, path)) IN ('OBJECT', 'ARRAY') THEN NULL
  ELSE json_extract_string(json_extract(record, path), '$') END""",
    f"""CREATE MACRO from_iso8601_timestamp(moment) AS
  CASE WHEN regexp_full_match(moment, '{ISO_8601}') THEN CAST(moment AS TIMESTAMPTZ)
  ELSE CAST('no such time' AS TIMESTAMPTZ) END""",
)
"""Functions of Athena that DuckDB lacks under this name, with their meaning in Athena."""

_AT_ONCE = 10_000

_LONGEST_LINE = 16 * 1024 * 1024

_FOLDERS = "/connection=([^/]+)/entity=[^/]+/lang=([^/]+)/date=([^/]+)/"
"""The folders of a part. With `hive_partitioning`, DuckDB would refuse a run id that has an equals sign."""

_HALF_PAIRS = r"(\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
"""Escapes of surrogates. The first group matches whole pairs and other escapes; the rest is half a pair, which JSON
allows and DuckDB refuses."""

_UNKNOWN_COLUMN = re.compile(r'Referenced column "(\w{1,60})" not found')
_WRONG_QUERY = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.InvalidInputException)


class Result(NamedTuple):
    """The result of a query. Read its rows once, before the next query."""

    columns: list[str]
    rows: Iterator[tuple[Any, ...]]


class Database:
    """A DuckDB in memory, with the connector's settings and functions.

    Args:
        temporary_folder: Where DuckDB writes data beyond its memory limit.
        memory_gb: The memory limit, in units of 10**9 bytes.

    Attributes:
        statements: The statements that made the functions and views so far, in order.
    """

    def __init__(self, temporary_folder: Path, memory_gb: float) -> None:
        self._connection = duckdb.connect()
        self.statements: list[str] = []
        for statement in SETTINGS:
            self._connection.execute(statement)
        self._connection.execute(f"SET memory_limit = '{round(memory_gb * 1000)}MB'")
        self._connection.execute(f"SET temp_directory = {quoted(str(temporary_folder))}")
        for statement in MACROS:
            self._define(statement)

    def relations(self, sql: str) -> set[str]:
        """Return the names of the relations that a query reads.

        Raises:
            CommandError: The text is no query.
        """
        try:
            return {name.strip('"') for name in self._connection.get_table_names(sql)}
        except duckdb.Error as error:
            raise CommandError(f"the query cannot be parsed: {error}") from error

    def add(self, views: EntityViews, folder: Folder, run_filter: RunFilter) -> int:
        """Create the views of an entity, and return the number of finished runs that they show."""
        runs = folder.runs(views.entity, run_filter)
        self._define(f"CREATE TABLE {views.name}{PARTS} (path VARCHAR, run_id VARCHAR, started VARCHAR)")
        rows = list(_parts(folder, runs))
        for some in chunks(rows, 1000):
            values = ",\n".join(f"({', '.join(map(quoted, row))})" for row in some)
            self._define(f"INSERT INTO {views.name}{PARTS} VALUES\n{values}")
        for end, kind in ((RAW, "raw/"), (DELETED, "deleted/")):
            files = [row[0] for row in rows if Path(row[0]).is_relative_to(folder.root / kind)]
            self._define(f"CREATE VIEW {views.name}{end} AS\n{_files_view(files)}")
        for name, query in views.queries().items():
            self._define(f"CREATE VIEW {name} AS\n{query}")
        return len(runs)

    def ask(self, sql: str) -> Result:
        """Run a query and return its result. Times with a zone become text in UTC.

        Raises:
            CommandError: The query is wrong.
            OperationFailed: The query is right, but fails.
        """
        with _typed_errors():
            columns = self._connection.execute(f"DESCRIBE {sql}").fetchall()
        zoned = ['"' + name.replace('"', '""') + '"' for name, kind, *_ in columns if "TIME ZONE" in kind]
        if zoned:
            texts = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in zoned)
            sql = f"SELECT * REPLACE ({texts}) FROM ({sql})"
        return Result([name for name, *_ in columns], self._rows(sql))

    def _rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        with _typed_errors():
            self._connection.execute(sql)
            while rows := self._connection.fetchmany(_AT_ONCE):
                yield from rows

    def write(self, sql: str, path: Path, options: str) -> int:
        """Write a query's result into a file, and return the number of rows. The errors are those of `ask`."""
        with _typed_errors():
            copied = self._connection.execute(f"COPY ({sql}) TO {quoted(str(path))} ({options})").fetchone()
        return int(copied[0]) if copied else 0

    def _define(self, statement: str) -> None:
        self._connection.execute(statement)
        self.statements.append(statement)


@contextmanager
def _typed_errors() -> Iterator[None]:
    """Raise a CommandError or OperationFailed for an error of DuckDB."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        message = "the query needs more memory than --memory-gb allows"
        raise OperationFailed(message) from error
    except duckdb.Error as error:
        kind = CommandError if isinstance(error, _WRONG_QUERY) else OperationFailed
        text = str(error).partition("\n\nLINE ")[0]  # the rest shows the query again
        unknown = _UNKNOWN_COLUMN.search(text)
        advice = f"; another field of a record is json_extract_scalar(json, '$.{unknown[1]}')" if unknown else ""
        raise kind(f"DuckDB: {text}{advice}") from error


def quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _parts(folder: Folder, runs: Sequence[Run]) -> Iterator[tuple[str, str, str]]:
    for run in runs:
        for part in (*run.manifest.parts, *run.manifest.deleted):
            path = folder.path(part.key)
            if not path.exists():
                raise OperationFailed(f"there is no {path}, which the manifest of run {run.manifest.run_id} names")
            yield str(path), part.run_id or run.manifest.run_id, part.started or run.manifest.started


def _files_view(files: list[str]) -> str:
    if not files:
        columns = "'' AS connection, '' AS lang, '' AS \"date\", '' AS \"$path\", '' AS json"
        return f"SELECT {columns} WHERE false"
    listed = ",\n  ".join(quoted(file) for file in files)
    names = ("connection", "lang", '"date"')
    columns = ", ".join(f"regexp_extract(filename, '{_FOLDERS}', {n}) AS {name}" for n, name in enumerate(names, 1))
    return f"""SELECT {columns}, filename AS "$path",
  CASE WHEN json_valid(json) THEN json ELSE regexp_replace(json, '{_HALF_PAIRS}', '\\1', 'g') END AS json
FROM read_csv([
  {listed}
  ], columns = {{'json': 'VARCHAR'}}, auto_detect = false, header = false, delim = E'\\x01', quote = '', escape = '',
  new_line = '\\n', max_line_size = {_LONGEST_LINE}, buffer_size = {2 * _LONGEST_LINE}, compression = 'gzip',
  filename = true, hive_partitioning = false)"""
