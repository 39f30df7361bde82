"""A change in the shop is in S3 seconds later, because the shop's webhook starts the run that reads it."""

import functools
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from connector.clients import AwsClients
from connector.operator.main import main
from connector.operator.stack import Stack as DeployedStack
from tests.e2e.conftest import Landed, ShopSeen
from tests.local.stack import STACK_NAME, Stack

pytestmark = pytest.mark.e2e


def write(shop: ShopSeen, method: str, path: str, body: object) -> Any:
    """Change something in the shop, as its owner does."""
    auth = (shop.shop.connection["api_key"], shop.shop.connection["api_secret"])
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, f"{shop.shop.url}/nl/{path}.json", json=body, auth=auth, timeout=60)
    answer.raise_for_status()
    return answer.json() if answer.content else None


class Aws(AwsClients):
    """Clients of the emulator."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    @functools.cache  # noqa: B019 - as the class itself does
    def client(self, service: str) -> Any:
        return self._stack.client(service)


def operator(stack: Stack, *words: str) -> int:
    """Run a command of the operator; the address is the one that works here."""
    words = ("webhooks", *words, "--stack", STACK_NAME, "--address", stack.outputs["ApiUrl"])
    return main(words, open_stack=lambda name: DeployedStack(name, Aws(stack)))


def test_a_changed_record_is_in_s3_after_its_webhook(
    stack: Stack, shop: ShopSeen, landed: Landed, eventually: Callable[..., Any]
) -> None:
    assert operator(stack, "apply", "--entity", "tickets") == 0
    ticket = shop.ids("tickets")[0]

    write(shop, "PUT", f"tickets/{ticket}", {"ticket": {"subject": "changed"}})

    (event,) = eventually(lambda: landed.keys("events/connection=default/entity=tickets/"))
    assert json.loads(landed.read(event))["record_id"] == str(ticket)

    def changed() -> list[dict[str, Any]]:
        keys = landed.keys("manifests/connection=default/entity=tickets/")
        parts = [part["key"] for key in keys for part in json.loads(landed.read(key))["parts"]]
        lines = [line for part in parts for line in gzip.decompress(landed.read(part)).splitlines()]
        return [record for record in map(json.loads, lines) if record["subject"] == "changed"]

    (record,) = eventually(changed)
    assert record["id"] == ticket


def test_a_sample_of_the_operator_arrives(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert operator(stack, "test") == 0
    assert "received and stored: s3://" in capsys.readouterr().out


def test_a_forged_webhook_is_refused_and_nothing_is_stored(stack: Stack, landed: Landed) -> None:
    answer = stack.http("POST", "/webhooks/default", {"order": {"id": 1}}, token="", X_Event="orders/created")

    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert landed.keys("events/connection=default/entity=orders/") == []
