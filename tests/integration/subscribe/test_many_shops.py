"""Four shops in one stack: one is down, one has used up its quota, one has wrong credentials, and one works."""

import base64
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lightspeed import AuthenticationError, NotSent
from tests.integration.subscribe.bundle import Bundle
from tests.integration.subscribe.test_http_access import READER
from tests.shop import Shop

NAMES = ("default", "down", "full", "wrong")
EVENT = {"entity": "orders", "mode": "incremental"}


@pytest.fixture
def shops(bundle: Bundle) -> Iterator[dict[str, Shop]]:
    """The shops by connection, each with a key of its own."""
    with ExitStack() as stack:
        found = {"default": bundle.shop}
        for name in NAMES[1:]:
            found[name] = stack.enter_context(Shop(orders=5, products=5, clock=bundle.clock))
        for name, shop in found.items():
            shop.api_key, shop.api_secret = f"key-of-{name}", f"secret-of-{name}"
            settings = {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret}
            bundle.store_connection(name, **settings)
        found["full"].limits.use(12_000)
        found["wrong"].api_secret = "another-secret"
        found["down"].close()
        yield found


def test_the_trouble_of_a_shop_touches_no_other(
    bundle: Bundle, shops: dict[str, Shop], capsys: pytest.CaptureFixture[str]
) -> None:
    first = bundle.invoke({**EVENT, "connection": "default"}, "default-1")
    with pytest.raises(NotSent):
        bundle.invoke({**EVENT, "connection": "down"}, "down-1")
    paused = bundle.invoke({**EVENT, "connection": "full"}, "full-1")
    with pytest.raises(AuthenticationError):
        bundle.invoke({**EVENT, "connection": "wrong"}, "wrong-1")
    shops["default"].store.update("orders", bundle.ids(first)[0], {"memo": "new"})
    bundle.clock.advance(60)
    second = bundle.invoke({**EVENT, "connection": "default"}, "default-2")

    # the well one reads as if it were alone, at once and whole
    assert (first["status"], first["verified"], first["records"]) == ("complete", True, 30)
    assert (second["status"], second["verified"], second["records"]) == ("complete", True, 1)
    # quota: the full one waits by itself
    assert (paused["status"], paused["records"]) == ("partial", 0)
    assert paused["resume_after_seconds"] > 60
    assert shops["default"].limits.remaining[2] > 11_000
    # state: bookmark, records and manifests of the well one only
    assert bundle.stored("raw/") == [*first["objects"], *second["objects"]]
    assert bundle.stored("manifests/") == [first["manifest"], second["manifest"]]
    bookmarks = {key: bundle.json(key).get("bookmark") for key in bundle.stored("state/connection=")}
    assert {key: found["run_id"] for key, found in bookmarks.items() if found} == {
        "state/connection=default/orders.json": "default-2"
    }
    # secrets: each shop saw its own key and no other, and no secret is in a log line or an object
    for name, shop in shops.items():
        assert {seen.headers["authorization"] for seen in shop.requests} <= {basic(f"key-of-{name}:secret-of-{name}")}
    written = capsys.readouterr().out + "".join(repr(bundle.body(key)) for key in bundle.stored())
    assert "secret-of-" not in written


def basic(text: str) -> str:
    """Return the header of Basic authentication."""
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.usefixtures("shops")
def test_the_status_says_of_each_shop_what_is_wrong_with_it(bundle: Bundle) -> None:
    listed = [{"connection": name, "subscription": "orders", "entity": "orders"} for name in NAMES]
    bundle.put("config/subscriptions.json", listed)
    bundle.invoke({**EVENT, "connection": "default"})

    found = bundle.http("GET", "/status", caller=READER).json
    shops = {one["connection"]: (one["level"], one["why"][:17]) for one in found["shops"]}
    assert shops == {
        "default": ("good", ""),
        "down": ("warning", "the shop did not "),
        "full": ("warning", "the 5 minutes quo"),
        "wrong": ("red", "wrong credentials"),
    }
