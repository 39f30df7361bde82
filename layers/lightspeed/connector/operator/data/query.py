"""`query`: query the stored records with SQL, from the bucket or from a copy of it.

Examples:
  python -m connector query orders_current
  python -m connector query "SELECT status, count(*) AS orders FROM orders_current GROUP BY status"
  python -m connector query --recipe revenue-per-day --plot revenue.svg
  python -m connector query --recipes
  python -m connector query orders --since 2026-11-01 --out orders.parquet
  python -m connector query products_current --lake ./copy-of-the-bucket

Each entity has two views. `orders` has every stored version. `orders_current` has the latest version of each record
that is not deleted. `/` in an entity's name becomes `_`. The columns are connection, lang, date, run_id, started,
parent_id, id, created_at, updated_at, some fields, and json: the record as the shop sent it.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import re
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import IO, TYPE_CHECKING, Any

import msgspec

from connector.operator.data import chart, recipes
from connector.operator.data.source import add_source_arguments, no_run, open_folder, run_filter_of
from connector.operator.data.views import EntityViews, view_name, views_named
from connector.operator.parsers import add_command
from connector.operator.stack import CommandError, Stack
from lightspeed.cli.output import print_note, printable

if TYPE_CHECKING:
    from connector.operator.data.database import Database, Result

FORMATS = ("table", "csv", "json", "jsonl")

_NUMBERS = (int, float, Decimal)
_FILES = {
    ".parquet": "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480",
    ".csv": "FORMAT csv, HEADER true",
    ".json": "FORMAT json, ARRAY true",
    ".jsonl": "FORMAT json, ARRAY false",
}
_SAVED = "-- For DuckDB. The paths are those of the files on this machine; the views name each part.\n"
_TABLE_ROWS = 100
_CELL = 40
_BARS = 60

_MEMORY_GB = 0.85
"""The default memory limit of a query. `<entity>_current` holds the newest text of each record in memory."""

PLOTS: dict[str, type[chart.SvgPen | chart.PngPen]] = {".svg": chart.SvgPen, ".png": chart.PngPen}
"""The pen that draws a chart, by the ending of the file."""

_NAME = re.compile(r"[A-Za-z0-9_./]+")


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    parser = add_command(commands, common, "query", "query the stored records with SQL", __doc__, _run)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("query", nargs="?", metavar="NAME|SQL", help="the name of a view or an entity, or a SELECT")
    what.add_argument("--recipe", metavar="NAME", help="one of the queries that --recipes lists")
    what.add_argument("--recipes", action="store_true", help="list the recipes")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the recipe")
    add_source_arguments(parser)
    parser.add_argument(
        "--format", choices=FORMATS, help="the output's format (default: table on a terminal, else jsonl)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a file: .parquet, .csv, .json or .jsonl")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw a chart of the last column of numbers: .svg or .png"
    )
    most = f"the most memory of the query (default: {_MEMORY_GB})"
    parser.add_argument("--memory-gb", type=float, default=_MEMORY_GB, metavar="N", help=most)
    parser.add_argument("--save-sql", type=Path, metavar="FILE", help="write the SQL that DuckDB runs, with its views")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    if arguments.recipes:
        for name in recipes.names():
            sys.stdout.write(f"{name:24} {recipes.load(name).title}\n")
        return 0
    from connector.operator.data.database import Database  # noqa: PLC0415 - the functions on Lambda have no DuckDB

    for option, path, endings in (("--plot", arguments.plot, PLOTS), ("--out", arguments.out, _FILES)):
        if path is not None and path.suffix not in endings:
            raise CommandError(f"{option} writes {', '.join(endings)}; {str(path)!r:.100} is none of them")
    if not 0.1 <= arguments.memory_gb <= 1000:
        raise CommandError(f"--memory-gb must be 0.1 to 1000, not {arguments.memory_gb}")
    run_filter_of(arguments)  # refuses wrong days before a database is opened
    with tempfile.TemporaryDirectory(prefix="connector-") as temporary:
        database = Database(Path(temporary), arguments.memory_gb)
        sql = _sql(arguments, stack)
        _load(database, views_named(sorted(database.relations(sql))), arguments, stack)
        if arguments.save_sql is not None:
            statements = [_SAVED, *(f"{text};\n" for text in (*database.statements, sql))]
            arguments.save_sql.write_bytes("".join(statements).encode())
            print_note(f"wrote {arguments.save_sql}", "connector")
        if arguments.out is not None:
            rows = database.write(sql, arguments.out, _FILES[arguments.out.suffix])
            print_note(f"wrote {rows:,} row{'' if rows == 1 else 's'} to {arguments.out}", "connector")
        elif arguments.plot is None or arguments.format:
            kind = arguments.format or ("table" if sys.stdout.isatty() else "jsonl")
            _show(database.ask(sql), kind, sys.stdout)
        if arguments.plot is not None:
            _plot(database.ask(sql), arguments.plot)
            print_note(f"wrote {arguments.plot}", "connector")
    return 0


def _sql(arguments: argparse.Namespace, stack: Stack) -> str:
    if arguments.recipe:
        recipe = recipes.load(arguments.recipe)
        return recipe.sql(recipes.parameters(arguments.param), stack.clock.time())
    if arguments.param:
        raise CommandError("--param needs --recipe")
    text = str(arguments.query).strip().rstrip(";")
    if not _NAME.fullmatch(text):
        return text
    name = view_name(text)
    views_named([name])
    return f"SELECT * FROM {name}"


def _load(database: Database, wanted: list[EntityViews], arguments: argparse.Namespace, stack: Stack) -> None:
    """Fetch the runs of the entities that a query reads, and create their views."""
    folder, run_filter = open_folder(arguments, stack, [views.entity for views in wanted])
    for views in wanted:
        if not database.add(views, folder, run_filter):
            print_note(no_run(views.entity, run_filter), "connector")


def _show(result: Result, kind: str, out: IO[str]) -> None:
    """Write a result as text.

    Args:
        result: The result of the query.
        kind: `table`, `csv`, `json` (one list) or `jsonl`.
        out: The file that takes the text.
    """
    columns = result.columns
    if kind == "table":
        _show_table(columns, result.rows, out)
    elif kind == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(result.rows)
    else:
        encode = msgspec.json.Encoder(decimal_format="number").encode
        lines = (encode(dict(zip(columns, row, strict=True))).decode() for row in result.rows)
        if kind == "jsonl":
            out.writelines(f"{line}\n" for line in lines)
        else:
            out.write("[")
            out.writelines(f"{',' if number else ''}\n{line}" for number, line in enumerate(lines))
            out.write("\n]\n")


def _plot(result: Result, path: Path) -> None:
    """Draw the last column of numbers as bars over the first column.

    Raises:
        CommandError: No column after the first has numbers.
        OSError: The file cannot be written.
    """
    columns, rows = result.columns, list(result.rows)
    numbers = [number for number in range(1, len(columns)) if any(isinstance(row[number], _NUMBERS) for row in rows)]
    if rows and not numbers:
        raise CommandError("--plot needs a column of numbers after the first column")
    column = numbers[-1] if numbers else len(columns) - 1
    bars = [(str(row[0]), float(row[column] or 0)) for row in rows[-_BARS:]]
    note = f", the last {_BARS} of {len(rows)} rows" if len(rows) > _BARS else ""
    path.write_bytes(chart.draw(PLOTS[path.suffix](), bars, f"{columns[column]} by {columns[0]}{note}"))


def _show_table(columns: list[str], rows: Iterator[tuple[Any, ...]], out: IO[str]) -> None:
    shown = list(itertools.islice(rows, _TABLE_ROWS))
    total = len(shown) + sum(1 for _ in rows)
    lines = [columns, *([_cell(value) for value in row] for row in shown)]
    widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    is_number = [
        all(isinstance(value, (*_NUMBERS, NoneType)) for value in values) for values in zip(*shown, strict=True)
    ]
    pads = [str.rjust if right else str.ljust for right in is_number or [False] * len(columns)]
    for line in lines:
        cells = (pad(text, width) for pad, text, width in zip(pads, line, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")
    rest = f", the first {_TABLE_ROWS} are shown" if total > len(shown) else ""
    out.write(f"({total} row{'' if total == 1 else 's'}{rest})\n")


def _cell(value: object) -> str:
    """Return a value as one short line without control characters."""
    text = "" if value is None else printable(value)
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"
