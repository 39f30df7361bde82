"""A read is prepared from the shop's first one, and looks as `requests` would prepare it."""

import pytest
import requests
from requests.auth import HTTPBasicAuth

from lightspeed.http_session import open_session

AUTH = HTTPBasicAuth(b"key", b"secret")


@pytest.mark.parametrize(
    ("url", "query"),
    [
        ("https://api.webshopapp.com/nl/orders.json", {"page": "3", "created_at_max": "2026-11-23 06:00:00"}),
        ("https://api.webshopapp.com/nl/orders.json", None),
        ("http://127.0.0.1:8080/nl/a%20b/%C3%A9/x~y.json", {"q": "\u00e9&=+/ %", "none": "", "x": "~-_."}),
        ("https://b\u00fccher.example/nl/orders/7.json", None),
    ],
)
def test_a_read_is_prepared_as_requests_does(url: str, query: dict[str, str] | None) -> None:
    session, plain = open_session(1), requests.Session()
    plain.headers.update(session.headers)
    wanted = plain.prepare_request(requests.Request("GET", url, params=query, auth=AUTH))

    for _ in range(2):  # the first one is prepared in full, the second one is a copy
        prepared = session.prepare_request(requests.Request("GET", url, params=query, auth=AUTH))

        assert (prepared.method, prepared.url, prepared.body) == ("GET", wanted.url, None)
        assert dict(prepared.headers) == dict(wanted.headers)


def test_a_read_carries_the_credentials_and_cookies_of_its_own_time() -> None:
    session = open_session(1)
    url = "https://api.webshopapp.com/nl/orders.json"
    session.prepare_request(requests.Request("GET", url, auth=AUTH))
    session.cookies.set("node", "7", domain="api.webshopapp.com")

    renewed = session.prepare_request(requests.Request("GET", url, auth=HTTPBasicAuth(b"key", b"new")))

    assert renewed.headers["Authorization"] == "Basic a2V5Om5ldw=="
    assert renewed.headers["Cookie"] == "node=7"
    assert session.prepare_request(requests.Request("GET", url, auth=AUTH)).headers["Cookie"] == "node=7"
