"""The nested records of a parent are whole, whatever number of rows the shop gives on a page."""

import json
from typing import Any

import pytest

from lightspeed import Client, Connection, Parameters, Request, Response, get_entity
from lightspeed.errors import BrokenResponse, NotFound
from lightspeed.listing.budget import UnlimitedBudget
from lightspeed.listing.children import ChildLists
from tests.support.fake_transport import FakeTransport

CONNECTION = Connection.from_mapping(
    {"base_url": "http://127.0.0.1:1", "api_key": "key", "api_secret": "secret", "language": "nl"}
)
LINES = get_entity("orders/products")


class Shop(FakeTransport):
    """A transport to orders with lines, of which each page gives at most `cap`, whatever `limit` says."""

    connection = CONNECTION

    def __init__(self, lines: dict[int, int], cap: int) -> None:
        self.lines = lines
        self.cap = cap
        self.sent: list[str] = []

    def send(self, request: Request) -> Response:
        self.sent.append(request.path)
        order = int(request.path.split("/")[3])
        body: Any = {"count": self.lines[order]}
        if request.operation == "list":
            ids = range(order * 1000, order * 1000 + self.lines[order])
            size = min(self.cap, int(request.query.get("limit", 50)))
            begin = (int(request.query.get("page", 1)) - 1) * size
            body = {"orderProducts": [{"id": identity} for identity in ids[begin : begin + size]]}
        return Response(200, json.dumps(body).encode(), "")


def streams(shop: Any) -> ChildLists:
    return ChildLists(Client(shop), LINES, Parameters({"order_id": "*"}), "nl")


@pytest.mark.parametrize("cap", [5, 50, 100])
def test_a_page_that_the_shop_cut_short_is_not_taken_for_all_lines(cap: int) -> None:
    shop = Shop({1: 2, 2: cap + 3, 3: cap}, cap)

    records, long = streams(shop).read([1, 2, 3])

    assert [record.id for record in records] == [1000, 1001, *range(3000, 3000 + cap)]
    assert long == [2]


def test_a_page_smaller_than_one_that_the_shop_gave_before_needs_no_count() -> None:
    shop = Shop({1: 4, 2: 3}, 250)
    children = streams(shop)
    children.note_page(5)

    children.read([1, 2])

    assert sorted(shop.sent) == ["/nl/orders/1/products.json", "/nl/orders/2/products.json"]


class EmptyAtFirst(Shop):
    """Answers its first request with an empty list in some form."""

    def __init__(self, lines: dict[int, int], body: bytes) -> None:
        super().__init__(lines, 250)
        self.body = body

    def send(self, request: Request) -> Response:
        found = super().send(request)
        return found if len(self.sent) > 1 else Response(200, self.body, "")


@pytest.mark.parametrize("body", [b"[]", b'{"orderProducts":false}', b'{"lines":[]}'])
@pytest.mark.parametrize("lines", [0, 3])
def test_an_empty_list_in_an_unusual_form_is_counted(body: bytes, lines: int) -> None:
    shop = EmptyAtFirst({1: lines}, body)
    children = streams(shop)
    children.note_parents(250)

    assert children.read([1]) == ([], [1] if lines else [])
    assert shop.sent[1] == "/nl/orders/1/products/count.json"
    assert len(children.read_long(1, UnlimitedBudget())) == lines


@pytest.mark.parametrize("cap", [10, 25, 49])
def test_a_page_of_parents_does_not_show_that_a_full_page_of_lines_is_whole(cap: int) -> None:
    children = streams(Shop({1: 9, 2: cap + 3}, cap))
    children.note_parents(250)

    records, long = children.read([1, 2])

    assert (len(records), long) == (9, [2])


def test_few_lines_need_no_count_once_the_shop_gave_many_parents() -> None:
    shop = Shop({1: 9}, 250)
    children = streams(shop)
    children.note_parents(250)

    children.read([1])

    assert shop.sent == ["/nl/orders/1/products.json"]


class Turning(Shop):
    """Gives one line a page. Before each request it changes which lines there are, to the next of `turns`."""

    def __init__(self, turns: list[list[int | None]]) -> None:
        super().__init__({}, 1)
        self.turns = iter(turns)

    def send(self, request: Request) -> Response:
        self.sent.append(request.operation)
        ids = next(self.turns)
        number = int(request.query.get("page", 1))
        body: Any = {"count": len(ids)}
        if request.operation == "list":
            body = {"orderProducts": [{"id": identity} for identity in ids[number - 1 : number]]}
        return Response(200, json.dumps(body).encode(), "")


def test_a_count_that_fits_a_page_cut_short_because_a_line_was_deleted_is_not_believed() -> None:
    shop = Turning([[1, 2], [2], [2]])

    records, long = streams(shop).read([1])

    assert (records, long) == ([], [1])
    assert shop.sent == ["list", "count", "list"]


def test_a_line_without_an_id_is_a_reason() -> None:
    shop = Turning([[None]] * 3)
    children = streams(shop)

    records, _ = children.read([1])

    assert [record.text for record in records] == [b'{"order_id": 1,"id": null}']
    assert children.unverified_reason == "records carry no id, so one that came twice cannot be known"


class Without(Shop):
    """Answers 404 for the lines of every order, and for the orders of `gone`."""

    def __init__(self, *gone: int) -> None:
        super().__init__({}, 50)
        self.gone = gone

    def send(self, request: Request) -> Response:
        self.sent.append(request.path)
        if request.entity == "orders" and int(request.path.split("/")[3].removesuffix(".json")) not in self.gone:
            return Response(200, b'{"order":{"id":1}}', "")
        raise NotFound("no such record", method="GET", path=request.path, status=404)


def test_the_lines_of_an_order_that_is_gone_are_none() -> None:
    shop = Without(1)

    assert streams(shop).read([1]) == ([], [])
    assert streams(shop).read_long(1, UnlimitedBudget()) == []
    assert shop.sent.count("/nl/orders/1.json") == 2


def test_a_404_for_the_lines_of_an_order_that_is_there_is_not_believed() -> None:
    children = streams(Without())

    with pytest.raises(BrokenResponse, match="the shop has the parent 1, but answers for its records"):
        children.read([1])
    with pytest.raises(BrokenResponse, match="the shop has the parent 1, but answers for its records"):
        children.read_long(1, UnlimitedBudget())
