"""Lists of ids, paged by position, that need not hold what they list."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence


class Listing:
    """The ids of one list in the order in which they are paged, without necessarily holding them."""

    def __init__(self, count: int, at: Callable[[int, int], list[int]]) -> None:
        self.count = count
        self._at = at

    def page(self, offset: int, limit: int) -> list[int]:
        """Return up to `limit` ids from `offset` on; none beyond the end."""
        return self._at(offset, min(offset + limit, self.count)) if offset < self.count else []


def listed(ids: Sequence[int]) -> Listing:
    """List the given ids as they are."""
    return Listing(len(ids), lambda start, stop: list(ids[start:stop]))


def by_position(ids: Sequence[int], low: int, high: int, *, reverse: bool, mask: int = -1) -> Listing:
    """List `ids[low:high]` by position; `mask` takes the id out of a packed number."""

    def at(start: int, stop: int) -> list[int]:
        span = range(high - 1 - start, high - 1 - stop, -1) if reverse else range(low + start, low + stop)
        return [ids[i] & mask for i in span]

    return Listing(high - low, at)


def all_but(ids: Sequence[int], excluded: Sequence[int], *, newest_first: bool) -> Listing:
    """List all ids but a few, in time that depends on the few.

    Args:
        ids: ascending.
        excluded: ids to leave out, ascending.
        newest_first: page from the end.
    """
    size = len(ids)
    positions = [bisect_left(ids, record_id) for record_id in excluded]
    if newest_first:
        positions = [size - 1 - position for position in reversed(positions)]
    kept_before = [position - i for i, position in enumerate(positions)]
    left_out = set(positions)

    def at(start: int, stop: int) -> list[int]:
        position = start + bisect_right(kept_before, start)
        found: list[int] = []
        while len(found) < stop - start:
            if position not in left_out:
                found.append(ids[size - 1 - position] if newest_first else ids[position])
            position += 1
        return found

    return Listing(size - len(positions), at)
