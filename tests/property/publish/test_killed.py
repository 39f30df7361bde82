"""Kill the process at every step, lose answers, deliver again: one record each, and only true results."""

import random
from collections.abc import Iterator
from functools import partial

import pytest

from tests.integration.publish.conftest import event, message
from tests.property.publish.world import World
from tests.shop import Fault, Shop
from tests.support.clock import FakeClock
from tests.support.soak import Soak

SAMPLE, SOAK = 80, 800
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
    with Shop(orders=5, products=20, quota=None, rate_per_second=None, clock=FakeClock()) as running:
        yield running


def titles(shop: Shop, entity: str, title: str) -> list[int]:
    return [row["id"] for row in shop.store.rows(entity) if row["title"].get("nl") == title]


def check(shop: Shop, seeds: range) -> None:
    ends = [_one_world(shop, seed) for seed in seeds]
    assert ends.count("created") > len(ends) / 3, "most are known"
    assert ends.count("unknown") > 0, "some were killed between the shop's answer and the result"


def test_every_message_leaves_exactly_one_record_and_every_result_is_known_or_honestly_unknown(shop: Shop) -> None:
    check(shop, range(SAMPLE))


@pytest.mark.soak
def test_every_message_of_many_worlds_leaves_exactly_one_record(shop: Shop, soak: Soak) -> None:
    soak(partial(check, shop), range(SAMPLE, SOAK))


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


def check_places(shop: Shop, seeds: range) -> None:
    joined = [_places(shop, seed) for seed in seeds]
    assert sum(joined) > len(joined) / 2, "most went out together"


def test_places_that_are_asked_for_at_once_are_there_once_each(shop: Shop) -> None:
    check_places(shop, range(SAMPLE))


@pytest.mark.soak
def test_places_of_many_worlds_are_there_once_each(shop: Shop, soak: Soak) -> None:
    soak(partial(check_places, shop), range(SAMPLE, SOAK))


def _places(shop: Shop, seed: int) -> bool:
    """Let one world put a product into categories, by messages; whether any of them went out together."""
    number = random.Random(seed)
    world = World(shop)
    shop.faults.clear()
    shop.habits.places_in_bulk = number.choice(["all or none", "until refused", "each"])
    product, categories = shop.store.add("products"), shop.store.ids("categories")[:4]
    shop.store.add("categories/products", category=categories[0], product=product)
    ends = [{"category": category, "product": product} for category in [*categories, 7]]
    queue = {
        f"message-{n}": message(n, event("categories/products", "create", fields, match=["category", "product"]))
        for n, fields in enumerate(ends)
    }
    all_messages = dict(queue)
    for fault in number.sample(FAULTS, number.randint(0, 3)):
        shop.faults.next(fault, method=number.choice(["POST", "GET", None]), after=number.randint(0, 4))
    requests = len(shop.requests)
    for receipt in range(12):
        left = [queue[name] for name in number.sample(sorted(queue), len(queue))]
        kill_at = number.randint(0, 40) if receipt < 3 else None
        stay = world.deliver(left, kill_at)
        if receipt > 5:
            shop.faults.clear()
        if receipt >= 1 and number.random() < 0.5:  # delivered once more although it may be done
            name = number.choice(sorted(all_messages))
            world.deliver([all_messages[name]], number.choice([None, number.randint(0, 12)]))
        for name in set(queue) - stay:
            if number.random() < 0.8:
                del queue[name]
        if receipt > 5 or number.random() < 0.7:
            world.minutes_pass()

    rows = [row for row in shop.store.rows("categories/products") if row["product"] == product]
    ids = {row["category"]: row["id"] for row in rows}
    assert sorted(row["category"] for row in rows) == sorted(categories), f"seed {seed}"
    assert set(queue) <= {"message-4"}, f"seed {seed}"
    for n, category in enumerate(categories):
        result = world.result_of(f"message-{n}")
        assert result is not None, f"seed {seed}"
        assert (result["status"] in ("created", "unchanged"), result["id"]) == (True, ids[category]), f"seed {seed}"
    assert world.result_of("message-4") is None, f"seed {seed}: there is no such category"
    return any(seen.path.endswith("bulk.json") for seen in shop.requests[requests:])


def test_every_single_step_of_places_at_once_may_be_the_last(shop: Shop) -> None:
    """Not at random: kill the creates of three places at their first step, their second, and so on to their end."""
    categories = shop.store.ids("categories")[:3]
    for kill_at in range(60):
        world, product = World(shop), shop.store.add("products")
        ends = [{"category": category, "product": product} for category in categories]
        records = [
            message(n, event("categories/products", "create", fields, match=["category", "product"]))
            for n, fields in enumerate(ends)
        ]
        stay = world.deliver(records, kill_at)
        world.minutes_pass()
        assert world.deliver(records, None) == set()
        rows = [row["category"] for row in shop.store.rows("categories/products") if row["product"] == product]
        assert sorted(rows) == sorted(categories), kill_at
        if not stay:
            return
    pytest.fail("three places have more steps than were tried")


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
