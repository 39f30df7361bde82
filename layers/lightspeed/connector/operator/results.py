"""The result of a query: a table, text for programs, a file, or a chart."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from connector.operator import chart
from connector.operator.stack import CommandError
from lightspeed.cli.output import printable

if TYPE_CHECKING:
    from connector.operator.database import Database, Result

_NUMBERS = (int, float, Decimal)
_FILES = {
    ".parquet": "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480",
    ".csv": "FORMAT csv, HEADER true",
    ".json": "FORMAT json, ARRAY true",
    ".jsonl": "FORMAT json, ARRAY false",
}
_TABLE_ROWS = 100
_CELL = 40
_BARS = 60


PLOTS: dict[str, type[chart.SvgPen | chart.PngPen]] = {".svg": chart.SvgPen, ".png": chart.PngPen}
"""By the ending of a file, what draws a chart."""


def check_file(path: Path) -> None:
    """Check that a file's name says its format.

    Raises:
        CommandError: It does not.
    """
    if path.suffix not in _FILES:
        raise CommandError(f"--out writes {', '.join(_FILES)}; {str(path)!r:.100} is none of them")


def write_file(database: Database, sql: str, path: Path) -> int:
    """Write a query's result into a file of the format that its name says, and return the number of rows."""
    return database.write(sql, path, _FILES[path.suffix])


def save_sql(path: Path, statements: Sequence[str], sql: str) -> None:
    """Write the statements that make the views, and the query."""
    head = "-- For DuckDB. The paths are those of the files on this machine; the views name each part.\n"
    path.write_bytes((head + ";\n".join([*statements, sql]) + ";\n").encode())


def show(result: Result, kind: str, out: IO[str]) -> None:
    """Write a result as text.

    Args:
        result: The result.
        kind: `table`, `csv`, `json` (one list) or `jsonl`.
        out: Where the text goes.
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


def plot(result: Result, path: Path) -> None:
    """Draw the last column of numbers as bars over the first column.

    Raises:
        CommandError: No column but the first has numbers.
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


def _show_table(columns: list[str], rows: Iterable[tuple[Any, ...]], out: IO[str]) -> None:
    shown: list[list[str]] = []
    more = 0
    numeric = set(range(len(columns)))
    for row in rows:
        if len(shown) == _TABLE_ROWS:
            more += 1
            continue
        numeric -= {i for i, value in enumerate(row) if not isinstance(value, (*_NUMBERS, type(None)))}
        shown.append([_cell(value) for value in row])
    widths = [max([len(name), *(len(row[i]) for row in shown)]) for i, name in enumerate(columns)]
    for line in ([*columns], ["-" * width for width in widths], *shown):
        cells = [
            text.rjust(width) if i in numeric and shown else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        out.write("  ".join(cells).rstrip() + "\n")
    total = len(shown) + more
    rest = f", the first {_TABLE_ROWS} are shown" if more else ""
    out.write(f"({total} row{'' if total == 1 else 's'}{rest})\n")


def _cell(value: object) -> str:
    """Return a value for a terminal: one line, without control characters, cut."""
    text = "" if value is None else printable(value)
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"
