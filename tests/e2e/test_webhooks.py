"""A change in the shop is in S3 seconds later, because the shop's webhook starts the run that reads it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.e2e.conftest import Landed, ShopSeen
from tests.local.stack import Stack

pytestmark = pytest.mark.e2e


def write(shop: ShopSeen, method: str, path: str, body: object) -> Any:
    """Change something in the shop, as its owner does."""
    auth = (shop.shop.connection["api_key"], shop.shop.connection["api_secret"])
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, f"{shop.shop.url}/nl/{path}.json", json=body, auth=auth, timeout=10)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def test_a_changed_record_is_in_s3_after_its_webhook(
    stack: Stack, shop: ShopSeen, landed: Landed, eventually: Callable[..., Any]
) -> None:
    address = f"{stack.outputs['ApiUrl']}/webhooks/default?stack=local"
    hook = {"isActive": True, "itemGroup": "tickets", "itemAction": "*", "format": "json", "address": address}
    write(shop, "POST", "webhooks", {"webhook": hook})
    ticket = shop.ids("tickets")[0]

    write(shop, "PUT", f"tickets/{ticket}", {"ticket": {"subject": "changed"}})

    (event,) = eventually(lambda: landed.keys("events/connection=default/entity=tickets/"))
    assert json.loads(landed.read(event))["record_id"] == str(ticket)

    def changed() -> list[dict[str, Any]]:
        keys = [key for key in landed.keys("raw/connection=default/entity=tickets/") if key.endswith("_manifest.json")]
        runs = [json.loads(landed.read(key))["run_id"] for key in keys]
        return [record for run in runs for record in landed.records(run) if record["subject"] == "changed"]

    (record,) = eventually(changed, 30)
    assert record["id"] == ticket


def test_a_forged_webhook_is_refused_and_nothing_is_stored(stack: Stack, landed: Landed) -> None:
    answer = stack.http("POST", "/webhooks/default", {"order": {"id": 1}}, token="", X_Event="orders/created")

    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert landed.keys("events/connection=default/entity=orders/") == []
