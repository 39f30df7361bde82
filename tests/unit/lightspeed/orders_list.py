"""A transport to a list of orders. A test changes the list between two requests, and reads the requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lightspeed import AnswerLost, Client, Connection, Parameters, Request, Response, get_entity
from lightspeed.listing.budget import UNBOUNDED
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.window import Window
from tests.support.fake_transport import FakeTransport

BASE = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = Window("updated_at", None, datetime(2026, 11, 20, tzinfo=UTC))
CREATED = Window("created_at", None, WINDOW.end)


class Row(dict[str, Any]):
    """An order: its id, and seconds after `BASE` at which it was created and changed."""

    def __init__(self, number: int | None, created: int, changed: int) -> None:
        times = {"createdAt": created, "updatedAt": changed}
        shown = {name: (BASE + timedelta(seconds=each)).isoformat() for name, each in times.items()}
        super().__init__({"id": number, **shown})


def turning(rows: int) -> list[Row]:
    """Return rows in the order of their ids, created a minute apart, with times of change that rise and fall."""
    return [Row(number, 60 * number, 60 * number + 100 * (number % 3)) for number in range(1, rows + 1)]


class Shop(FakeTransport):
    """A transport to a list of orders in a fixed order. It notes every request, as `count` or `PAGE/LIMIT`.

    Attributes:
        before: Called before each request with its number, from 1; may change the rows.
        slow: Pages with more rows than this do not come in time.
        swapped: A row that is on a page of its second only.
        late: Pages that begin a row late.
        counted: What is counted, given the number of rows; the truth by default.
    """

    connection = Connection(origin="http://127.0.0.1:9", api_key="k", api_secret="s", language="nl")

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)
        self.sent: list[str] = []
        self.bounds: list[dict[str, str]] = []
        self.before: Callable[[int], object] = lambda _: None
        self.slow = 1000
        self.swapped: Row | None = None
        self.late: tuple[str, ...] = ()
        self.counted: Callable[[int], int] = lambda rows: rows

    def send(self, request: Request) -> Response:
        query = request.query
        self.bounds.append({name: value for name, value in query.items() if "_at_" in name})
        self.sent.append("count" if request.operation == "count" else f"{query['page']}/{query['limit']}")
        self.before(len(self.sent))
        rows = [row for row in self.rows if self._matches(row, query)]
        if self.swapped is not None and "created_at_min" in query:
            rows.append(self.swapped)
        if request.operation == "count":
            return Response(200, json.dumps({"count": self.counted(len(rows))}).encode(), "")
        size, page = int(query["limit"]), int(query["page"])
        if size > self.slow:
            raise AnswerLost("too slow", method="GET", path="/nl/orders.json", timed_out=True)
        begin = (page - 1) * size + (self.sent[-1] in self.late)
        return Response(200, json.dumps({"orders": rows[begin : begin + size]}).encode(), "")

    def _matches(self, row: Row, query: Any) -> bool:
        return all(
            query.get(f"{by}_min", "") <= (row[name] or "")[:19].replace("T", " ") <= query.get(f"{by}_max", "9")
            for by, name in (("created_at", "createdAt"), ("updated_at", "updatedAt"))
        )

    def leave(self, *numbers: int) -> None:
        """Let rows leave the window."""
        self.rows = [row for row in self.rows if row["id"] not in numbers]


class Budget:
    """A budget with room for so many requests at each look."""

    def __init__(self, room: int = UNBOUNDED) -> None:
        self.rooms = room
        self.slowest = 0.0

    def wait_for_room(self) -> int:
        return self.rooms

    def left(self) -> int:
        return self.rooms

    def record_latency(self, seconds: float) -> None:
        self.slowest = max(self.slowest, seconds)


def shop_list_of(shop: Any, window: Window | None = WINDOW, limit: int = 10) -> ShopList:
    return ShopList(Client(shop), get_entity("orders"), Parameters(query={"limit": limit}), "nl", window)
