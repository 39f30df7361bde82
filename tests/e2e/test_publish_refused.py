"""A queued message that is refused: in the failure queue at once, and published once after the cause is mended."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import ShopSeen
from tests.local.stack import Stack

pytestmark = pytest.mark.e2e

Eventually = Callable[..., Any]
Taken = Callable[..., dict[str, Any]]
EVENT = {
    "entity": "tags",
    "action": "create",
    "parameters": {"payload": {"name": "Refused at first"}},
    "request_transformer": {"$ref": "s3:config/transformers/mended.jsonata"},
}


def test_a_refused_message_is_given_up_at_once_and_published_after_a_redrive(
    stack: Stack, shop: ShopSeen, eventually: Eventually, taken: Taken
) -> None:
    sqs, s3 = stack.client("sqs"), stack.client("s3")
    queue, failures = stack.outputs["PublishQueueUrl"], stack.outputs["PublishFailureQueueUrl"]
    first_id = sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(EVENT))["MessageId"]

    given_up = taken(failures, lambda body: body == json.dumps(EVENT))

    attributes = {name: found["StringValue"] for name, found in given_up["MessageAttributes"].items()}
    assert (attributes["Error"], attributes["FirstMessageId"]) == ("TransformError", first_id)
    assert "config/transformers/mended.jsonata" in attributes["Detail"]

    mended = b'{"payload": {"title": payload.name}}'
    s3.put_object(Bucket=stack.outputs["Bucket"], Key="config/transformers/mended.jsonata", Body=mended)
    for _ in range(2):  # what a message move task does, which the emulator has none of; and once too often
        sqs.send_message(QueueUrl=queue, MessageBody=given_up["Body"], MessageAttributes=given_up["MessageAttributes"])

    eventually(lambda: _titles(shop) and _waiting(stack) == 0)
    assert _titles(shop) == 1


def _titles(shop: ShopSeen) -> int:
    return [row["title"] for row in shop.get("tags", limit=250)["tags"]].count("Refused at first")


def _waiting(stack: Stack) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    queue = stack.outputs["PublishQueueUrl"]
    found = stack.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)
