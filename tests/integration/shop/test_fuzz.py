"""No input crashes the shop: random verbs, paths, queries, headers and bodies over loopback, from a seed."""

import json
import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.shop import Shop
from tests.shop.resources import BY_NAME
from tests.shop.routes import ROUTES

VERBS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW")
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    1.5,
    1e308,
    10**30,
    "",
    "x",
    "0",
    "7",
    "-7",
    "\u00b2",
    "\ud800",
    "x" * 3000,
    "9" * 5000,
    [],
    {},
    [[]],
    [None],
    {"id": []},
    {"id": 1},
    {"resource": None},
    {"resource": {"id": "x"}},
    {"attachment": "%%%"},
    float("nan"),
    "2026-01-01 00:00:00",
    "0000-00-00",
    "https://x/y.png",
    "nl",
    "zz",
    {"code": []},
    {"code": "nl"},
    [1, "x", {}],
)
SEGMENTS = (
    "*",
    "%2A",
    "..",
    "",
    "0",
    "00",
    "9" * 40,
    "%FF",
    "%00",
    "count",
    "bulk",
    "image",
    "x y",
    "[",
    "//[::1",
    "é",
)
QUERY_NAMES = ("page", "limit", "since_id", "fields", "created_at_min", "updated_at_max", "[]", "a[b]")
CHECKOUT_FIELDS = [
    "shipment_method",
    "payment_method",
    "customer",
    "email",
    "billing_address",
    "terms",
    "variant_id",
    "quantity",
]
OTHER_FIELDS = ["attachment", "filename", "src", "image", "orderProducts", "creditShipment", "categories", "product"]
HEADERS = (
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Type: multipart/form-data; boundary=b",
    "Content-Type: multipart/form-data",
    "Content-Type: application/json",
    "X-Forwarded-For: \xff",
)
BODIES = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 5000,
    b'{"product":' * 3000,
    b"a[b]=1&a=2",
    b"[]=1",
    b"&&==",
    b"NaN",
    b'--b\r\nContent-Disposition: form-data; name="attachment"; filename="x"\r\n\r\nabc\r\n--b--',
    b"--b--",
    b"--b",
)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(orders=8, products=6, quota=None, rate_per_second=None) as shop:
        yield shop


def some_request(chance: random.Random, shop: Shop) -> tuple[str, str, str]:
    """Return verb, route and path: mostly a verb of the route and ids that exist, sometimes broken at one place."""
    route = chance.choice(sorted(ROUTES))
    verb = chance.choice(sorted(ROUTES[route])) if chance.random() < 0.8 else chance.choice(VERBS)
    parts = route.split("/")
    for i, part in enumerate(parts):
        if part == "*":
            name = "/".join(p for p in route.split("/")[:i] if p != "*")
            parent = int(parts[i - 2]) if name.count("/") and parts[i - 2].isdigit() else None
            ids = shop.store.ids(name, parent) if name in BY_NAME or name.startswith("checkouts") else []
            parts[i] = str(chance.choice(ids[:3])) if ids and chance.random() < 0.9 else str(chance.randrange(10**9))
    if chance.random() < 0.2:
        parts[chance.randrange(len(parts))] = chance.choice(SEGMENTS)
    ending = chance.choice((".json",) * 20 + ("", ".xml", ".json.json"))
    return verb, route, f"/{chance.choice(('nl',) * 20 + ('en', 'xx', ''))}/{'/'.join(parts)}{ending}"


def some_query(chance: random.Random) -> str:
    names = [*QUERY_NAMES, *(name for resource in BY_NAME.values() for name in resource.filters)]
    values = ("", "0", "-1", "1", "x", "%C2%B2", "9" * 5000, "2026-01-01%2000:00:00", "9999-12-31", "0001-01-01", "%00")
    pairs = (f"{chance.choice(names)}={chance.choice(values)}" for _ in range(chance.randrange(4)))
    return chance.choice(("", "?", "?")) + "&".join(pairs)


def some_body(chance: random.Random, shop: Shop, route: str) -> bytes:
    """Return a body that fits the route's resource, with odd values for some of its fields."""
    if chance.random() < 0.2:
        return chance.choice(BODIES)
    name = "/".join(part for part in route.split("/") if part != "*")
    resource = BY_NAME.get(name) or BY_NAME.get(name.rpartition("/")[0]) or chance.choice(list(BY_NAME.values()))
    lines = shop.store.ids("orders/products")
    values = (*ODD, *(shop.store.ids(each)[0] for each in ("products", "variants", "categories", "customers")))
    entry = {"id": chance.choice((*lines, *ODD)), "quantity": chance.choice(values), "value": chance.choice(values)}
    names = [field.name for field in resource.shape]
    names += CHECKOUT_FIELDS if name.startswith("checkouts") else OTHER_FIELDS
    fields: Any = {each: chance.choice((*values, [entry])) for each in chance.sample(names, min(len(names), 4))}
    if name.startswith("checkouts"):
        return json.dumps(fields).encode()
    keys = (resource.item,) * 4 + (resource.items, "credit", "customerToken", "variant", "productAttributes", "image")
    return json.dumps({chance.choice(keys): chance.choice((fields, fields, fields, [fields], [entry]))}).encode()


def exchange(shop: Shop, verb: str, target: str, header: str, body: bytes, length: str | None) -> bytes:
    """Send raw bytes on a connection of its own and return what comes back until it is closed."""
    host, _, port = shop.url.removeprefix("http://").partition(":")
    lines = [
        f"{verb} {target} HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Authorization: {shop.authorization}",
        header,
    ]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "\r\n"]).encode("latin-1") + body)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return received


def attack(shop: Shop, seed: int, requests: int) -> None:
    chance = random.Random(seed)
    for number in range(requests):
        shop.habits.places_in_bulk = chance.choice(("all or none", "until refused", "each"))
        shop.habits.unknown_parameters = chance.choice(("ignore", "refuse"))
        verb, route, path = some_request(chance, shop)
        target = (path + some_query(chance)).replace(" ", "%20")
        body = some_body(chance, shop, route)
        length = chance.choice((None,) * 20 + ("x", "-1", "9" * 23, "7"))
        body = body if length is None else b""  # what a server does not read resets the connection
        received = exchange(shop, verb, target, chance.choice(HEADERS), body, length)
        where = f"seed {seed}, request {number}: {verb} {target} {body[:300]!r}"
        assert received.startswith(b"HTTP/1.1 "), f"{where} got no answer"
        status = int(received[9:12])
        assert status < 500, f"{where} got {status}"
        head, _, content = received.partition(b"\r\n\r\n")
        if b"application/json" in head and content:
            json.loads(content)


def test_no_input_crashes_the_shop(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    attack(shop, seed=1, requests=1_500)

    assert capsys.readouterr().err == ""


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 42))
def test_no_input_crashes_the_shop_with_many_seeds(seed: int, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    attack(shop, seed, requests=3_000)

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "first", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x00\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000]
)
def test_bytes_that_are_no_request_end_only_their_connection(first: bytes, shop: Shop) -> None:
    host, _, port = shop.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(first)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    assert exchange(shop, "GET", "/nl/orders/count.json", "X: y", b"", None).endswith(b'{"count":8}')


def test_a_star_is_no_id(shop: Shop) -> None:
    assert shop.answer("GET", "/nl/orders/%2A/products.json")[0] == 404
    assert shop.answer("GET", "/nl/orders/*.json")[0] == 404
