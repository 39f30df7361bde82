"""Writing: over HTTP and from the queue, seen in the shop."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import ShopSeen
from tests.local.stack import Stack

pytestmark = pytest.mark.e2e

Eventually = Callable[..., Any]
Taken = Callable[..., dict[str, Any]]


def product(action: str, **parameters: object) -> dict[str, object]:
    return {"entity": "products", "action": action, "parameters": parameters}


@pytest.fixture
def impatient_queue(stack: Stack) -> Iterator[str]:
    """The publish queue, giving a message up after the second try and without the minutes between tries."""
    sqs, queue = stack.client("sqs"), stack.outputs["PublishQueueUrl"]
    names = ["VisibilityTimeout", "RedrivePolicy"]
    before = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    redrive = json.loads(before["RedrivePolicy"]) | {"maxReceiveCount": 2}
    hasty = {"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(redrive)}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes=hasty)
    yield queue
    sqs.set_queue_attributes(QueueUrl=queue, Attributes=before)


def test_a_product_is_created_updated_and_deleted_over_http(stack: Stack, shop: ShopSeen) -> None:
    created = stack.http("POST", "/publish", product("create", payload={"title": "Mug", "visibility": "visible"}))
    assert created.status_code == 201, created.text
    assert created.json()["status"] == "created"
    identity = created.json()["id"]
    assert shop.get(f"products/{identity}")["product"]["title"] == "Mug"

    change = product("update", path={"id": identity}, payload={"title": "Blue mug"})
    updated = stack.http("POST", "/publish", change)
    assert (updated.status_code, updated.json()["status"]) == (200, "updated")
    assert shop.get(f"products/{identity}")["product"]["title"] == "Blue mug"

    deleted = stack.http("POST", "/publish", product("delete", path={"id": identity}))
    assert (deleted.status_code, deleted.json()["status"]) == (200, "deleted")
    assert shop.get(f"products/{identity}") is None


def test_a_product_sent_twice_with_one_idempotency_key_is_created_once(stack: Stack, shop: ShopSeen) -> None:
    event = product("create", payload={"title": "Once", "visibility": "visible"}) | {"idempotency_key": "once-1"}
    before = shop.get("products/count")["count"]

    answers = [stack.http("POST", "/publish", event) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201], [answer.text for answer in answers]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert shop.get("products/count")["count"] == before + 1


def test_creating_an_order_is_refused_with_what_to_do_instead(stack: Stack) -> None:
    answer = stack.http("POST", "/publish", {"entity": "orders", "action": "create", "parameters": {"payload": {}}})

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "checkout" in answer.json()["detail"]


def test_a_product_published_asynchronously_reaches_the_shop(
    stack: Stack, shop: ShopSeen, eventually: Eventually
) -> None:
    before = shop.get("products/count")["count"]

    answer = stack.http(
        "POST",
        "/publish",
        product("create", payload={"title": "Later", "visibility": "visible"}),
        Prefer="respond-async",
    )

    assert answer.status_code == 202, answer.text
    eventually(lambda: shop.get("products/count")["count"] == before + 1)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param("not JSON", id="not JSON"),
        pytest.param(json.dumps(product("update", path={"id": 1}, payload={"title": "x"})), id="no such product"),
    ],
)
def test_a_message_that_cannot_be_published_ends_in_the_failure_queue_and_stops_no_other(
    stack: Stack, shop: ShopSeen, eventually: Eventually, taken: Taken, impatient_queue: str, bad: str
) -> None:
    sqs = stack.client("sqs")
    before = shop.get("products/count")["count"]
    good = json.dumps(product("create", payload={"title": "Queued", "visibility": "visible"}))

    sqs.send_message(QueueUrl=impatient_queue, MessageBody=bad)
    sqs.send_message(QueueUrl=impatient_queue, MessageBody=good)

    eventually(lambda: shop.get("products/count")["count"] == before + 1)
    assert taken(stack.outputs["PublishFailureQueueUrl"], lambda body: body == bad)
