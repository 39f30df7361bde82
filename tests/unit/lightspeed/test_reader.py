"""How many pages of a list are processed at once."""

import json
import threading
from typing import Any

from lightspeed import Client, Connection, Parameters
from lightspeed.catalogue.entities import get_entity
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.reader import PROCESSED_AT_ONCE, THREADS, ListReader
from lightspeed.listing.records import Record
from lightspeed.listing.shop_list import ShopList
from lightspeed.request import Request
from lightspeed.transport import Response
from tests.support.fake_transport import FakeTransport

_PAGES = 4 * THREADS // PROCESSED_AT_ONCE * PROCESSED_AT_ONCE


class Shop(FakeTransport):
    """A transport to taxes, one on each page."""

    connection = Connection(origin="http://127.0.0.1:9", api_key="k", api_secret="s", language="nl")

    def send(self, request: Request) -> Response:
        page = int(request.query.get("page", 0))
        body: Any = {"taxes": [{"id": page}] if 0 < page <= _PAGES else []}
        return Response(200, json.dumps(body if page else {"count": _PAGES}).encode(), "")


def test_two_pages_are_processed_at_once_and_no_more() -> None:
    inside: set[int] = set()
    most: list[int] = []
    pair = threading.Barrier(PROCESSED_AT_ONCE)

    def process(records: list[Record]) -> int:
        number = int(str(records[0].id))
        inside.add(number)
        pair.wait()  # for the other page that is processed
        most.append(len(inside))
        pair.wait()
        inside.remove(number)
        return number

    shop: Any = Shop()
    reader = ListReader(
        ShopList(Client(shop), get_entity("taxes"), Parameters(query={"limit": 1}), "nl", None),
        stable=True,
        checkpoint=ListCheckpoint(),
        process=process,
    )

    assert list(reader.pages()) == list(range(_PAGES, 0, -1))
    assert set(most) == {PROCESSED_AT_ONCE}
