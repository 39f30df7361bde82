"""Which ids a reading remembers, whatever they are and however many processes it takes."""

import pytest

from lightspeed.listing import checkpoint as progress
from lightspeed.listing.checkpoint import Ids, ListCheckpoint


def resumed(ids: Ids, read: int) -> ListCheckpoint:
    return ListCheckpoint(read=read, tail=ids.last(), marks=ids.marks())


@pytest.mark.parametrize("odd", [1 << 31, 1 << 32, (1 << 64) - 1, 1 << 64, -1, "17"])
def test_an_id_is_remembered_whatever_its_size(odd: int | str) -> None:
    ids = Ids(ListCheckpoint(), limit=2)
    ids.add([1, 2], 0)
    ids.add([odd, 3], 0)

    assert ids.known(removed=1) == {1, 2, odd, 3}
    assert ids.last() == [1, 2, odd, 3]


def test_ids_are_forgotten_once_too_few_rows_went_to_bring_them_back() -> None:
    ids = Ids(ListCheckpoint(), limit=10)
    for first in range(0, 1000, 10):
        ids.add(list(range(first, first + 10)), 0)

    assert ids.known(removed=0) == frozenset()
    assert ids.known(removed=5) == frozenset(range(975, 1000))


def test_rows_that_went_in_several_processes_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "TAIL", 100)
    first = Ids(ListCheckpoint(), limit=10)
    first.add(list(range(500)), 0)
    second = Ids(resumed(first, 500), limit=10)

    assert second.suffice(removed=80)
    second.add(list(range(500, 510)), 70)
    assert second.known(removed=80) == frozenset(range(410, 510))

    third = Ids(resumed(second, 510), limit=10)
    assert third.suffice(removed=80)
    assert not third.suffice(removed=81)


def test_marks_stay_few_and_never_claim_that_less_can_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MARKS", 4)
    exact = Ids(ListCheckpoint(), limit=5)
    for number in range(100):
        exact.add(list(range(number * 10, number * 10 + 10)), number * 3)
    few = Ids(resumed(exact, 1000), limit=5)

    assert len(exact.marks()) == 4
    assert all(exact.known(removed) <= few.known(removed) for removed in range(297, 900, 7))
    assert few.known(removed=300) < frozenset(range(900, 1000))
