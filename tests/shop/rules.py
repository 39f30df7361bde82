"""What follows from a change: the stock log, a new product's default variant, an order's log, joins that go."""

from typing import TYPE_CHECKING

from .store import Change

if TYPE_CHECKING:
    from .store import Store

_JOINS = {
    "products": (
        ("variants", "product"),
        ("categories/products", "product"),
        ("tags/products", "product"),
    ),
    "categories": (("categories/products", "category"),),
    "tags": (("tags/products", "tag"),),
    "customers": (("groups/customers", "customer"),),
    "groups": (("groups/customers", "group"),),
    "types": (("types/attributes", "type"),),
    "attributes": (("types/attributes", "attribute"),),
}
_ORDER_STATES = ("status", "paymentStatus", "shipmentStatus")


def apply(store: "Store", change: Change) -> None:
    """Make the consequences of a change; they are changes themselves."""
    if change.resource == "variants" and change.after is not None:
        _log_stock(store, change)
    elif change.resource == "products" and change.action == "created":
        store.add("variants", product=change.id, isDefault=True)
    elif change.resource == "orders" and change.action == "updated":
        _log_order(store, change)
    if change.action == "deleted":
        for table, field in _JOINS.get(change.resource, ()):
            for row in list(store.table(table).rows()):
                if row.get(field) == change.id:
                    store.delete(table, row["id"])


def _log_stock(store: "Store", change: Change) -> None:
    assert change.after is not None
    before = (change.before or {}).get("stockLevel", 0)
    difference = change.after.get("stockLevel", 0) - before
    if difference:
        product = change.after.get("product", False)
        store.add("variants/movements", stockLevelChange=difference, product=product, variant=change.id)


def _log_order(store: "Store", change: Change) -> None:
    before, after = change.before or {}, change.after or {}
    for field in _ORDER_STATES:
        if before.get(field) != after.get(field):
            message = f"{field}: {after.get(field)}"
            store.add("orders/events", channel="api", type="order", message=message, order=change.id)
