"""Actions and special reads: credit, convert, login, tokens, bulk writes, the catalogue, a quote's methods."""

import json
from typing import Any

from .data_orders import PAYMENTS, SHIPMENT_ID, SHIPPING_EXCL
from .exchange import Answer, RefusedError, dumps, json_answer
from .filters import page_of, select
from .handlers import NOT_FOUND, Call, asked_fields, envelope, item_text
from .orders import api_caller, credit_order, order_from_quote
from .resources import BY_NAME
from .shapes import Row
from .uploads import INVALID
from .writes import neutral, unwrap, unwrap_record

MAX_BULK = 250


def _existing(call: Call, resource: str) -> Row:
    row = call.shop.store.stored(resource, call.ids[0])
    if row is None:
        raise RefusedError(404, NOT_FOUND)
    return row


def credit(call: Call) -> Answer:
    """Credit an order, whole or by lines; answers the credit invoice (the real answer's form is not evidenced)."""
    order = _existing(call, "orders")
    wish = unwrap_record(call.request, "credit") if call.request.body else {}
    invoice = credit_order(call.shop.store, order, wish)
    return json_answer(201, envelope("invoice", call.shop.store.text("invoices", invoice, call.language) or ""))


def convert(call: Call) -> Answer:
    """Turn a quote into an order and answer the order; a second time is refused."""
    store = call.shop.store
    quote = _existing(call, "quotes")
    if call.request.body:
        unwrap_record(call.request, "order")
    if quote.get("isLocked") or quote.get("converted"):
        raise RefusedError(422, "The quote is already converted")
    order_id = order_from_quote(store, quote["id"], api_caller(call.request.headers))
    order = store.stored("orders", order_id)
    assert order is not None
    return json_answer(201, envelope("order", item_text(BY_NAME["orders"], call, order)))


def login(call: Call) -> Answer:
    """Check a customer's password; the shop takes any that is not empty."""
    _existing(call, "customers")
    fields = unwrap_record(call.request, "customerLogin")
    return json_answer(200, dumps({"customerLogin": {"loggedin": bool(fields.get("password"))}}))


def token(call: Call) -> Answer:
    """Make a single-sign-on token that lives for `expiresIn` seconds, 60 by default."""
    customer = _existing(call, "customers")
    fields = unwrap_record(call.request, "customerToken") if call.request.body else {}
    seconds = fields.get("expiresIn", 60)
    if not isinstance(seconds, int) or seconds < 1:
        raise RefusedError(422, "expiresIn must be a number of seconds")
    made = {"token": f"fake-token-{customer['id']}-{int(call.shop.clock.now())}", "expiresIn": seconds}
    return json_answer(201, dumps({"customerToken": made}))


def variants_bulk(call: Call) -> Answer:
    """Change many variants at once; one bad entry refuses all of them (per-entry errors are not evidenced)."""
    store, resource = call.shop.store, BY_NAME["variants"]
    changes = []
    for fields in _entries(unwrap(call.request, "variant", "variants")):
        old = store.stored("variants", fields["id"]) if isinstance(fields.get("id"), int) else None
        if old is None:
            raise RefusedError(422, f"Unknown variant: {fields.get('id')}")
        changes.append((old["id"], neutral(store, resource, fields, call.language, old)))
    for record_id, row in changes:
        store.update("variants", record_id, row)
    texts = store.texts("variants", [record_id for record_id, _ in changes], call.language)
    return json_answer(200, f'{{"variants":[{",".join(texts)}]}}')


def categories_bulk(call: Call) -> Answer:
    """Put one product into many categories and answer the joins, as the habit `places_in_bulk` says."""
    store, habit = call.shop.store, call.shop.habits.places_in_bulk
    wish = unwrap_record(call.request, "categoriesProduct")
    categories = wish.get("categories")
    if not isinstance(categories, list) or not categories:
        raise RefusedError(422, "categories must be a list of ids")
    ids, errors = [], []
    wanted = [(category, wish.get("product")) for category in categories]
    rows = [_place(call, *ends) for ends in wanted] if habit == "all or none" else None
    for number, ends in enumerate(wanted):
        try:
            ids.append(store.add("categories/products", rows[number] if rows else _place(call, *ends)))
        except RefusedError as error:
            if habit == "until refused":
                raise
            errors.append(error.message)
    texts = ",".join(store.texts("categories/products", ids, call.language))
    if habit == "each":
        return json_answer(201, f'{{"categoriesProduct":[{texts}],"errors":{dumps(errors)}}}')
    return json_answer(201, f'{{"categoriesProducts":[{texts}]}}')


def _place(call: Call, category: Any, product: Any) -> Row:
    """Return the row of a product's place in a category.

    Raises:
        RefusedError: 422 if the product has the place already, unless the habit `places_in_bulk` is `all or none`.
    """
    store, fields = call.shop.store, {"category": category, "product": product}
    row = neutral(store, BY_NAME["categories/products"], fields, call.language, None)
    others = store.table("categories/products").rows()
    taken = any(all(other.get(end) == row[end] for end in ("category", "product")) for other in others)
    if taken and call.shop.habits.places_in_bulk != "all or none":
        raise RefusedError(422, f"The product is already in category {category}")
    return row


def attributes_bulk(call: Call) -> Answer:
    """Change many attribute values of a product; an entry names its `id` or its `attribute`."""
    store, resource = call.shop.store, BY_NAME["products/attributes"]
    _existing(call, "products")
    rows = [store.stored(resource.name, i) or {} for i in store.where(resource.name, "parent_id", call.ids[0])]
    changes = []
    for fields in _entries(unwrap(call.request, "productAttributes", "productAttribute")):
        wanted = fields.get("id", fields.get("attribute"))
        found = next((row for row in rows if wanted in (row["id"], row.get("attribute"))), None)
        if found is None:
            raise RefusedError(422, f"Unknown attribute: {wanted}")
        changes.append(
            (found["id"], neutral(store, resource, {"value": fields.get("value", "")}, call.language, found))
        )
    for record_id, row in changes:
        store.update(resource.name, record_id, row)
    texts = store.texts(resource.name, [row["id"] for row in rows], call.language)
    return json_answer(200, f'{{"productAttributes":[{",".join(texts)}]}}')


def _entries(entries: Any) -> list[dict[str, Any]]:
    if isinstance(entries, dict):
        entries = list(entries.values())  # a form's numbered entries
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise RefusedError(400, INVALID)
    if len(entries) > MAX_BULK:
        raise RefusedError(422, f"No more than {MAX_BULK} at once")
    return entries


def list_catalog(call: Call) -> Answer:
    """Answer a page of products with their variants inside, as an object keyed by id."""
    shop, products = call.shop, BY_NAME["products"]
    listing = select(shop.store.table("products"), products, call.request.query, shop.habits, None, shop.store.stored)
    ids = listing.page(*page_of(call.request.query, shop.habits))
    return json_answer(200, dumps({"products": [_catalog_record(call, i) for i in ids]}))


def get_catalog(call: Call) -> Answer:
    """Answer one product of the catalogue; the envelope is not evidenced, so it is the product's."""
    _existing(call, "products")
    return json_answer(200, dumps({"product": _catalog_record(call, call.ids[0])}))


def _catalog_record(call: Call, product_id: int) -> dict[str, Any]:
    store = call.shop.store
    record: dict[str, Any] = json.loads(store.text("products", product_id, call.language) or "{}")
    ids = store.where("variants", "product", product_id)
    variants = [json.loads(text) for text in store.texts("variants", ids, call.language)]
    record["variants"] = {str(variant["id"]): variant for variant in variants}
    fields = asked_fields(call)
    return record if fields is None else {name: record[name] for name in record if name in fields}


def _payment_methods() -> list[dict[str, Any]]:
    return [{"id": key, "title": title, "priceExcl": 0, "priceIncl": 0} for key, title, _ in PAYMENTS]


def _shipping_methods() -> list[dict[str, Any]]:
    return [
        {
            "id": SHIPMENT_ID,
            "type": "default",
            "freeAbove": 1_000_000,
            "title": "PostNL",
            "description": "",
            "priceExcl": SHIPPING_EXCL,
            "priceIncl": 5.95,
            "tax": False,
        }
    ]


def quote_methods(kind: str, call: Call) -> Answer:
    """Answer the methods that a quote may choose from."""
    _existing(call, "quotes")
    methods = _payment_methods() if kind == "quotePaymentmethods" else _shipping_methods()
    start, limit = page_of(call.request.query, call.shop.habits)
    return json_answer(200, dumps({kind: methods[start : start + limit]}))


def count_quote_methods(kind: str, call: Call) -> Answer:
    """Count the methods that a quote may choose from."""
    _existing(call, "quotes")
    methods = _payment_methods() if kind == "quotePaymentmethods" else _shipping_methods()
    return json_answer(200, dumps({"count": len(methods)}))
