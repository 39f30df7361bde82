"""A list that is read in parts: rows that are missing on a page are noticed, although other rows leave."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from lightspeed import Client, Connection, Parameters, Request, Response, get_entity
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.records import Record
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.split import SplitReader
from lightspeed.listing.window import Window
from lightspeed.request import format_time
from tests.support.fake_transport import FakeTransport

END = datetime(2026, 11, 23, 6, tzinfo=UTC)
CONNECTION = Connection.from_mapping(
    {"base_url": "http://127.0.0.1:1", "api_key": "key", "api_secret": "secret", "language": "nl"}
)


class Shop(FakeTransport):
    """A transport to a list of one row a minute. After the first page, it leaves a row out of each longer page.

    Before the last count, rows that were given leave the list.
    """

    connection = CONNECTION

    def __init__(self) -> None:
        self.rows = {number: format_time(END - timedelta(minutes=number)) for number in range(1, 31)}
        self.given: set[int] = set()

    def send(self, request: Request) -> Response:
        if request.operation == "count":
            if "created_at_min" not in request.query and self.given >= {1, 29}:
                self.rows = {number: time for number, time in self.rows.items() if number > 10}
            return self.answer({"count": len(self.matching(request))})
        rows = self.matching(request)[: int(request.query["limit"])]
        if self.given and len(rows) > 1:
            rows = rows[:-1]
        self.given |= set(rows)
        return self.answer({"orders": [{"id": number, "createdAt": self.rows[number] + "+00:00"} for number in rows]})

    def answer(self, body: Any) -> Response:
        return Response(200, json.dumps(body).encode(), "")

    def matching(self, request: Request) -> list[int]:
        first, last = request.query.get("created_at_min", ""), request.query["created_at_max"]
        return [number for number, time in self.rows.items() if first <= time <= last]


def test_rows_that_leave_do_not_hide_rows_that_were_left_out_of_a_page() -> None:
    shop: Any = Shop()
    window, checkpoint = Window("created_at", None, END), ListCheckpoint()

    def ids(records: list[Record]) -> list[int | str | None]:
        return [record.id for record in records]

    reader = SplitReader(
        ShopList(Client(shop), get_entity("orders"), Parameters(query={"limit": 10}), "nl", window),
        checkpoint=checkpoint,
        process=ids,
    )
    found = [identity for part in reader.pages() for identity in part]

    assert set(shop.rows) <= set(found)
    assert "the shop counts" in checkpoint.unverified_reason


class Ignoring(Shop):
    """Gives the same rows for every filter and page. One of them has no id."""

    def send(self, request: Request) -> Response:
        if request.operation == "count":
            return self.answer({"count": 2})
        later = "2026-11-24T00:00:00+00:00"
        return self.answer({"orders": [{"id": 1, "createdAt": later}, {"id": None, "createdAt": later}]})


def test_a_shop_that_ignores_filter_and_page_is_read_to_an_end_although_a_row_has_no_id() -> None:
    window, checkpoint = Window("created_at", None, END), ListCheckpoint()
    reader: Any = SplitReader(
        ShopList(Client(Ignoring()), get_entity("orders"), Parameters(query={"limit": 10}), "nl", window),  # type: ignore[arg-type]
        checkpoint=checkpoint,
        process=lambda records: [record.id for record in records],
    )
    found = [identity for part in reader.pages() for identity in part]

    assert found.count(1) == 1
    assert found.count(None) == 3, "once for each page up to one behind the counted rows"
    assert checkpoint.unverified_reason.startswith("the shop ignores its filter created_at")


class Fractions(Shop):
    """Has times with fractions that it does not show, and filters that leave out both their ends.

    Once all rows were given, the first one leaves the list.
    """

    def __init__(self) -> None:
        super().__init__()
        self.times = {number: END - timedelta(seconds=30 - number - 0.5 * (number == 1)) for number in range(1, 16)}
        self.rows = {number: format_time(time) for number, time in self.times.items()}

    def send(self, request: Request) -> Response:
        if request.operation == "count":
            if len(self.given) == len(self.times):
                self.rows.pop(1, "")
            return self.answer({"count": len(self.matching(request))})
        rows = self.matching(request)[: int(request.query["limit"])]
        self.given |= set(rows)
        return self.answer({"orders": [{"id": number, "createdAt": self.rows[number] + "+00:00"} for number in rows]})

    def matching(self, request: Request) -> list[int]:
        edges = [request.query[f"created_at_{edge}"] for edge in ("min", "max")]
        first, last = (datetime.fromisoformat(edge).replace(tzinfo=UTC) for edge in edges)
        return [number for number in self.rows if first < self.times[number] < last]


def test_a_row_at_the_border_of_two_parts_is_in_one_of_them_though_its_filters_leave_out_their_ends() -> None:
    shop, checkpoint = Fractions(), ListCheckpoint()
    window = Window("created_at", datetime.fromisoformat(shop.rows[1]).replace(tzinfo=UTC), END)
    reader: Any = SplitReader(
        ShopList(Client(shop), get_entity("orders"), Parameters(query={"limit": 10}), "nl", window),  # type: ignore[arg-type]
        checkpoint=checkpoint,
        process=lambda records: [record.id for record in records],
    )
    found = [identity for part in reader.pages() for identity in part]

    assert sorted(found) == sorted(shop.times)
    assert checkpoint.unverified_reason == ""
