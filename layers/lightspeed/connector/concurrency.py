"""Makes many calls at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = 32
"""The calls at once. A client of AWS keeps a connection open for each."""

_Entry = TypeVar("_Entry")
_Result = TypeVar("_Result")


def map_concurrently(call: Callable[[_Entry], _Result], entries: Sequence[_Entry]) -> list[_Result]:
    """Return the result of a call for each entry, in order. A single call needs no thread."""
    if len(entries) <= 1:
        return [call(entry) for entry in entries]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(call, entries))
