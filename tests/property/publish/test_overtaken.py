"""Consumers that overtake each other at any point: while one's request is on its way, others publish and die."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.publish.conftest import START, event, message
from tests.property.publish.world import Failures, World
from tests.shop import Clock, Fault, Shop

SEEDS = 150
VALUES = 6
WRONG = "as many as there are"
FAULTS = [Fault.loses_answer(), Fault.answers(503), Fault.answers(429), Fault.drops()]

MESSAGES, AT_ONCE, WORKERS = 2_000, 100, 4
SHARED = 50
"""Variants that all batches share: every one of them is in nearly every batch."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(orders=5, products=60, quota=None, rate_per_second=None, clock=Clock(frozen_at=START)) as running:
        yield running


@pytest.mark.parametrize("records", [1, 3])
def test_whoever_overtakes_whom_and_dies_where_the_newest_value_of_every_field_is_there_in_the_end(
    shop: Shop, records: int
) -> None:
    """Some messages are wrong: only those may be given up, whoever else carried what they wanted."""
    variants = shop.store.ids("variants")[:records]
    world = World(shop)
    turns: list[Any] = []
    shop.on_request(lambda _: turns.pop()() if turns else None)
    overtaken = given_up = 0
    for seed in range(SEEDS):
        number = random.Random(seed)
        world.table.items.clear()
        world.failures = Failures(world.steps)
        for variant in variants:
            shop.store.update("variants", variant, stockLevel=-1, priceExcl=1)
        queue = _queued(number, variants)
        wanted = _newest(queue)
        shop.faults.clear()
        for fault in number.sample(FAULTS, number.randint(0, 2)):
            shop.faults.next(fault, method="PUT", after=number.randint(0, 4))
        for receipt in range(40):
            if not queue:
                break
            names = number.sample(sorted(queue), min(len(queue), number.randint(1, 2 * records)))
            others = [name for name in queue if name not in names]
            gone: set[str] = set()
            turns.clear()
            if others:
                rival = [queue[name] for name in number.sample(others, min(len(others), records))]
                kill_at = number.choice([None, number.randint(0, 6)])
                turns.append(lambda rival=rival, kill_at=kill_at, gone=gone: gone.update(_done(world, rival, kill_at)))
            kill_at = number.choice([None, number.randint(0, 8)]) if receipt < 20 else None
            gone |= _done(world, [queue[name] for name in names], kill_at)
            overtaken += bool(others and not turns)
            for name in gone:
                queue.pop(name, None)
        assert not queue, f"seed {seed}"
        assert {key: (shop.store.row("variants", key[0]) or {})[key[1]] for key in wanted} == wanted, f"seed {seed}"
        assert all(WRONG in asked["MessageBody"] for asked in world.failures.messages), f"seed {seed}"
        given_up += len(world.failures.messages)
    assert overtaken > SEEDS
    assert given_up > SEEDS / 2


def test_workers_with_shared_records_send_again_in_bulk(shop: Shop) -> None:
    """While a request of one is on its way, the next ones begin: all of them meet the newer values of the others."""
    number = random.Random(6)
    world = World(shop)
    variants = shop.store.ids("variants")[:SHARED]
    picks = [number.choice(variants) for _ in range(MESSAGES)]
    queue = [
        message(n, event("variants", "update", {"stockLevel": n}, path={"id": variant}))
        for n, variant in enumerate(picks)
    ]
    batches = [number.sample(queue[at : at + AT_ONCE], AT_ONCE) for at in range(0, MESSAGES, AT_ONCE)]
    at_work = 0

    def work(_: object = None) -> None:
        nonlocal at_work
        if at_work == WORKERS or not batches:
            return
        at_work += 1
        assert world.deliver(batches.pop(0), None) == set()
        at_work -= 1

    shop.on_request(work)
    while batches:
        work()

    wanted = {variant: n for n, variant in enumerate(picks)}
    assert {variant: (shop.store.row("variants", variant) or {})["stockLevel"] for variant in wanted} == wanted
    assert len(shop.requests) <= 2 * MESSAGES / AT_ONCE, "each batch once, and once more what was newer"


def _queued(number: random.Random, variants: list[int]) -> dict[str, dict[str, Any]]:
    """Messages by id; about every fourth is wrong."""
    queue = {}
    for n in range(VALUES * len(variants)):
        fields: dict[str, Any] = {"stockLevel": n, "priceExcl": n + 0.5}
        kept = {name: fields[name] for name in number.sample(sorted(fields), number.randint(1, 2))}
        if number.random() < 0.25:
            kept = {number.choice(sorted(kept)): WRONG}
        body = event("variants", "update", kept, path={"id": number.choice(variants)})
        queue[f"message-{n}"] = message(n, body)
    return queue


def _done(world: World, records: list[dict[str, Any]], kill_at: int | None) -> set[str]:
    return {record["messageId"] for record in records} - world.deliver(records, kill_at)


def _newest(queue: dict[str, dict[str, Any]]) -> dict[tuple[int, str], Any]:
    """The newest value of every field, by variant and field, that is not wrong."""
    wanted: dict[tuple[int, str], Any] = {}
    for record in queue.values():
        parameters = json.loads(record["body"])["parameters"]
        found = parameters["payload"].items()
        wanted |= {(parameters["path"]["id"], name): value for name, value in found if value != WRONG}
    return wanted
