"""Copies of messages at once: the newest accepted value of every field is there, and nothing is created twice."""

from typing import Any

import pytest

from tests.integration.publish.conftest import event, message
from tests.property.publish.interleaving import WRONG, World

SAMPLE, SOAK = 60, 10_000
VARIANTS = (1, 2)


@pytest.mark.parametrize("consumers", [2, 3])
def test_whoever_goes_on_when_the_newest_accepted_values_are_there(consumers: int) -> None:
    worlds = [_messages(seed, consumers) for seed in range(SAMPLE)]
    assert sum(world.shop.overlaps for world in worlds) == 0, "one writer at a time"
    assert sum(len(world.queue.failures) for world in worlds) > SAMPLE / 2, "some were refused"


@pytest.mark.soak
@pytest.mark.parametrize("consumers", [2, 3])
def test_soak_whoever_goes_on_when_the_newest_accepted_values_are_there(consumers: int) -> None:
    for seed in range(SAMPLE, SAMPLE + SOAK // 2):
        _messages(seed, consumers)


def _messages(seed: int, consumers: int) -> World:
    world = World(seed, lost=0.04)
    number = world.number
    for variant in VARIANTS:
        world.shop.variants[variant] = {"id": variant, "stockLevel": -1, "priceExcl": -1}
    sent: dict[str, dict[tuple[int, str], Any]] = {}
    titles = [f"tag {n}" for n in range(2)]
    for n in range(8):
        variant, names = number.choice(VARIANTS), number.sample(["stockLevel", "priceExcl"], number.randint(1, 2))
        fields: dict[str, Any] = dict.fromkeys(names, n)
        if number.random() < 0.2:
            fields[number.choice(names)] = WRONG
        sent[f"message-{n}"] = {(variant, name): fields[name] for name in names}
        world.queue.put(message(n, event("variants", "update", fields, path={"id": variant})))
    for n, title in enumerate(titles):
        world.queue.put(message(10 + n, event("tags", "create", {"title": title}, match="title")))
    world.queue.put(message(20, event("tags", "create", {"title": "plain"})))
    world.drain(consumers)
    wanted: dict[tuple[int, str], Any] = {}
    for name in [name for name in sent if name not in world.queue.refused]:
        wanted |= sent[name]
    found = {key: world.shop.variants[key[0]][key[1]] for key in wanted}
    assert found == wanted, f"seed {seed}: {found} instead of {wanted}"
    created = [tag["title"] for tag in world.shop.tags]
    assert all(created.count(title) == 1 for title in titles), f"seed {seed}: {created}"
    assert created.count("plain") <= 1, f"seed {seed}: {created}"
    return world
