"""The ids that a reading has read, of any kind and in any number of processes."""

import random

import pytest

from lightspeed.listing.id_log import IdLog


@pytest.mark.parametrize("odd", [1 << 31, 1 << 32, (1 << 64) - 1, 1 << 64, -1, "17"])
@pytest.mark.parametrize("resumed", [False, True])
def test_an_id_is_remembered_whatever_its_size(odd: int | str, resumed: bool) -> None:
    ids = IdLog()
    ids.add([2, 1])
    ids.add([odd])
    if resumed:
        ids = IdLog(ids.pack())

    assert ids.repeated([1, 2, odd, 7]) == {1, 2, odd}
    assert len(ids) == 3


@pytest.mark.parametrize("rising", [False, True])
def test_a_list_in_the_order_of_ids_is_known_as_such_over_many_processes(rising: bool) -> None:
    ids = IdLog()
    for first in range(0, 1000, 10):
        page: list[int | str] = (
            list(range(first, first + 10)) if rising else list(range(2000 - first, 1990 - first, -1))
        )
        assert ids.add(page[::-1]) == 0
        ids = IdLog(ids.pack())

    assert ids.ordered
    assert len(ids) == 1000
    assert len(ids.repeated(range(0, 3000))) == 1000


def test_an_id_out_of_order_shows_that_the_list_has_another_order() -> None:
    ids = IdLog()
    ids.add([9, 7, 5])
    ids.add([8])

    assert not ids.ordered
    assert not IdLog(ids.pack()).ordered
    assert ids.add([7, 20]) == 1


def test_a_million_ids_take_two_megabytes() -> None:
    rng = random.Random(1)
    ids, number = IdLog(), 300_000_000
    for _ in range(4000):
        page: list[int | str] = []
        for _ in range(250):
            number += rng.randrange(1, 12)
            page.append(number)
        ids.add(page[::-1])

    assert len(ids.pack()) < 2_000_000


def test_ids_of_both_kinds_are_looked_up_in_a_list_of_numbers() -> None:
    ids = IdLog()
    ids.add([1, 2, 3])

    assert ids.repeated(["x", 2, "3", 9]) == {2}


def test_what_is_added_twice_is_counted_once() -> None:
    ids = IdLog()
    ids.add([3, 1, 2])

    assert ids.add([2, 5, 1]) == 2
    assert sorted(map(int, ids)) == [1, 2, 3, 5]


def test_a_page_without_ids_says_nothing_of_the_order() -> None:
    ids = IdLog()
    ids.add([3, 2])
    ids.add([])

    assert ids.ordered
    assert sorted(map(int, ids)) == [2, 3]
