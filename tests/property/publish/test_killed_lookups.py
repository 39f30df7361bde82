"""Kill the process, lose answers, deliver again while upserts are answered from the entity's list: one record each."""

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.integration.publish.conftest import event, message
from tests.property.publish.world import World
from tests.shop import Fault, Shop
from tests.support.clock import FakeClock
from tests.support.soak import Soak

SAMPLE, SOAK = 32, 320
THERE, ABSENT, STOCKED = 8, 5, 12
FAULTS = [Fault.loses_answer(), Fault.cuts_body(), Fault.drops(), Fault.answers(500), Fault.answers(429)]


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(orders=5, products=20, quota=None, rate_per_second=None, clock=FakeClock()) as running:
        yield running


def check(shop: Shop, seeds: range) -> None:
    listed = sum(_one_world(shop, seed) for seed in seeds)
    assert listed > len(seeds), "lists were read"


def test_every_upsert_leaves_one_record_with_the_newest_values(shop: Shop) -> None:
    check(shop, range(SAMPLE))


@pytest.mark.soak
def test_every_upsert_of_many_worlds_leaves_one_record_with_the_newest_values(shop: Shop, soak: Soak) -> None:
    soak(partial(check, shop), range(SAMPLE, SOAK))


def _one_world(shop: Shop, seed: int) -> int:
    """Let one world end; how many pages of a list were read."""
    number = random.Random(seed)
    world = World(shop)
    shop.faults.clear()
    for entity in ("tags", "variants"):
        for identity in shop.store.ids(entity):
            shop.store.delete(entity, identity)
    titles = [f"tag {seed} {n}" for n in range(THERE + ABSENT)]
    there = {title: shop.store.add("tags", {"title": {"nl": title}}) for title in titles[:THERE]}
    product = shop.store.ids("products")[0]
    variants = [shop.store.add("variants", product=product, sku=f"A-{n}", stockLevel=-1) for n in range(STOCKED)]
    bodies: list[Any] = [event("tags", "create", {"title": t, "isVisible": True}, match="title") for t in titles]
    for level in range(2):
        fields = [{"sku": f"A-{n}", "stockLevel": 10 * n + level} for n in range(STOCKED)]
        bodies += [event("variants", "create", found, match="sku") for found in fields]
    queue = {f"message-{n}": message(n, body) for n, body in enumerate(bodies)}
    for fault in number.sample(FAULTS, number.randint(0, 3)):
        shop.faults.next(fault, method=number.choice(["POST", "PUT", "GET", None]), after=number.randint(0, 6))
    before = len(shop.requests)
    for receipt in range(12):
        if receipt > 5:
            shop.faults.clear()
        names = number.sample(sorted(queue), number.randint(1, len(queue)) if receipt < 3 else len(queue))
        kill_at = number.randint(0, 120) if receipt < 3 else None
        stay = world.deliver([queue[name] for name in names], kill_at)
        for name in set(names) - stay:
            if number.random() < 0.8:
                del queue[name]
        world.minutes_pass()
        if not queue:
            break

    rows = [(row["title"].get("nl"), row["id"]) for row in shop.store.rows("tags")]
    assert sorted(title for title, _ in rows) == sorted(titles), f"seed {seed}"
    assert set(there.items()) <= set(rows), f"seed {seed}"
    assert sorted(shop.store.ids("variants")) == variants, f"seed {seed}"
    levels = [(shop.store.row("variants", variant) or {})["stockLevel"] for variant in variants]
    assert levels == [10 * n + 1 for n in range(STOCKED)], f"seed {seed}"
    return sum("fields" in seen.query for seen in shop.requests[before:])


def test_every_single_step_may_be_the_last(shop: Shop) -> None:
    """Not at random: kill a batch that reads a list at its first step, its second, and so on to its end."""
    for kill_at in range(300):
        world = World(shop)
        for identity in shop.store.ids("tags"):
            shop.store.delete("tags", identity)
        titles = [f"step {n}" for n in range(12)]
        for title in titles[:10]:
            shop.store.add("tags", {"title": {"nl": title}})
        records = [message(n, event("tags", "create", {"title": t}, match="title")) for n, t in enumerate(titles)]
        stay = world.deliver(records, kill_at)
        world.minutes_pass()
        assert world.deliver(records, None) == set()
        assert sorted(row["title"].get("nl") for row in shop.store.rows("tags")) == sorted(titles), kill_at
        if not stay:
            return
    pytest.fail("the batch has more steps than were tried")
