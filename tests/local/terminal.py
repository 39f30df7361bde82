"""Plain output for a person who watches: numbered steps, what was sent, what came back."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence

WIDTH = 150
_WORTH_SAYING_SECONDS = 1.0


class Terminal:
    """Writes steps to standard output; colours only where somebody sees them."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self._steps = 0

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Head what the block does, and say how long it took if that was long."""
        self._steps += 1
        self.line()
        self.line(f"{self._steps:2}  {self._bold(title)}")
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        if took >= _WORTH_SAYING_SECONDS:
            self.line(self._dim(f"    {took:.1f} s"))

    def line(self, text: str = "") -> None:
        """One line, at once."""
        print(text, flush=True)

    def title(self, text: str) -> None:
        """The first line."""
        self.line(self._bold(text))

    def fact(self, name: str, value: object) -> None:
        """A name and what it stands for."""
        self.line(f"    {name:<18}{value}")

    def sent(self, where: str, what: object = None) -> None:
        """Something that goes out, whole."""
        text = "" if what is None else json.dumps(what, ensure_ascii=False)
        self.line(f"    {self._colour('→')} {where}  {text}".rstrip())

    def came(self, status: str, what: object = None) -> None:
        """Something that comes back: on one line if it fits, or else a line for each member, cut where it gets long."""
        text = "" if what is None else json.dumps(what, ensure_ascii=False)
        head = f"    {self._colour('←')} {status}"
        if not isinstance(what, dict) or len(text) <= WIDTH:
            self.line(f"{head}  {_cut(text, WIDTH)}".rstrip())
            return
        self.line(head)
        widest = max(len(name) for name in what)
        for name, value in what.items():
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            self.line(f"        {name:<{widest}}  {_cut(shown, WIDTH - widest)}".rstrip())

    def table(self, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows below their names, numbers to the right."""
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
        """Lines as they are, indented."""
        for line in lines:
            self.line(f"    {line}".rstrip())

    def _bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._colours else text

    def _dim(self, text: str) -> str:
        return f"\033[2m{text}\033[0m" if self._colours else text

    def _colour(self, text: str) -> str:
        return f"\033[36m{text}\033[0m" if self._colours else text


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"
