"""The ids of a list that were read."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain
from operator import gt, lt, sub

import msgspec

_SHORT, _LONG = "I", "Q"
"""Types of an `array` with four and with eight bytes for each id."""

_TOO_LARGE = 1 << 64
_ASCENDING, _DESCENDING, _UNORDERED, _JSON = b"adux"
"""The first byte of packed ids: the form of the rest."""


class IdLog:
    """The ids that were read, from the end of the list to its front.

    Ids that rise or fall without exception are kept as plain numbers of four or eight bytes. Ids in another order need
    a set. One thread may add while others look up.

    Args:
        packed: The ids that earlier processes read, as `pack` returned them.
    """

    def __init__(self, packed: bytes = b"") -> None:
        self._ids: array[int] = array(_SHORT)
        self._set: set[int | str] | None = None
        self._rising: bool | None = None
        if packed:
            self._unpack(packed)

    def __len__(self) -> int:
        return len(self._ids) if self._set is None else len(self._set)

    def __iter__(self) -> Iterator[int | str]:
        return iter(self._ids if self._set is None else self._set)

    @property
    def ordered(self) -> bool:
        """Whether the ids rise, or fall, without exception."""
        return self._set is None

    @property
    def mixed(self) -> bool:
        """Whether some ids are numbers and others are numbers as text, so that one record may have come as both."""
        kinds = {type(identity) for identity in self._set or () if isinstance(identity, int) or identity.isdecimal()}
        return len(kinds) > 1

    def repeated(self, ids: Iterable[int | str]) -> set[int | str]:
        """Return which of the ids were read before."""
        known = self._set
        if known is not None:
            return known.intersection(ids)
        log, rising = self._ids, self._rising
        if not log:
            return set()
        last = log[-1]
        found: set[int | str] = set()
        for identity in ids:
            if not isinstance(identity, int):
                continue
            if (rising is not False and identity <= last) or (rising is not True and identity >= last):
                place = bisect_left(log, -identity, key=int.__neg__) if rising is False else bisect_left(log, identity)
                if place < len(log) and log[place] == identity:
                    found.add(identity)
        return found

    def add(self, ids: list[int | str]) -> int:
        """Add the new ids of a page, in the list's order; return how many of them were added meanwhile.

        Pages are looked up at once, so `repeated` may call an id new for two of them.
        """
        new = ids[::-1]
        if self._set is None and not self._in_order(new):
            self._set = set(self._ids)
        if self._set is not None:
            before = len(self._set)
            self._set.update(new)
            return before + len(new) - len(self._set)
        before = len(self._ids)
        try:
            self._ids.extend(new)  # type: ignore[arg-type]
        except OverflowError:  # an id needs eight bytes; `extend` has added the ids before it
            self._ids = array(_LONG, [*self._ids[:before], *new])  # type: ignore[list-item]
        return 0

    def pack(self) -> bytes:
        """Return the ids, compressed, for another process."""
        if self._set is None:
            numbers, kind = self._ids, _DESCENDING if self._rising is False else _ASCENDING
        elif all(isinstance(identity, int) and 0 <= identity < _TOO_LARGE for identity in self._set):
            numbers = array(_LONG, sorted(identity for identity in self._set if isinstance(identity, int)))
            kind = _UNORDERED
        else:
            return bytes([_JSON]) + zlib.compress(msgspec.json.encode(list(self._set)))
        if kind == _DESCENDING:
            numbers = numbers[::-1]
        steps = array(_LONG, map(sub, numbers, chain((0,), numbers)))  # a list of a million ids takes 50 MB
        return bytes([kind]) + zlib.compress(steps)

    def _unpack(self, packed: bytes) -> None:
        kind, body = packed[0], zlib.decompress(packed[1:])
        if kind == _JSON:
            self._set = set(msgspec.json.decode(body, type=list[int | str]))
            return
        steps = array(_LONG)
        steps.frombytes(body)
        if kind == _UNORDERED:
            self._set = set(accumulate(steps))
            return
        numbers = array(_LONG, accumulate(steps))
        top = numbers[-1] if numbers else 0
        if kind == _DESCENDING:
            numbers.reverse()
        self._rising = None if len(numbers) < 2 else kind == _ASCENDING
        self._ids = array(_SHORT, numbers) if top < 1 << 32 else numbers

    def _in_order(self, new: list[int | str]) -> bool:
        """Whether ids go on in the direction of the earlier ids; the first two ids decide it."""
        if not all(isinstance(identity, int) and 0 <= identity < _TOO_LARGE for identity in new):
            return False
        numbers: list[int] = [*self._ids[-1:], *new]  # type: ignore[list-item]
        if self._rising is None and len(numbers) > 1:
            self._rising = numbers[1] > numbers[0]
        return _all_steps(numbers, rising=self._rising is not False)


def _all_steps(numbers: list[int], *, rising: bool) -> bool:
    return all(map(lt if rising else gt, numbers, numbers[1:]))
