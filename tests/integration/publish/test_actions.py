import json
from typing import Any

import pytest

from lightspeed import InvalidRequest, UnsupportedOperation
from tests.integration.publish.conftest import Publisher, event


def test_a_quote_becomes_an_order(publisher: Publisher) -> None:
    before = publisher.shop.store.count("orders")
    answer = publisher(event("quotes", "convert", path={"id": 1016615295}))
    assert (answer["status"], answer["http_status"]) == ("done", 201)
    assert publisher.shop.store.count("orders") == before + 1
    assert publisher.shop.store.row("orders", answer["id"]) is not None
    with pytest.raises(InvalidRequest, match="already converted"):
        publisher(event("quotes", "convert", path={"id": 1016615295}))


def test_an_order_is_credited(publisher: Publisher) -> None:
    order = publisher.shop.store.ids("orders")[0]
    before = publisher.shop.store.count("invoices")
    assert publisher(event("orders", "credit", path={"id": order}))["status"] == "done"
    assert publisher.shop.store.count("invoices") == before + 1


def test_a_customer_logs_in_and_gets_a_token(publisher: Publisher) -> None:
    customer = publisher.shop.store.ids("customers")[0]
    login = publisher(event("customers", "login", {"password": "hidden"}, path={"id": customer}))
    assert (login["status"], login["record"], login["id"]) == ("done", {"loggedin": True}, customer)
    token = publisher(event("customers", "tokens", {"expiresIn": 30}, path={"id": customer}))
    assert token["record"]["expiresIn"] == 30


def test_a_checkout_becomes_an_order(publisher: Publisher) -> None:
    """Snake case, no envelopes: create, put products in, choose how to ship and pay, validate, order."""
    store = publisher.shop.store
    variant = store.ids("variants")[0]
    address = {
        "name": "Jo Doe",
        "address1": "Street",
        "number": "1",
        "zipcode": "1011AA",
        "city": "Town",
        "country": "nl",
    }
    buyer = {"email": "jo@example.com", "firstname": "Jo", "lastname": "Doe"}
    checkout = publisher(event("checkouts", "create", {"mode": "guest", **buyer, "billing_address": address}))
    path = {"id": checkout["id"]}
    line = event(
        "checkouts/products", "create", {"variant_id": variant, "quantity": 2}, path={"checkout_id": checkout["id"]}
    )
    added = publisher(line)
    assert added["status"] == "created"

    empty = publisher(event("checkouts", "validate", path=path))
    assert (empty["status"], empty["record"]["validated"]) == ("done", False)
    assert empty["record"]["errors"]

    fields: dict[str, Any] = {"shipment_method": "core|7|9", "payment_method": {"id": "ideal"}, "terms": True}
    _choose(publisher, checkout["id"], fields)
    publisher(event("checkouts", "update", {**fields, "shipping_address": address}, path=path))
    valid = publisher(event("checkouts", "validate", path=path))
    assert valid["record"] == {"validated": True, "errors": []}
    ordered = publisher(event("checkouts", "order", path=path))

    assert ordered["status"] == "done"
    assert ordered["id"] == ordered["record"]["order_id"]
    assert ordered["record"]["payment_url"]
    assert store.row("orders", ordered["id"]) is not None


def _choose(publisher: Publisher, checkout: int, fields: dict[str, Any]) -> None:
    """Fill in methods that the shop offers for this checkout."""
    for name in ("shipment_method", "payment_method"):
        _, _, body = publisher.shop.answer("GET", f"/nl/checkouts/{checkout}/{name}s.json")
        first = json.loads(body)[0]["id"]
        fields[name] = first if name == "shipment_method" else {"id": first}


def test_many_categories_get_a_product_in_one_request(publisher: Publisher) -> None:
    store = publisher.shop.store
    categories, product = store.ids("categories")[:3], store.ids("products")[0]
    answer = publisher(event("categories/products", "bulk", {"categories": categories, "product": product}))
    assert (answer["status"], len(answer["record"])) == ("done", 3)


def test_many_attributes_of_a_product_change_in_one_request(publisher: Publisher) -> None:
    row = publisher.shop.store.rows("products/attributes")[0]
    values = [{"id": row["id"], "value": "oak"}]
    answer = publisher(event("products/attributes", "bulk", values, path={"product_id": row["parent_id"]}))
    assert answer["status"] == "done"
    assert (publisher.shop.store.row("products/attributes", row["id"]) or {})["value"]["nl"] == "oak"


@pytest.mark.parametrize(
    ("entity", "action", "advice"),
    [
        ("orders", "create", "checkout"),
        ("orders", "list", "read with subscribe"),
        ("quotes", "delete", "it has: create, update, convert"),
    ],
)
def test_an_action_that_the_entity_lacks_is_refused_with_what_it_has(
    publisher: Publisher, entity: str, action: str, advice: str
) -> None:
    with pytest.raises(UnsupportedOperation, match=advice):
        publisher(event(entity, action, {"x": 1}))
    assert publisher.sent() == []
