"""The bench's shop: one list of orders with count, pages, Basic auth, rate headers and, if asked for, limits.

It keeps to the facts of the simulated shop of `tests.shop` and does only what a read of all orders needs. It is set up
anew for every contestant by `POST /bench`, and tells what it was asked by `GET /bench`; neither counts.
"""

from __future__ import annotations

import base64
import json
import math
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import parse_qsl, urlsplit

from tests.bench.loopback import Handler, serve
from tests.bench.pages import Pages, lines, lines_of, newest, rendered_line, rendered_orders

KEY, SECRET = "fake0key0of0the0simulated0shop00", "fake0secret0of0the0simulatedshop"
_CREDENTIALS = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
_UNLIMITED = 1_000_000
_CHILDREN = re.compile(r"/nl/orders/(\d+)/products(/count)?\.json")
_KNOWN = {"fields", "limit", "page", "created_at_min", "created_at_max", "updated_at_min", "updated_at_max"}


@dataclass
class Setup:
    """What a contestant meets.

    Attributes:
        records: Orders in the shop.
        latency_ms: Waited before every answer.
        quota: Requests per window, or `None` for no limits.
        window_seconds: Length of a window; the first begins with the first request.
        per_second: Requests per second that are answered while limits are on.
    """

    records: int = 0
    latency_ms: float = 0
    quota: int | None = None
    window_seconds: float = 10
    per_second: int = 20


@dataclass
class Counters:
    """What the shop was asked.

    Attributes:
        pages: Pages given, an empty one behind the last included.
        children: Lists of an order's lines given.
        counts: Counts given.
        refused: 429 answered.
        errors: Anything else that was not answered with 200.
    """

    pages: int = 0
    children: int = 0
    counts: int = 0
    refused: int = 0
    errors: int = 0
    at: list[float] = field(default_factory=list)


class Shop:
    """The state of the shop. It is empty before `set_up`."""

    def __init__(self) -> None:
        self.orders = rendered_orders()
        self.line = rendered_line()
        self.newest = datetime.fromisoformat(newest(self.orders))
        self.lock = threading.Lock()
        self.set_up(Setup())

    def set_up(self, setup: Setup) -> None:
        """Begin again."""
        with self.lock:
            self.setup = setup
            self.counters = Counters()
            self.pages = Pages(setup.records, self.orders)
            self._began: float | None = None
            self._window, self._used, self._second = -1, 0, (-1, 0)

    def admit(self) -> tuple[bool, dict[str, str]]:
        """Count a request if there is room for it; return whether there is, and the headers of its answer."""
        setup = self.setup
        with self.lock:
            now = time.monotonic()
            self._began = now if self._began is None else self._began
            elapsed = now - self._began
            window, second = int(elapsed // setup.window_seconds), int(elapsed)
            if window != self._window:
                self._window, self._used = window, 0
            left = math.ceil((window + 1) * setup.window_seconds - elapsed)
            if setup.quota is None:
                return True, _headers(_UNLIMITED, _UNLIMITED, left)
            if self._used >= setup.quota:
                return False, {**_headers(setup.quota, -1, left), "Retry-After": str(left)}
            seen = self._second[1] if self._second[0] == second else 0
            if seen >= setup.per_second:
                return False, {**_headers(setup.quota, setup.quota - self._used, left), "Retry-After": "1"}
            self._second = (second, seen + 1)
            self._used += 1
            return True, _headers(setup.quota, setup.quota - self._used, left)

    def count(self, kind: str) -> None:
        """Note what was answered: the name of a counter."""
        with self.lock:
            setattr(self.counters, kind, getattr(self.counters, kind) + 1)
            self.counters.at.append(time.monotonic())


class ShopHandler(Handler):
    """Answers orders, their count, and the bench's own two requests."""

    def do_POST(self) -> None:  # noqa: N802 - the base class's name
        """Set up again."""
        self.server.state.set_up(Setup(**json.loads(self.read_body())))  # type: ignore[attr-defined]
        self.answer_json(200, {})

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        """Answer as the shop does."""
        shop: Shop = self.server.state  # type: ignore[attr-defined]
        if self.path == "/bench":
            at = shop.counters.at
            seconds = at[-1] - at[0] if at else 0.0
            facts = {"mean_bytes": shop.pages.mean_bytes, "seconds": seconds}
            self.answer_json(200, {**vars(shop.counters), **facts, "at": None})
            return
        if shop.setup.latency_ms:
            time.sleep(shop.setup.latency_ms / 1000)
        admitted, headers = shop.admit()
        headers["Date"] = formatdate(usegmt=True)
        if not admitted:
            shop.count("refused")
            self._refuse(429, "Rate limit exceeded", headers)
            return
        if self.headers.get("Authorization") != _CREDENTIALS:
            shop.count("errors")
            self._refuse(401, "Access denied.", headers)
            return
        target = urlsplit(self.path)
        query = dict(parse_qsl(target.query))
        child = _CHILDREN.fullmatch(target.path)
        if child is not None and child[2]:
            shop.count("counts")
            self.answer_json(200, {"count": lines_of(int(child[1]))}, headers)
        elif child is not None:
            shop.count("children")
            self.answer(200, lines(int(child[1]), shop.line), {"Content-Type": "application/json", **headers})
        elif target.path not in ("/nl/orders.json", "/nl/orders/count.json") or not _holds_all(query, shop.newest):
            shop.count("errors")
            self._refuse(400, "the bench's shop only lists all orders, in nl", headers)
        elif target.path == "/nl/orders/count.json":
            shop.count("counts")
            self.answer_json(200, {"count": shop.setup.records}, headers)
        else:
            limit = min(250, int(query.get("limit", 50)))
            body = shop.pages.body(int(query.get("page", 1)), limit, heads="fields" in query)
            shop.count("pages")
            self.answer(200, body, {"Content-Type": "application/json; charset=utf-8", **headers})

    def send_response(self, code: int, message: str | None = None) -> None:
        """Begin an answer; `Date` is among its headers."""
        self.send_response_only(code, message)

    def _refuse(self, status: int, message: str, headers: dict[str, str]) -> None:
        error = {"code": status, "method": self.command, "request": self.path, "message": message}
        self.answer_json(status, {"error": error}, headers)


def _headers(limit: int, remaining: int, reset_seconds: int) -> dict[str, str]:
    day = 86_400
    return {
        "X-RateLimit-Limit": f"{limit}/{10 * _UNLIMITED}/{100 * _UNLIMITED}",
        "X-RateLimit-Remaining": f"{remaining}/{10 * _UNLIMITED}/{100 * _UNLIMITED}",
        "X-RateLimit-Reset": f"{reset_seconds}/{day // 24}/{day}",
    }


def _holds_all(query: dict[str, str], last: datetime) -> bool:
    """Whether a query asks for all orders: a closed window of the past that ends after the newest one."""
    until = [datetime.fromisoformat(query[name]) for name in ("created_at_max", "updated_at_max") if name in query]
    from_start = "created_at_min" not in query and "updated_at_min" not in query
    return query.keys() <= _KNOWN and from_start and all(t.replace(tzinfo=t.tzinfo or UTC) >= last for t in until)


if __name__ == "__main__":
    serve(ShopHandler, Shop())
