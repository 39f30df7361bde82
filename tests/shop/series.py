"""Rows that are made on demand: a series makes any of its rows from the row's number alone.

So a shop of a million orders starts at once, and stores only changed rows. Every value comes from `mix` of the seed and
the row's number. So the same seed gives the same shop, and related rows agree.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .shapes import Row

T = TypeVar("T")
_MASK = (1 << 64) - 1


def mix(seed: int, number: int, salt: int = 0) -> int:
    """Return 64 bits that look random and depend on nothing but the arguments (splitmix64)."""
    x = (
        seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + salt * 0x94D049BB133111EB + 0x2545F4914F6CDD1D
    ) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def pick(values: Sequence[T], bits: int) -> T:
    """Choose one of the values."""
    return values[bits % len(values)]


@dataclass(frozen=True)
class Series:
    """Rows `0 … count-1`, each of them a family of one or more records.

    Attributes:
        first_id: id of the first record.
        stride: distance between the ids of two families; more than any family's size.
        make: (number, place in the family) to a row without its id.
        times: number to (createdAt, updatedAt) in epoch seconds; the same that `make` puts into the row.
        size: number to the size of the family.
        owner: for records that belong to one row of another series with the same numbers: the field that names it.
        owner_series: that series.
    """

    first_id: int
    count: int
    make: Callable[[int, int], Row]
    stride: int = 7
    times: Callable[[int], tuple[int, int]] | None = None
    size: Callable[[int], int] | None = None
    owner: str = ""
    owner_series: "Series | None" = None

    def ids(self) -> "array[int]":
        """Return all ids, ascending."""
        if self.size is None:
            return array("q", range(self.first_id, self.first_id + self.stride * self.count, self.stride))
        return array("q", (number for i in range(self.count) for number in self.family(i)))

    def id_of(self, number: int) -> int:
        """Return the id of a row that is a family of one."""
        return self.first_id + self.stride * number

    def family(self, number: int) -> range:
        """Return the ids of one family."""
        start = self.first_id + self.stride * number
        return range(start, start + (1 if self.size is None else self.size(number)))

    def find(self, record_id: int) -> tuple[int, int] | None:
        """Return (number, place in the family) of an id, or None where there never was one."""
        number, place = divmod(record_id - self.first_id, self.stride)
        if not 0 <= number < self.count or place >= (1 if self.size is None else self.size(number)):
            return None
        return number, place

    def row(self, record_id: int) -> Row | None:
        """Make the row of an id."""
        found = self.find(record_id)
        if found is None:
            return None
        row = self.make(*found)
        row["id"] = record_id
        return row

    def owned_by(self, owner_id: int) -> range:
        """Return the ids of the records that belonged to the owner when the shop opened."""
        if self.owner_series is None:
            return range(0)
        found = self.owner_series.find(owner_id)
        return self.family(found[0]) if found is not None and found[1] == 0 else range(0)
