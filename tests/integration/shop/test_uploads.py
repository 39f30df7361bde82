"""Pictures and files: the three ways to send them, and what follows for the product and its variants."""

import base64
from typing import Any

import pytest

from tests.shop import Shop

from .conftest import Ask

CONTENT = b"\x89PNG\r\n\x1a\n--not a boundary\r\n"
MULTIPART = (
    b'--xyz\r\nContent-Disposition: form-data; name="attachment"; filename="tmp.png"\r\nContent-Type: image/png\r\n\r\n'
    + CONTENT
    + b'\r\n--xyz\r\nContent-Disposition: form-data; name="filename"\r\n\r\nlamp.png\r\n--xyz--\r\n'
)


@pytest.mark.parametrize(
    ("path", "key"),
    [("products/{products}/images", "productImage"), ("files", "file"), ("brands/{brands}/image", "brandImage")],
)
def test_a_multipart_upload_has_no_envelope(path: str, key: str, shop: Shop) -> None:
    name = path.partition("/")[0]
    target = f"/nl/{path}.json".replace("{products}", "{0}").replace("{brands}", "{0}").format(shop.store.ids(name)[0])
    headers = {"authorization": shop.authorization, "content-type": 'multipart/form-data; boundary="xyz"'}

    status, _, body = shop.answer("POST", target, headers, MULTIPART)

    assert status == 201
    assert f'{{"{key}":'.encode() in body
    assert f'"size":{len(CONTENT)},"title":"lamp"'.encode() in body


def test_an_attachment_may_be_an_address(shop: Shop, ask: Ask) -> None:
    body = {"productImage": {"attachment": "https://cdn.example.com/lamp.jpg", "filename": "lamp.jpg"}}

    status, answer = ask("POST", f"products/{shop.store.ids('products')[0]}/images", body)

    assert (status, answer["productImage"]["title"], answer["productImage"]["extension"]) == (201, "lamp", "jpg")


def upload(content: bytes = b"x", name: str = "lamp.png", **more: Any) -> dict[str, Any]:
    return {"attachment": base64.b64encode(content).decode(), "filename": name, **more}


def test_a_variants_picture_is_written_inside_the_variant_and_cleared_with_null(shop: Shop, ask: Ask) -> None:
    path = f"variants/{shop.store.ids('variants')[0]}"

    _, answer = ask("PUT", path, {"variant": {"image": upload(b"abc", "blue.jpg")}})
    shown = answer["variant"]["image"]
    _, cleared = ask("PUT", path, {"variant": {"image": None}})

    assert (shown["title"], shown["extension"], shown["size"]) == ("blue", "jpg", 3)
    assert shown["createdAt"].startswith("2026-09-21")
    assert cleared["variant"]["image"] is False


def test_the_first_picture_by_order_is_the_products_and_the_last_to_go_leaves_false(shop: Shop, ask: Ask) -> None:
    _, made = ask("POST", "products", {"product": {"title": "Lamp"}})
    path = f"products/{made['product']['id']}"
    (variant,) = shop.store.where("variants", "product", made["product"]["id"])

    _, second = ask("POST", f"{path}/images", {"productImage": upload(b"2", "second.png", sortOrder=2)})
    _, first = ask("POST", f"{path}/images", {"productImage": upload(b"1", "first.png", sortOrder=1)})
    ask("PUT", f"variants/{variant}", {"variant": {"image": upload(b"1", "first.png")}})
    _, with_two = ask("GET", path)
    for picture in (first, second):
        ask("DELETE", f"{path}/images/{picture['productImage']['id']}")
    _, without = ask("GET", path)

    assert (with_two["product"]["image"]["title"], without["product"]["image"]) == ("first", False)
    assert with_two["product"]["images"]["resource"]["url"].endswith("/images")
    assert without["product"]["images"] is False
    assert ask("GET", f"variants/{variant}")[1]["variant"]["image"] is False


def test_a_second_default_variant_takes_the_place_of_the_first(shop: Shop, ask: Ask) -> None:
    _, made = ask("POST", "products", {"product": {"title": "Lamp"}})
    product = made["product"]["id"]
    (first,) = shop.store.where("variants", "product", product)

    _, second = ask("POST", "variants", {"variant": {"product": product, "title": "Blue", "isDefault": True}})

    assert second["variant"]["isDefault"] is True
    assert ask("GET", f"variants/{first}")[1]["variant"]["isDefault"] is False


def test_a_hidden_product_is_not_visible(ask: Ask) -> None:
    _, hidden = ask("POST", "products", {"product": {"title": "Lamp", "visibility": "hidden"}})
    _, shown = ask("PUT", f"products/{hidden['product']['id']}", {"product": {"isVisible": True}})

    assert hidden["product"]["isVisible"] is False
    assert (shown["product"]["visibility"], shown["product"]["isVisible"]) == ("visible", True)


def test_a_supplier_whose_title_exists_is_refused(shop: Shop, ask: Ask) -> None:
    title = shop.store.rows("suppliers")[0]["title"]

    status, answer = ask("POST", "suppliers", {"supplier": {"title": title}})

    assert status == 400
    assert answer["error"] == {
        "code": 400,
        "method": "CREATE",
        "request": "/nl/suppliers.json",
        "message": "Submitted supplier already exists, try update.",
    }


def test_scripts_are_listed_under_their_plural(ask: Ask) -> None:
    _, answer = ask("GET", "shop/scripts")

    assert list(answer) == ["shopScripts"]


def test_some_order_lines_have_no_weight(shop: Shop) -> None:
    weights = {row["weight"] for row in shop.store.rows("orders/products")}

    assert None in weights
    assert len(weights) > 2


def test_a_new_checkout_has_a_quote_and_takes_a_carrier_of_its_own(shop: Shop, ask: Ask) -> None:
    _, checkout = ask("POST", "checkouts", {})
    carrier = {"id": "external", "title": "Bike", "price_incl": 4.5, "tax_rate": 0.21, "data": {"slot": 3}}

    status, changed = ask("PUT", f"checkouts/{checkout['id']}", {"shipment_method": carrier})

    assert shop.store.row("quotes", checkout["quote"]["id"]) is not None
    assert (status, changed["shipment_method"]) == (200, {"id": "external", "title": "Bike", "price_incl": 4.5})
