"""Webhooks: who is told what, in which words, and how it is signed."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from tests.shop import Clock, Shop

from .conftest import NOW


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it is sent."""

    block_on_close = True
    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keep)
        self.got: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hooks?x=1"


class _Keep(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(
        orders=10, products=5, webhooks=True, clock=Clock(frozen_at=NOW), quota=None, rate_per_second=None
    ) as shop:
        yield shop


def register(shop: Shop, address: str, group: str, action: str = "*", language: str = "nl", form: str = "json") -> None:
    hook = {"itemGroup": group, "itemAction": action, "language": language, "format": form, "address": address}
    status, _, _ = shop.answer("POST", "/nl/webhooks.json", body=json.dumps({"webhook": hook}).encode())
    assert status == 201


def test_a_change_is_delivered_signed_and_with_the_documented_headers(shop: Shop, receiver: Receiver) -> None:
    register(shop, receiver.address, "orders")
    order = shop.store.ids("orders")[0]

    shop.answer("PUT", f"/nl/orders/{order}.json", body=b'{"order":{"memo":"x"}}')
    shop.settle_webhooks()

    ((path, headers, body),) = receiver.got
    assert path == "/hooks?x=1"
    assert headers["x-signature"] == hashlib.md5(body + shop.api_secret.encode()).hexdigest()  # noqa: S324
    assert (headers["x-event"], headers["x-order-id"], headers["x-language"]) == ("orders/updated", str(order), "nl")
    assert {"x-shop-id", "x-cluster-id", "x-format", "x-request-id", "x-ratelimit-remaining"} <= headers.keys()
    _, _, read = shop.answer("GET", f"/nl/orders/{order}.json")
    assert json.loads(body) == json.loads(read)
    assert [delivery.status for delivery in shop.deliveries] == [200]


def test_a_registration_hears_of_its_group_action_and_in_its_language(shop: Shop, receiver: Receiver) -> None:
    register(shop, receiver.address, "products", "updated", "de")
    register(shop, receiver.address, "products", "deleted")
    register(shop, receiver.address, "customers")
    product = shop.store.ids("products")[0]

    shop.store.update("products", product, data01="x")
    shop.store.delete("products", product)
    shop.settle_webhooks()

    assert [headers["x-event"] for _, headers, _ in receiver.got] == ["products/updated", "products/deleted"]
    (_, german, update), (_, headers_of_deletion, deletion) = receiver.got
    assert (german["x-language"], json.loads(update)["product"]["id"]) == ("de", product)
    assert (deletion, headers_of_deletion["x-product-id"]) == (b"", str(product))


def test_a_deletion_may_carry_the_id_in_its_body(shop: Shop, receiver: Receiver) -> None:
    shop.habits.deleted_webhook = "id"
    register(shop, receiver.address, "products", "deleted")
    product = shop.store.ids("products")[0]

    shop.store.delete("products", product)
    shop.settle_webhooks()

    ((_, _, body),) = receiver.got
    assert json.loads(body) == {"product": {"id": product}}


def test_a_registration_for_xml_is_delivered_as_xml(shop: Shop, receiver: Receiver) -> None:
    register(shop, receiver.address, "orders", form="xml")
    order = shop.store.ids("orders")[0]

    shop.store.update("orders", order, memo="<b> & \x01\u00e9")
    shop.settle_webhooks()

    ((_, headers, body),) = receiver.got
    assert (headers["content-type"], headers["x-format"]) == ("application/xml", "xml")
    assert headers["x-signature"] == hashlib.md5(body + shop.api_secret.encode()).hexdigest()  # noqa: S324
    root = ElementTree.fromstring(body)  # noqa: S314 - the shop's own text
    assert (root.tag, root.findtext("id"), root.findtext("memo")) == ("order", str(order), "<b> & \u00e9")
    assert root.findtext("products/resource/embedded/item/id")


def test_json_is_delivered_with_escaped_slashes(shop: Shop, receiver: Receiver) -> None:
    register(shop, receiver.address, "customers")

    shop.store.update("customers", shop.store.ids("customers")[0], memo="a/b")
    shop.settle_webhooks()

    ((_, _, body),) = receiver.got
    assert b'"memo":"a\\/b"' in body


def test_the_same_registration_twice_is_delivered_twice(shop: Shop, receiver: Receiver) -> None:
    for _ in range(2):
        register(shop, receiver.address, "customers")

    shop.store.update("customers", shop.store.ids("customers")[0], memo="x")
    shop.settle_webhooks()

    assert len(receiver.got) == 2
    assert len({headers["x-request-id"] for _, headers, _ in receiver.got}) == 2


def test_payment_and_shipping_are_events_of_their_own(shop: Shop, receiver: Receiver) -> None:
    register(shop, receiver.address, "orders", "paid")
    register(shop, receiver.address, "orders", "shipped")
    order = next(row for row in shop.store.rows("orders") if row["paymentStatus"] != "paid")

    shop.store.update("orders", order["id"], paymentStatus="paid", shipmentStatus="shipped")
    shop.settle_webhooks()

    assert [headers["x-event"] for _, headers, _ in receiver.got] == ["orders/paid", "orders/shipped"]


def test_an_inactive_registration_hears_nothing(shop: Shop, receiver: Receiver) -> None:
    register(shop, receiver.address, "customers")
    shop.store.update("webhooks", shop.store.ids("webhooks")[0], isActive=False)

    shop.store.update("customers", shop.store.ids("customers")[0], memo="x")
    shop.settle_webhooks()

    assert (receiver.got, shop.deliveries) == ([], [])


def test_nothing_is_sent_beyond_loopback(shop: Shop) -> None:
    shop.store.update("products", shop.store.ids("products")[0], data01="x")
    shop.settle_webhooks()

    (delivery,) = shop.deliveries  # the shop opens with a registration of another host
    assert (delivery.address, delivery.status) == ("https://hooks.example.com/lightspeed", None)
    assert delivery.error == "not a loopback address"


def test_a_receiver_that_is_away_is_recorded(shop: Shop) -> None:
    register(shop, "http://127.0.0.1:9/", "customers")

    shop.store.update("customers", shop.store.ids("customers")[0], memo="x")
    shop.settle_webhooks()

    (delivery,) = shop.deliveries
    assert delivery.status is None
    assert delivery.error.startswith("ConnectionRefusedError")


def test_without_asking_nothing_is_delivered() -> None:
    shop = Shop(orders=1, products=1)

    shop.store.update("products", shop.store.ids("products")[0], data01="x")

    assert shop.deliveries == []


def test_a_new_order_is_told_with_all_that_belongs_to_it(shop: Shop, receiver: Receiver) -> None:
    register(shop, receiver.address, "orders", "created")

    shop.answer("POST", "/nl/quotes/1016615295/convert.json")
    shop.settle_webhooks()

    ((_, _, body),) = receiver.got
    order = json.loads(body)["order"]
    assert len(order["products"]["resource"]["embedded"]) >= 1
    assert len(order["invoices"]["resource"]["embedded"]) == 1


def test_no_more_webhooks_are_taken_than_the_plan_allows(shop: Shop) -> None:
    for _ in range(9):
        register(shop, "http://127.0.0.1:9/", "orders")

    hook = {"itemGroup": "orders", "itemAction": "*", "address": "http://127.0.0.1:9/"}
    assert shop.answer("POST", "/nl/webhooks.json", body=json.dumps({"webhook": hook}).encode())[0] == 422
