"""The proof by a list's pages and counts, while rows enter or leave between any two requests."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lightspeed import AnswerLost, Client, Connection, Parameters, Request, Response, get_entity
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.proof import MIXED_IDS, UnstableList, rises_and_falls
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
    reader = stable_reader(Leaving(fresh), ListCheckpoint(), 10)

    with pytest.raises(UnstableList):
        list(reader.pages())


class Lapsed(FakeTransport):
    """A transport to orders 1 to 59. The second count is lost. Then order 5 leaves, but a cache has pages 1 to 5."""

    connection = CONNECTION

    def __init__(self) -> None:
        self.counts = 0

    def send(self, request: Request) -> Response:
        left = [number for number in range(1, 60) if number != 5]
        if request.operation == "count":
            self.counts += 1
            if self.counts == 2:
                raise AnswerLost("broken", method="GET", path=request.path)
            return Response(200, b'{"count":%d}' % (59 if self.counts == 1 else 58), "")
        size, page = int(request.query["limit"]), int(request.query["page"])
        rows = left if self.counts > 1 and (page > 5 or size != 10) else list(range(1, 60))
        body = {"orders": [order(number) for number in rows[(page - 1) * size : page * size]]}
        return Response(200, json.dumps(body).encode(), "")


def stable_reader(shop: Any, checkpoint: ListCheckpoint, limit: int) -> ListReader[list[Record]]:
    window = Window("updated_at", None, datetime(2026, 11, 20, tzinfo=UTC))
    shop_list = ShopList(Client(shop), get_entity("orders"), Parameters(query={"limit": limit}), "nl", window)
    return ListReader(shop_list, stable=True, checkpoint=checkpoint, process=list, recoverable=True)


def test_pages_that_an_earlier_process_asked_for_are_not_trusted_although_none_of_them_counted() -> None:
    shop, checkpoint = Lapsed(), ListCheckpoint()
    with pytest.raises(AnswerLost):
        list(stable_reader(shop, checkpoint, 10).pages())
    assert checkpoint.read == 0

    reader = stable_reader(shop, checkpoint, 10)
    reader.begin()

    with pytest.raises(UnstableList):
        list(reader.pages())


def test_a_cache_that_does_not_heed_fields_has_no_page_of_the_second_pass() -> None:
    class Cached(Shop):
        """Gives the first pass a row that enters at the front, and one that leaves at the end, but not row g."""

        def send(self, request: Request) -> Response:
            self.turns = ["Aabcdefghijklm"]
            if request.query.get("limit") == "7" and request.query["page"] == "2":
                self.turns = ["abcdefghijklmn"]
            return super().send(request)

    found, reason = read(Cached([], cap=9))

    assert (sorted(found), "g" in found) == (sorted("Aabcdefhijklmn"), False)
    assert reason == "no time filter closes the list, and it changed between two passes"


def test_a_record_that_comes_twice_with_its_id_as_text_is_not_taken_for_another_one() -> None:
    class TwoServers(FakeTransport):
        """Order 7 comes on both pages, as the list is in another order for each; order 14 is on none."""

        connection = CONNECTION

        def send(self, request: Request) -> Response:
            if request.operation == "count":
                return Response(200, b'{"count":14}', "")
            rows = {"1": [order(number) for number in range(1, 8)]}
            rows["2"] = [{**order(number), "id": str(number)} for number in range(7, 14)]
            return Response(200, json.dumps({"orders": rows.get(request.query["page"], [])}).encode(), "")

    checkpoint = ListCheckpoint()
    rows = [row for page in stable_reader(TwoServers(), checkpoint, 7).pages() for row in page]

    assert len(rows) == 14
    assert checkpoint.unverified_reason == MIXED_IDS


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
