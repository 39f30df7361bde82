"""Kill the process at every step, lose answers, deliver again: one record each, and no result that is not true."""

import random
from collections.abc import Iterator

import pytest

from tests.integration.publish.conftest import START, event, message
from tests.property.publish.world import World
from tests.shop import Clock, Fault, Shop

SEEDS = 400
BLOCKS = 8
FAULTS = [
    Fault.loses_answer(),
    Fault.cuts_body(),
    Fault.drops(),
    Fault.answers(500),
    Fault.answers(503),
    Fault.answers(429),
    Fault.error_in_success(),
    Fault.html(502),
]


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(orders=5, products=20, quota=None, rate_per_second=None, clock=Clock(frozen_at=START)) as running:
        yield running


def titles(shop: Shop, entity: str, title: str) -> list[int]:
    return [row["id"] for row in shop.store.rows(entity) if row["title"].get("nl") == title]


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_message_leaves_exactly_one_record_and_every_result_is_known_or_honestly_unknown(
    shop: Shop, block: int
) -> None:
    ends = [_one_world(shop, seed) for seed in range(block * SEEDS // BLOCKS, (block + 1) * SEEDS // BLOCKS)]
    assert ends.count("created") > len(ends) / 3, "most are known"
    assert ends.count("unknown") > 0, "some were killed between the shop's answer and the result"


def _one_world(shop: Shop, seed: int) -> str:
    """Let one world end; what became of its create without a natural key."""
    number = random.Random(seed)
    world = World(shop)
    shop.faults.clear()
    variants = shop.store.ids("variants")[:2]
    doomed = shop.store.add("tags", {"title": {"nl": f"doomed {seed}"}})
    matched, plain, existing = f"matched {seed}", f"plain {seed}", f"existing {seed}"
    there = shop.store.add("tags", {"title": {"nl": existing}})
    bodies = [
        event("tags", "create", {"title": matched}, match="title"),
        event("tags", "create", {"title": plain}),
        event("tags", "create", {"title": existing, "isVisible": True}, match="title"),
        event("tags", "delete", path={"id": doomed}),
        *(event("variants", "update", {"stockLevel": n}, path={"id": variants[n % 2]}) for n in range(4)),
    ]
    queue = {f"message-{n}": message(n, body) for n, body in enumerate(bodies)}
    for fault in number.sample(FAULTS, number.randint(0, 3)):
        shop.faults.next(fault, method=number.choice(["POST", "PUT", "GET", None]), after=number.randint(0, 4))
    for receipt in range(6):
        left = [queue[name] for name in number.sample(sorted(queue), len(queue))]
        kill_at = number.randint(0, 40) if receipt < 3 else None
        stay = world.deliver(left, kill_at)
        if receipt >= 1 and number.random() < 0.5:  # delivered once more although it is done
            world.deliver([message(5, bodies[5])], None)
        for name in set(queue) - stay:
            if number.random() < 0.8:
                del queue[name]
        world.minutes_pass()
        if not queue:
            break
    shop.faults.clear()

    assert len(titles(shop, "tags", matched)) == 1, f"seed {seed}"
    assert titles(shop, "tags", existing) == [there], f"seed {seed}"
    assert shop.store.row("tags", doomed) is None, f"seed {seed}"
    assert [(shop.store.row("variants", v) or {})["stockLevel"] for v in variants] == [2, 3], f"seed {seed}"
    found, result = titles(shop, "tags", plain), world.result_of("message-1")
    assert len(found) <= 1, f"seed {seed}"
    if result is None:
        assert not found, f"seed {seed}"
    elif result["status"] != "unknown":
        assert [result["id"]] == found, f"seed {seed}"
    return "refused" if result is None else result["status"]


def test_every_single_step_of_a_create_may_be_the_last(shop: Shop) -> None:
    """Not at random: kill a create with match at its first step, its second, and so on to its end."""
    for kill_at in range(30):
        world = World(shop)
        title = f"step {kill_at}"
        record = message(1, event("tags", "create", {"title": title}, match="title"))
        stay = world.deliver([record], kill_at)
        world.minutes_pass()
        assert world.deliver([record], None) == set()
        assert len(titles(shop, "tags", title)) == 1, kill_at
        if not stay:
            return
    pytest.fail("a create has more steps than were tried")
