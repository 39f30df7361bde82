"""The shop's data and every change of it.

A change by a test, like that of another user of the shop, takes the same way as a change through the API: the clock
stamps it, `rules` makes its consequences, and the listeners get it.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import shapes_orders as o
from .clock import Clock
from .data import NEWEST, Sizes
from .data_customers import CustomerData
from .data_fixed import FixedData
from .data_orders import OrderData
from .data_products import ProductData
from .data_quotes import QuoteData
from .render import Renderer
from .resources import BY_NAME
from .series import Series
from .shapes import Row, Shape, full
from .table import Table

MAX_CUSTOMERS = 4000
_UNROUTED = {"checkouts": o.CHECKOUT, "checkouts/products": o.CHECKOUT_PRODUCT}
# The resources whose text holds the text of a record.
_EMBEDDED_IN = {"sets": ("products",), "categories": ("discounts",), "products": ("discounts",)} | {
    "attributes": ("products/attributes",)
}


@dataclass(frozen=True)
class Change:
    """A change of a record.

    Attributes:
        before: the stored row before; None for a created record.
        after: the stored row after; None for a deleted record.
    """

    resource: str
    action: str
    id: int
    before: Row | None
    after: Row | None


class Store:
    """All rows of one shop.

    Rows are named by resource as in its path, without ids: `orders`, `products/images`. Reading answers neutral rows:
    related records as ids, times as epoch seconds, translated text as `{language: text}`; the id of the record above
    a nested one is `parent_id`.
    """

    def __init__(self, sizes: Sizes, clock: Clock, origin: Callable[[], str], cache_bytes: int) -> None:
        self.lock = threading.RLock()
        self.listeners: list[Callable[[Change], None]] = []
        self._clock = clock
        self._origin = origin
        self._tables: dict[str, Table] = {}
        self._renderers: dict[tuple[str, str], Renderer] = {}
        self._texts: dict[str, dict[tuple[str, int], str]] = {}
        self._text_bytes = 0
        self._cache_bytes = cache_bytes
        goods = ProductData(sizes)
        buyers = CustomerData(sizes, goods)
        orders = OrderData(sizes, goods, buyers)
        quotes = QuoteData(sizes, goods, buyers, orders)
        self._series: dict[str, Series] = goods.series() | buyers.series() | orders.series() | quotes.series()
        self._fixed = FixedData(sizes).lists()

    def now(self) -> int:
        """Return the shop's time in whole epoch seconds."""
        return int(self._clock.now())

    def table(self, resource: str) -> Table:
        """Return the rows of a resource; raises KeyError for a name that is none."""
        known = BY_NAME.get(resource)
        name = (known.table if known else "") or resource
        table = self._tables.get(name)
        if table is None:
            self.shape(resource)
            with self.lock:
                table = self._tables.setdefault(name, self._open(name))
        return table

    def shape(self, resource: str) -> Shape:
        """Return the fields of a resource."""
        return BY_NAME[resource].shape if resource in BY_NAME else _UNROUTED[resource]

    def count(self, resource: str) -> int:
        """Return how many records there are."""
        return len(self.table(resource))

    def ids(self, resource: str, parent: int | None = None) -> list[int]:
        """Return ids in descending order, for nested resources those below one record."""
        table = self.table(resource)
        with self.lock:
            return list(reversed(table.ids if parent is None else self.where(resource, "parent_id", parent)))

    def where(self, resource: str, field: str, owner_id: int) -> list[int]:
        """Return the ids, ascending, of the records whose field names another record."""
        table = self.table(resource)
        with self.lock:
            owned = table.owned_by(field, owner_id)
            return owned if owned is not None else [r["id"] for r in table.rows() if r.get(field) == owner_id]

    def row(self, resource: str, record_id: int) -> Row | None:
        """Return one row with its defaults filled in, or None."""
        stored = self.stored(resource, record_id)
        return None if stored is None else full(self.shape(resource), stored) | stored

    def rows(self, resource: str, parent: int | None = None) -> list[Row]:
        """Return all rows with their defaults filled in, in descending order of id."""
        found = (self.row(resource, record_id) for record_id in self.ids(resource, parent))
        return [row for row in found if row is not None]

    def stored(self, resource: str, record_id: int) -> Row | None:
        """Return a row as it is stored, only what differs from the defaults; the caller must not change it."""
        return self.table(resource).row(record_id)

    def records(self, resource: str, language: str, parent: int | None = None) -> list[dict[str, Any]]:
        """Return what the API shows of all records in one language, in descending order of id."""
        renderer = self.renderer(resource, language)
        return [
            renderer.record(row) for i in self.ids(resource, parent) if (row := self.stored(resource, i)) is not None
        ]

    def add(
        self,
        resource: str,
        fields: Mapping[str, Any] | None = None,
        *,
        parent: int | None = None,
        at: float | None = None,
        **more: Any,
    ) -> int:
        """Add a record and return its id.

        Args:
            resource: its name.
            fields: what differs from the defaults, in neutral form; `id`, `createdAt` and `updatedAt` may be given.
            parent: id of the record above, for nested resources.
            at: epoch seconds to stamp it with; the clock's by default.
            more: further fields.
        """
        table = self.table(resource)
        row: Row = dict(fields or {}) | more
        with self.lock:
            row.setdefault("id", table.next_id())
            if parent is not None:
                row["parent_id"] = parent
            self._stamp(resource, row, at, created=True)
            table.put(row)
            self._forget(resource, row["id"])
            self._tell(Change(resource, "created", row["id"], None, row))
        return int(row["id"])

    def update(
        self,
        resource: str,
        record_id: int,
        fields: Mapping[str, Any] | None = None,
        *,
        at: float | None = None,
        **more: Any,
    ) -> Row:
        """Change fields of a record, stamp it, and return the row; raises KeyError if there is none."""
        table = self.table(resource)
        with self.lock:
            before = table.row(record_id)
            if before is None:
                raise KeyError(f"{resource}/{record_id}")
            after = before | dict(fields or {}) | more
            self._stamp(resource, after, at, created=False)
            table.put(after)
            self._forget(resource, record_id)
            self._tell(Change(resource, "updated", record_id, before, after))
        return after

    def delete(self, resource: str, record_id: int) -> None:
        """Delete a record; raises KeyError if there is none."""
        table = self.table(resource)
        with self.lock:
            before = table.row(record_id)
            if before is None:
                raise KeyError(f"{resource}/{record_id}")
            table.remove(record_id)
            self._forget(resource, record_id)
            self._tell(Change(resource, "deleted", record_id, before, None))

    def renderer(self, resource: str, language: str) -> Renderer:
        """Return what turns rows of a resource into JSON text."""
        key = (resource, language)
        renderer = self._renderers.get(key)
        if renderer is None:
            shape = self.shape(resource)
            renderer = Renderer(shape, language, self._origin(), lambda name, i: self.text(name, i, language))
            self._renderers[key] = renderer
        return renderer

    def text(self, resource: str, record_id: int, language: str) -> str | None:
        """Return the JSON text of a record, or None; texts are remembered."""
        texts = self._texts.setdefault(resource, {})
        key = (language, record_id)
        known = texts.get(key)
        if known is not None:
            return known
        row = self.stored(resource, record_id)
        if row is None:
            return None
        made = self.renderer(resource, language).text(row)
        if self._text_bytes > self._cache_bytes:
            for remembered in self._texts.values():
                remembered.clear()
            self._text_bytes = 0
        texts[key] = made
        self._text_bytes += len(made)
        return made

    def texts(self, resource: str, ids: Iterable[int], language: str) -> list[str]:
        """Return the JSON texts of records that exist."""
        found = (self.text(resource, record_id, language) for record_id in ids)
        return [text for text in found if text is not None]

    def forget_texts(self) -> None:
        """Forget every rendered text, because the origin in the links changed."""
        self._texts.clear()
        self._renderers.clear()

    def _open(self, name: str) -> Table:
        known = BY_NAME.get(name)
        parent = "parent_id" if name == "checkouts/products" or (known and known.parent) else ""
        table = Table(name, self._series.get(name), parent)
        for row in sorted(self._fixed[name](), key=lambda row: int(row["id"])) if name in self._fixed else ():
            table.put(row)
        return table

    def _stamp(self, resource: str, row: Row, at: float | None, *, created: bool) -> None:
        now = int(self._clock.now() if at is None else at)
        for field in self.shape(resource):
            if field.kind != "time":
                continue
            if field.name in {"createdAt", "created_at"} and created:
                row.setdefault(field.name, now)
            elif field.name in {"updatedAt", "updated_at"}:
                if created:
                    row.setdefault(field.name, row.get("createdAt", now))
                else:
                    row[field.name] = now

    def _forget(self, resource: str, record_id: int) -> None:
        table = self.table(resource)
        for name, language in self._renderers:
            if name == resource or self.table(name) is table:
                self._texts.get(name, {}).pop((language, record_id), None)
        for name in _EMBEDDED_IN.get(resource, ()):
            self._texts.pop(name, None)

    def _tell(self, change: Change) -> None:
        for listener in list(self.listeners):
            listener(change)


def sizes_of(
    seed: int, orders: int, products: int, customers: int | None, languages: tuple[str, ...], now: float
) -> Sizes:
    """Return the sizes of a shop; without a number of customers there are two for three orders, from ten to 4,000.

    Args:
        now: the clock's epoch seconds; nothing in the shop is younger.
    """
    if customers is None:
        customers = max(10, min(orders * 2 // 3, MAX_CUSTOMERS)) if orders or products else 0
    newest = min(NEWEST, int(now) // 3600 * 3600)
    return Sizes(seed, orders, products, customers, languages, newest)
