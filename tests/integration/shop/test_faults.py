"""Every kind of fault, seen through a socket where it matters."""

import http.client
import json
from collections.abc import Iterator

import pytest

from tests.shop import ConnectionDropped, Fault, Shop

TARGET = "/nl/orders.json?limit=20"
TITLE = b'{"tag":{"title":"new"}}'


@pytest.fixture(scope="module")
def served() -> Iterator[Shop]:
    with Shop(orders=30, products=5, quota=None, rate_per_second=None) as shop:
        yield shop


@pytest.fixture
def shop(served: Shop) -> Iterator[Shop]:
    yield served
    assert served.faults.pending == []


def send(shop: Shop, method: str = "GET", target: str = TARGET, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    host, port = shop.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request(method, target, body, {"Authorization": shop.authorization})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.headers.items()}, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("status", [404, 429, 500, 502, 503, 504, 418])
def test_a_status_comes_in_the_error_envelope_once(status: int, shop: Shop) -> None:
    shop.faults.next(Fault.answers(status))

    answered, headers, body = send(shop)

    assert answered == status
    error = json.loads(body)["error"]
    assert (error["code"], error["method"], error["request"]) == (status, "GET", "/nl/orders.json")
    assert headers["x-ratelimit-limit"].count("/") == 2
    assert send(shop)[0] == 200


def test_a_status_may_carry_headers_and_a_message(shop: Shop) -> None:
    shop.faults.next(Fault.answers(429, "Slow down", {"Retry-After": "7", "X-RateLimit-Remaining": None}))

    status, headers, body = send(shop)

    assert (status, headers["retry-after"], json.loads(body)["error"]["message"]) == (429, "7", "Slow down")
    assert "x-ratelimit-remaining" not in headers


@pytest.mark.parametrize("status", [502, 200])
def test_a_page_of_html_comes_instead_of_json(status: int, shop: Shop) -> None:
    shop.faults.next(Fault.html(status))

    answered, headers, body = send(shop)

    assert (answered, headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert body.startswith(b"<!DOCTYPE html>")


def test_a_redirect_leads_elsewhere(shop: Shop) -> None:
    shop.faults.next(Fault.redirects("http://localhost:1/steal"))

    status, headers, _ = send(shop)

    assert (status, headers["location"]) == (302, "http://localhost:1/steal")


def test_a_dropped_connection_leaves_nothing_done(shop: Shop) -> None:
    before = shop.store.count("tags")
    shop.faults.next(Fault.drops())

    with pytest.raises(http.client.RemoteDisconnected):
        send(shop, "POST", "/nl/tags.json", TITLE)

    assert shop.store.count("tags") == before
    assert shop.requests[-1].status is None


def test_a_lost_answer_leaves_the_work_done(shop: Shop) -> None:
    before = shop.store.count("tags")
    shop.faults.next(Fault.loses_answer())

    with pytest.raises(http.client.RemoteDisconnected):
        send(shop, "POST", "/nl/tags.json", TITLE)

    assert shop.store.count("tags") == before + 1
    assert shop.requests[-1].status == 201


def test_a_cut_body_is_shorter_than_announced(shop: Shop) -> None:
    shop.faults.next(Fault.cuts_body(0.5))

    with pytest.raises(http.client.IncompleteRead) as cut:
        send(shop)

    assert cut.value.expected is not None
    assert abs(len(cut.value.partial) - cut.value.expected) <= 1


def test_a_slow_body_comes_whole_in_the_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(shop, "wait", waits.append)
    shop.faults.next(Fault.slows_body(100))

    status, _, body = send(shop)

    assert waits == [10] * 10
    assert (status, len(json.loads(body)["orders"])) == (200, 20)


def test_a_delay_passes_before_the_answer(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(shop, "wait", waits.append)
    shop.faults.next(Fault.delays(50))

    assert send(shop)[0] == 200
    assert waits == [50]


def test_a_success_may_carry_an_error(shop: Shop) -> None:
    shop.faults.next(Fault.error_in_success("Broken"), method="POST")

    status, _, body = send(shop, "POST", "/nl/tags.json", TITLE)

    assert (status, json.loads(body)["error"]["message"]) == (201, "Broken")


@pytest.mark.parametrize("value", [None, "", "nonsense", "1/2", "-1/-1/-1"])
def test_rate_limit_headers_may_be_missing_or_odd(value: str | None, shop: Shop) -> None:
    shop.faults.next(Fault.changes_headers({"X-RateLimit-Remaining": value}))

    status, headers, _ = send(shop)

    assert (status, headers.get("x-ratelimit-remaining")) == (200, value)


def test_faults_fire_in_the_order_of_the_plan(shop: Shop) -> None:
    shop.faults.next(Fault.answers(500), times=2)
    shop.faults.next(Fault.answers(503))
    assert [fault.status for fault in shop.faults.pending] == [500, 500, 503]

    assert [send(shop)[0] for _ in range(4)] == [500, 500, 503, 200]
    assert [fault.status for fault, _ in shop.faults.fired[-3:]] == [500, 500, 503]


def test_a_fault_waits_for_its_verb_path_and_turn(shop: Shop) -> None:
    shop.faults.next(Fault.answers(500), method="GET", path_contains="/products", after=1)

    statuses = [
        send(shop)[0],
        send(shop, target="/nl/products.json")[0],
        send(shop, "POST", "/nl/products.json", b'{"product":{"title":"x"}}')[0],
        send(shop, target="/nl/products.json")[0],
    ]

    assert statuses == [200, 200, 201, 500]


def test_without_sockets_a_lost_answer_is_raised(shop: Shop) -> None:
    for fault in (Fault.drops(), Fault.loses_answer(), Fault.cuts_body()):
        shop.faults.next(fault)
        with pytest.raises(ConnectionDropped):
            shop.answer("GET", TARGET)
