"""The requests of a list that is read in parts, and the proof by their counts and pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest

from lightspeed import Parameters
from lightspeed.listing import split
from lightspeed.listing.checkpoint import ListCheckpoint, SplitCheckpoint
from lightspeed.listing.proof import NO_ID
from lightspeed.listing.split import MAX_DENSE_ROWS, MAX_DENSE_TRIES, MAX_DOUBTFUL_PARTS, MAX_IDLE_ROUNDS, SplitReader
from lightspeed.listing.window import Window
from lightspeed.request import format_time, parse_time
from tests.unit.lightspeed.orders_list import BASE, CREATED, WINDOW, Budget, Row, Shop, shop_list_of, turning


def read(shop: Shop, window: Window = CREATED, **given: Any) -> tuple[list[Any], ListCheckpoint]:
    """Return the ids of each part, and the checkpoint after the last one."""
    checkpoint = ListCheckpoint()
    limit = given.pop("limit", 10)
    reader = SplitReader(
        shop_list_of(shop, window, limit),
        checkpoint=checkpoint,
        process=lambda records: [record.id for record in records],
        **given,
    )
    return list(reader.pages()), checkpoint


class EndsAt(Budget):
    """A budget that ends the invocation after so many requests."""

    def __init__(self, shop: Shop, requests: int) -> None:
        super().__init__()
        self.shop = shop
        self.requests = requests

    def wait_for_room(self) -> int:
        if len(self.shop.sent) == self.requests:
            raise InterruptedError
        return super().wait_for_room()


def asked(shop: Shop) -> str:
    """Return each request with its first and last second after `BASE` by creation; the window's end is left out."""
    found = []
    for sent, bounds in zip(shop.sent, shop.bounds, strict=True):
        ends = [bounds.get(f"created_at_{edge}") for edge in ("min", "max")]
        seconds = ["" if end is None else f"{(parse_time(end) - BASE).total_seconds():.0f}" for end in ends]
        found.append(f"{sent}_{'-'.join(seconds)}".replace("1641600", "").removesuffix("_-"))
    return " ".join(found)


def mixed(rows: int) -> list[Row]:
    """Return rows in no order."""
    return sorted(turning(rows), key=lambda row: int(row["id"]) * 7 % 25)


@pytest.mark.parametrize(
    ("rows", "sent", "parts"),
    [
        (turning(8), "count 1/10 count_-479 1/10_-479 count_478- 1/10_478- count", [7, 1]),
        (
            turning(25),
            "count 1/10 count_-599 1/10_-599 count_598- 1/10_598- count_598-1139 1/10_598-1139 count_1138- 1/10_1138- "
            "count",
            [9, 9, 7],
        ),
        (
            turning(25)[::-1],
            "count 1/10 count_-961 1/10_-961 count_-421 1/10_-421 count_420-961 1/10_420-961 count_420-422 "
            "1/10_420-422 count_421-961 1/10_421-961 count_960- 1/10_960- count_960-962 1/10_960-962 count_961- "
            "1/10_961- count",
            [7, 0, 9, 0, 9],
        ),
        (
            mixed(25),
            "count 1/10 count_-720 1/10_-720 count_-360 1/10_-360 count_359-720 1/10_359-720 count_719- 1/10_719- "
            "count_719-1080 1/10_719-1080 count_1079- 1/10_1079- count",
            [6, 6, 6, 7],
        ),
    ],
    ids=["a page not full", "rising", "falling", "mixed"],
)
def test_a_list_is_cut_at_times_that_a_full_page_shows(rows: list[Row], sent: str, parts: list[int]) -> None:
    shop = Shop(rows)

    found, checkpoint = read(shop)

    assert asked(shop) == sent
    assert [len(part) for part in found] == parts
    assert sorted(chain(*found)) == sorted(row["id"] for row in rows)
    assert checkpoint.unverified_reason == ""
    assert (checkpoint.rows_left, checkpoint.count_before, checkpoint.count_after) == (0, len(rows), len(rows))


@pytest.mark.parametrize(("rows", "limit", "parts"), [(150, 100, 3), (200, 50, 3), (200, 47, 2)])
def test_a_part_in_no_order_is_cut_so_that_parts_fit_on_a_page_and_its_page_shows_each(
    rows: int, limit: int, parts: int
) -> None:
    shop = Shop(sorted(turning(rows), key=lambda row: int(row["id"]) * 7 % rows))
    checkpoint = ListCheckpoint()
    reader = SplitReader(
        shop_list_of(shop, CREATED, limit), checkpoint=checkpoint, process=len, budget=EndsAt(shop, requests=2)
    )

    with pytest.raises(InterruptedError):
        next(reader.pages())

    assert checkpoint.rows_left == parts


@pytest.mark.parametrize("odd", ["0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00+00:00"])
@pytest.mark.parametrize("share", [1, 8])
def test_a_time_at_the_edge_of_the_calendar_stops_no_reading(share: int, odd: str) -> None:
    shop = Shop(turning(25))
    for row in shop.rows[::share]:
        row["createdAt"] = odd

    found, checkpoint = read(shop)

    assert sorted(chain(*found)) == list(range(1, 26))
    assert checkpoint.unverified_reason == ""


def test_rows_of_one_second_are_read_in_rounds_of_another_size() -> None:
    shop = Shop([Row(number, 600, 600) for number in range(1, 26)])

    found, checkpoint = read(shop)

    assert [len(part) for part in found] == [0, 25, 0, 0, 0]
    assert checkpoint.unverified_reason == ""
    assert "1/10_598-600 count_598-600 1/11_598-600 2/11_598-600 3/11_598-600 count_598-600 count_599-" in asked(shop)
    assert checkpoint.split is not None
    assert checkpoint.split.tries == 0


def test_rows_of_the_last_second_are_cut_off_from_the_others() -> None:
    last = int((CREATED.end - BASE).total_seconds())
    shop = Shop([Row(number, last, last) for number in range(1, 26)])

    found, checkpoint = read(shop)

    assert sorted(chain(*found)) == list(range(1, 26))
    assert checkpoint.unverified_reason == ""
    assert f"1/11_{last - 2}-" in asked(shop)
    assert "1/11 " not in asked(shop)


def test_rows_of_one_second_of_change_are_cut_by_creation() -> None:
    shop = Shop([Row(number, 60 * number, 600) for number in range(1, 26)])

    found, checkpoint = read(shop, WINDOW)

    assert [len(part) for part in found if part] == [9, 9, 7]
    assert checkpoint.unverified_reason == ""
    assert {"3/11", "2/11", "1/11"} & set(shop.sent) == set()


def test_a_users_filter_by_creation_stays_where_rows_carry_one_second_of_change() -> None:
    shop = Shop([Row(number, 60 * number, 600) for number in range(1, 26)])
    since = format_time(BASE)
    shop_list = shop_list_of(shop, WINDOW)
    filtered = replace(shop_list, parameters=Parameters(query={"limit": 10, "created_at_min": since}))

    found = list(SplitReader(filtered, checkpoint=ListCheckpoint(), process=len).pages())

    assert sum(found) == 25
    assert {bounds["created_at_min"] for bounds in shop.bounds} == {since}
    assert {"3/11", "2/11", "1/11"} <= set(shop.sent)


def test_rows_of_one_second_that_the_pages_do_not_show_are_no_proof() -> None:
    shop = Shop([Row(number, 600, 600) for number in range(1, 26)])
    shop.late = ("2/11",)

    found, checkpoint = read(shop)

    assert checkpoint.unverified_reason == "25 records carry the same second, and their pages do not show all of them"
    assert len(set(chain(*found))) == 24
    assert shop.sent.count("1/11") == 3 * (1 + 3 + 1), "of three parts: once, three times in vain, and for all rows"


def test_rows_of_one_second_that_never_show_an_id_are_read_in_three_rounds_and_once_more() -> None:
    shop = Shop([Row(None, 600, 600) for _ in range(25)])

    found, checkpoint = read(shop)

    assert [len(part) for part in found] == [0, 25, 25, 25, 0]
    assert checkpoint.unverified_reason == "25 records carry the same second, and their pages do not show all of them"
    assert shop.sent.count("1/11") == 3 * (MAX_IDLE_ROUNDS + 1)


def test_too_many_rows_of_one_second_are_read_page_by_page_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_DENSE_ROWS == 2500
    monkeypatch.setattr(split, "MAX_DENSE_ROWS", 24)
    shop = Shop([Row(number, 600, 600) for number in range(1, 26)])

    found, checkpoint = read(shop)

    assert sorted(chain(*found)) == list(range(1, 26))
    pages = "1/10_598-600 2/10_598-600 3/10_598-600 4/10_598-600 4/10_598-600 3/10_598-600 2/10_598-600 1/10_598-600"
    assert f"count_598-600 {pages} count_599-" in asked(shop)
    reason = "25 records carry the same second, too many to show that all were read"
    assert checkpoint.unverified_reason == reason

    monkeypatch.setattr(split, "MAX_DENSE_ROWS", 25)
    assert read(Shop(shop.rows))[1].unverified_reason == ""


@pytest.mark.parametrize(("tries", "rounds"), [(MAX_DENSE_TRIES - 1, True), (MAX_DENSE_TRIES, False)])
def test_a_dense_part_that_was_begun_twenty_times_is_read_page_by_page(tries: int, rounds: bool) -> None:
    assert MAX_DENSE_TRIES == 20
    second = format_time(BASE + timedelta(seconds=600))
    parts: Any = [(second, second, None, None)]
    progress = SplitCheckpoint(parts, page_rows=10, count_before=25, tries=tries)
    shop = Shop([Row(number, 600, 600) for number in range(1, 26)])
    checkpoint = ListCheckpoint(count_before=25, limit=10, split=progress)

    found = list(SplitReader(shop_list_of(shop, CREATED), checkpoint=checkpoint, process=len).pages())

    assert sum(found) == 25
    assert ("1/30" in shop.sent) == rounds
    assert (checkpoint.unverified_reason == "") == rounds
    assert rounds or checkpoint.unverified_reason.endswith("and no invocation could read them often enough")


def test_more_rows_of_one_second_than_counted_are_no_proof() -> None:
    shop = Shop([Row(number, 600, 600) for number in range(1, 26)])
    shop.counted = {0: 0, 25: 21}.__getitem__

    found, checkpoint = read(shop)

    assert checkpoint.unverified_reason == "the shop counts 21 records of one second, but more follow"
    assert sorted(set(chain(*found))) == list(range(1, 26))


@pytest.mark.parametrize("counted", [7, 5])
def test_a_part_that_differs_from_its_count_is_no_proof(counted: int) -> None:
    shop = Shop(turning(6))
    shop.counted = lambda rows: counted if rows == 6 else rows

    found, checkpoint = read(shop)

    assert sorted(chain(*found)) == list(range(1, 7))
    assert checkpoint.unverified_reason == (
        f"the list in parts holds 6 records, but the shop counts {counted} before and {counted} after"
    )


def test_a_part_of_more_rows_than_counted_is_read_once_and_no_proof() -> None:
    shop = Shop(turning(8))
    shop.counted = lambda rows: 6 if rows == 7 else rows

    found, checkpoint = read(shop)

    assert asked(shop) == "count 1/10 count_-479 1/10_-479 count_478- 1/10_478- count"
    assert [len(part) for part in found] == [7, 1]
    assert checkpoint.unverified_reason == "the shop counts 6 records of a stretch of time, but gives 7"


def test_a_part_of_fewer_rows_than_counted_is_read_twice_and_then_cut() -> None:
    shop, looked = Shop(turning(8)), []
    shop.counted = lambda rows: 8 if rows == 7 else rows

    class Looked(Budget):
        def wait_for_room(self) -> int:
            looked.append(len(shop.sent))
            return super().wait_for_room()

    found, checkpoint = read(shop, budget=Looked())

    twice = "count_-479 1/10_-479 count_-479 1/10_-479"
    assert (
        asked(shop) == f"count 1/10 {twice} count_-419 1/10_-419 count_418-479 1/10_418-479 count_478- 1/10_478- count"
    )
    assert [len(part) for part in found] == [6, 1, 1]
    assert checkpoint.unverified_reason == ""
    assert looked == [0, 1, 2, 4, 6, 8, 10], "the budget is asked before each page, with the count before it"


def test_counts_that_differ_from_eight_parts_are_not_asked_for_any_more() -> None:
    assert MAX_DOUBTFUL_PARTS == 8
    shop = Shop(turning(25))
    shop.counted = lambda rows: rows if rows == 25 else rows + 1

    found, checkpoint = read(shop)

    sent = asked(shop).split()
    counted = [request for request in sent[2:-1] if request.startswith("count")]
    assert len(counted) == 2 * MAX_DOUBTFUL_PARTS
    assert len(set(counted)) == MAX_DOUBTFUL_PARTS
    first, *later = sent[2 + 4 * MAX_DOUBTFUL_PARTS : -1]
    assert first == "1/10_178-239", "the eighth part is not cut either"
    assert not [request for request in later if request.startswith("count")]
    assert sorted(chain(*found)) == list(range(1, 26))
    assert checkpoint.unverified_reason == "the shop counts 3 records of a stretch of time, but gives 2"


def test_a_record_without_an_id_is_no_proof() -> None:
    found, checkpoint = read(Shop([*turning(14), Row(None, 840, 840)]))

    assert sorted(str(identity) for identity in chain(*found)) == sorted([*map(str, range(1, 15)), "None"])
    assert checkpoint.unverified_reason == NO_ID


def test_a_page_that_is_too_slow_is_asked_for_with_half_as_many_rows() -> None:
    shop = Shop(turning(25))
    shop.slow = 6

    found, checkpoint = read(shop)

    assert checkpoint.limit == 5
    assert sorted(chain(*found)) == list(range(1, 26))
    assert checkpoint.unverified_reason == ""


def test_a_reading_in_parts_goes_on_in_another_process_where_it_was_left() -> None:
    shop, checkpoint = Shop(turning(25)), ListCheckpoint()

    def reader() -> Any:
        return SplitReader(shop_list_of(shop, CREATED), checkpoint=checkpoint, process=len, budget=Budget())

    pages = reader().pages()
    first = next(pages)
    pages.close()
    assert checkpoint.rows_left == 1

    assert [first, *reader().pages()] == [9, 9, 7]
    assert (checkpoint.read, checkpoint.unverified_reason) == (25, "")


def test_only_a_list_with_a_window_is_read_in_parts() -> None:
    with pytest.raises(ValueError, match="only a list with a window is read in parts"):
        SplitReader(shop_list_of(Shop([]), None), checkpoint=ListCheckpoint(), process=len)
