"""The requests of a list, in order: pages from the last to the first, counts between them, and those of the proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from lightspeed import AnswerLost, Request, Response
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.id_log import IdLog
from lightspeed.listing.proof import (
    ENOUGH_ROWS,
    ENOUGH_TURNS,
    MAX_REPEATED,
    NO_ID,
    ListProof,
    PageFacts,
    UnstableList,
)
from lightspeed.listing.reader import BATCH, ListReader
from lightspeed.listing.window import Window
from tests.property.conftest import AtOnce
from tests.support.clock import FakeClock
from tests.unit.lightspeed.orders_list import CREATED, WINDOW, Budget, Row, Shop, shop_list_of, turning


def reader_of(shop: Shop, checkpoint: ListCheckpoint, window: Window | None = WINDOW, **given: Any) -> ListReader[Any]:
    return ListReader(
        shop_list_of(shop, window, given.pop("limit", 10)),
        stable=window is not None,
        checkpoint=checkpoint,
        process=lambda records: [record.id for record in records],
        executor=lambda: AtOnce(1),
        **{"recoverable": True, **given},
    )


def read(shop: Shop, window: Window | None = WINDOW, **given: Any) -> tuple[list[Any], ListCheckpoint]:
    """Return the ids of each page, and the checkpoint after the last one."""
    checkpoint = ListCheckpoint()
    return list(reader_of(shop, checkpoint, window, **given).pages()), checkpoint


def test_pages_are_read_from_the_last_one_and_counted_afterwards() -> None:
    shop = Shop(turning(25))

    pages, checkpoint = read(shop)

    assert pages == [list(range(21, 26)), list(range(11, 21)), list(range(1, 11))]
    assert shop.sent == ["count", "3/10", "2/10", "1/10", "count"]
    assert (checkpoint.rows_left, checkpoint.read, checkpoint.count_before, checkpoint.count_after) == (0, 25, 25, 25)
    assert checkpoint.unverified_reason == ""


def test_a_full_last_page_takes_a_look_behind_it_first() -> None:
    shop = Shop(turning(20))

    read(shop)

    assert shop.sent == ["count", "3/10", "2/10", "1/10", "count"]


def test_a_reading_that_may_be_left_looks_behind_a_full_last_page_after_that_page() -> None:
    shop = Shop(turning(20))

    read(shop, read_ahead=False, max_pages=1)

    assert shop.sent == ["count", "2/10", "count", "3/10", "1/10", "count"]


def test_an_empty_list_is_shown_by_its_first_page() -> None:
    shop = Shop([])

    assert read(shop)[0] == []
    assert shop.sent == ["count", "1/10"]


def test_there_is_a_count_after_each_batch_and_the_next_batch_is_asked_for_before_it() -> None:
    shop = Shop(turning(65))

    read(shop, max_pages=2)

    assert " ".join(shop.sent) == "count 7/10 6/10 5/10 4/10 count 3/10 2/10 count 1/10 count count"


def test_a_batch_has_at_most_64_pages() -> None:
    assert BATCH == 64


@pytest.mark.parametrize(
    ("room", "sent"),
    [
        (1, "count 5/10 count 4/10 count 3/10 count 2/10 count 1/10 count"),
        (2, "count 5/10 count 4/10 count 3/10 count 2/10 count 1/10 count"),
        (3, "count 5/10 4/10 count 3/10 2/10 count 1/10 count"),
        (4, "count 5/10 4/10 3/10 count 2/10 1/10 count"),
    ],
)
def test_a_batch_and_its_count_take_no_more_requests_than_there_is_room_for(room: int, sent: str) -> None:
    shop = Shop(turning(45))

    read(shop, budget=Budget(room))

    assert " ".join(shop.sent) == sent


@pytest.mark.parametrize(
    ("room", "sent"),
    [
        (4, "count 7/10 6/10 count 5/10 4/10 count 3/10 2/10 count 1/10 count"),
        (5, "count 7/10 6/10 5/10 count count 4/10 3/10 2/10 count count 1/10 count"),
        (6, "count 7/10 6/10 5/10 4/10 count count 3/10 2/10 1/10 count count"),
    ],
)
def test_two_batches_and_their_counts_take_no_more_requests_than_there_is_room_for(room: int, sent: str) -> None:
    shop = Shop(turning(65))

    read(shop, budget=Budget(room), max_pages=2)

    assert " ".join(shop.sent) == sent


def test_pages_of_a_batch_during_which_the_count_changed_are_read_again_in_smaller_batches() -> None:
    shop = Shop(turning(85))
    shop.before = lambda number: shop.leave(1) if number == 10 else None

    with pytest.raises(UnstableList) as error:
        read(shop, max_pages=8)

    assert " ".join(shop.sent).startswith(
        "count 9/10 8/10 7/10 6/10 5/10 4/10 3/10 2/10 1/10 count 9/10 8/10 count 7/10 6/10 5/10 4/10 count"
    )
    assert str(error.value).startswith("rows left the list while it was read, and pages that were asked for twice")


def test_a_page_that_is_too_slow_is_asked_for_in_the_largest_part_that_divides_it() -> None:
    shop = Shop(turning(45))
    shop.slow = 6

    pages, checkpoint = read(shop)

    assert sorted(chain(*pages)) == list(range(1, 46))
    assert checkpoint.limit == 5
    assert checkpoint.unverified_reason == ""
    assert shop.sent[-1] == "10/5", "the end is looked at in the new size"


def test_a_page_of_one_row_that_is_too_slow_is_an_error() -> None:
    shop = Shop(turning(3))
    shop.slow = 0

    with pytest.raises(AnswerLost):
        read(shop)

    assert shop.sent == ["count", "1/10", "1/5", "3/1"]


def test_an_only_page_of_fewer_rows_than_counted_is_counted_and_read_three_times() -> None:
    shop = Shop(turning(5))
    shop.late = ("1/10",)

    with pytest.raises(UnstableList, match="page 1 has 4 rows, though more follow"):
        read(shop)
    assert " ".join(shop.sent) == "count 1/10 count 1/10 count 1/10"


def test_another_error_than_a_slow_page_is_not_asked_for_in_parts() -> None:
    class Refusing(Shop):
        def send(self, request: Request) -> Response:
            if request.operation == "list":
                raise AnswerLost("lost", method="GET", path="/nl/orders.json", timed_out=False)
            return super().send(request)

    with pytest.raises(AnswerLost):
        read(Refusing(turning(25)))


def test_the_end_behind_which_all_pages_are_empty_is_found_by_halves() -> None:
    shop = Shop(turning(25))
    shop.counted = {25: 330}.__getitem__

    pages, checkpoint = read(shop, recoverable=False)

    assert sorted(chain(*pages)) == list(range(1, 26))
    assert checkpoint.unverified_reason == "the shop counts 330 records, but page 33 is empty"
    searched = shop.sent[shop.sent.index("16/10", 33) :]
    assert searched[:5] == ["16/10", "8/10", "4/10", "2/10", "3/10"]
    assert searched[5] == "3/10", "the reading goes on from the last page that is not empty"


def test_records_without_an_id_are_no_proof() -> None:
    shop = Shop([*turning(14), Row(None, 1, 1)])

    pages, checkpoint = read(shop)

    assert checkpoint.unverified_reason == NO_ID
    assert (checkpoint.read, checkpoint.unidentified) == (14, 1)
    assert len([*chain(*pages)]) == 15


def leaving(rows: Sequence[Row], *numbers: int, window: Window = WINDOW, **given: Any) -> tuple[Shop, ListCheckpoint]:
    """Read a list that rows leave before the second batch of one page."""
    shop = Shop(rows)
    shop.before = lambda number: shop.leave(*numbers) if number == 3 else None
    return shop, read(shop, window, max_pages=1, read_ahead=False, **given)[1]


def test_rows_that_left_a_list_in_the_order_of_its_ids_leave_it_proved_by_two_pages_across_a_border() -> None:
    shop, checkpoint = leaving(turning(65), 3)

    assert checkpoint.unverified_reason == ""
    assert " ".join(shop.sent) == (
        "count 7/10 count 6/10 count 5/10 count 4/10 count 3/10 count 2/10 count 1/10 count count 1/10 1/10 1/8 2/8"
    )


def test_the_second_of_a_row_that_came_twice_is_read_once_more_by_each_of_its_times() -> None:
    shop, _ = leaving(turning(65), 3)

    assert shop.bounds[-4:-2] == [
        {**WINDOW.query, "created_at_min": "2026-11-01 01:00:59", "created_at_max": "2026-11-01 01:01:01"},
        {"updated_at_min": "2026-11-01 01:02:39", "updated_at_max": "2026-11-01 01:02:41"},
    ]
    shop, _ = leaving(turning(65), 3, window=CREATED)
    assert [set(bounds) for bounds in shop.bounds[-3:]] == [
        {"created_at_min", "created_at_max"},
        {"created_at_max"},
        {"created_at_max"},
    ]


def test_rows_of_one_second_that_may_have_swapped_places_are_no_proof() -> None:
    shop = Shop(turning(65))
    shop.swapped = Row(99, 60 * 61, 60 * 61)
    shop.before = lambda number: shop.leave(3) if number == 3 else None

    with pytest.raises(UnstableList, match="rows of one second swap their places"):
        read(shop, max_pages=1, read_ahead=False)


@pytest.mark.parametrize("time", [False, "0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00+00:00"])
def test_a_row_that_came_twice_and_has_no_time_is_no_proof(time: object) -> None:
    rows = [*turning(60), *(Row(number, 60 * number, 7) for number in range(61, 66))]
    for row in rows[60:]:
        row["updatedAt"] = time

    with pytest.raises(UnstableList, match="whose time cannot be read"):
        leaving(rows, 3)


def test_more_rows_that_came_twice_than_can_be_looked_at_are_no_proof() -> None:
    assert MAX_REPEATED == 200
    shop = Shop(turning(1460))
    shop.before = lambda number: shop.leave(*range(1, 202)) if number == 3 else None

    with pytest.raises(UnstableList, match="more rows came again than can be looked at"):
        read(shop, max_pages=1, read_ahead=False, limit=250)


def test_an_order_is_known_from_fifty_ids_on() -> None:
    assert ENOUGH_ROWS == 50
    assert leaving(turning(51), 3)[1].unverified_reason == ""
    with pytest.raises(UnstableList, match="its order is not known"):
        leaving(turning(51), 3, 4)


def sorted_by_change(rows: int, rises: int, falls: int) -> list[Row]:
    """Return rows in the order of their ids. Their times of change rise and fall as often as given."""
    changed = [min(number, rises) if number <= rises else rises - min(number - rises, falls) for number in range(rows)]
    return [Row(number, 60 * number, 900 + change) for number, change in enumerate(changed, 1)]


@pytest.mark.parametrize(
    ("rises", "falls", "proved"),
    [(3, 3, True), (2, 9, False), (9, 2, False)],
)
def test_a_list_by_creation_is_not_sorted_by_change_if_its_times_of_change_rise_and_fall(
    rises: int, falls: int, proved: bool
) -> None:
    assert ENOUGH_TURNS == 3
    rows = sorted_by_change(65, rises, falls)
    if proved:
        assert leaving(rows, 60, window=CREATED)[1].unverified_reason == ""
    else:
        with pytest.raises(UnstableList, match="it may be sorted by time of change"):
            leaving(rows, 60, window=CREATED)


def test_pages_that_do_not_end_where_the_next_ones_begin_are_no_proof() -> None:
    shop = Shop(turning(65))
    shop.late = ("2/10", "3/10")  # row 11 is on no page, row 31 on two
    shop.before = lambda number: shop.leave(63) if number == 3 else None

    with pytest.raises(UnstableList, match="its pages do not end where the next ones begin"):
        read(shop, max_pages=1, read_ahead=False)


def test_a_record_that_two_pages_show_as_new_came_twice() -> None:
    shop = Shop(turning(15))
    checkpoint = ListCheckpoint(rows_left=15, count_before=15, count_after=15, limit=10)
    proof = ListProof(shop_list_of(shop), checkpoint, stable=True, recoverable=True)
    proof.add_page(PageFacts(2, 5, [11, 12, 13, 14, 15], [], 0, 0))

    with pytest.raises(UnstableList, match="a record came twice though no record left the list before it"):
        proof.add_page(PageFacts(1, 10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 11], [], 0, 0))

    assert checkpoint.read == 14


def test_a_record_that_comes_twice_though_none_left_is_no_proof() -> None:
    with pytest.raises(UnstableList, match="a record came twice though no record left the list before it"):
        read(Shop([*turning(15), *turning(1)]))


def test_a_record_that_comes_twice_is_no_reason_in_a_list_that_rows_may_enter() -> None:
    shop = Shop([*turning(15), *turning(1)])

    assert (
        read(shop, None, max_pages=1, read_ahead=False)[1].unverified_reason == "the shop counts 16 records but gave 15"
    )


def test_a_count_that_rises_is_wrong_in_a_closed_window_only() -> None:
    def rising() -> Shop:
        shop = Shop(turning(15))
        shop.before = lambda number: setattr(shop, "rows", [*turning(15), Row(90, 7, 7)]) if number == 2 else None
        return shop

    with pytest.raises(UnstableList, match="the shop counts more records than before in a closed window"):
        read(rising(), max_pages=1, read_ahead=False)
    assert read(rising(), None, max_pages=1, read_ahead=False)[1].unverified_reason == ""


def test_a_page_that_is_not_full_though_rows_follow_is_no_proof() -> None:
    shop = Shop(turning(25))
    shop.late = ("3/10",)

    with pytest.raises(UnstableList, match="page 3 has 4 rows, though more follow"):
        read(shop)


def test_rows_that_left_a_list_whose_end_was_not_looked_at_are_no_proof() -> None:
    with pytest.raises(UnstableList, match="rows left the list before its end was looked at"):
        leaving(turning(70), 3)
    shop = Shop(turning(70))
    shop.before = lambda number: shop.leave(3) if number == 4 else None

    assert read(shop, max_pages=1)[1].unverified_reason == ""


def test_more_records_than_were_counted_are_no_proof() -> None:
    shop = Shop(turning(25))
    shop.counted = {25: 20}.__getitem__

    with pytest.raises(UnstableList, match="the shop counts 20 records, but more follow"):
        read(shop)


def test_an_unstable_list_that_is_not_read_again_gives_its_first_reason() -> None:
    shop = Shop([*turning(15), *turning(1)])

    pages, checkpoint = read(shop, max_pages=1, read_ahead=False, recoverable=False)

    assert checkpoint.unverified_reason == "a record came twice though no record left the list before it"
    assert sorted(chain(*pages)) == list(range(1, 16))


def test_a_list_that_rows_may_enter_is_read_twice_and_compared_by_ids() -> None:
    shop = Shop(turning(25))

    assert read(shop, None)[1].unverified_reason == ""
    assert " ".join(shop.sent) == "count 3/10 2/10 1/10 count 3/11 2/11 1/11 count"

    shop = Shop(turning(25))
    shop.before = lambda number: setattr(shop, "rows", [*turning(24), Row(90, 7, 7)]) if number == 6 else None

    assert read(shop, None)[1].unverified_reason.startswith("no time filter closes the list, and it changed between")


def test_a_reading_goes_on_in_another_process_where_it_was_left() -> None:
    shop, checkpoint = Shop(turning(45)), ListCheckpoint()
    pages = reader_of(shop, checkpoint, max_pages=1, read_ahead=False).pages()
    first = [next(pages), next(pages)]
    pages.close()

    rest = list(reader_of(shop, checkpoint).pages())

    assert sorted(chain(*first, *rest)) == list(range(1, 46))
    assert " ".join(shop.sent) == "count 5/10 count 4/10 count 3/10 2/10 1/10 count"
    assert (checkpoint.asked_again, checkpoint.unverified_reason) == (True, "")


def test_the_budget_hears_how_long_the_slowest_page_took() -> None:
    shop, budget = Shop(turning(25)), Budget()
    shop.clock = FakeClock(step=2.0)

    read(shop, budget=budget)

    assert budget.slowest == 2.0


def concluded(*, read: int, unidentified: int = 0, rows: int = 15) -> ListCheckpoint:
    """Conclude a list of which 20 records were counted first, and `rows` are counted now."""
    ids = IdLog()
    ids.add([*range(read, 0, -1)])
    checkpoint = ListCheckpoint(0, 20, 20, read, limit=9, ids=ids.pack(), unidentified=unidentified)
    ListProof(shop_list_of(Shop(turning(rows))), checkpoint, stable=True, recoverable=True).conclude(end_seen=True)
    return checkpoint


def test_a_list_is_proved_by_as_many_ids_as_were_counted_first() -> None:
    assert concluded(read=20).unverified_reason == ""
    assert concluded(read=15, unidentified=5).unverified_reason == NO_ID


@pytest.mark.parametrize(
    ("read", "rows", "reason"),
    [
        (21, 20, "the shop counts 20 records but gave 21"),
        (14, 15, "the shop counts 15 records but gave 14"),
        (15, 15, "rows left the list while it was read, and its order is not known"),
    ],
)
def test_a_list_of_another_number_of_ids_is_not_proved_by_it(read: int, rows: int, reason: str) -> None:
    with pytest.raises(UnstableList, match=reason):
        concluded(read=read, rows=rows)


def test_rows_that_a_count_puts_behind_a_page_must_be_known() -> None:
    checkpoint = ListCheckpoint(20, 20, 18, 3, limit=10)
    proof = ListProof(shop_list_of(Shop([])), checkpoint, stable=True, recoverable=True)

    with pytest.raises(UnstableList, match="the shop counts 18 records from page 1 on, but gave fewer"):
        proof.add_page(PageFacts(1, 10, [*range(1, 11)], [], 0, 0))


def test_the_second_pass_must_give_the_same_ids_and_have_no_reason_of_its_own() -> None:
    def compared(**second: Any) -> str:
        first = ListCheckpoint(0, 5, 5, 5, 77)
        proof = ListProof(shop_list_of(Shop([]), None), first, stable=False, recoverable=False)
        proof.compare(replace(ListCheckpoint(0, 5, 5, 5, 77), **second))
        return first.unverified_reason

    assert compared() == ""
    assert compared(unverified_reason="why") == "why"
    for other in ({"sum": 78}, {"read": 4}, {"count_before": 6}):
        assert compared(**other) == "no time filter closes the list, and it changed between two passes"
