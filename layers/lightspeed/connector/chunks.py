"""Cuts entries into lists that one call takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

_Entry = TypeVar("_Entry")


def chunks(entries: Sequence[_Entry], size: int) -> Iterator[Sequence[_Entry]]:
    """Yield entries in slices of at most `size`."""
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def batches(
    entries: Iterable[_Entry], size: Callable[[_Entry], int], *, most: int, most_bytes: int
) -> Iterator[list[_Entry]]:
    """Yield entries in order, in lists of bounded length and bytes. An entry of more bytes has a list of its own.

    Args:
        entries: The entries.
        size: Returns the bytes of an entry.
        most: The most entries of a list.
        most_bytes: The most bytes of a list.
    """
    batch: list[_Entry] = []
    room = most_bytes
    for entry in entries:
        needed = size(entry)
        if batch and (needed > room or len(batch) == most):
            yield batch
            batch, room = [], most_bytes
        batch.append(entry)
        room -= needed
    if batch:
        yield batch
