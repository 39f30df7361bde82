"""The estimate's formula against the reader itself, in random shops on a clock of their own."""

import random

import pytest

from lightspeed import Client, Connection, Parameters, Transport
from lightspeed.catalogue.entities import get_entity
from lightspeed.cli.reading import QUOTA_PATIENCE_SECONDS, WholeQuota
from lightspeed.estimate import Reading, estimate
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.reader import CONNECTIONS, ListReader
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.window import closed_window
from lightspeed.quota import Quota, QuotaWindow
from lightspeed.request import parse_time
from tests.integration.lightspeed.conftest import settings_of
from tests.shop import Shop
from tests.support.clock import FakeClock
from tests.support.soak import Soak

NOW = parse_time("2026-11-23T06:00:00Z")


def compared(seed: int) -> tuple[float, float]:
    """Return by how much, as a share, the estimate of one list is wrong in requests and in seconds."""
    chance = random.Random(seed)
    clock = FakeClock()
    quota = chance.choice(((150, 1500, 10_000), (300, 3000, 12_000)))
    with Shop(orders=chance.randrange(301), products=0, quota=quota, clock=clock) as shop:
        connection = Connection.from_mapping(settings_of(shop))
        client = Client(
            Transport(connection, clock=clock, patience_seconds=QUOTA_PATIENCE_SECONDS, threads=CONNECTIONS)
        )
        parameters = Parameters(query={"limit": chance.choice((1, 2, 3, 7, 50))})
        endpoint, batch = get_entity("orders"), chance.choice((1, 8, 64))
        window, stable = closed_window(endpoint, parameters.query, None, NOW, incremental=False)
        stable = stable and chance.random() < 0.7
        rows = shop.store.count("orders")
        windows = tuple(
            QuotaWindow(name, limit, limit, reset)
            for name, limit, reset in zip(("5 minutes", "hour", "day"), quota, (300, 3600, 18 * 3600), strict=True)
        )
        limit = int(str(parameters.query["limit"]))
        reading = Reading("list", "orders", "nl", rows, stable, limit, batch)
        expected = estimate([reading], Quota(windows), reserve_percent=0, page_seconds=0)
        reader: ListReader[int] = ListReader(
            ShopList(client, endpoint, parameters, "nl", window),
            stable=stable,
            checkpoint=ListCheckpoint(),
            process=len,
            budget=WholeQuota(client.transport),
            max_pages=batch,
        )
        began = clock.time()
        read = sum(reader.pages())
        assert read == rows
        sent, took = sum(request.status == 200 for request in shop.requests), clock.time() - began
    assert expected.minutes is not None
    total = expected.requests["total"] - expected.waits  # this reader waits; a run goes on elsewhere and counts first
    return abs(total - sent) / sent, abs(expected.minutes * 60 - took) / max(took, 60)


def check(seeds: range) -> None:
    found = [compared(seed) for seed in seeds]
    requests, seconds = sorted(wrong for wrong, _ in found), sorted(wrong for _, wrong in found)
    assert requests[len(found) // 2] == 0
    assert requests[len(found) * 99 // 100] <= 0.03
    assert seconds[len(found) * 9 // 10] <= 0.1


def test_the_formula_agrees_with_the_reader() -> None:
    check(range(12))


@pytest.mark.soak
def test_the_formula_agrees_with_the_reader_in_many_shops(soak: Soak) -> None:
    soak(check, range(3_000))
