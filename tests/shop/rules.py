"""Consequences of a change: the stock log, default variants, pictures, an order's log, removed joins."""

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
_PICTURE = ("createdAt", "updatedAt", "extension", "size", "title", "thumb", "src")
_ORDER_STATES = ("status", "paymentStatus", "shipmentStatus")


def apply(store: "Store", change: Change) -> None:
    """Make the consequences of a change, which are changes themselves."""
    if change.resource == "variants" and change.after is not None:
        _log_stock(store, change)
        _keep_one_default(store, change)
    elif change.resource == "products/images":
        _show_pictures(store, change)
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


def _keep_one_default(store: "Store", change: Change) -> None:
    """End the default of the product's former default variant if another variant becomes the default."""
    after = change.after or {}
    if not after.get("isDefault") or (change.before or {}).get("isDefault"):
        return
    for variant_id in store.where("variants", "product", after.get("product") or 0):
        other = store.stored("variants", variant_id)
        if variant_id != change.id and other is not None and other.get("isDefault"):
            store.update("variants", variant_id, isDefault=False)


def _show_pictures(store: "Store", change: Change) -> None:
    """Set the product's picture to its first one by sortOrder, and remove a deleted picture from its variants."""
    row = change.after or change.before or {}
    product_id = row.get("parent_id") or 0
    product = store.stored("products", product_id)
    if product is None:
        return
    ids = store.where("products/images", "parent_id", product_id)
    pictures = [found for i in ids if (found := store.stored("products/images", i)) is not None]
    first = min(pictures, key=lambda found: (found.get("sortOrder", 1), found["id"]), default=None)
    image = False if first is None else {name: first.get(name, "") for name in _PICTURE}
    if product.get("image", False) != image or bool(product.get("images") is False) != (first is None):
        store.update("products", product_id, image=image, images=None if pictures else False)
    if change.after is None:
        for variant_id in store.where("variants", "product", product_id):
            shown = (store.stored("variants", variant_id) or {}).get("image")
            if shown and shown["src"] == row.get("src"):
                store.update("variants", variant_id, image=False)


def _log_order(store: "Store", change: Change) -> None:
    before, after = change.before or {}, change.after or {}
    for field in _ORDER_STATES:
        if before.get(field) != after.get(field):
            message = f"{field}: {after.get(field)}"
            store.add("orders/events", channel="api", type="order", message=message, order=change.id)
