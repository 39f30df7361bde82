"""Create, update and delete, and what follows from them."""

import base64
import json
from typing import Literal
from urllib.parse import urlencode

import pytest

from tests.shop import Clock, Shop

from .conftest import Ask


def test_a_created_record_is_answered_whole_and_can_be_read(ask: Ask) -> None:
    status, created = ask("POST", "products", {"product": {"title": "Nieuw", "isVisible": False}})

    record = created["product"]
    assert status == 201
    assert (record["title"], record["fulltitle"], record["url"], record["isVisible"]) == (
        "Nieuw",
        "Nieuw",
        "nieuw",
        False,
    )
    assert record["createdAt"] == record["updatedAt"] == "2026-09-21T16:16:40+02:00"
    assert ask("GET", f"products/{record['id']}") == (200, created)
    assert ask("GET", "products", limit=1)[1]["products"] == [record]


def test_a_new_product_has_a_default_variant(ask: Ask) -> None:
    _, created = ask("POST", "products", {"product": {"title": "x"}})

    _, answer = ask("GET", "variants", product=created["product"]["id"])

    assert [variant["isDefault"] for variant in answer["variants"]] == [True]


def test_an_update_changes_the_named_fields_and_the_stamp(clock: Clock, shop: Shop, ask: Ask) -> None:
    variant = shop.store.ids("variants")[5]
    _, before = ask("GET", f"variants/{variant}")
    clock.advance(60)

    status, after = ask("PUT", f"variants/{variant}", {"variant": {"priceExcl": 12.5, "id": 1, "unknown": 2}})

    changed = {name for name in after["variant"] if after["variant"][name] != before["variant"][name]}
    assert (status, changed) == (200, {"priceExcl", "updatedAt"})
    assert list(after["variant"]) == list(before["variant"])
    assert ask("GET", f"variants/{variant}") == (200, after)


def test_a_relation_is_written_as_an_id_and_read_as_a_link(shop: Shop, ask: Ask) -> None:
    brand, product = shop.store.ids("brands")[0], shop.store.ids("products")[0]

    _, linked = ask("PUT", f"products/{product}", {"product": {"brand": brand}})
    _, freed = ask("PUT", f"products/{product}", {"product": {"brand": None}})

    assert linked["product"]["brand"]["resource"]["url"] == f"brands/{brand}"
    assert linked["product"]["brand"]["resource"]["link"] == f"{shop.origin}/nl/brands/{brand}.json"
    assert freed["product"]["brand"] is False


def test_a_country_is_written_as_a_code_and_read_as_an_object(shop: Shop, ask: Ask) -> None:
    customer = shop.store.ids("customers")[0]

    _, answer = ask("PUT", f"customers/{customer}", {"customer": {"addressBillingCountry": "BE"}})

    assert answer["customer"]["addressBillingCountry"] == {"id": 21, "code": "be", "code3": "bel", "title": "Belgium"}


def test_a_text_is_written_in_the_language_of_the_request_alone(shop: Shop, ask: Ask) -> None:
    path = f"products/{shop.store.ids('products')[0]}"
    _, german = ask("GET", path, language="de")

    ask("PUT", path, {"product": {"title": "Anders"}}, language="nl")

    assert ask("GET", path, language="nl")[1]["product"]["title"] == "Anders"
    assert ask("GET", path, language="de")[1]["product"]["title"] == german["product"]["title"]


def test_texts_that_stand_for_numbers_stay_texts(shop: Shop, ask: Ask) -> None:
    variant = shop.store.ids("variants")[0]

    _, answer = ask("PUT", f"variants/{variant}", {"variant": {"weightValue": 1.5, "stockLevel": "7"}})

    assert (answer["variant"]["weightValue"], answer["variant"]["stockLevel"]) == ("1.500", 7)


def test_a_form_is_taken_like_json(shop: Shop) -> None:
    variant = shop.store.ids("variants")[0]
    headers = {"Authorization": shop.authorization, "Content-Type": "application/x-www-form-urlencoded"}
    form = urlencode({"variant[stockLevel]": 5, "variant[sku]": "A&B"}).encode()

    status, _, body = shop.answer("PUT", f"/nl/variants/{variant}.json", headers, form)

    record = json.loads(body)["variant"]
    assert (status, record["stockLevel"], record["sku"]) == (200, 5, "A&B")


def test_a_change_of_stock_is_logged(shop: Shop, ask: Ask) -> None:
    variant = shop.store.rows("variants")[0]

    ask("PUT", f"variants/{variant['id']}", {"variant": {"stockLevel": variant["stockLevel"] - 3}})

    newest = ask("GET", "variants/movements", limit=1)[1]["variantsMovements"][0]
    assert (newest["stockLevelChange"], newest["variant"]["resource"]["id"]) == (-3, variant["id"])
    assert newest["product"]["resource"]["id"] == variant["product"]


def test_many_variants_change_at_once_or_not_at_all(shop: Shop, ask: Ask) -> None:
    first, second = shop.store.ids("variants")[:2]

    status, answer = ask("PUT", "variants/bulk", {"variant": [{"id": first, "sku": "a"}, {"id": second, "sku": "b"}]})
    refused, _ = ask("PUT", "variants/bulk", {"variant": [{"id": first, "sku": "c"}, {"id": 1, "sku": "d"}]})

    assert (status, [row["sku"] for row in answer["variants"]], refused) == (200, ["a", "b"], 422)
    assert ask("GET", f"variants/{first}")[1]["variant"]["sku"] == "a"


def test_a_product_goes_into_many_categories_at_once(shop: Shop, ask: Ask) -> None:
    product, categories = shop.store.ids("products")[0], shop.store.ids("categories")[:3]

    status, answer = ask(
        "POST", "categories/products/bulk", {"categoriesProduct": {"categories": categories, "product": product}}
    )

    assert status == 201
    assert [row["category"]["resource"]["id"] for row in answer["categoriesProducts"]] == categories


@pytest.mark.parametrize(("habit", "taken"), [("all or none", 0), ("until refused", 1), ("each", 2)])
def test_what_an_unknown_category_does_to_the_others_is_a_habit(
    shop: Shop, ask: Ask, habit: Literal["all or none", "until refused", "each"], taken: int
) -> None:
    shop.habits.places_in_bulk = habit
    product, first, second = shop.store.add("products"), *shop.store.ids("categories")[:2]
    body = {"categoriesProduct": {"categories": [first, 7, second], "product": product}}

    status, answer = ask("POST", "categories/products/bulk", body)

    assert ask("GET", "categories/products/count", product=product)[1] == {"count": taken}
    assert status == (201 if habit == "each" else 422)
    if habit == "each":
        assert [row["category"]["resource"]["id"] for row in answer["categoriesProduct"]] == [first, second]
        assert answer["errors"] == ["Unknown category: 7"]


def test_a_deleted_record_is_gone_and_so_are_its_joins(shop: Shop, ask: Ask) -> None:
    product = shop.store.ids("products")[0]

    assert ask("DELETE", f"products/{product}") == (204, None)

    assert ask("GET", f"products/{product}")[0] == 404
    assert ask("DELETE", f"products/{product}")[0] == 404
    for path in ("variants", "categories/products", "tags/products"):
        assert ask("GET", f"{path}/count", product=product)[1] == {"count": 0}


def test_the_key_of_a_created_type_attribute_is_the_plural(shop: Shop, ask: Ask) -> None:
    body = {"typesAttribute": {"type": shop.store.ids("types")[0], "attribute": shop.store.ids("attributes")[0]}}

    _, answer = ask("POST", "types/attributes", body)

    assert list(answer) == ["typesAttributes"]


def test_an_uploaded_picture_is_described(shop: Shop, ask: Ask) -> None:
    path = f"products/{shop.store.ids('products')[0]}/images"
    body = {"productImage": {"attachment": base64.b64encode(b"x" * 99).decode(), "filename": "front.jpg"}}

    _, answer = ask("POST", path, body)

    picture = answer["productImage"]
    assert (picture["title"], picture["extension"], picture["size"]) == ("front", "jpg", 99)
    assert picture["src"].endswith("/front.jpg")


def test_a_brand_without_picture_has_none_until_it_is_set(shop: Shop, ask: Ask) -> None:
    path = f"brands/{next(row['id'] for row in shop.store.rows('brands') if not row['image'])}"

    assert ask("GET", f"{path}/image")[0] == 404
    assert ask("POST", f"{path}/image", {"brandImage": {"src": "https://example.com/a.png"}})[0] == 201
    assert ask("GET", path)[1]["brand"]["image"]["extension"] == "png"
    assert ask("DELETE", f"{path}/image")[0] == 204
    assert ask("GET", path)[1]["brand"]["image"] is False


def test_a_changed_set_shows_in_the_products_that_have_it(shop: Shop, ask: Ask) -> None:
    product = next(row for row in shop.store.rows("products") if row["set"])
    path = f"products/{product['id']}"
    assert ask("GET", path)[1]["product"]["set"]["name"] != "Renamed"

    ask("PUT", f"sets/{product['set']}", {"set": {"name": "Renamed"}})

    assert ask("GET", path)[1]["product"]["set"]["name"] == "Renamed"


def test_the_state_of_an_order_is_logged(shop: Shop, ask: Ask) -> None:
    order = shop.store.ids("orders")[0]

    ask("PUT", f"orders/{order}", {"order": {"status": "on_hold"}})

    _, answer = ask("GET", "orders/events", order=order)
    assert answer["ordersEvents"][0]["message"] == "status: on_hold"
    assert ask("GET", "events/count", order=order)[0] == 200


def test_the_shop_keeps_what_is_put_into_it(ask: Ask) -> None:
    ask("PUT", "shop/javascript", {"shopJavascript": {"isActive": True, "script": "alert(1)"}})

    assert ask("GET", "shop/javascript")[1] == {"shopJavascript": {"isActive": True, "script": "alert(1)"}}
