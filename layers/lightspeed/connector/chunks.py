"""Cut a sequence into pieces that one call takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

_Entry = TypeVar("_Entry")


def chunks(entries: Sequence[_Entry], size: int) -> Iterator[Sequence[_Entry]]:
    """Yield entries in slices of at most `size`."""
    for start in range(0, len(entries), size):
        yield entries[start : start + size]
