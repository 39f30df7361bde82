"""Stock updates in the deployed queue, taken out of it by the emulator's own poller, and the bus that hears of them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import ShopSeen
from tests.e2e.poller import messages_in
from tests.local.stack import Stack

pytestmark = pytest.mark.e2e

Eventually = Callable[..., Any]
MESSAGES = 500


@pytest.fixture
def heard(stack: Stack) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the bus says while the test runs, by a rule that puts it into a queue."""
    sqs, events = stack.client("sqs"), stack.client("events")
    url = sqs.create_queue(QueueName="results-of-publish")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="results-of-publish", EventPattern=json.dumps({"source": ["lightspeed.publish"]}))
    events.put_targets(Rule="results-of-publish", Targets=[{"Id": "queue", "Arn": arn}])
    found: list[dict[str, Any]] = []

    def receive() -> list[dict[str, Any]]:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ()):
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    yield receive
    events.remove_targets(Rule="results-of-publish", Ids=["queue"])
    events.delete_rule(Name="results-of-publish")
    sqs.delete_queue(QueueUrl=url)


def test_the_newest_of_many_stock_updates_wins_for_every_variant(
    stack: Stack, shop: ShopSeen, eventually: Eventually
) -> None:
    variants = [row["id"] for row in shop.get("variants", limit=100)["variants"]]
    sqs, queue = stack.client("sqs"), stack.outputs["PublishQueueUrl"]
    for start in range(0, MESSAGES, 10):
        entries = [
            {
                "Id": str(n),
                "MessageBody": json.dumps(
                    {
                        "entity": "variants",
                        "action": "update",
                        "parameters": {"path": {"id": variants[n % 100]}, "payload": {"stockLevel": n}},
                    }
                ),
            }
            for n in range(start, start + 10)
        ]
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)

    eventually(lambda: messages_in(stack, queue) == 0)
    found = [row["stockLevel"] for row in shop.get("variants", limit=100)["variants"]]
    assert found == [MESSAGES - 100 + n for n in range(100)]


def test_the_bus_hears_what_became_of_an_event(
    stack: Stack, eventually: Eventually, heard: Callable[[], list[dict[str, Any]]]
) -> None:
    stack.http("POST", "/publish", {"entity": "tags", "action": "delete", "parameters": {"path": {"id": 7}}})
    stack.http("POST", "/publish", {"entity": "orders", "action": "create", "parameters": {"payload": {"x": 1}}})

    eventually(lambda: len(heard()) >= 2)
    told = {(said["detail-type"], said["detail"]["entity"], said["detail"]["status"]) for said in heard()}
    assert {("succeeded", "tags", "deleted"), ("failed", "orders", "failed")} <= told
