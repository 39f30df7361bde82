"""What a list's pages and counts prove while rows enter or leave it between any two requests."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lightspeed import Client, Connection, Parameters, Request, Response, get_entity
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.proof import UnstableList, rises_and_falls
from lightspeed.listing.reader import ListReader
from lightspeed.listing.records import Record
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.window import Window
from tests.support.fake_transport import FakeTransport

CONNECTION = Connection.from_mapping(
    {"base_url": "http://127.0.0.1:1", "api_key": "key", "api_secret": "secret", "language": "nl"}
)


class Shop(FakeTransport):
    """A transport to a list of taxes that no window closes. It holds the next of `turns` at each request.

    A page has at most `cap` rows. The last of `turns` stays.
    """

    connection = CONNECTION

    def __init__(self, turns: list[str], cap: int) -> None:
        self.turns = turns
        self.cap = cap
        self.sent: list[str] = []

    def send(self, request: Request) -> Response:
        rows = self.turns[min(len(self.sent), len(self.turns) - 1)]
        self.sent.append(request.operation)
        body: Any = {"count": len(rows)}
        if request.operation == "list":
            size = min(self.cap, int(request.query["limit"]))
            begin = (int(request.query["page"]) - 1) * size
            body = {"taxes": [{"id": ord(row)} for row in rows[begin : begin + size]]}
        return Response(200, json.dumps(body).encode(), "")


def read(shop: Any) -> tuple[str, str]:
    """Return the rows that were read, and why they are not verified."""
    checkpoint = ListCheckpoint()

    def names(records: list[Record]) -> str:
        return "".join(chr(record.id) for record in records if isinstance(record.id, int))

    reader = ListReader(
        ShopList(Client(shop), get_entity("taxes"), Parameters(query={"limit": 7}), "nl", None),
        stable=False,
        checkpoint=checkpoint,
        process=names,
    )
    return "".join(reader.pages()), checkpoint.unverified_reason


def test_an_open_list_of_one_page_is_read_twice_with_a_count_between() -> None:
    shop = Shop(["abc"], cap=7)

    assert read(shop) == ("abc", "")
    assert shop.sent == ["count", "list", "count", "list"]


def test_an_open_list_of_a_full_page_takes_one_look_behind_it_more() -> None:
    shop = Shop(["abcdefg"], cap=7)

    assert read(shop) == ("abcdefg", "")
    assert shop.sent == ["count", "list", "list", "count", "list"]


def test_an_empty_list_needs_one_count_and_one_page() -> None:
    shop = Shop([""], cap=7)

    assert read(shop) == ("", "")
    assert shop.sent == ["count", "list"]


@pytest.mark.parametrize("turns", [["b", "ab", "b"], ["b", "ab", "ab", "b"], ["b", "ab", "c", "c"]])
def test_a_count_that_fits_a_page_cut_short_because_a_row_was_deleted_is_not_believed(turns: list[str]) -> None:
    _, reason = read(Shop(turns, cap=1))

    assert reason


def test_a_row_that_enters_after_the_last_count_changes_nothing() -> None:
    found, reason = read(Shop(["ab", "ab", "ab", "cab"], cap=7))

    assert found == "ab"
    assert reason == "no time filter closes the list, and it changed between two passes"


class UnpagedShop(FakeTransport):
    """A transport to a list without pages and without a count."""

    connection = CONNECTION

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, request: Request) -> Response:
        self.sent.append(request.operation)
        return Response(200, b'{"payment_methods": [{"id": 7}, {"id": 8}]}', "")


def test_a_list_without_pages_costs_one_request_and_is_not_read_again_by_the_next_invocation() -> None:
    shop: Any = UnpagedShop()
    checkpoint = ListCheckpoint()

    def numbers() -> list[int]:
        parameters = Parameters({"checkout_id": 1})
        reader = ListReader(
            ShopList(Client(shop), get_entity("checkouts/payment_methods"), parameters, "nl", None),
            stable=False,
            checkpoint=checkpoint,
            process=len,
        )
        return list(reader.pages())

    assert numbers() == [2]
    assert numbers() == []
    assert shop.sent == ["list"]


class Leaving(FakeTransport):
    """A transport to orders 1 to 59 in the order of their ids. Order 5 leaves the window after page 3 was read.

    Counts come from a cache that is older, except the one that is asked for with number `fresh`, from 1.
    """

    connection = CONNECTION

    def __init__(self, fresh: int) -> None:
        self.fresh = fresh
        self.counts = 0

    def send(self, request: Request) -> Response:
        left = [number for number in range(1, 60) if number != 5]
        body: Any = {"count": 58 if self.counts + 1 >= self.fresh else 59}
        if request.operation == "count":
            self.counts += 1
        else:
            size, page = int(request.query["limit"]), int(request.query["page"])
            rows = list(range(1, 60)) if page <= 3 and size == 10 else left
            body = {"orders": [order(number) for number in rows[(page - 1) * size : page * size]]}
        return Response(200, json.dumps(body).encode(), "")


def order(number: int) -> dict[str, object]:
    created, changed = f"2026-11-0{1 + number // 10}", f"2026-11-1{number % 7}"
    return {
        "id": number,
        "createdAt": f"{created}T00:00:{number:02}+00:00",
        "updatedAt": f"{changed}T00:00:{number:02}+00:00",
    }


@pytest.mark.parametrize("fresh", [2, 3, 4])
def test_a_row_missed_while_another_left_is_noticed_although_the_counts_are_old_ones(fresh: int) -> None:
    window = Window("updated_at", None, datetime(2026, 11, 20, tzinfo=UTC))
    reader = ListReader(
        ShopList(Client(Leaving(fresh)), get_entity("orders"), Parameters(query={"limit": 10}), "nl", window),  # type: ignore[arg-type]
        stable=True,
        checkpoint=ListCheckpoint(),
        process=list,
        recoverable=True,
    )

    with pytest.raises(UnstableList):
        list(reader.pages())


def test_a_full_last_page_of_an_open_list_does_not_show_its_end() -> None:
    class LowCount(Shop):
        def send(self, request: Request) -> Response:
            answer = super().send(request)
            return answer if request.operation == "list" else Response(200, b'{"count":3}', "")

    found, reason = read(LowCount(["abcdefghijklm"], cap=7))

    assert (len(found), reason) == (7, "the shop counts 3 records, but more follow")


@pytest.mark.parametrize("offsets", ["+02:00 +02:00", "+02:00 +01:00"])
def test_times_with_different_offsets_rise_and_fall_as_instants_do(offsets: str) -> None:
    base = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    zones = [datetime.strptime(offset, "%z").tzinfo for offset in offsets.split()]
    times = [(base + timedelta(minutes=10 * row)).astimezone(zones[row % 2]).isoformat() for row in range(5)]

    assert rises_and_falls([Record(b"{}", None, time) for time in times]) == (4, 0)
