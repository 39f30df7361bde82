"""Messages that are given up, redriven and killed on the way: none is lost, and none is published twice."""

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.integration.publish.conftest import event, message
from tests.property.publish.world import Failures, World
from tests.shop import Fault, Shop
from tests.support.clock import FakeClock
from tests.support.soak import Soak

SAMPLE, SOAK = 40, 400
FAULTS = [Fault.answers(422), Fault.answers(400), Fault.answers(503), Fault.answers(429), Fault.loses_answer()]


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(orders=5, products=20, quota=None, rate_per_second=None, clock=FakeClock()) as running:
        yield running


def check(shop: Shop, seeds: range) -> None:
    redriven = sum(_one_world(shop, seed) for seed in seeds)
    assert redriven > len(seeds)


def test_whatever_is_given_up_and_redriven_is_published_once_and_never_lost(shop: Shop) -> None:
    check(shop, range(SAMPLE))


@pytest.mark.soak
def test_many_messages_that_are_given_up_are_published_once_and_never_lost(shop: Shop, soak: Soak) -> None:
    soak(partial(check, shop), range(SAMPLE, SOAK))


def _one_world(shop: Shop, seed: int) -> int:
    """Let one world end; how many messages were redriven."""
    number = random.Random(seed)
    world = World(shop)
    world.failures = failures = Failures(world.steps)
    shop.faults.clear()
    variant = shop.store.ids("variants")[0]
    shop.store.update("variants", variant, stockLevel=-1)
    titles = [f"tag {seed} {n}" for n in range(3)]
    bodies: list[Any] = [event("tags", "create", {"title": title}, match="title") for title in titles]
    bodies += [event("variants", "update", {"stockLevel": n}, path={"id": variant}) for n in range(3)]
    queue = {f"message-{n}": message(n, body) for n, body in enumerate([*bodies, "not JSON"])}
    for fault in number.choices(FAULTS, k=number.randint(1, 5)):
        shop.faults.next(fault, method=number.choice(["POST", "PUT"]), times=4, after=number.randint(0, 3))
    receipts = dict.fromkeys(queue, 0)
    moved = 0
    for turn in range(30):
        if turn > 15:
            shop.faults.clear()
        if failures.messages and (not queue or number.random() < 0.3):
            back = failures.redrive(1000 * (turn + 1))
            queue |= back
            receipts |= dict.fromkeys(back, 0)
            moved += len(back)
        names = number.sample(sorted(queue), len(queue))
        for name in names:
            receipts[name] += 1
            queue[name]["attributes"]["ApproximateReceiveCount"] = str(receipts[name])
        kill_at = number.randint(0, 30) if turn < 12 and number.random() < 0.5 else None
        stay = world.deliver([queue[name] for name in names], kill_at)
        queue = {name: queue[name] for name in stay}
        assert _held(titles, shop) | _waiting(queue, failures) >= set(titles), f"seed {seed}: none is ever lost"
        world.minutes_pass()
        if turn > 16 and all(record["body"] == "not JSON" for record in queue.values()):
            break
    found = [row["title"].get("nl") for row in shop.store.rows("tags")]
    assert [found.count(title) for title in titles] == [1, 1, 1], f"seed {seed}"
    assert (shop.store.row("variants", variant) or {})["stockLevel"] == 2, f"seed {seed}: the newest"
    left = {asked["MessageBody"] for asked in failures.messages} | {record["body"] for record in queue.values()}
    assert left == {"not JSON"}, f"seed {seed}"
    return moved


def _held(titles: list[str], shop: Shop) -> set[str]:
    found = {row["title"].get("nl") for row in shop.store.rows("tags")}
    return found & set(titles)


def _waiting(queue: dict[str, dict[str, Any]], failures: Failures) -> set[str]:
    texts = [record["body"] for record in queue.values()] + [asked["MessageBody"] for asked in failures.messages]
    return {text.partition('"title": "')[2].partition('"')[0] for text in texts}
