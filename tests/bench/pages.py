"""Pages of orders for the bench's shop: texts of the simulated shop with ids of their own.

The simulated shop renders a page of 250 orders in about 17 ms and remembers it in 64 MB: dear enough to be the
bottleneck of a million rows. Here a page is put together from 2,000 rendered orders in about 0.3 ms, whatever the size
of the shop.
"""

from __future__ import annotations

import re

from tests.shop import Shop

_TEMPLATES = 2000
_LARGEST = 250
_FIRST_ID = 300_000_000
_ID = re.compile(rb'\{"id":\d+')
_CREATED = re.compile(r'"createdAt":"([^"]+)"')


def rendered_orders(number: int = _TEMPLATES) -> list[bytes]:
    """Return the JSON text of so many orders of the simulated shop."""
    shop = Shop(seed=1, orders=number, products=50, customers=500, quota=None, rate_per_second=None)
    texts: list[bytes] = []
    for page in range(1, -(-number // _LARGEST) + 1):
        _, _, body = shop.answer("GET", f"/nl/orders.json?limit={_LARGEST}&page={page}")
        inside = body.removeprefix(b'{"orders":[').removesuffix(b"]}")
        starts = [match.start() for match in re.finditer(rb'(?<=,)\{"id":\d+,"createdAt"', inside)]
        texts += [inside[a:b].rstrip(b",") for a, b in zip([0, *starts], [*starts, len(inside)], strict=True)]
    return texts


class Pages:
    """The shop's list of all orders, newest (largest id) first.

    Args:
        records: The number of rows.
        orders: JSON texts of orders. The rows are made of them.
    """

    def __init__(self, records: int, orders: list[bytes]) -> None:
        self.records = records
        self._rests = [_ID.sub(b"", text, count=1) for text in orders]
        self._heads = [
            rest[: rest.index(b'"number"') - 1] + b"}" if b'"number"' in rest else rest for rest in self._rests
        ]

    @property
    def mean_bytes(self) -> int:
        """Mean size of an order."""
        return sum(map(len, self._rests)) // len(self._rests) + len(b'{"id":300000000')

    def body(self, page: int, limit: int, *, heads: bool = False) -> bytes:
        """Return the answer for a page, from 1; empty behind the last; `heads` gives ids and times only."""
        first, rests = (page - 1) * limit, self._heads if heads else self._rests
        rows = range(first, min(first + limit, self.records))
        newest = _FIRST_ID + self.records
        return b'{"orders":[%b]}' % b",".join(b'{"id":%d%b' % (newest - r, rests[r % len(rests)]) for r in rows)


def rendered_line() -> bytes:
    """Return the JSON text of one line of an order of the simulated shop, without its id."""
    shop = Shop(seed=1, orders=1, products=50, customers=5, quota=None, rate_per_second=None)
    (order,) = shop.store.ids("orders")
    _, _, body = shop.answer("GET", f"/nl/orders/{order}/products.json?limit=1")
    inside = body.removeprefix(b'{"orderProducts":[').removesuffix(b"]}")
    return _ID.sub(b"", inside, count=1)


def lines(order: int, line: bytes) -> bytes:
    """Return the answer for the lines of an order: one to three."""
    rows = (b'{"id":%d%b' % (10 * order + number, line) for number in range(lines_of(order)))
    return b'{"orderProducts":[%b]}' % b",".join(rows)


def lines_of(order: int) -> int:
    """Return how many lines an order has."""
    return order % 3 + 1


def newest(orders: list[bytes]) -> str:
    """Return the latest `createdAt` among the texts, ISO-8601 with the shop's offset."""
    return max(match.group(1) for text in orders if (match := _CREATED.search(text.decode())))
