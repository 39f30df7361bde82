"""Consumers that overtake each other at any point: while one's request is on its way, others publish and die."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.publish.conftest import START, event, message
from tests.property.publish.world import World
from tests.shop import Clock, Shop

SEEDS = 150
VALUES = 6


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(orders=5, products=20, quota=None, rate_per_second=None, clock=Clock(frozen_at=START)) as running:
        yield running


def test_whoever_overtakes_whom_and_dies_where_the_newest_value_of_every_field_is_there_in_the_end(shop: Shop) -> None:
    variant = shop.store.ids("variants")[0]
    world = World(shop)
    turns: list[Any] = []
    shop.on_request(lambda _: turns.pop()() if turns else None)
    overtaken = 0
    for seed in range(SEEDS):
        number = random.Random(seed)
        world.table.items.clear()
        shop.store.update("variants", variant, stockLevel=-1, priceExcl=1)
        queue = {}
        for n in range(VALUES):
            fields = {"stockLevel": n, "priceExcl": n + 0.5}
            kept = {name: fields[name] for name in number.sample(sorted(fields), number.randint(1, 2))}
            queue[f"message-{n}"] = message(n, event("variants", "update", kept, path={"id": variant}))
        wanted = _newest(queue)
        for receipt in range(30):
            if not queue:
                break
            names = number.sample(sorted(queue), min(len(queue), number.randint(1, 2)))
            others = [name for name in queue if name not in names]
            gone: set[str] = set()
            turns.clear()
            if others:
                rival = [queue[number.choice(others)]]
                kill_at = number.choice([None, number.randint(0, 6)])
                turns.append(lambda rival=rival, kill_at=kill_at, gone=gone: gone.update(_done(world, rival, kill_at)))
            kill_at = number.choice([None, number.randint(0, 8)]) if receipt < 20 else None
            gone |= _done(world, [queue[name] for name in names], kill_at)
            overtaken += bool(others and not turns)
            for name in gone:
                queue.pop(name, None)
        row = shop.store.row("variants", variant) or {}
        assert not queue
        assert {name: row[name] for name in wanted} == wanted, f"seed {seed}"
    assert overtaken > SEEDS


def _done(world: World, records: list[dict[str, Any]], kill_at: int | None) -> set[str]:
    return {record["messageId"] for record in records} - world.deliver(records, kill_at)


def _newest(queue: dict[str, dict[str, Any]]) -> dict[str, Any]:

    wanted: dict[str, Any] = {}
    for record in queue.values():
        wanted |= json.loads(record["body"])["parameters"]["payload"]
    return wanted
