"""`GET /status`: JSON with a token, and for a browser a page that holds no data until it has one."""

import pytest

from tests.integration.subscribe.bundle import Bundle
from tests.integration.subscribe.test_http_access import NOBODY, READER

BROWSER = {"accept": "text/html,application/xhtml+xml"}


def test_with_a_token_the_status_is_json(bundle: Bundle) -> None:
    bundle.invoke({"entity": "quotes", "parameters": {"path": {"id": bundle.shop.store.ids("quotes")[0]}}})

    found = bundle.http("GET", "/status", caller=READER).json
    (quotes,) = found["subscriptions"]
    assert (found["version"], quotes["name"], quotes["last_run"]["records"]) == (1, "quotes", 1)


def test_a_browser_without_a_token_gets_a_page_without_data(bundle: Bundle) -> None:
    answer = bundle.http("GET", "/status", caller=NOBODY, headers=BROWSER)

    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "docs/status.js" in answer.text
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert bundle.untouched


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("Text/HTML", 200),
        ("application/json;q=0.1, text/html; level=1; q=0.5", 200),
        ("text/html;q=0, */*", 401),
        ("application/json, text/html;q=0.5", 401),
    ],
)
def test_the_page_is_for_a_caller_that_prefers_it(bundle: Bundle, accept: str, status: int) -> None:
    assert bundle.http("GET", "/status", caller=NOBODY, headers={"accept": accept}).status == status


def test_with_a_token_a_browser_gets_the_page(bundle: Bundle) -> None:
    answer = bundle.http("GET", "/status", caller=READER, headers=BROWSER)

    assert "No subscription yet" in answer.text
    assert "<script" not in answer.text
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert answer.headers["X-Page"] == "status"
