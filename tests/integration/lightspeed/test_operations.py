"""Every operation of the catalogue, sent to the simulated shop, which was written without the catalogue."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from lightspeed import CATALOGUE, Client, Connection, Endpoint, Parameters, Transport
from tests.integration.lightspeed.conftest import settings_of
from tests.shop import Shop
from tests.support.clock import FakeClock


class Id(str):
    """A placeholder in a payload: the id of a record of this entity."""


CUSTOMER = {"email": "new@example.com", "firstname": "Nia", "lastname": "Example"}
IMAGE = {"attachment": "aGVsbG8=", "filename": "hello.png"}
METAFIELD = {"key": "colour", "value": "red"}
CREATE: Mapping[str, Mapping[str, object]] = {
    "attributes": {"title": "Width"},
    "blogs": {"title": "News"},
    "blogs/articles": {"title": "First", "blog": Id("blogs")},
    "blogs/articles/image": IMAGE,
    "blogs/articles/tags": {"article": Id("blogs/articles"), "tag": Id("blogs/tags")},
    "blogs/comments": {"article": Id("blogs/articles"), "content": "Well said", "email": "a@example.com"},
    "blogs/tags": {"title": "tips", "blog": Id("blogs")},
    "brands": {"title": "Acme"},
    "brands/image": IMAGE,
    "categories": {"title": "Cups"},
    "categories/image": IMAGE,
    "categories/products": {"category": Id("categories"), "product": Id("products")},
    "checkouts": {"mode": "guest", "comment": "please ring"},
    "checkouts/products": {"variant_id": Id("variants"), "quantity": 2},
    "customers": CUSTOMER,
    "deliverydates": {"name": "tomorrow"},
    "discountrules": {"title": "Spring"},
    "discounts": {"code": "SPRING"},
    "external_services": {"name": "label", "urlEndpoint": "https://service.example"},
    "files": {"title": "manual", **IMAGE},
    "filters": {"title": "Size"},
    "filters/values": {"title": "large"},
    "groups": {"title": "wholesale"},
    "groups/customers": {"customer": Id("customers"), "group": Id("groups")},
    "locations": {"title": "Depot"},
    "orders/customstatuses": {"title": "packed", "color": "#00ff00"},
    "products": {"title": "Mug", "isVisible": True},
    "products/filtervalues": {"filter": Id("filters"), "filtervalue": Id("filters/values")},
    "products/images": IMAGE,
    "products/relations": {"relatedProduct": Id("products")},
    "quantity_discounts": {"product": Id("products"), "quantity": 10, "discount": 5},
    "quotes": {"customer": Id("customers")},
    "quotes/products": {"variant": Id("variants"), "quantity": 3},
    "redirects": {"url": "old", "target": "new"},
    "reviews": {"product": Id("products"), "name": "Ann", "score": 4},
    "sets": {"name": "colours"},
    "shop/scripts": {"body": "console.log(1)"},
    "shop/tracking": {"content": "<!-- -->"},
    "subscriptions": {"email": "reader@example.com"},
    "suppliers": {"title": "Maker"},
    "tags": {"title": "sale"},
    "tags/products": {"tag": Id("tags"), "product": Id("products")},
    "taxes": {"title": "low", "rate": 0.09},
    "taxes/overrides": {"country": "be", "rate": 0.06},
    "textpages": {"title": "About"},
    "theme/categories": {"categoryId": Id("categories")},
    "theme/products": {"productId": Id("products")},
    "tickets": {"subject": "Help", "customer": Id("customers")},
    "tickets/messages": {"message": "Hello"},
    "types": {"title": "cup"},
    "types/attributes": {"type": Id("types"), "attribute": Id("attributes")},
    "variants": {"product": Id("products"), "sku": "M-1", "stockLevel": 5},
    "variants/image": IMAGE,
    "webhooks": {"itemGroup": "orders", "itemAction": "created", "address": "https://hook.example", "format": "json"},
}
UPDATE: Mapping[str, Mapping[str, object]] = {
    "additionalcosts": {"title": "Gift wrap"},
    "checkouts": {"comment": "no need to ring"},
    "checkouts/products": {"quantity": 3},
    "invoices": {"status": "paid"},
    "orders": {"memo": "called back"},
    "products/attributes": {"value": "20 cm"},
    "quotes": {"comment": "soon"},
    "returns": {"status": "authorized"},
    "shipments": {"status": "shipped", "trackingCode": "FAKE123"},
    "shop": {"subDomain": "another-shop"},
    "shop/javascript": {"script": "console.log(2)"},
}
OPERATIONS = [
    pytest.param(row, name, id=f"{row.name}-{name}") for row in CATALOGUE.values() for name in row.operation_names
]
PARENTS = {"article_id": "blogs/articles", "category_id": "categories", "tax_id": "taxes"}


def create_payload(entity: str) -> Mapping[str, object]:
    return METAFIELD if entity.endswith("metafields") else CREATE[entity]


class World:
    """The shop's records as the API shows them."""

    def __init__(self, shop: Shop, client: Client) -> None:
        self.shop = shop
        self.client = client

    def send(self, row: Endpoint, operation: str, path: Mapping[str, object], payload: object = None) -> Any:
        request = self.client.build(row.name, operation, Parameters(path, payload=payload))
        if operation == "list":
            return [json.loads(record) for record in self.client.page(request).records]
        if operation == "count":
            return self.client.count(request)
        if operation == "get":
            return json.loads(self.client.record(request))
        record = self.client.write(request).record
        return None if record is None else json.loads(record)

    def ids(self, row: Endpoint, path: Mapping[str, object], limit: int) -> list[int]:
        page = self.client.page(self.client.build(row.name, "list", Parameters(path, {"limit": limit})))
        return [json.loads(record)["id"] for record in page.records]

    def some_id(self, entity: str) -> int:
        return int(str(self.existing(CATALOGUE[entity])["id"]))

    def parents(self, row: Endpoint) -> dict[str, object]:
        """Return ids for the parents in the path, of records that have something below them where there are some."""
        if not row.parents:
            return {}
        (name,) = row.parents
        owner = CATALOGUE[PARENTS.get(name, name.removesuffix("_id") + "s")]
        if owner.name == "checkouts":
            return {name: self.create(owner)["id"]}
        ids = self.ids(owner, {}, limit=50)
        if "list" in row.operations:
            return {name: next((found for found in ids if self.ids(row, {name: found}, limit=1)), ids[0])}
        return {name: ids[0]}

    def existing(self, row: Endpoint) -> dict[str, object]:
        """Return the path to a record that exists, without creating one unless there is none."""
        path = self.parents(row)
        ids = self.ids(row, path, limit=1)
        return {**path, "id": ids[0] if ids else self.create(row, path)["id"]}

    def create(self, row: Endpoint, path: Mapping[str, object] | None = None) -> dict[str, Any]:
        path = self.parents(row) if path is None else path
        payload = self.filled(create_payload(row.name))
        if row.name == "suppliers":
            payload["title"] = f"Maker {len(self.shop.requests)}"  # the shop refuses a title that exists
        record: dict[str, Any] = self.send(row, "create", path, payload)
        return record

    def new(self, row: Endpoint) -> dict[str, object]:
        """Return the path to a record that no other test needs."""
        path = self.parents(row)
        if row.has("create"):
            return {**path, "id": self.create(row, path)["id"]}
        owner = int(str(next(iter(path.values())))) if path else None
        return {**path, "id": self.shop.store.add(row.name, parent=owner)}

    def filled(self, payload: Mapping[str, object]) -> dict[str, object]:
        return {name: self.some_id(value) if isinstance(value, Id) else value for name, value in payload.items()}

    def raw(self, path: str) -> Any:
        """Return the shop's answer, with its envelope."""
        status, _, body = self.shop.answer("GET", path)
        assert status == 200
        return json.loads(body)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    clock = FakeClock()
    with Shop(orders=40, products=20, quota=None, rate_per_second=None, clock=clock) as shop:
        yield World(shop, Client(Transport(Connection.from_mapping(settings_of(shop)), clock=clock)))


def inside(answer: Any, record: object) -> bool:
    """Whether an answer is the record, or holds it below its envelope, alone or in a list."""
    values = list(answer.values()) if isinstance(answer, dict) else []
    return record in (answer, *values) or any(isinstance(value, list) and record in value for value in values)


def image_or_record(world: World, row: Endpoint) -> dict[str, object]:
    """Return the path to something that can be read."""
    if row.collection and "list" in row.operations:
        return world.existing(row)
    path = world.parents(row)
    if row.has("create"):
        world.create(row, path)
    return path


def check_list(world: World, row: Endpoint) -> None:
    path = world.parents(row)
    if row.name.startswith("checkouts") and row.has("create"):
        world.create(row, path)
    records = world.send(row, "list", path)

    assert records
    assert world.raw(world.shop.requests[-1].path) in (records, {row.items: records})


def check_get(world: World, row: Endpoint) -> None:
    record = world.send(row, "get", image_or_record(world, row))

    assert isinstance(record, dict)
    assert inside(world.raw(world.shop.requests[-1].path), record)


def check_count(world: World, row: Endpoint) -> None:
    path = world.parents(row)

    pages = world.client.pages(row.name, Parameters(path))
    assert world.send(row, "count", path) == sum(len(page.records) for page in pages)


def check_create(world: World, row: Endpoint) -> None:
    path = world.parents(row)
    record = world.create(row, path)
    sent = world.shop.requests[-1]

    assert (sent.method, sent.status) == ("POST", 201)
    if row.has("get"):
        item = {**path, "id": record["id"]} if row.collection else path
        assert world.send(row, "get", item) == record
    else:
        assert record in world.send(row, "list", path)


def check_update(world: World, row: Endpoint) -> None:
    path = world.existing(row) if row.collection else {}
    payload = UPDATE.get(row.name) or create_payload(row.name)
    fields = world.filled(payload)
    record = world.send(row, "update", path, fields)
    sent = world.shop.requests[-1]

    assert (sent.method, sent.status) == ("PUT", 200)
    plain = {name: value for name, value in fields.items() if name in record and not isinstance(record[name], dict)}
    assert {name: record[name] for name in plain} == plain
    assert inside(world.raw(sent.path), record)


def check_delete(world: World, row: Endpoint) -> None:
    path = world.new(row) if row.collection else image_or_record(world, row)

    assert world.send(row, "delete", path) is None
    sent = world.shop.requests[-1]
    assert (sent.method, sent.status) == ("DELETE", 204)
    if row.has("get"):
        assert world.shop.answer("GET", sent.path)[0] == 404
    else:
        parents = {name: value for name, value in path.items() if name != "id"}
        assert path["id"] not in [record["id"] for record in world.send(row, "list", parents)]


def check_credit(world: World, row: Endpoint) -> None:
    invoice = world.send(row, "credit", {"id": world.some_id("orders")})

    assert invoice["id"] in world.shop.store.ids("invoices")


def check_convert(world: World, row: Endpoint) -> None:
    order = world.send(row, "convert", {"id": world.create(CATALOGUE["quotes"])["id"]})

    assert order["id"] == world.shop.store.ids("orders")[0]


def check_login(world: World, row: Endpoint) -> None:
    answer = world.send(row, "login", {"id": world.some_id("customers")}, {"password": "fake"})

    assert answer == {"loggedin": True}


def check_tokens(world: World, row: Endpoint) -> None:
    answer = world.send(row, "tokens", {"id": world.some_id("customers")})

    assert answer["token"]


def check_validate(world: World, row: Endpoint) -> None:
    answer = world.send(row, "validate", {"id": world.create(row)["id"]})

    assert answer["validated"] is False
    assert answer["errors"]


def check_order(world: World, row: Endpoint) -> None:
    path = {"id": world.create(row)["id"]}
    lines = CATALOGUE["checkouts/products"]
    world.create(lines, {"checkout_id": path["id"]})
    methods = {
        kind: world.send(CATALOGUE[f"checkouts/{kind}s"], "list", {"checkout_id": path["id"]})[0]["id"]
        for kind in ("payment_method", "shipment_method")
    }
    address = {
        "name": "Nia Example",
        "address1": "Street",
        "number": "1",
        "zipcode": "1000AA",
        "city": "X",
        "country": "nl",
    }
    world.send(
        row,
        "update",
        path,
        {
            "customer": CUSTOMER,
            "billing_address": address,
            "terms": True,
            "shipment_method": methods["shipment_method"],
            "payment_method": {"id": methods["payment_method"]},
        },
    )
    assert world.send(row, "validate", path) == {"validated": True, "errors": []}

    placed = world.send(row, "order", path)

    assert placed["order_id"] == world.shop.store.ids("orders")[0]


def check_bulk(world: World, row: Endpoint) -> None:
    path = world.parents(row)
    records = world.send(row, "list", path)
    payloads: dict[str, object] = {
        "categories/products": {"categories": [world.some_id("categories")], "product": world.some_id("products")},
        "products/attributes": [{"id": record["id"], "value": "9 cm"} for record in records],
        "variants": [{"id": record["id"], "stockLevel": 77} for record in records[:3]],
    }
    answer = world.send(row, "bulk", path, payloads[row.name])
    sent = world.shop.requests[-1]

    assert sent.status in (200, 201)
    if row.name == "variants":
        assert [record["stockLevel"] for record in answer] == [77, 77, 77]
    if row.name == "products/attributes":
        assert {record["value"] for record in answer} == {"9 cm"}


CHECKS: Mapping[str, Callable[[World, Endpoint], None]] = {
    "list": check_list,
    "get": check_get,
    "count": check_count,
    "create": check_create,
    "update": check_update,
    "delete": check_delete,
    "credit": check_credit,
    "convert": check_convert,
    "login": check_login,
    "tokens": check_tokens,
    "validate": check_validate,
    "order": check_order,
    "bulk": check_bulk,
}


@pytest.mark.parametrize(("row", "operation"), OPERATIONS)
def test_the_shop_understands_every_operation_of_the_catalogue(world: World, row: Endpoint, operation: str) -> None:
    CHECKS[operation](world, row)


def test_all_operations_are_exercised() -> None:
    assert len(OPERATIONS) == 452
