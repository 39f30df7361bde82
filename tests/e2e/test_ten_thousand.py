"""Ten thousand stock updates through the deployed queue and function, a consumer of which is killed at its work.

What it leaves behind is the worst that can be: its request is with the shop, which is slow and acts on it after newer
updates of the same variants were published. Later its messages come again, and their consumer has to notice that the
shop fell back, although these messages are not the newest.

Three things differ from what is deployed. Messages of a consumer that died come again after 20 seconds instead of 720.
The lease of the killed consumer ends at once instead of at its deadline. And the emulator's poller, which gives the
function ten messages where the template says a hundred, is replaced by one that works as Lambda's does
(`tests/e2e/poller.py`).
"""

import json
import os
import random
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.poller import Poller, messages_in
from tests.local.process import wait_until
from tests.local.stack import Stack
from tests.shop.exchange import Request
from tests.shop.shop import Shop

pytestmark = pytest.mark.e2e

CONNECTION = "ten-thousand"
MESSAGES = 10_000
AT_ONCE = 10
EARLY, EARLY_UPDATES = 200, 5
LATE = 100
"""Variants. The early ones are queued first, each so many times, so that they are done with long before the killed
consumer's messages come again. Then the late ones in any order: two consumers at work share most of them, and each
finds that the other has entered newer values while its own request was on its way."""

DEADLY = 7
"""Which request is the killed consumer's: it carries the last updates but one of early variants."""

VISIBILITY_SECONDS = 20
MAX_REQUESTS = MESSAGES // 50
"""A hundred messages go into one request, and what is newer meanwhile into one more. It lies below what the shop's
quota lets out of 300 requests in five minutes be used, so that no message ever waits for the quota."""

MAX_SECONDS = 600

Update = tuple[int, int]
"""Id of a variant and its stock."""


class SlowRequest:
    """Keeps one of the shop's requests waiting before the shop acts upon it."""

    def __init__(self, shop: Shop, number: int) -> None:
        self.arrived = threading.Event()
        self._passes = threading.Event()
        self._left = number
        self._request: Request | None = None
        shop.on_request(self._look_at)

    def __enter__(self) -> "SlowRequest":
        return self

    def __exit__(self, *_: object) -> None:
        self._passes.set()

    @property
    def request(self) -> Request:
        """The request that was kept."""
        assert self._request is not None
        return self._request

    def let_pass(self) -> None:
        """Let the shop act upon it, and wait until it has."""
        assert self.request.status is None
        self._passes.set()
        assert wait_until(lambda: self.request.status == 200, MAX_SECONDS)

    def _look_at(self, request: Request) -> None:
        self._left -= 1
        if self._left == 0:
            self._request = request
            self.arrived.set()
            self._passes.wait(MAX_SECONDS)


@pytest.fixture
def forgetful_queue(stack: Stack) -> Iterator[str]:
    """The publish queue, in which what was received and not deleted comes again soon."""
    sqs, queue = stack.client("sqs"), stack.outputs["PublishQueueUrl"]
    before = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)})
    yield queue
    sqs.set_queue_attributes(QueueUrl=queue, Attributes=before)


@pytest.fixture
def large_shop(stack: Stack) -> Iterator[Shop]:
    """A shop of this test's own, with many variants and the usual quota."""
    with Shop(orders=5, products=500) as shop:
        credentials = {"api_key": shop.api_key, "api_secret": shop.api_secret}
        stack.add_connection(CONNECTION, {"base_url": shop.url, "language": "nl", **credentials})
        yield shop


def planned(shop: Shop) -> list[Update]:
    """The updates in the order in which they are queued, ten by ten; each has a stock of its own.

    Ten that are queued at once, in the same millisecond, are of ten variants.
    """
    number = random.Random(7)
    variants = shop.store.ids("variants")[: EARLY + LATE]
    order: list[int] = []
    for _ in range(EARLY_UPDATES):
        order += number.sample(variants[:EARLY], EARLY)
    while len(order) < MESSAGES:
        order += number.sample(variants[EARLY:], AT_ONCE)
    return [(variant, n) for n, variant in enumerate(order)]


def message(update: Update) -> str:
    variant, stock = update
    parameters = {"path": {"id": variant}, "payload": {"stockLevel": stock}}
    return json.dumps({"connection": CONNECTION, "entity": "variants", "action": "update", "parameters": parameters})


def put_into_queue(stack: Stack, queue: str, updates: list[Update]) -> None:
    """Queue the updates, one call after another: a variant's next one is queued at a later moment."""
    for start in range(0, len(updates), AT_ONCE):
        together = updates[start : start + AT_ONCE]
        entries = [{"Id": str(n), "MessageBody": message(update)} for n, update in enumerate(together)]
        answer = stack.client("sqs").send_message_batch(QueueUrl=queue, Entries=entries)
        assert len(answer["Successful"]) == len(together)


def stock(shop: Shop, variant: int) -> int:
    row = shop.store.row("variants", variant)
    assert row is not None
    level: int = row["stockLevel"]
    return level


def kill_consumers(stack: Stack) -> None:
    """End the process that publishes, and any that waits for an invocation since an earlier test."""
    found = stack.emulator.handlers("publish.app.lambda_handler")
    assert found, "no process of the handler runs"
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def end_lease(stack: Stack) -> None:
    """End the lease of the consumer that was killed: its deadline is two minutes away."""
    dynamodb = stack.client("dynamodb")
    (table,) = [name for name in dynamodb.list_tables()["TableNames"] if "Idempotency" in name]
    dynamodb.update_item(
        TableName=table,
        Key={"id": {"S": f"writer#{CONNECTION}"}},
        UpdateExpression="SET deadline = :past",
        ConditionExpression="attribute_exists(holder)",
        ExpressionAttributeValues={":past": {"N": "0"}},
    )


def test_ten_thousand_stock_updates_end_right_in_few_requests_though_a_consumer_is_killed(
    stack: Stack, large_shop: Shop, forgetful_queue: str
) -> None:
    shop, failure_queue = large_shop, stack.outputs["PublishFailureQueueUrl"]
    updates = planned(shop)
    newest = dict(updates)
    assert (len(updates), len(newest)) == (MESSAGES, EARLY + LATE)
    failed_before = messages_in(stack, failure_queue)

    with Poller(stack) as poller, SlowRequest(shop, DEADLY) as slow:
        put_into_queue(stack, forgetful_queue, updates)
        poller.start(1)
        assert slow.arrived.wait(MAX_SECONDS)
        asked = {row["id"]: row["stockLevel"] for row in slow.request.json["variant"]}
        kill_consumers(stack)
        end_lease(stack)
        poller.start(poller.most_workers - 1)
        assert wait_until(lambda: all(stock(shop, variant) == newest[variant] for variant in asked), MAX_SECONDS)
        assert poller.errors == ["Runtime.ExitError"]
        # another batch may be postponed meanwhile, because it waited too long for the lease
        receipts = {poller.receipts[message(update)] for update in asked.items()}
        assert receipts == {1}, "the messages must not come again before the shop acts"
        slow.let_pass()
        assert {variant: stock(shop, variant) for variant in asked} == asked, "the shop fell back"
        assert wait_until(poller.is_done, MAX_SECONDS, every_seconds=0.5)

    again = {body for body, receipts in poller.receipts.items() if receipts > 1}
    assert again >= {message(update) for update in asked.items()}
    assert all(
        poller.sent[message(update)] < poller.sent[message((update[0], newest[update[0]]))]
        for update in updates
        if update[1] != newest[update[0]]
    )
    assert {variant: stock(shop, variant) for variant in newest} == newest
    assert messages_in(stack, failure_queue) == failed_before
    assert poller.errors == ["Runtime.ExitError"]
    assert {request.status for request in shop.requests} == {200}
    assert len(shop.requests) <= MAX_REQUESTS
