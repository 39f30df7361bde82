"""A connection is checked with a few reads, and each mistake has a message of its own."""

import json
from dataclasses import asdict, replace

import pytest

from lightspeed import (
    AnswerLost,
    AuthenticationError,
    Client,
    LightspeedError,
    NotSent,
    RateLimited,
    UnexpectedResponse,
    UnknownLanguage,
)
from lightspeed.connection_check import check_connection, diagnose
from tests.integration.lightspeed.conftest import Connect
from tests.shop import Fault, Request, Shop

ALL = {"read": True, "write": True}


def refused(client: Client, error: type[LightspeedError]) -> str:
    with pytest.raises(error) as caught:
        check_connection(client)
    return diagnose(caught.value, client.transport.connection)


def test_a_good_connection_tells_what_it_can_do(client: Client, shop: Shop) -> None:
    shop.permissions["products"] = (True, False)
    report = check_connection(client)

    assert report.origin == shop.url
    assert report.language == "nl"
    assert report.languages == ("nl", "de", "en")
    assert report.permissions == {
        "content": ALL,
        "products": {"read": True, "write": False},
        "customers": ALL,
        "orders": ALL,
        "settings": ALL,
        "tracking": ALL,
    }
    assert [(window.name, window.limit, window.remaining) for window in report.quota] == [
        ("5 minutes", 300, 296),
        ("hour", 3000, 2996),
        ("day", 12000, 11996),
    ]
    names = ["account/permissions", "languages", "orders", "orders/count"]
    assert [seen.path for seen in shop.requests] == [f"/nl/{name}.json" for name in names]


def test_a_report_is_json(client: Client) -> None:
    report = json.loads(json.dumps(asdict(check_connection(client))))

    assert report["quota"][0] == {"name": "5 minutes", "limit": 300, "remaining": 296, "reset_seconds": 300}
    assert report["languages"] == ["nl", "de", "en"]


def test_the_default_language_comes_first(connect: Connect) -> None:
    assert check_connection(connect({"language": "en"})).languages == ("nl", "de", "en")


def test_a_key_that_may_not_read_settings_is_good_all_the_same(client: Client, shop: Shop) -> None:
    shop.permissions["settings"] = (False, False)
    report = check_connection(client)

    assert report.languages is None
    assert report.permissions is not None
    assert report.permissions["settings"] == {"read": False, "write": False}


def test_a_key_that_may_not_read_its_permissions_is_good_all_the_same(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.answers(403))

    assert check_connection(client).permissions is None


def test_a_shop_that_tells_no_quota_is_good_all_the_same(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.changes_headers({"X-RateLimit-Limit": None}), times=4)

    assert check_connection(client).quota == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [(False, False), (True, None)],
    ids=["another zone", "the order changes just now"],
)
def test_an_order_that_is_not_found_by_its_own_time_shows_another_zone(
    client: Client, shop: Shop, changes: bool, expected: bool | None
) -> None:
    def meanwhile(request: Request) -> None:
        if changes and request.path == "/nl/orders/count.json":
            shop.store.update("orders", shop.store.ids("orders")[0], {"memo": "new"}, at=shop.clock.now() + 9)

    shop.on_request(meanwhile)
    shop.faults.next(Fault.sends(b'{"count":0}'), path_contains="orders/count")

    assert check_connection(client).utc_filters is expected


def test_a_key_that_may_not_read_orders_does_not_show_how_times_are_read(client: Client, shop: Shop) -> None:
    shop.permissions["orders"] = (False, False)

    assert check_connection(client).utc_filters is None


@pytest.mark.parametrize("orders", [b'{"orders":[]}', b'{"orders":[{"id":1,"updatedAt":false}]}'])
def test_no_order_with_a_time_does_not_show_how_times_are_read(client: Client, shop: Shop, orders: bytes) -> None:
    shop.faults.next(Fault.sends(orders), path_contains="/orders.json")

    assert check_connection(client).utc_filters is None


def test_wrong_credentials(connect: Connect, shop: Shop) -> None:
    client = connect({"api_secret": "not-the-secret"})

    assert refused(client, AuthenticationError) == (
        f"wrong credentials: {shop.url} refuses this API key and secret (401 Access denied.); "
        "they are good only on the cluster where their shop lives"
    )
    assert len(shop.requests) == 1


def test_a_language_that_the_shop_lacks(connect: Connect) -> None:
    assert refused(connect({"language": "fr"}), UnknownLanguage) == (
        "wrong language: the shop has no active language 'fr' (Unknown or inactive language.)"
    )


def test_nobody_at_the_address(client: Client, shop: Shop) -> None:
    address = shop.url
    shop.close()

    message = refused(client, NotSent)
    assert message.startswith(f"wrong cluster or base URL, or no network: nothing answers at {address} (GET ")


@pytest.mark.parametrize(
    "fault",
    [
        Fault.html(200),
        Fault.html(404),
        Fault.answers(404),
        Fault.answers(400),
        Fault.html(405),
        Fault.redirects("https://www.example.com/"),
        replace(Fault.html(200), body=b'{"status":"ok"}'),
        replace(Fault.html(200), body=b'{"data":{"status":"ok"}}'),
        replace(Fault.html(200), body=b"[]"),
    ],
    ids=["page", "page 404", "404", "400", "page 405", "redirect", "other json", "other envelope", "list"],
)
def test_something_else_at_the_address(client: Client, shop: Shop, fault: Fault) -> None:
    shop.faults.next(fault, times=4)

    message = refused(client, UnexpectedResponse)
    assert message.startswith(f"wrong cluster or base URL: {shop.url} answers, but not as a Lightspeed eCom API (GET ")


def test_a_shop_that_hangs_up_is_not_called_a_wrong_address(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.drops(), times=4)

    assert refused(client, AnswerLost).startswith(f"{shop.url} was reached, but gave no complete answer (GET ")


def test_a_used_up_quota_is_not_called_a_mistake(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.answers(429, headers={"Retry-After": "90"}))

    assert refused(client, RateLimited) == (
        "the shop's quota is used up; try again in 90 s "
        "(GET /nl/account/permissions.json: 429 Too many requests in this time period. Try again later.)"
    )
