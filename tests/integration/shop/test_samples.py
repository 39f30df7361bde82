"""Every sample payload is replayed: the same keys in the same order, in the same envelope, of the same types."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shop import Shop

from .conftest import Ask

SAMPLES = Path(__file__).parents[2] / "shop" / "samples"

# Sample to the resource whose newest or oldest record is read; `{resource}` in a path stands for such an id.
PATHS = {
    "doc.account": "account",
    "doc.accountMetafield": "account/metafields/{account/metafields}",
    "doc.accountPermissions": "account/permissions",
    "doc.accountRatelimit": "account/ratelimit",
    "doc.attribute": "attributes/{attributes}",
    "doc.blog": "blogs/{blogs}",
    "doc.blogArticle": "blogs/articles/{blogs/articles}",
    "doc.blogArticleImage": "blogs/articles/{blogs/articles}/image",
    "doc.blogComment": "blogs/comments/{blogs/comments}",
    "doc.brand": "brands/{brands}",
    "doc.brandImage": "brands/{brands}/image",
    "doc.categoriesProduct": "categories/products/{categories/products}",
    "doc.category": "categories/{categories}",
    "doc.contact": "contacts/{contacts}",
    "doc.customStatus": "orders/customstatuses/{orders/customstatuses}",
    "doc.customer": "customers/{customers}",
    "doc.dashboard": "dashboard",
    "doc.deliverydate": "deliverydates/{deliverydates}",
    "doc.discount": "discounts/{discounts}",
    "doc.discountRule": "discountrules/{discountrules}",
    "doc.event": "events/{events}",
    "doc.externalService": "external_services/{external_services}",
    "doc.file": "files/{files}",
    "doc.filter": "filters/{filters}",
    "doc.filterValue": "filters/{filters}/values/{filters/values}",
    "doc.group": "groups/{groups}",
    "doc.groupsCustomer": "groups/customers/{groups/customers}",
    "doc.invoice": "invoices/{invoices}",
    "doc.invoiceItem": "invoices/{invoices}/items/{invoices/items}",
    "doc.invoiceMetafield": "invoices/{invoices}/metafields/{invoices/metafields}",
    "doc.language": "languages/{languages}",
    "doc.metafield": "metafields/{metafields}",
    "doc.order": "orders/{orders}",
    "doc.orderEvent": "orders/events/{orders/events}",
    "doc.orderMetafield": "orders/{owner:orders/metafields}/metafields/{orders/metafields}",
    "doc.orderProduct": "orders/{orders}/products/{orders/products}",
    "doc.paymentmethod": "paymentmethods/{paymentmethods}",
    "doc.product": "products/{products}",
    "doc.productAttribute": "products/{owner:products/attributes}/attributes/{products/attributes}",
    "doc.productImage": "products/{products}/images/{products/images}",
    "doc.productMetafield": "products/{products}/metafields/{products/metafields}",
    "doc.productRelation": "products/{owner:products/relations}/relations/{products/relations}",
    "doc.quote": "quotes/{quotes}",
    "doc.quoteProduct": "quotes/{quotes}/products/{quotes/products}",
    "doc.redirect": "redirects/{redirects}",
    "doc.return": "returns/{returns}",
    "doc.review": "reviews/{reviews}",
    "doc.set": "sets/{sets}",
    "doc.shipment": "shipments/{shipments}",
    "doc.shipmentProduct": "shipments/{shipments}/products/{shipments/products}",
    "doc.shippingmethod": "shippingmethods/{shippingmethods}",
    "doc.shippingmethodCountry": "shippingmethods/{shippingmethods}/countries/{shippingmethods/countries}",
    "doc.shippingmethodValue": "shippingmethods/{shippingmethods}/values/{shippingmethods/values}",
    "doc.shop": "shop",
    "doc.shopCompany": "shop/company",
    "doc.shopLimits": "shop/limits",
    "doc.shopScript": "shop/scripts/{shop/scripts}",
    "doc.shopTracking": "shop/tracking/{shop/tracking}",
    "doc.shopWebsite": "shop/website",
    "doc.subscription": "subscriptions/{subscriptions}",
    "doc.supplier": "suppliers/{suppliers}",
    "doc.tag": "tags/{tags}",
    "doc.tagsProduct": "tags/products/{tags/products}",
    "doc.tax": "taxes/{taxes}",
    "doc.taxOverride": "taxes/{taxes}/overrides/{taxes/overrides}",
    "doc.textpage": "textpages/{textpages}",
    "doc.themeCategory": "theme/categories/{theme/categories}",
    "doc.themeProduct": "theme/products/{theme/products}",
    "doc.ticket": "tickets/{tickets}",
    "doc.ticketMessage": "tickets/{tickets}/messages/{tickets/messages}",
    "doc.type": "types/{types}",
    "doc.typesAttribute": "types/attributes/{types/attributes}",
    "doc.variant": "variants/{variants}",
    "doc.variantMetafield": "variants/{variants}/metafields/{variants/metafields}",
    "doc.variantMovement": "variants/movements/{variants/movements}",
    "doc.webhook": "webhooks/{webhooks}",
    "live.brands_list": "brands",
    "live.categoriesProducts_list": "categories/products",
    "live.categories_list": "categories",
    "live.order_partial": "orders/{orders}",
    "live.productImages_list": "products/{products}/images",
    "live.products_list": "products",
    "live.tagsProducts_list": "tags/products",
    "live.variants_list": "variants",
    "count": "orders/count",
}
# Lists whose first record stands for the sample of one record, because the resource has no GET for one.
FIRST_OF_LIST = {
    "doc.productFilterValue": ("products/{owner:products/filtervalues}/filtervalues", "productFiltervalue"),
    "doc.quotePaymentmethod": ("quotes/{quotes}/paymentmethods", "quotePaymentmethods"),
    "doc.quoteShippingmethod": ("quotes/{quotes}/shippingmethods", "quoteShippingmethods"),
}
# Not read from a path that exists already; each has its own test below.
OTHERS = {
    "doc.customerLogin",
    "error.401",
    "error.404_language",
    "error.envelope_full",
    "ratelimit_headers_live",
    "unit.checkout_get",
    "unit.checkout_order_created",
    "unit.checkout_payment_methods",
    "unit.checkout_shipment_methods",
    "unit.checkout_validate_failed",
}
# The documentation spells the key otherwise than the live API.
SPELT_OTHERWISE = {"orderEvent": "ordersEvent"}
# Abridged by those who recorded them: some of the record's keys, not always in its order.
ABRIDGED = {"live.order_partial", "live.products_list"}
# Keys that newer live answers have and the older examples lack.
NEWER = {
    "quote",
    "templateDataFields",
    "doNotifyReadyForPickup",
    "totalWeight",
    "totalSizeX",
    "totalSizeY",
    "totalSizeZ",
}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def kind(value: Any) -> str:
    if value is None or value is False:
        return "none"
    names = {bool: "boolean", int: "number", float: "number", str: "text", list: "array", dict: "object"}
    return names[type(value)]


def differences(sampled: Any, answered: Any, where: str = "", *, abridged: bool = False) -> Iterator[str]:
    """Say where an answer has other keys or types; false and null stand for none, an empty [] for {}."""
    if where == "shop.id":
        return  # a number live, a text in the documentation
    if isinstance(sampled, dict | list) and isinstance(answered, dict | list) and not (sampled and answered):
        return
    kinds = {kind(sampled), kind(answered)}
    if len(kinds) > 1 and "none" not in kinds:
        yield f"{where}: {kind(sampled)} became {kind(answered)}"
    elif isinstance(sampled, dict) and isinstance(answered, dict):
        yield from other_keys(sampled, answered, where, abridged=abridged)
        for name in sampled.keys() & answered.keys():
            yield from differences(sampled[name], answered[name], f"{where}.{name}", abridged=abridged)
    elif isinstance(sampled, list) and isinstance(answered, list) and sampled and answered:
        yield from differences(sampled[0], answered[0], f"{where}[0]", abridged=abridged)


def other_keys(sampled: dict[str, Any], answered: dict[str, Any], where: str, *, abridged: bool) -> Iterator[str]:
    if abridged:
        if missing := sampled.keys() - answered.keys():
            yield f"{where}: {missing} missing"
    elif not where.endswith("errors"):  # whose keys are what is wrong
        found = [name for name in answered if name in sampled or name not in NEWER]
        if list(sampled) != found:
            yield f"{where}: {list(sampled)} became {found}"


def filled(path: str, shop: Shop) -> str:
    """Put ids of existing records into a path, nested ones of the record before them."""
    owner = None
    while match := re.search(r"\{(owner:)?([^}]+)\}", path):
        name = match[2]
        ids = sorted(shop.store.ids(name))
        if match[1]:
            found = owner = (shop.store.row(name, ids[0]) or {})["parent_id"]
        else:
            below = [i for i in ids if (shop.store.row(name, i) or {}).get("parent_id") == owner] if owner else ids
            found = below[0]
            owner = owner or found
        path = path.replace(match[0], str(found), 1)
    return path


def test_every_sample_has_a_test() -> None:
    assert set(PATHS) | set(FIRST_OF_LIST) | OTHERS == {path.stem for path in SAMPLES.glob("*.json")}


@pytest.mark.parametrize("name", PATHS)
def test_a_record_looks_like_its_sample(name: str, shop: Shop, ask: Ask) -> None:
    expected = sample(name)
    expected = {SPELT_OTHERWISE.get(key, key): value for key, value in expected.items()}

    status, answer = ask("GET", filled(PATHS[name], shop))

    assert status == 200
    assert list(answer) == list(expected)
    (key,) = expected
    assert list(differences(expected[key], answer[key], key, abridged=name in ABRIDGED)) == []


@pytest.mark.parametrize("name", FIRST_OF_LIST)
def test_the_first_record_of_a_list_looks_like_the_sample(name: str, shop: Shop, ask: Ask) -> None:
    path, key = FIRST_OF_LIST[name]
    (expected,) = sample(name).values()

    status, answer = ask("GET", filled(path, shop))

    assert (status, list(answer)) == (200, [key])
    assert list(differences(expected, answer[key][0], key)) == []


def test_an_order_of_the_list_has_the_keys_of_the_sample_without_embedded(ask: Ask) -> None:
    expected = sample("doc.order")["order"]

    _, answer = ask("GET", "orders", limit=1)

    (row,) = answer["orders"]
    assert list(row) == list(expected)
    assert not any(
        "embedded" in value["resource"] for value in row.values() if isinstance(value, dict) and "resource" in value
    )


def test_one_order_embeds_what_the_sample_embeds(shop: Shop, ask: Ask) -> None:
    expected = sample("doc.order")["order"]

    _, answer = ask("GET", filled("orders/{orders}", shop))

    def embedding(record: dict[str, Any]) -> list[str]:
        return [
            name
            for name, value in record.items()
            if isinstance(value, dict) and "embedded" in value.get("resource", {})
        ]

    assert embedding(answer["order"]) == embedding(expected)
    assert len(answer["order"]["events"]["resource"]["embedded"]) == 3


def test_a_login_looks_like_its_sample(shop: Shop, ask: Ask) -> None:
    body = {"customerLogin": {"email": "customer1@example.com", "password": "fake"}}

    status, answer = ask("POST", filled("customers/{customers}/login", shop), body)

    assert (status, answer) == (200, sample("doc.customerLogin"))


def test_errors_look_like_their_samples(shop: Shop, ask: Ask) -> None:
    _, _, denied = shop.answer("GET", "/nl/orders.json", {"authorization": "Basic AAAA"})
    _, inactive = ask("GET", "orders", language="xx")
    _, missing = ask("GET", "products/1")

    assert sample("error.401")["error"].items() <= json.loads(denied)["error"].items()
    assert sample("error.404_language")["error"].items() <= inactive["error"].items()
    full = sample("error.envelope_full")
    assert missing == full | {"error": full["error"] | {"message": missing["error"]["message"]}}


def test_the_quota_is_told_in_headers_like_those_seen(shop: Shop) -> None:
    shop.limits.quota = (300, 3000, 12000)

    _, headers, _ = shop.answer("GET", "/nl/orders/count.json")

    lowered = {name.lower(): value for name, value in headers.items()}
    for name, value in sample("ratelimit_headers_live").items():
        assert lowered[name].count("/") == value.count("/")
    assert lowered["x-ratelimit-limit"] == "300/3000/12000"
    assert lowered["x-ratelimit-remaining"] == "299/2999/11999"


def test_a_checkout_looks_like_its_samples(ask: Ask) -> None:
    _, created = ask("POST", "checkouts", {"mode": "guest"})
    checkout = f"checkouts/{created['id']}"
    _, shown = ask("GET", checkout)
    _, shipping = ask("GET", f"{checkout}/shipment_methods")
    _, payment = ask("GET", f"{checkout}/payment_methods")
    _, verdict = ask("GET", f"{checkout}/validate")

    assert list(differences(sample("unit.checkout_get"), shown)) == []
    assert list(differences(sample("unit.checkout_shipment_methods"), shipping)) == []
    assert list(differences(sample("unit.checkout_payment_methods"), payment)) == []
    assert list(differences(sample("unit.checkout_validate_failed"), verdict)) == []
    assert verdict["errors"].keys() >= sample("unit.checkout_validate_failed")["errors"].keys()


def test_an_ordered_checkout_answers_like_its_sample(shop: Shop, ask: Ask) -> None:
    address = {"name": "Jane Doe", "address1": "x", "number": 1, "zipcode": "1", "city": "x", "country": "nl"}
    customer = {"email": "jane.doe@example.com", "firstname": "Jane", "lastname": "Doe"}
    _, checkout = ask("POST", "checkouts", {"customer": customer, "billing_address": address, "terms": 1})
    path = f"checkouts/{checkout['id']}"
    ask("POST", f"{path}/products", {"variant_id": shop.store.ids("variants")[0], "quantity": 1})
    _, methods = ask("GET", f"{path}/shipment_methods")
    ask("PUT", path, {"shipment_method": methods[0]["id"], "payment_method": {"id": "pickup"}})

    status, answer = ask("POST", f"{path}/order")

    assert status == 201
    assert list(differences(sample("unit.checkout_order_created"), answer)) == []
