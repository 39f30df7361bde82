"""The daily look on S3 and a simulated shop."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.webhook.conftest import Account
from tests.shop import Clock, Shop
from tests.support.lambda_context import Context
from webhook import daily

NOW = 1_795_413_600
ADDRESS = "https://api.example/webhooks/default?stack=mine"


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(orders=1, products=1, clock=Clock(frozen_at=NOW), quota=None, rate_per_second=None) as shop:
        yield shop


@pytest.fixture
def look(account: Account, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("STACK_NAME", "mine")
    settings = {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret, "language": "nl"}
    secrets = account.client("secretsmanager")
    secrets.put_secret_value(SecretId=f"{account.prefix}default", SecretString=json.dumps(settings))
    return lambda **event: daily.lambda_handler(event, Context("request", function_name="webhook-daily"))


def register(shop: Shop, group: str, *, active: bool = True, address: str = ADDRESS) -> None:
    hook = {"isActive": active, "itemGroup": group, "itemAction": "*", "address": address}
    shop.answer("POST", "/nl/webhooks.json", body=json.dumps({"webhook": hook}).encode())


def listed(account: Account, *entities: str) -> None:
    entries = [{"connection": "default", "subscription": one, "entity": one, "webhooks": True} for one in entities]
    account.put("config/subscriptions.json", entries)


def test_what_the_shop_switched_off_or_lacks_is_found(account: Account, shop: Shop, look: Any) -> None:
    register(shop, "orders", active=False)
    register(shop, "products")
    register(shop, "customers", address="https://api.example/webhooks/default?stack=other")
    listed(account, "orders", "products", "customers")

    (found,) = look()["registrations"]

    assert (found["off"], found["missing"], found["error"]) == (["orders"], ["customers"], "")
    assert found["command"] == (
        "python -m connector webhooks apply --connection default --entity customers orders products"
    )
    assert account.json("state/webhooks/connection=default.json") == found


def test_every_subscription_has_its_report(account: Account, look: Any) -> None:
    listed(account, "orders", "products")

    assert look(date="2026-11-23")["reports"] == [
        {"subscription": "orders", "changes": 0, "alarm": ""},
        {"subscription": "products", "changes": 0, "alarm": ""},
    ]
    assert account.keys("state/reports/") == [
        "state/reports/connection=default/date=2026-11-23/orders.json",
        "state/reports/connection=default/date=2026-11-23/products.json",
    ]
    summary = account.json("state/status/arrivals.json")
    assert (summary["date"], sorted(summary["reports"])) == ("2026-11-23", ["default/orders", "default/products"])
    assert summary["reports"]["default/orders"] == account.json(account.keys("state/reports/")[0])


def test_without_a_list_the_entities_count_that_webhooks_came_of(account: Account, look: Any) -> None:
    for entity in ("orders", "unknown", "test"):
        key = f"events/connection=default/entity={entity}/date=2026-11-23/1.json"
        event = {"record_id": "1", "received_at": "2026-11-23T06:00:00.000Z"}
        account.put(key, event)

    assert [report["subscription"] for report in look(date="2026-11-23")["reports"]] == ["orders"]


def test_a_shop_that_does_not_answer_stops_nothing(account: Account, shop: Shop, look: Any) -> None:
    listed(account, "orders")
    shop.api_secret = "changed"

    answer = look()

    assert answer["registrations"][0]["error"].startswith("AuthenticationError")
    assert len(answer["reports"]) == 1
