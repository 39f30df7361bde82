"""Where credentials go, and the facts about an answer besides its body."""

import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from lightspeed import (
    Client,
    InvalidRequest,
    LightspeedError,
    NotFound,
    NotSent,
    Parameters,
    UnexpectedResponse,
)
from lightspeed import transport as transport_module
from tests.integration.lightspeed.conftest import Connect, product_request
from tests.shop import Fault, Shop


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("operation", ["get", "create"])
def test_a_redirect_is_never_followed(client: Client, shop: Shop, other: Shop, status: int, operation: str) -> None:
    shop.faults.next(Fault.redirects(f"{other.url}/nl/products.json", status))

    with pytest.raises(UnexpectedResponse, match="redirect") as caught:
        client.transport.send(product_request(client, shop, operation))

    assert caught.value.status == status
    assert other.requests == []
    assert len(shop.requests) == 1


def test_a_redirect_to_the_shop_itself_is_not_followed_either(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.redirects(f"{shop.url}/en/products.json"))

    with pytest.raises(UnexpectedResponse):
        client.transport.send(product_request(client, shop, "get"))

    assert len(shop.requests) == 1


def test_credentials_travel_in_one_header_to_the_origin_only(
    client: Client, shop: Shop, other: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, other.url)
    for operation in ("list", "create", "update", "delete"):
        client.transport.send(product_request(client, shop, operation))

    assert other.requests == []
    for seen in shop.requests:
        assert seen.headers["authorization"] == shop.authorization
        carried = f"{seen.path} {seen.query} {seen.body!r}" + "".join(
            value for name, value in seen.headers.items() if name != "authorization"
        )
        assert shop.api_key not in carried
        assert shop.api_secret not in carried


def test_no_cookie_or_netrc_takes_the_place_of_the_credentials(
    client: Client, shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client.transport.send(product_request(client, shop, "get"))

    assert shop.requests[0].headers["authorization"] == shop.authorization


FAILURES: dict[str, Callable[[Shop], Fault]] = {
    "message": lambda shop: Fault.answers(400, f"The key {shop.api_key} or secret {shop.api_secret} is bad"),
    "header": lambda shop: Fault.answers(500, f"Authorization: {shop.authorization}"),
    "inside": lambda shop: Fault.error_in_success(f"The key {shop.api_key} is bad"),
    "page": lambda shop: replace(Fault.html(200), body=f"<h1>{shop.api_secret}</h1>".encode()),
    "drop": lambda _: Fault.drops(),
    "cut": lambda _: Fault.cuts_body(),
    "401": lambda _: Fault.answers(401),
    "403": lambda _: Fault.answers(403),
    "404": lambda _: Fault.answers(404),
    "429": lambda _: Fault.answers(429, headers={"Retry-After": "60"}),
    "redirect": lambda shop: Fault.redirects(f"http://{shop.api_key}:{shop.api_secret}@127.0.0.1/"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_no_error_carries_a_credential(client: Client, shop: Shop, failure: str) -> None:
    shop.faults.next(FAILURES[failure](shop), times=9)

    with pytest.raises(LightspeedError) as caught:
        client.record(product_request(client, shop, "get"))

    shown = f"{caught.value!s} {caught.value!r} {vars(caught.value)}"
    for hidden in (shop.api_key, shop.api_secret, shop.authorization.removeprefix("Basic ")):
        assert hidden not in shown
    assert "GET /nl/products/" in shown


def test_what_an_answer_says_of_the_quota_is_kept(client: Client, shop: Shop) -> None:
    assert client.transport.quota is None
    client.transport.send(product_request(client, shop, "count"))

    quota = client.transport.quota
    assert quota is not None
    assert [(window.limit, window.remaining) for window in quota.windows] == [(300, 299), (3000, 2999), (12000, 11999)]

    shop.faults.next(Fault.changes_headers(dict.fromkeys(("X-RateLimit-Limit", "X-RateLimit-Remaining"))))
    client.transport.send(product_request(client, shop, "count"))
    assert client.transport.quota == quota


def test_an_error_tells_of_the_quota_too(client: Client) -> None:
    with pytest.raises(NotFound):
        client.transport.send(client.build("products", "get", Parameters({"id": 5})))

    assert client.transport.quota is not None


def test_the_shops_time_quota_and_request_id_come_with_the_answer(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.changes_headers({"X-Request-Id": "r-1"}))
    answer = client.transport.send(product_request(client, shop, "count"))

    assert answer.request_id == "r-1"
    assert client.transport.shop_clock.dates == 1
    assert client.transport.quota is not None


def test_an_answer_without_an_id_has_that_of_the_caller(client: Client, shop: Shop) -> None:
    client.transport.request_id = "c-1"

    assert client.transport.send(product_request(client, shop, "count")).request_id == "c-1"


def test_an_answer_without_date_is_an_answer(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.changes_headers({"Date": None}))

    assert client.transport.send(product_request(client, shop, "count")).status == 200
    assert client.transport.shop_clock.dates == 0


def test_patch_is_sent_only_where_the_connection_asks_for_it(connect: Connect, shop: Shop) -> None:
    client = connect({"update_method": "PATCH"})

    with pytest.raises(InvalidRequest) as caught:
        client.transport.send(product_request(client, shop, "update"))

    assert caught.value.status == 405
    assert [seen.method for seen in shop.requests] == ["PATCH"]


def test_a_host_that_takes_no_connections_is_surely_not_sent(
    connect: Connect, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "CONNECT_TIMEOUT_SECONDS", 0.05)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            client = connect({"base_url": f"http://127.0.0.1:{port}"})
            with pytest.raises(NotSent, match="did not accept a connection in time"):
                client.transport.send(product_request(client, shop, "create"))


def test_an_address_that_is_none_is_surely_not_sent(connect: Connect, shop: Shop) -> None:
    client = connect({"base_url": f"https://{'a' * 64}.example"})

    with pytest.raises(NotSent, match="is not the address of a host"):
        client.transport.send(product_request(client, shop, "get"))


def test_a_server_that_speaks_no_tls_is_surely_not_sent(connect: Connect, shop: Shop) -> None:
    client = connect({"base_url": shop.url.replace("http:", "https:")})

    with pytest.raises(NotSent, match="could not connect to https://"):
        client.transport.send(product_request(client, shop, "get"))

    assert shop.requests == []
