"""The checkout: another generation of the API, in snake_case, without envelopes and with bare arrays.

POST checkouts, POST products, PUT `shipment_method` (an id, or an object of a carrier outside the shop) and
`payment_method` (`{id}`), GET validate, POST order. A checkout shows the fields that were seen, with its quote; what a
buyer enters besides (customer, addresses) is kept and not shown.
"""

from typing import Any

from .data_orders import PAYMENTS, SHIPMENT_ID, TAX_RATE
from .exchange import Answer, RefusedError, dumps, json_answer
from .filters import page_of
from .handlers import NOT_FOUND, Call
from .orders import api_caller, place_order
from .shapes import Row
from .uploads import INVALID
from .writes import body_of

_SETTABLE = {
    "mode", "comment", "newsletter", "terms", "notifications", "memo", "step",
    "customer", "email", "firstname", "lastname", "phone", "gender", "billing_address", "shipping_address",
}  # fmt: skip
_KINDS: dict[str, tuple[type, ...]] = {
    "customer": (int, dict),
    "billing_address": (dict,),
    "shipping_address": (dict,),
    "email": (str,),
    "firstname": (str,),
    "lastname": (str,),
    "phone": (str,),
    "gender": (str,),
    "mode": (str,),
    "comment": (str,),
}
_ADDRESS = ("name", "address1", "number", "zipcode", "city", "country")
_PARTS = {"Name": "name", "Street": "address1", "Street2": "address2", "Number": "number", "Extension": "extension"} | {
    "Zipcode": "zipcode", "City": "city", "Region": "region"
}  # fmt: skip


def _checkout(call: Call) -> Row:
    row = call.shop.store.row("checkouts", call.ids[0])
    if row is None:
        raise RefusedError(404, NOT_FOUND)
    return row


def _lines(call: Call) -> list[Row]:
    store = call.shop.store
    ids = store.where("checkouts/products", "parent_id", call.ids[0])
    return [row for i in ids if (row := store.row("checkouts/products", i)) is not None]


def _show(call: Call, name: str, record_id: int) -> str:
    return call.shop.store.text(name, record_id, call.language) or ""


def _page(call: Call, name: str, ids: list[int]) -> Answer:
    start, limit = page_of(call.request.query, call.shop.habits)
    texts = call.shop.store.texts(name, ids[start : start + limit], call.language)
    return json_answer(200, f"[{','.join(texts)}]")


def list_checkouts(call: Call) -> Answer:
    """Answer a page of checkouts, newest first, as a bare array."""
    return _page(call, "checkouts", call.shop.store.ids("checkouts"))


def count_checkouts(call: Call) -> Answer:
    """Answer how many checkouts there are."""
    return json_answer(200, dumps({"count": call.shop.store.count("checkouts")}))


def get_checkout(call: Call) -> Answer:
    """Answer one checkout."""
    return json_answer(200, _show(call, "checkouts", _checkout(call)["id"]))


def create_checkout(call: Call) -> Answer:
    """Start a checkout."""
    row = _entered(call)
    quote = call.shop.store.add("quotes", api_caller(call.request.headers), language=call.language)
    record_id = call.shop.store.add("checkouts", row, quote={"id": quote})
    return json_answer(201, _show(call, "checkouts", record_id))


def update_checkout(call: Call) -> Answer:
    """Change a checkout: methods, addresses, consent."""
    checkout = _open_checkout(call)
    call.shop.store.update("checkouts", checkout["id"], _entered(call))
    return json_answer(200, _show(call, "checkouts", checkout["id"]))


def delete_checkout(call: Call) -> Answer:
    """Give a checkout up."""
    call.shop.store.delete("checkouts", _checkout(call)["id"])
    return Answer(204)


def list_lines(call: Call) -> Answer:
    """Answer the products of a checkout as a bare array."""
    _checkout(call)
    return _page(call, "checkouts/products", call.shop.store.ids("checkouts/products", call.ids[0]))


def count_lines(call: Call) -> Answer:
    """Answer how many products a checkout has."""
    _checkout(call)
    return json_answer(200, dumps({"count": len(_lines(call))}))


def get_line(call: Call) -> Answer:
    """Answer one product of a checkout."""
    return json_answer(200, _show(call, "checkouts/products", _line(call)["id"]))


def add_line(call: Call) -> Answer:
    """Put a variant into a checkout; money is answered as text."""
    checkout = _open_checkout(call)
    fields = _fields(call)
    variant_id = fields.get("variant_id")
    variant = call.shop.store.row("variants", variant_id) if isinstance(variant_id, int) else None
    if variant is None:
        raise RefusedError(422, f"Unknown variant_id: {variant_id}")
    product = call.shop.store.row("products", variant["product"] or 0) or {}
    title = _words(product.get("title", ""))
    row = {
        "cart_id": checkout["id"],
        "product_id": variant["product"] or 0,
        "variant_id": variant["id"],
        "title": title,
        "fulltitle": title,
        "variant": _words(variant["title"]),
        "tax_rate": f"{TAX_RATE:.4f}",
    } | _priced(variant["priceExcl"], _quantity(fields, 1))
    line_id = call.shop.store.add("checkouts/products", row, parent=checkout["id"])
    return json_answer(201, _show(call, "checkouts/products", line_id))


def update_line(call: Call) -> Answer:
    """Change the quantity of a product in a checkout."""
    _open_checkout(call)
    line = _line(call)
    row = _priced(float(line["base_price_excl"]), _quantity(_fields(call), line["quantity"]))
    call.shop.store.update("checkouts/products", line["id"], row)
    return json_answer(200, _show(call, "checkouts/products", line["id"]))


def delete_line(call: Call) -> Answer:
    """Take a product out of a checkout."""
    _open_checkout(call)
    call.shop.store.delete("checkouts/products", _line(call)["id"])
    return Answer(204)


def shipment_methods(call: Call) -> Answer:
    """Answer the shipment methods to choose from."""
    _checkout(call)
    methods = [{"id": SHIPMENT_ID, "title": "PostNL", "price_incl": 5.95, "is_service_point": False}]
    return json_answer(200, dumps(methods))


def payment_methods(call: Call) -> Answer:
    """Answer the payment methods to choose from."""
    _checkout(call)
    methods = [{"id": key, "method": False, "post_payment": post, "price_incl": 0} for key, _, post in PAYMENTS]
    return json_answer(200, dumps(methods))


def validate(call: Call) -> Answer:
    """Answer whether the checkout can become an order; `errors` is an empty array or an object by dotted field."""
    problems = _problems(call, _checkout(call))
    return json_answer(200, dumps({"validated": not problems, "errors": problems or []}))


def order(call: Call) -> Answer:
    """Make an order of a valid checkout; 422 if it is not valid."""
    checkout = _open_checkout(call)
    problems = _problems(call, checkout)
    if problems:
        raise RefusedError(422, f"The checkout is not valid: {', '.join(problems)}")
    store = call.shop.store
    fields = _order_fields(call, checkout)
    lines = [
        {
            "product": line["product_id"],
            "variant": line["variant_id"],
            "quantity": line["quantity"],
            "priceExcl": float(line["price_excl"]),
        }
        for line in _lines(call)
    ]
    order_id = place_order(store, fields, lines)
    store.update("checkouts", checkout["id"], order_id=order_id, step="completed")
    if fields["quote"]:
        store.update("quotes", fields["quote"], customer=fields["customer"], converted=True)
    paid = {"payment_url": f"https://pay.example.com/{order_id}", "payment_provider": checkout["payment_method"]["id"]}
    return json_answer(201, dumps({"order_id": order_id} | paid))


def _fields(call: Call) -> dict[str, Any]:
    body = body_of(call.request)
    if not isinstance(body, dict) or "checkout" in body:
        raise RefusedError(400, INVALID)  # this part of the API knows no envelope
    return body


def _entered(call: Call) -> Row:
    fields = _fields(call) if call.request.body else {}
    row = {name: value for name, value in fields.items() if name in _SETTABLE}
    for name in ("newsletter", "terms", "notifications"):
        if name in row:
            row[name] = row[name] in (True, 1, "1")
    for name, kinds in _KINDS.items():
        if row.get(name) is not None and (not isinstance(row[name], kinds) or isinstance(row[name], bool)):
            raise RefusedError(422, f"Invalid value for {name}")
    if "shipment_method" in fields:
        row["shipment_method"] = _shipment(fields["shipment_method"])
        row["step"] = "shipment"
    if "payment_method" in fields:
        wanted = fields["payment_method"]
        key = wanted.get("id") if isinstance(wanted, dict) else None
        title = next((title for name, title, _ in PAYMENTS if name == key), None)
        if title is None:
            raise RefusedError(422, f"Unknown payment_method: {wanted}")
        row["payment_method"] = {"id": key, "title": title}
        row["step"] = "payment"
    return row


def _shipment(wanted: Any) -> Row:
    """Return the shipment method that is chosen by its id, or described as an object with the id `external`."""
    if wanted == SHIPMENT_ID:
        return {"id": SHIPMENT_ID, "title": "PostNL", "price_incl": 5.95}
    if not isinstance(wanted, dict) or wanted.get("id") != "external":
        raise RefusedError(422, f"Unknown shipment_method: {wanted}")
    title, price = wanted.get("title"), wanted.get("price_incl", 0)
    if not isinstance(title, str) or not title or isinstance(price, bool) or not isinstance(price, int | float):
        raise RefusedError(422, "An external shipment_method has a title and a price_incl")
    return {"id": "external", "title": title, "price_incl": price}


def _problems(call: Call, checkout: Row) -> dict[str, str]:
    problems = {}
    if not _lines(call):
        problems["products.required"] = "The checkout has no products"
    customer = checkout.get("customer") or {}
    if not isinstance(customer, int):
        for name in ("email", "firstname", "lastname"):
            if not (customer.get(name) or checkout.get(name)):
                problems[f"customer.{name}.required"] = f"{name} is required"
    billing = checkout.get("billing_address") or {}
    for kind, address in (
        ("billing_address", billing),
        ("shipping_address", checkout.get("shipping_address") or billing),
    ):
        for name in _ADDRESS:
            if not address.get(name):
                problems[f"{kind}.{name}.required"] = f"{name} is required"
    for name in ("shipment_method", "payment_method", "terms"):
        if not checkout[name]:
            problems[f"{name}.required"] = f"{name} is required"
    return problems


def _order_fields(call: Call, checkout: Row) -> Row:
    given = checkout.get("customer") or {}
    names = ("email", "firstname", "lastname", "phone", "gender")
    if isinstance(given, int):
        known = call.shop.store.row("customers", given) or {}
        person = {name: known[name] for name in names if name in known}
        customer_id = given if known else 0
    else:
        person = {name: value for name in names if (value := given.get(name) or checkout.get(name))}
        customer_id = call.shop.store.add("customers", person, type="guest", language=call.language)
    billing = checkout["billing_address"]
    for prefix, address in (
        ("addressBilling", billing),
        ("addressShipping", checkout.get("shipping_address") or billing),
    ):
        person |= {prefix + field: str(address.get(name, "")) for field, name in _PARTS.items()}
        person[prefix + "Country"] = str(address["country"]).lower()
    key = checkout["payment_method"]["id"]
    return person | {
        "customer": customer_id or False,
        "language": call.language,
        **api_caller(call.request.headers),
        "quote": (checkout["quote"] or {}).get("id", False),
        "comment": checkout["comment"] or "",
        "newsletterSubscribed": bool(checkout["newsletter"]),
        "paymentId": key,
        "paymentTitle": checkout["payment_method"]["title"],
        "shipmentId": checkout["shipment_method"]["id"],
        "shipmentTitle": checkout["shipment_method"]["title"],
    }


def _open_checkout(call: Call) -> Row:
    checkout = _checkout(call)
    if checkout["order_id"] is not None:
        raise RefusedError(422, "The checkout is an order already")
    return checkout


def _line(call: Call) -> Row:
    _checkout(call)
    row = call.shop.store.row("checkouts/products", call.ids[1])
    if row is None or row["parent_id"] != call.ids[0]:
        raise RefusedError(404, NOT_FOUND)
    return row


def _quantity(fields: dict[str, Any], default: int) -> int:
    quantity = fields.get("quantity", default)
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
        raise RefusedError(422, "quantity must be at least 1")
    return quantity


def _priced(one_excl: float, quantity: int) -> Row:
    excl = one_excl * quantity
    return {
        "quantity": quantity,
        "base_price_excl": f"{one_excl:.4f}",
        "base_price_incl": f"{one_excl * (1 + TAX_RATE):.4f}",
        "price_excl": f"{excl:.4f}",
        "price_incl": f"{excl * (1 + TAX_RATE):.4f}",
        "price_tax": f"{excl * TAX_RATE:.4f}",
    }


def _words(text: Any) -> str:
    return str(next(iter(text.values()), "")) if isinstance(text, dict) else str(text)
