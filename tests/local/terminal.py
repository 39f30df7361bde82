"""Plain output of the demo: numbered steps, requests and answers, in lines of at most 100 columns."""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence

WIDTH = 100
"""The longest line, in columns."""

_INDENT = "    "
_DEEPER = "        "
_WORTH_SAYING_SECONDS = 1.0


class Terminal:
    """Writes the steps of a demo to standard output, in colours on a terminal."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self._steps = 0

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Write the title of a step, and its time if it was long."""
        self._steps += 1
        self.line()
        self.line(f"{self._steps:2}  {self._bold(title)}")
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        if took >= _WORTH_SAYING_SECONDS:
            self.line(self._dim(f"    {took:.1f} s"))

    def line(self, text: str = "") -> None:
        """Write one line at once."""
        print(text, flush=True)

    def title(self, text: str) -> None:
        """Write the first line."""
        self.line(self._bold(text))

    def fact(self, name: str, value: object) -> None:
        """Show a name and its value."""
        for line in _folded(f"{name:<18}{value}"):
            self.line(line)

    def sent(self, where: str, what: object = None) -> None:
        """Show a request as a whole."""
        text = "" if what is None else json.dumps(what, ensure_ascii=False)
        self._arrow("→", _folded(f"→ {where}  {text}"))

    def came(self, status: str, what: object = None) -> None:
        """Show an answer: on one line if it fits, else one line per member, cut at the width."""
        text = "" if what is None else json.dumps(what, ensure_ascii=False)
        whole = f"{_INDENT}← {status}  {text}".rstrip()
        if not isinstance(what, dict) or len(whole) <= WIDTH:
            self._arrow("←", [_cut(whole, WIDTH)])
            return
        self._arrow("←", [f"{_INDENT}← {status}"])
        widest = max(len(name) for name in what)
        for name, value in what.items():
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            self.line(_cut(f"{_DEEPER}{name:<{widest}}  {shown}".rstrip(), WIDTH))

    def command(self, text: str) -> None:
        """Show a command."""
        for line in _folded(f"$ {text}"):
            self.line(line)

    def table(self, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write rows below a header, with numbers to the right."""
        cells = [[str(name) for name in names], *([str(cell) for cell in row] for row in rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
        numeric = [all(isinstance(row[column], int | float) for row in rows) for column in range(len(names))]
        for number, row in enumerate(cells):
            aligned = (
                f"{cell:>{width}}" if right else f"{cell:<{width}}"
                for cell, width, right in zip(row, widths, numeric, strict=True)
            )
            text = "    " + "   ".join(aligned).rstrip()
            self.line(self._dim(text) if number == 0 else text)

    def block(self, lines: Sequence[str]) -> None:
        """Show lines, indented and broken at the width."""
        for text in lines:
            for line in _folded(text):
                self.line(line)

    def _bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._colours else text

    def _dim(self, text: str) -> str:
        return f"\033[2m{text}\033[0m" if self._colours else text

    def _arrow(self, arrow: str, lines: Sequence[str]) -> None:
        first, *others = lines
        self.line(first.replace(arrow, f"\033[36m{arrow}\033[0m", 1) if self._colours else first)
        for line in others:
            self.line(line)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _folded(text: str) -> list[str]:
    """Indent a text, and break it at spaces and after slashes and commas."""
    lines, line = [], _INDENT
    for piece in re.findall(r"\s*[^\s/,]*[/,]?", text):
        if line.strip() and len(line) + len(piece) > WIDTH:
            lines.append(line.rstrip())
            line = _DEEPER + piece.lstrip()
        else:
            line += piece
        while len(line) > WIDTH:
            lines.append(line[:WIDTH])
            line = _DEEPER + line[WIDTH:]
    return [*lines, line.rstrip()]
