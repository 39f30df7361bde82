"""How orders come about: from a checkout or a quote; and how they are credited."""

from typing import Any

import pytest

from tests.shop import Shop

from .conftest import Ask

ADDRESS = {
    "name": "Jane Doe",
    "address1": "Example Street",
    "number": 1,
    "zipcode": "1000AA",
    "city": "Exampletown",
    "country": "be",
}
BUYER = {"email": "buyer@example.com", "firstname": "Jane", "lastname": "Doe"}


def test_a_checkout_becomes_an_order_step_by_step(shop: Shop, ask: Ask) -> None:
    variant = next(row for row in shop.store.rows("variants") if row["stockLevel"] > 5)
    _, checkout = ask("POST", "checkouts", {"mode": "guest", "customer": BUYER})
    path = f"checkouts/{checkout['id']}"
    _, line = ask("POST", f"{path}/products", {"variant_id": variant["id"], "quantity": 2})
    _, unready = ask("GET", f"{path}/validate")
    _, shipping = ask("GET", f"{path}/shipment_methods")
    _, payment = ask("GET", f"{path}/payment_methods")
    ask("PUT", path, {"shipment_method": shipping[0]["id"]})
    ask("PUT", path, {"payment_method": {"id": payment[0]["id"]}, "billing_address": ADDRESS, "terms": 1})
    _, ready = ask("GET", f"{path}/validate")

    status, ordered = ask("POST", f"{path}/order")

    assert line["price_excl"] == f"{variant['priceExcl'] * 2:.4f}"
    assert (unready["validated"], ready) == (False, {"validated": True, "errors": []})
    assert status == 201
    _, answer = ask("GET", f"orders/{ordered['order_id']}")
    order = answer["order"]
    assert (order["email"], order["channel"], order["addressBillingCountry"]["code"]) == (BUYER["email"], "", "be")
    assert (order["remoteIp"], order["userAgent"]) == ("127.0.0.1", "WebshopappApi")
    assert order["quote"]["resource"]["id"] == checkout["quote"]["id"]
    assert order["paymentId"] == payment[0]["id"]
    (bought,) = order["products"]["resource"]["embedded"]
    assert (bought["variant"]["resource"]["id"], bought["quantityOrdered"]) == (variant["id"], 2)
    assert len(order["invoices"]["resource"]["embedded"]) == len(order["shipments"]["resource"]["embedded"]) == 1
    assert ask("GET", path)[1]["order_id"] == ordered["order_id"]
    assert (shop.store.row("variants", variant["id"]) or {})["stockLevel"] == variant["stockLevel"] - 2
    assert ask("GET", "orders", limit=1)[1]["orders"][0]["id"] == ordered["order_id"]


def test_a_checkout_that_is_not_valid_becomes_no_order(shop: Shop, ask: Ask) -> None:
    _, checkout = ask("POST", "checkouts", {"customer": BUYER})

    status, answer = ask("POST", f"checkouts/{checkout['id']}/order")

    assert status == 422
    assert "products.required" in answer["error"]["message"]
    assert shop.store.count("orders") == 300


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"checkout": {}}, "Invalid data input"),
        ({"shipment_method": "post"}, "shipment_method"),
        ({"payment_method": "pickup"}, "payment_method"),
        ({"customer": 1.5}, "customer"),
        ({"billing_address": "here"}, "billing_address"),
    ],
)
def test_a_checkout_refuses_an_envelope_and_unknown_methods(body: Any, word: str, ask: Ask) -> None:
    _, checkout = ask("POST", "checkouts", {})

    status, answer = ask("PUT", f"checkouts/{checkout['id']}", body)

    assert status in {400, 422}
    assert word in answer["error"]["message"]


def test_the_quote_of_the_examples_is_there_and_open(ask: Ask) -> None:
    status, answer = ask("GET", "quotes/1016615295")

    assert (status, answer["quote"]["id"], answer["quote"]["isLocked"]) == (200, 1016615295, False)
    assert ask("GET", "quotes/1016615295/products/count")[1]["count"] >= 1


def test_a_quote_becomes_an_order_once(ask: Ask) -> None:
    _, lines = ask("GET", "quotes/1016615295/products")

    status, answer = ask("POST", "quotes/1016615295/convert", {"order": {}})
    again, _ = ask("POST", "quotes/1016615295/convert", {"order": {}})

    order = answer["order"]
    assert (status, again) == (201, 422)
    assert order["quote"]["resource"]["id"] == 1016615295
    assert (order["remoteIp"], order["userAgent"], order["channel"]) == ("127.0.0.1", "WebshopappApi", "")
    ordered = [line["quantityOrdered"] for line in order["products"]["resource"]["embedded"]]
    assert sorted(ordered) == sorted(line["quantity"] for line in lines["quoteProducts"])


def test_a_credit_makes_an_invoice_with_a_negative_amount(shop: Shop, ask: Ask) -> None:
    order = shop.store.ids("orders")[0]
    line = (shop.store.rows("orders/products", order))[0]

    status, answer = ask(
        "POST", f"orders/{order}/credit", {"credit": {"orderProducts": [{"id": line["id"], "quantity": 1}]}}
    )

    credit = answer["invoice"]
    assert (status, credit["isCreditNote"]) == (201, True)
    assert credit["priceExcl"] == pytest.approx(-line["priceExcl"] / line["quantityOrdered"], abs=0.01)
    assert ask("GET", "invoices/count", order=order)[1] == {"count": 2}
    assert (shop.store.row("orders/products", line["id"]) or {})["quantityRefunded"] == 1


def test_no_more_is_credited_than_was_ordered(shop: Shop, ask: Ask) -> None:
    order = shop.store.ids("orders")[0]
    line = (shop.store.rows("orders/products", order))[0]
    wish = {"orderProducts": [{"id": line["id"], "quantity": line["quantityOrdered"] + 1}]}

    assert ask("POST", f"orders/{order}/credit", {"credit": wish})[0] == 422
    assert ask("GET", "invoices/count", order=order)[1] == {"count": 1}


def test_a_quote_that_has_an_order_cannot_be_converted(shop: Shop, ask: Ask) -> None:
    quote = (shop.store.row("orders", shop.store.ids("orders")[0]) or {})["quote"]

    assert ask("POST", f"quotes/{quote}/convert")[0] == 422


def test_every_order_links_a_quote_and_some_addresses_name_their_region(shop: Shop) -> None:
    orders = shop.store.rows("orders")
    regions = [order["addressBillingRegionData"] for order in orders]

    assert all(order["quote"] for order in orders)
    assert {type(region) for region in regions} == {bool, dict}
    assert all(region is False or region.keys() == {"id", "name", "code"} for region in regions)


def test_the_number_of_the_shop_is_a_number(ask: Ask) -> None:
    assert type(ask("GET", "shop")[1]["shop"]["id"]) is int
