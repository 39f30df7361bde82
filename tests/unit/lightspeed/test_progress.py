"""Which ids a reading remembers, whatever they are."""

import pytest

from lightspeed.progress import Ids


@pytest.mark.parametrize("odd", [1 << 31, 1 << 32, (1 << 64) - 1, 1 << 64, -1, "17"])
def test_an_id_is_remembered_whatever_its_size(odd: int | str) -> None:
    ids = Ids([])
    ids.add([1, 2], 0)
    ids.add([odd, 3], 0)

    assert ids.known(removed=1, limit=2) == {1, 2, odd, 3}


def test_ids_are_forgotten_once_too_few_rows_went_to_bring_them_back() -> None:
    ids = Ids([])
    for first in range(0, 1000, 10):
        ids.add(list(range(first, first + 10)), 0)

    assert ids.known(removed=0, limit=10) == frozenset()
    assert ids.known(removed=5, limit=10) == frozenset(range(975, 1000))
