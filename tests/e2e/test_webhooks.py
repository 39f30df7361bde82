"""A change in the shop is in S3 seconds later, because the shop's webhook starts the run that reads it."""

import functools
import gzip
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
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


def test_a_deleted_record_leaves_a_tombstone_after_its_webhook(
    stack: Stack, shop: ShopSeen, landed: Landed, eventually: Callable[..., Any]
) -> None:
    review = shop.ids("reviews")[0]
    assert stack.http("POST", "/subscribe", {"entity": "reviews", "mode": "full"}).json()["status"] == "complete"
    assert operator(stack, "apply", "--entity", "tickets", "reviews") == 0

    write(shop, "DELETE", f"reviews/{review}", None)

    (tombstones,) = eventually(lambda: landed.keys("deleted/connection=default/entity=reviews/"), 60)
    (tombstone,) = [json.loads(line) for line in gzip.decompress(landed.read(tombstones)).splitlines()]
    assert tombstone["id"] == review


def signed(stack: Stack, shop: ShopSeen, number: int) -> dict[str, Any]:
    """Return the arguments of a call that reports an invoice, as the shop makes it."""
    body = json.dumps({"invoice": {"id": number}}).encode()
    signature = hashlib.md5(body + shop.shop.connection["api_secret"].encode()).hexdigest()  # noqa: S324 - the shop's
    headers = {"X-Event": "invoices/updated", "X-Signature": signature, "Content-Type": "application/json"}
    return {"url": f"{stack.outputs['ApiUrl']}/webhooks/default", "data": body, "headers": headers}


def send(stack: Stack, shop: ShopSeen, numbers: Iterable[int]) -> list[str]:
    """Send a signed webhook for each number, one after the other; return the statuses with what is answered."""
    with requests.Session() as session:
        session.trust_env = False
        answers = [session.post(**signed(stack, shop, number), timeout=30) for number in numbers]
    return [f"{answer.status_code} {answer.text}" for answer in answers]


def flood(stack: Stack, shop: ShopSeen, landed: Landed, count: int) -> None:
    """Send webhooks from five senders at once; each is stored. Each count has invoices of its own."""
    landed_before = len(landed.keys("events/connection=default/entity=invoices/"))
    shares = [range(first, first + count // 10) for first in range(100 * count, 101 * count, count // 10)]
    with ThreadPoolExecutor(5) as pool:
        answers = Counter(itertools.chain.from_iterable(pool.map(lambda share: send(stack, shop, share), shares)))

    assert answers == {"204 ": count}
    assert len(landed.keys("events/connection=default/entity=invoices/")) == landed_before + count


def test_a_flood_of_webhooks_is_taken_whole(stack: Stack, shop: ShopSeen, landed: Landed) -> None:
    flood(stack, shop, landed, 60)


@pytest.mark.soak
def test_a_thousand_webhooks_are_taken_whole(stack: Stack, shop: ShopSeen, landed: Landed) -> None:
    flood(stack, shop, landed, 1_000)


def test_the_daily_look_reports_with_the_rights_of_its_role(stack: Stack, landed: Landed) -> None:
    functions = stack.client("lambda")
    names = [one["FunctionName"] for one in functions.list_functions()["Functions"]]
    (daily,) = [name for name in names if "WebhookDaily" in name]
    answer = functions.invoke(FunctionName=daily, Payload=b"{}")

    assert "FunctionError" not in answer
    found = json.loads(answer["Payload"].read())
    assert all(one["error"] == "" for one in found["registrations"])
    assert json.loads(landed.read("state/status/arrivals.json"))["date"] == found["date"]


def test_a_webhook_that_cannot_be_stored_is_503_and_taken_when_it_comes_again(stack: Stack, shop: ShopSeen) -> None:
    functions = stack.client("lambda").list_functions()["Functions"]
    (role,) = [one["Role"] for one in functions if one["Handler"] == "webhook.app.lambda_handler"]
    denied = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    policy = {"RoleName": role.rpartition("/")[2], "PolicyName": "denied"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    stack.client("iam").put_role_policy(**policy, PolicyDocument=document)
    try:
        (refused,) = send(stack, shop, [7_000])
    finally:
        stack.client("iam").delete_role_policy(**policy)
    (taken,) = send(stack, shop, [7_000])

    assert refused.startswith("503 ")
    assert json.loads(refused[4:])["type"] == "urn:lightspeed-connector:problem:aws-unavailable"
    assert taken == "204 "


def test_a_sample_of_the_operator_arrives(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert operator(stack, "test") == 0
    assert "received and stored: s3://" in capsys.readouterr().out


def test_a_forged_webhook_is_refused_and_nothing_is_stored(stack: Stack, landed: Landed) -> None:
    answer = stack.http("POST", "/webhooks/default", {"order": {"id": 1}}, token="", X_Event="orders/created")

    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert landed.keys("events/connection=default/entity=orders/") == []
