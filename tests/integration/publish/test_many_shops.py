"""Events of four shops in one batch: one is down, one has used up its quota, one has wrong credentials, one works."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.publish.conftest import Publisher, event, message
from tests.shop import Shop

NAMES = ("default", "down", "full", "wrong")


@pytest.fixture
def shops(publisher: Publisher) -> Iterator[dict[str, Shop]]:
    """The shops by connection."""
    with ExitStack() as stack:
        found = {"default": publisher.shop}
        for name in NAMES[1:]:
            shop = found[name] = stack.enter_context(Shop(orders=5, products=5, clock=publisher.shop.clock))
            settings = {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret, "language": "nl"}
            secret = publisher.deps.settings.secret_prefix + name
            publisher.deps.aws.client("secretsmanager").create_secret(Name=secret, SecretString=json.dumps(settings))
        found["full"].limits.use(12_000)
        found["wrong"].api_secret = "another-secret"
        found["down"].close()
        yield found


def tags(shop: Shop) -> list[str]:
    return sorted(row["title"]["nl"] for row in shop.store.rows("tags") if row["title"].get("nl", "").startswith("new"))


def test_one_batch_fails_only_where_a_shop_does(publisher: Publisher, shops: dict[str, Shop]) -> None:
    events = [
        event("tags", "create", {"title": f"new {number}"}, connection=name) for number in range(3) for name in NAMES
    ]
    failed = publisher.failed(*(message(number, one) for number, one in enumerate(events)))

    others = [f"message-{number}" for number, one in enumerate(events) if one["connection"] != "default"]
    assert sorted(failed) == sorted(others)
    assert tags(shops["default"]) == ["new 0", "new 1", "new 2"]
    assert [tags(shops[name]) for name in NAMES[1:]] == [[], [], []]
    assert publisher.deps.pauses.keys() <= {"full"}
