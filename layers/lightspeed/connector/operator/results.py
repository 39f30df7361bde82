"""The result of a query: a table, text for programs, a file, or a chart."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from connector.operator.stack import CommandError, OperationFailed

if TYPE_CHECKING:
    from connector.operator.database import Database, Result

_NUMBERS = (int, float, Decimal)
_FILES = {
    ".parquet": "FORMAT parquet, COMPRESSION zstd",
    ".csv": "FORMAT csv, HEADER true",
    ".json": "FORMAT json, ARRAY true",
    ".jsonl": "FORMAT json, ARRAY false",
}
_TABLE_ROWS = 100
_CELL = 40
_BARS = 60
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 900, 410, 90, 120
_LABEL = 28


def check_file(path: Path) -> None:
    """Check that a file's name says its format.

    Raises:
        CommandError: It does not.
    """
    if path.suffix not in _FILES:
        raise CommandError(f"--out writes {', '.join(_FILES)}; {str(path)!r:.100} is none of them")


def write_file(database: Database, sql: str, path: Path) -> None:
    """Write a query's result into a file of the format that its name says."""
    database.write(sql, path, _FILES[path.suffix])


def save_sql(path: Path, statements: Sequence[str], sql: str) -> None:
    """Write the statements that make the views, and the query."""
    head = "-- For DuckDB. The paths are those of the files on this machine; the views name each part.\n"
    _write_text(path, head + ";\n".join([*statements, sql]) + ";\n")


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
    """Draw the last column of numbers as bars over the first column, as SVG.

    Raises:
        CommandError: No column but the first has numbers.
        OperationFailed: The file cannot be written.
    """
    columns, rows = result.columns, list(result.rows)
    numbers = [number for number in range(1, len(columns)) if any(isinstance(row[number], _NUMBERS) for row in rows)]
    if rows and not numbers:
        raise CommandError("--plot needs a column of numbers after the first column")
    column = numbers[-1] if numbers else len(columns) - 1
    bars = [(str(row[0]), float(row[column] or 0)) for row in rows[-_BARS:]]
    note = f", the last {_BARS} of {len(rows)} rows" if len(rows) > _BARS else ""
    _write_text(path, _svg(bars, f"{columns[column]} by {columns[0]}{note}"))


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
    text = "" if value is None else str(value)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _svg(bars: list[tuple[str, float]], title: str) -> str:
    most = max([value for _, value in bars] + [0.0]) or 1.0
    least = min([value for _, value in bars] + [0.0])
    step = (_WIDTH - _LEFT - 10) / max(len(bars), 1)
    top, floor = 40, _HEIGHT - _BOTTOM

    def height(value: float) -> float:
        return floor - (value - least) / (most - least) * (floor - top)

    drawn = [
        f'<text x="{_LEFT}" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
        *(
            f'<text x="{_LEFT - 8}" y="{height(value) + 4:.1f}" text-anchor="end">{value:,.10g}</text>'
            f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{height(value):.1f}" y2="{height(value):.1f}" stroke="#bbb"/>'
            for value in dict.fromkeys((least, (least + most) / 2, most))
        ),
    ]
    every = max(1, -(-len(bars) // 15))
    for number, (label, value) in enumerate(bars):
        x, y = _LEFT + number * step, min(height(value), height(0))
        drawn.append(
            f'<rect x="{x + step * 0.1:.1f}" y="{y:.1f}" width="{step * 0.8:.1f}" '
            f'height="{abs(height(value) - height(0)):.1f}" fill="#2f6db5">'
            f"<title>{escape(label)}: {value:,.10g}</title></rect>"
        )
        if number % every == 0:
            middle = x + step / 2
            shown = label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
            drawn.append(
                f'<text x="{middle:.1f}" y="{floor + 14}" text-anchor="end" '
                f'transform="rotate(-35 {middle:.1f} {floor + 14})">{escape(shown)}</text>'
            )
    if not bars:
        drawn.append(f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT / 2:.0f}" text-anchor="middle">no rows</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OperationFailed(f"{str(path)!r:.100} cannot be written: {error.strerror}") from error
