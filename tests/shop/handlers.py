"""The operations of every list of records: list, get, count, create, update, delete."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .exchange import Answer, RefusedError, Request, dumps, json_answer
from .filters import page_of, select
from .listing import Listing
from .resource import Resource
from .shapes import Row
from .writes import neutral, unwrap_record

if TYPE_CHECKING:
    from .shop import Shop

NOT_FOUND = "Not found"
MAX_WEBHOOKS = 10


@dataclass(frozen=True)
class Call:
    """One request on its way to a handler.

    Attributes:
        ids: the ids in the path, from left to right.
    """

    shop: "Shop"
    request: Request
    language: str
    ids: tuple[int, ...]


Handler = Callable[[Call], Answer]


def list_records(resource: Resource, call: Call) -> Answer:
    """Answer one page, in the list's envelope."""
    texts = page_texts(resource, call, _listing(resource, call))
    return json_answer(200, f'{{"{resource.items}":[{",".join(texts)}]}}')


def page_texts(resource: Resource, call: Call, listing: Listing) -> list[str]:
    """Return the texts of one page of a listing, with only the asked fields if some are asked."""
    store = call.shop.store
    ids = listing.page(*page_of(call.request.query, call.shop.habits))
    fields = asked_fields(call)
    if fields is None:
        return store.texts(resource.name, ids, call.language)
    renderer = store.renderer(resource.name, call.language)
    return [renderer.text(row, fields) for i in ids if (row := store.stored(resource.name, i)) is not None]


def asked_fields(call: Call) -> list[str] | None:
    """Return the fields that a sparse answer is asked for, or None for all."""
    fields = call.request.query.get("fields", "")
    if not fields or "fields" in call.shop.habits.ignored_filters:
        return None
    return [name.strip() for name in fields.split(",")]


def count_records(resource: Resource, call: Call) -> Answer:
    """Answer how many records the list would have, with the same filters."""
    return json_answer(200, dumps({"count": _listing(resource, call).count}))


def get_record(resource: Resource, call: Call) -> Answer:
    """Answer one record; an order carries what belongs to it."""
    row = find(resource, call)
    return json_answer(200, envelope(resource.item, item_text(resource, call, row)))


def create_record(resource: Resource, call: Call) -> Answer:
    """Add a record and answer it with 201."""
    store = call.shop.store
    parent = parent_id(resource, call)
    fields = unwrap_record(call.request, resource.item, resource.written_as)
    row = neutral(store, resource, fields, call.language, None)
    if resource.name == "taxes/overrides":
        row["tax"] = parent
    if resource.name == "webhooks" and store.count("webhooks") >= MAX_WEBHOOKS:
        raise RefusedError(422, f"No more than {MAX_WEBHOOKS} webhooks")
    record_id = store.add(resource.name, row, parent=parent)
    text = store.text(resource.name, record_id, call.language) or ""
    return json_answer(201, envelope(resource.created_as or resource.item, text))


def update_record(resource: Resource, call: Call) -> Answer:
    """Change the fields that the body holds and answer the whole record."""
    store = call.shop.store
    old = find(resource, call)
    fields = unwrap_record(call.request, resource.item)
    row = neutral(store, resource, fields, call.language, old)
    after = store.update(resource.name, old["id"], row)
    return json_answer(200, envelope(resource.item, item_text(resource, call, after)))


def delete_record(resource: Resource, call: Call) -> Answer:
    """Delete a record and answer nothing."""
    call.shop.store.delete(resource.name, find(resource, call)["id"])
    return Answer(204)


def envelope(key: str, text: str) -> str:
    """Wrap JSON text in an envelope."""
    return f'{{"{key}":{text}}}'


def find(resource: Resource, call: Call) -> Row:
    """Return the row that the path names; 404 if it or the record above does not exist."""
    parent = parent_id(resource, call)
    row = call.shop.store.stored(resource.name, call.ids[-1])
    if row is None or (parent is not None and row.get("parent_id") != parent):
        raise RefusedError(404, NOT_FOUND)
    return row


def parent_id(resource: Resource, call: Call) -> int | None:
    """Return the id of the record above, None for flat resources; 404 if there is no such record."""
    if not resource.parent:
        return None
    if call.shop.store.stored(resource.parent, call.ids[0]) is None:
        raise RefusedError(404, NOT_FOUND)
    return call.ids[0]


def item_text(resource: Resource, call: Call, row: Row) -> str:
    """Return the text of one record as GET one shows it."""
    store = call.shop.store
    fields = asked_fields(call) if call.request.method == "GET" else None
    if resource.name == "orders":
        record = order_with_embedded(call.shop, row["id"], call.language)
        return dumps(record if fields is None else {name: record[name] for name in record if name in fields})
    if fields is not None:
        return store.renderer(resource.name, call.language).text(row, fields)
    return store.text(resource.name, row["id"], call.language) or ""


def order_with_embedded(shop: "Shop", order_id: int, language: str) -> dict[str, Any]:
    """Return an order whose links hold its customer, invoices, shipments, lines, metafields, quote and events."""
    store = shop.store
    record: dict[str, Any] = json.loads(store.text("orders", order_id, language) or "{}")
    row = store.stored("orders", order_id) or {}

    def below(name: str, field: str) -> list[Any]:
        ids = store.where(name, field, order_id)
        return [json.loads(text) for text in store.texts(name, ids, language)]

    embedded = {
        "customer": _decoded(store.text("customers", row.get("customer") or 0, language)),
        "invoices": below("invoices", "order"),
        "shipments": below("shipments", "order"),
        "products": below("orders/products", "parent_id"),
        "metafields": below("orders/metafields", "parent_id"),
        "quote": _decoded(store.text("quotes", row.get("quote") or 0, language)),
        "events": below("orders/events", "order"),
    }
    for name, content in embedded.items():
        if record[name] and content is not None:
            record[name]["resource"]["embedded"] = content
    return record


def _decoded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _listing(resource: Resource, call: Call) -> Listing:
    shop = call.shop
    table, parent = shop.store.table(resource.name), parent_id(resource, call)
    return select(table, resource, call.request.query, shop.habits, parent, shop.store.stored)
