"""What the shop refuses, and how it says so."""

import json
from typing import Any

import pytest

from tests.shop import API_KEY, API_SECRET, Clock, Shop

from .conftest import NOW, Ask


def test_key_and_secret_have_the_length_of_real_ones() -> None:
    assert (len(API_KEY), len(API_SECRET)) == (32, 32)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic AAAA"}, {"Authorization": "Bearer x"}])
def test_wrong_credentials_are_denied_with_the_documented_envelope(headers: dict[str, str], shop: Shop) -> None:
    status, _, body = shop.answer("GET", "/nl/orders.json?page=2", headers)

    assert status == 401
    assert json.loads(body) == {
        "error": {"code": 401, "method": "GET", "request": "/nl/orders.json", "message": "Access denied."}
    }


def test_an_inactive_language_is_not_found(ask: Ask) -> None:
    status, answer = ask("GET", "orders", language="fr")

    assert (status, answer["error"]["message"]) == (404, "Unknown or inactive language.")


@pytest.mark.parametrize(
    "target", ["/nl/orders", "/nl/nothing.json", "/nl/orders/1.json", "/nl/orders/1/products.json"]
)
def test_an_unknown_path_or_record_is_not_found(target: str, shop: Shop) -> None:
    status, _, body = shop.answer("GET", target)

    assert status == 404
    assert json.loads(body)["error"]["request"] == target


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "orders"),
        ("DELETE", "orders/{orders}"),
        ("POST", "products/{products}/attributes"),
        ("PATCH", "products/{products}"),
        ("POST", "returns"),
        ("DELETE", "quotes/{quotes}"),
        ("PUT", "categories/products/{categories/products}"),
    ],
)
def test_a_verb_that_a_resource_lacks_is_not_allowed(method: str, path: str, shop: Shop, ask: Ask) -> None:
    name = path[path.index("{") + 1 : path.index("}")] if "{" in path else ""
    filled = path.replace(f"{{{name}}}", str(shop.store.ids(name)[0])) if name else path

    status, answer = ask(method, filled, {})

    assert (status, answer["error"]["method"]) == (405, {"POST": "CREATE", "PUT": "UPDATE"}.get(method, method))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"title":"x"}', b'{"products":{"title":"x"}}', b'{"product":"x"}']
)
def test_a_wrong_or_missing_envelope_is_invalid_input(body: bytes, shop: Shop) -> None:
    status, _, answer = shop.answer("POST", "/nl/products.json", body=body)

    assert (status, json.loads(answer)["error"]["message"]) == (400, "Invalid data input.")


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("products", {"product": {}}, "title"),
        ("products", {"product": {"title": "x", "brand": 1}}, "brand"),
        ("variants", {"variant": {"title": "x"}}, "product"),
        ("variants", {"variant": {"product": 1}}, "product"),
        ("customers", {"customer": {"email": "a@example.com"}}, "firstname"),
        ("suppliers", {"supplier": {"title": "x", "country_id": "xx"}}, "country_id"),
        ("webhooks", {"webhook": {"itemGroup": "dogs", "itemAction": "*", "address": "http://x"}}, "itemGroup"),
        ("webhooks", {"webhook": {"itemGroup": "orders", "itemAction": "*"}}, "address"),
        ("files", {"file": {"title": "x", "attachment": "%%%"}}, "attachment"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_word_about_it(
    path: str, body: Any, word: str, shop: Shop, ask: Ask
) -> None:
    before = shop.store.count(path)

    status, answer = ask("POST", path, body)

    assert status == 422
    assert word in answer["error"]["message"]
    assert shop.store.count(path) == before


def test_a_value_of_a_wrong_type_is_refused_and_nothing_changes(shop: Shop, ask: Ask) -> None:
    variant = shop.store.rows("variants")[0]

    status, _ = ask("PUT", f"variants/{variant['id']}", {"variant": {"stockLevel": "many", "sku": "changed"}})

    assert status == 422
    assert shop.store.row("variants", variant["id"]) == variant


def test_a_missing_permission_is_forbidden_for_reading_or_writing_alone() -> None:
    permissions = {"orders": {"read": False}, "products": {"write": False}}
    shop = Shop(permissions=permissions, clock=Clock(frozen_at=NOW))

    assert shop.answer("GET", "/nl/orders.json")[0] == 403
    assert shop.answer("GET", "/nl/products.json")[0] == 200
    assert shop.answer("POST", "/nl/products.json", body=b'{"product":{"title":"x"}}')[0] == 403
    _, _, body = shop.answer("GET", "/nl/account/permissions.json")
    rights = json.loads(body)["accountPermissions"]
    assert (rights["orders"], rights["products"]) == ({"read": False, "write": True}, {"read": True, "write": False})


def test_an_unknown_permission_group_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="dogs"):
        Shop(permissions={"dogs": {}})


def test_patch_can_be_taken_like_put(shop: Shop, ask: Ask) -> None:
    path = f"variants/{shop.store.ids('variants')[0]}"
    assert ask("PATCH", path, {"variant": {"sku": "x"}})[0] == 405

    shop.habits.patch_updates = True

    status, answer = ask("PATCH", path, {"variant": {"sku": "x"}})
    assert (status, answer["variant"]["sku"]) == (200, "x")


def test_changed_credentials_deny_the_old_ones(shop: Shop) -> None:
    old = shop.authorization
    shop.api_secret = "another0fake0secret0of0the0shop0"

    assert shop.answer("GET", "/nl/shop.json", {"Authorization": old})[0] == 401
    assert shop.answer("GET", "/nl/shop.json", {"Authorization": shop.authorization})[0] == 200
