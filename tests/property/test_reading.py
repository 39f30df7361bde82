"""Random lists in the order of ids that change between any two requests: they are read completely, each record once."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from lightspeed import Client, Parameters, get_entity
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.reader import ListReader
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.window import Window
from tests.hostile.world import END, START, Habits, HostileList, read

SEEDS = 50


def random_shop(seed: int) -> tuple[random.Random, HostileList]:
    rng = random.Random(seed)
    habits = Habits(
        order=rng.choice(["id", "-id"]),
        changes=rng.choice([0.0, 0.01, 0.05, 0.3, 0.6]),
        deletes=rng.choice([0.2, 0.5]),
        slowness=rng.choice([0.0, 0.0, 0.005]),
    )
    return rng, HostileList.of(rng, habits, rng.randrange(0, rng.choice([100, 160, 300])))


@pytest.mark.parametrize("threads", [False, True], ids=["turns", "threads"])
@pytest.mark.parametrize("by", ["updated_at", "created_at"])
def test_a_closed_window_is_read_completely_and_once_whatever_changes(by: str, threads: bool) -> None:
    unverified = 0
    seeds = range(SEEDS // 10 if threads else SEEDS)
    for seed in seeds:
        rng, shop = random_shop(seed)
        start = START - timedelta(seconds=rng.randrange(0, 20_000)) if rng.random() < 0.5 else None
        window = Window("updated_at" if by == "updated_at" else "created_at", start, END)

        landed = read(shop, window, chance=rng.choice([0.0, 0.1, 0.3]), limit=rng.randrange(2, 13), threads=threads)

        assert len(landed.ids) == len(set(landed.ids)), seed
        assert set(shop.matching(window.query)) <= set(landed.ids), seed
        unverified += bool(landed.reason)
    assert unverified < len(seeds) / 10


@pytest.mark.parametrize("threads", [False, True], ids=["turns", "threads"])
def test_a_list_without_window_is_an_instant_or_says_that_it_is_not(threads: bool) -> None:
    verified = 0
    for seed in range(SEEDS // 10 if threads else SEEDS):
        rng, shop = random_shop(seed)

        landed = read(shop, None, chance=rng.choice([0.0, 0.1]), limit=rng.randrange(1, 13), threads=threads)

        if not landed.reason:
            verified += 1
            assert len(landed.ids) == len(set(landed.ids)), seed
            assert frozenset(landed.ids) in shop.instants, seed
    assert verified > 0


def quiet_reader(shop: HostileList, limit: int) -> ListReader[int]:
    return ListReader(
        ShopList(
            Client(shop),  # type: ignore[arg-type]
            get_entity("orders"),
            Parameters(query={"limit": limit}),
            "nl",
            Window("updated_at", None, END),
        ),
        stable=True,
        checkpoint=ListCheckpoint(),
        process=len,
    )


@pytest.mark.parametrize(("rows", "pages"), [(999, 100), (1000, 101)])
def test_a_quiet_list_costs_its_pages_and_one_count_a_batch(rows: int, pages: int) -> None:
    shop = HostileList.of(random.Random(1), Habits(order="-id"), rows)

    total = sum(quiet_reader(shop, 10).pages())

    assert total == rows
    operations = [request.operation for request in shop.requests]
    assert operations.count("list") == pages, "of a list whose last page is full, the page behind it must be empty"
    assert operations.count("count") == 3
