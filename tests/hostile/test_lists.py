"""Whatever a list does, what is verified is right; and most lists are read rightly and verified all the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

import pytest

from lightspeed.listing.window import Window
from tests.hostile.world import END, START, Habits, HostileList, Landed, read
from tests.support.soak import Soak

SAMPLE = (*range(80), 4_342, 6_997, 8_788, 14_211, 23_682, 50_237)
SOAK = range(1000, 21_000)


def outcome(seed: int) -> tuple[Habits, str]:
    """Read one random list; return its habits and `right`, `unverified` or what is wrong."""
    rng = random.Random(seed)
    habits = Habits.drawn(rng)
    if seed % 31 == 5:
        habits.edges = "ignored"
    habits.fractions = seed % 6 == 4
    shop = HostileList.of(rng, habits, rng.randrange(0, rng.choice([30, 160, 160, 400])))
    window = None
    kind = rng.choice(["updated_at", "created_at", "none"])
    if kind != "none":
        start = START - timedelta(seconds=rng.randrange(10_000, 20_000)) if rng.random() < 0.4 else None
        window = Window("updated_at" if kind == "updated_at" else "created_at", start, END)
    began = len(shop.instants)
    landed = read(
        shop,
        window,
        chance=rng.choice([0.0, 0.0, 0.1, 0.3]),
        limit=rng.choice([1, 2, 7, 12, 12, 50]),
        batch=rng.choice([1, 2, 5, 16]),
    )
    return habits, judged(shop, window, landed, began)


def judged(shop: HostileList, window: Window | None, landed: Landed, began: int) -> str:
    if landed.reason:
        return "unverified"
    ids = set(landed.ids)
    if len(ids) != len(landed.ids):
        return f"doubled {len(landed.ids) - len(ids)}"
    if window is None:
        return "right" if frozenset(ids) in shop.instants[began:] else "no instant"
    if shop.habits.edges == "ignored":
        shop.habits.edges = "both"
    missing = set(shop.matching(window.query)) - ids
    return f"missing {sorted(missing)[:5]}" if missing else "right"


def shares(seeds: Iterable[int]) -> tuple[dict[str, Counter[str]], list[tuple[int, Habits, str]]]:
    """Return the outcomes by order, paging and count, and what was wrong."""
    seen: dict[str, Counter[str]] = {}
    wrong = []
    for seed in seeds:
        habits, found = outcome(seed)
        for world in (f"order {habits.order}", f"paging {habits.paging}", f"count {habits.count}"):
            seen.setdefault(world, Counter())[found if found in ("right", "unverified") else "wrong"] += 1
        if found not in ("right", "unverified"):
            wrong.append((seed, habits, found))
    return seen, wrong


def table(seen: dict[str, Counter[str]]) -> str:
    lines = [f"{world:22}{found['right'] / found.total():7.1%} of {found.total()}" for world, found in seen.items()]
    return "\n".join(["verified and right:", *sorted(lines)])


def test_what_is_verified_is_right_in_a_sample_of_worlds() -> None:
    seen, wrong = shares(SAMPLE)

    assert not wrong
    assert seen["count right"]["right"] > seen["count right"].total() / 2, table(seen)


@pytest.mark.soak
def test_what_is_verified_is_right_in_twenty_thousand_worlds(soak: Soak) -> None:
    soak(check, SOAK)


def check(seeds: range) -> str:
    seen, wrong = shares(seeds)
    assert not wrong
    return table(seen)
