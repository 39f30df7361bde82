"""Where the command line puts records, and how it shows that it is busy."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

STANDARD_OUTPUT = "-"
_BAR = 24


@contextmanager
def open_output(target: str) -> Iterator[BinaryIO]:
    """Open standard output (`-`) or a file, gzipped where its name ends in `.gz`.

    A file is written under another name beside it and takes its own name when the block ends without an error;
    otherwise it vanishes and what was there before stays.

    Raises:
        OSError: The file cannot be written.
    """
    if target == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    if path.is_dir():
        raise IsADirectoryError(21, "it is a directory", target)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as zipped:
                    yield cast("BinaryIO", zipped)
            else:
                yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


class ProgressLine:
    """One line that overwrites itself, on a terminal only.

    Args:
        stream: The terminal; on anything else nothing is shown.
        label: What is counted.
        wanted: False keeps it silent on a terminal too.
    """

    def __init__(self, stream: TextIO, label: str, *, wanted: bool = True) -> None:
        self.shown = wanted and stream.isatty()
        self._stream = stream
        self._label = label
        self._last = ""

    def update(self, records: int, total: int | None) -> None:
        """Show how many records came, of how many where that is known."""
        if not total:
            self._show(f"{self._label} {records:,} records")
            return
        share = min(1.0, records / total)
        bar = ("=" * int(share * _BAR)).ljust(_BAR)
        self._show(f"{self._label} [{bar}] {share:4.0%} {records:,} of {total:,} records")

    def waiting(self, seconds: float) -> None:
        """Add to the line that the shop asks to wait."""
        self._show(f"{self._last} (waiting {seconds:.0f} s)", keep=True)

    def close(self) -> None:
        """End the line, so that what is printed next has one of its own."""
        if self._last:
            self._stream.write("\n")
            self._stream.flush()
            self._last = ""

    def _show(self, text: str, *, keep: bool = False) -> None:
        if not self.shown:
            return
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[K{text[:width]}")
        self._stream.flush()
        self._last = self._last if keep else text
