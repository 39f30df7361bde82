"""Write records, JSON, notes and progress of the command line."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from lightspeed.cli.arguments import CommandError
from lightspeed.json_text import mask_api_key

STANDARD_OUTPUT = "-"
_BAR = 24


def printable(value: object) -> str:
    """Return a value as text for a terminal: a space in place of each control character."""
    return "".join(letter if letter.isprintable() else " " for letter in str(value))


def print_note(message: object, program: str = "lightspeed") -> None:
    """Write one plain line to standard error, if it is open."""
    if sys.stderr is not None:
        sys.stderr.write(f"{program}: {' '.join(printable(message).split())}\n")


def discard_output() -> None:
    """Discard buffered output that could not be written, so that it does not fail again when the process ends."""
    if sys.stdout is not None and sys.stdout is sys.__stdout__:  # not a stream that a caller put in its place
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def json_text(value: object) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return rows of a label and a text as lines."""
    return "".join(f"{label:12} {text}\n" for label, text in rows)


def json_lines(value: object, depth: int, indent: str = "") -> str:
    """Return a value as JSON with a line for each member, down to a depth; deeper values are on one line."""
    if depth == 0 or not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = indent + "  "
    members = (f"{inner}{json.dumps(name)}: {json_lines(found, depth - 1, inner)}" for name, found in value.items())
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


def print_record(entity: str, record: bytes) -> None:
    """Write a record to standard output as the shop sent it; the key inside `account` is masked."""
    text = mask_api_key(record) if entity == "account" else record
    sys.stdout.buffer.write(text + b"\n")


def to_standard_output(target: str) -> bool:
    """Whether `--out` names standard output. A file that it is redirected to must not be replaced."""
    return target in (STANDARD_OUTPUT, "/dev/stdout", "/dev/fd/1")


@contextmanager
def open_output(target: str) -> Iterator[BinaryIO]:
    """Open standard output (`-`) or a file, gzipped if its name ends in `.gz`.

    The file is written under a temporary name, and renamed when the block ends without an error. After an error the old
    file stays. A symbolic link stays too: the file that it points to is replaced. An existing pipe or device is opened
    as it is.

    Raises:
        CommandError: The file cannot be opened.
        OSError: The file cannot be written.
    """
    if to_standard_output(target):
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    try:
        if path.is_dir():
            raise CommandError(f"cannot write {target}: it is a directory")
        is_special = path.exists() and not path.is_file()
        place = path if is_special else Path(os.path.realpath(path))
        opened = path if is_special else place.with_name(f".{place.name}.{os.getpid()}.part")
        file = opened.open("wb")
    except OSError as error:
        raise CommandError(f"cannot write {target}: {error.strerror}") from error
    try:
        with file, _gzipped(file) if target.endswith(".gz") else nullcontext(file) as written:
            yield written
        if not is_special:
            opened.replace(place)
    finally:
        if not is_special:
            opened.unlink(missing_ok=True)


def _gzipped(file: BinaryIO) -> BinaryIO:
    """Return a gzip writer on a file. Equal content gives an equal file."""
    return cast("BinaryIO", gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0))


class ProgressLine:
    """A line that overwrites itself, on a terminal only.

    Args:
        stream: The terminal; another stream shows nothing.
        label: The name of the records that are counted.
        wanted: Whether to show the line on a terminal.
    """

    def __init__(self, stream: TextIO, label: str, *, wanted: bool = True) -> None:
        self.shown = wanted and stream.isatty()
        self._stream = stream
        self._label = label
        self._last = ""

    def update(self, records: int, total: int | None) -> None:
        """Show how many records came, and the share if the total is known."""
        if not total:
            self._show(f"{self._label} {records:,} records")
            return
        share = min(1.0, records / total)
        bar = ("=" * int(share * _BAR)).ljust(_BAR)
        self._show(f"{self._label} [{bar}] {share:4.0%} {records:,} of {total:,} records")

    def show_wait(self, seconds: float) -> None:
        """Add a wait to the line."""
        self._show(f"{self._last or self._label} (waiting {seconds:.0f} s)", keep=True)

    def close(self) -> None:
        """End the line, so that the next output starts a new one."""
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
