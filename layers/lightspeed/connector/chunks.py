"""Cut a sequence into pieces that one call takes, or make many calls at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = 32

_Entry = TypeVar("_Entry")
_Found = TypeVar("_Found")


def chunks(entries: Sequence[_Entry], size: int) -> Iterator[Sequence[_Entry]]:
    """Yield entries in slices of at most `size`."""
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def batches(
    entries: Iterable[_Entry], size: Callable[[_Entry], int], *, most: int, most_bytes: int
) -> Iterator[list[_Entry]]:
    """Yield entries in lists that one call takes, in order.

    Args:
        entries: One that is too large on its own has a list of its own.
        size: Returns the bytes of an entry.
        most: Of a list.
        most_bytes: Of a list.
    """
    batch: list[_Entry] = []
    room = most_bytes
    for entry in entries:
        taken = size(entry)
        if batch and (taken > room or len(batch) == most):
            yield batch
            batch, room = [], most_bytes
        batch.append(entry)
        room -= taken
    if batch:
        yield batch


def each(call: Callable[[_Entry], _Found], entries: Sequence[_Entry]) -> list[_Found]:
    """Return what a call returns for each entry, in order; many calls are made at once."""
    if len(entries) <= 1:
        return [call(entry) for entry in entries]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(call, entries))
