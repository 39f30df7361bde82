"""Ten thousand stock updates through a queue with SQS's semantics, one of its consumers dying."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.publish.conftest import event, message
from tests.property.publish.world import World
from tests.shop import Clock, Shop
from tests.support.clock import MONDAY_SIX, FakeClock

MESSAGES = 10_000
AT_ONCE = 100
VISIBILITY_SECONDS = 720
MAX_RECEIPTS = 10
QUOTA = (300, 3000, 12_000)


@dataclass
class Held:
    """A message in the queue."""

    body: str
    sent: int
    visible_at: float
    receipts: int = 0
    attributes: dict[str, Any] | None = None


class Queue:
    """A standard queue: hidden messages come again, order is not kept, and some are delivered though they are done."""

    def __init__(self, clock: Clock, number: random.Random) -> None:
        self.messages: dict[str, Held] = {}
        self.dead: list[str] = []
        self._clock = clock
        self._random = number
        self._done: dict[str, Held] = {}
        self._copies = 0

    def put(self, name: str, body: object, sent: int) -> None:
        self.messages[name] = Held(json.dumps(body), sent, self._clock.now())

    def receive(self) -> list[dict[str, Any]]:
        """Up to a hundred visible messages, roughly in the order they were sent."""
        now = self._clock.now()
        visible = [name for name, held in self.messages.items() if held.visible_at <= now][: 2 * AT_ONCE]
        self._random.shuffle(visible)
        again = self._random.sample(sorted(self._done), min(len(self._done), 1)) if self._random.random() < 0.3 else []
        records = []
        for name in [*visible[:AT_ONCE], *again]:
            held = self.messages.get(name) or self._done[name]
            held.receipts += 1
            held.visible_at = now + VISIBILITY_SECONDS
            if name in self.messages and held.receipts > MAX_RECEIPTS:
                self.dead.append(name)
                del self.messages[name]
                continue
            record = message(0, held.body, sent=held.sent, receipts=held.receipts, receipt=name)
            records.append({**record, "messageId": name, "messageAttributes": held.attributes or {}})
        return records

    def delete(self, names: set[str]) -> None:
        for name in names & set(self.messages):
            self._done[name] = self.messages.pop(name)

    def wait(self) -> None:
        """Let the time pass until a message can be seen."""
        soonest = min(held.visible_at for held in self.messages.values())
        self._clock.advance(max(0.0, soonest - self._clock.now()))

    def change_message_visibility(self, **asked: Any) -> None:
        if asked["ReceiptHandle"] in self.messages:
            self.messages[asked["ReceiptHandle"]].visible_at = self._clock.now() + asked["VisibilityTimeout"]

    def send_message(self, **asked: Any) -> None:
        self._copies += 1
        attributes = {name: {"stringValue": value["StringValue"]} for name, value in asked["MessageAttributes"].items()}
        now = self._clock.now()
        held = Held(asked["MessageBody"], int(now * 1000), now + asked["DelaySeconds"], attributes=attributes)
        self.messages[f"copy-{self._copies}"] = held


@pytest.fixture
def shop() -> Iterator[Shop]:
    clock = FakeClock()
    with Shop(orders=5, products=250, quota=QUOTA, rate_per_second=None, clock=clock) as running:
        yield running


def test_ten_thousand_stock_updates_end_right_in_few_requests_though_a_consumer_dies(shop: Shop) -> None:
    number = random.Random(4)
    world = World(shop)
    queue = world.queue = Queue(shop.clock, number)
    variants = shop.store.ids("variants")
    wanted: dict[int, int] = {}
    for n in range(MESSAGES):
        variant = number.choice(variants)
        wanted[variant] = n
        queue.put(f"message-{n}", event("variants", "update", {"stockLevel": n}, path={"id": variant}), sent=n)
    deaths = 0
    while queue.messages:
        records = queue.receive()
        if not records:
            queue.wait()
            continue
        kill_at = number.randint(0, 450) if deaths < 10 and number.random() < 0.2 else None
        stay = world.deliver(records, kill_at)
        deaths += kill_at is not None and len(stay) == len(records)
        queue.delete({record["messageId"] for record in records} - stay)
        shop.clock.advance(0.5)

    assert deaths > 3
    assert queue.dead == []
    assert {v: (shop.store.row("variants", v) or {})["stockLevel"] for v in wanted} == wanted
    assert len(shop.requests) < MESSAGES / 50, "a hundred messages to a request, some sent again"


def test_waiting_for_the_quota_brings_no_message_into_the_failure_queue(shop: Shop) -> None:
    """Creates cannot be joined: with a quota of twenty an hour, a hundred wait for five hours and more."""
    number = random.Random(5)
    shop.limits.quota = (10, 20, 12_000)
    world = World(shop)
    queue = world.queue = Queue(shop.clock, number)
    before = shop.store.count("tags")
    for n in range(100):
        queue.put(f"message-{n}", event("tags", "create", {"title": f"fresh {n}"}), sent=n)
    while queue.messages:
        records = queue.receive()
        if not records:
            queue.wait()
            continue
        queue.delete({record["messageId"] for record in records} - world.deliver(records, None))

    assert queue.dead == []
    assert shop.store.count("tags") == before + 100
    assert shop.clock.now() - MONDAY_SIX >= 4 * 3600
