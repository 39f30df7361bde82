"""A folder with what the connector stored of the simulated shop: several runs, a deleted product, changed orders."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from moto import mock_aws

import lightspeed.transport
from connector.clients import AwsClients
from subscribe import dependencies
from tests.integration.subscribe.bundle import Bundle, make_bundle
from tests.shop import Shop
from tests.support.clock import FakeClock

DELETED = 3
"""How many products are deleted after they were stored."""


@contextmanager
def stored_shop(folder: Path) -> Iterator[SimpleNamespace]:
    """Store the shop twice, with changes in between; yield `bundle`, `shop`, `clock` and `folder` (the bucket)."""
    clock = FakeClock()
    with (
        mock_aws(),
        pytest.MonkeyPatch.context() as patch,
        Shop(orders=40, products=12, clock=clock, quota=None, rate_per_second=None) as shop,
    ):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        patch.setattr(dependencies, "SystemClock", lambda: clock)
        patch.setattr(lightspeed.transport, "SystemClock", lambda: clock)
        dependencies.cached_dependencies.cache_clear()
        bundle = make_bundle(AwsClients(), shop, clock, patch)
        store(bundle)
        clock.advance(86_400)
        for identity in list(shop.store.ids("orders"))[:4]:
            shop.store.update("orders", identity, status="cancelled")
        for identity in list(shop.store.ids("products"))[:DELETED]:
            shop.store.delete("products", identity)
        clock.advance(3600)
        store(bundle)
        bundle.run_to_the_end({"entity": "products", "mode": "reconcile", "max_deleted_percent": 50})
        download(bundle, folder)
        yield SimpleNamespace(bundle=bundle, shop=shop, clock=clock, folder=folder)
        dependencies.cached_dependencies.cache_clear()


def store(bundle: Bundle) -> None:
    """Store what the recipes ask for."""
    for entity in ("orders", "products", "variants", "customers"):
        bundle.run_to_the_end({"entity": entity, "mode": "incremental"})
    lines = {"entity": "orders/products", "mode": "incremental", "parameters": {"path": {"order_id": "*"}}}
    bundle.run_to_the_end(lines)


def download(bundle: Bundle, folder: Path) -> None:
    """Copy the bucket into a folder."""
    for key in bundle.stored():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bundle.body(key))
