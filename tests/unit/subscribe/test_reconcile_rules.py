"""An event that cannot be reconciled is refused before any request or write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connector.errors import RequestError
from subscribe.checks import reconcile_errors, subscribe_request
from tests.unit.subscribe.reconcile_world import World


@pytest.fixture
def world() -> World:
    """A shop of forty records, landed by one full run."""
    world = World()
    world.fill(40)
    world.run("full")
    return world


REFUSED = {
    "one parent at a time": (
        {"entity": "orders/products", "parameters": {"path": {"order_id": "*"}}},
        "orders/products cannot be reconciled: the shop lists it for one order_id at a time",
    ),
    "a given parent": (
        {"entity": "products/images", "parameters": {"path": {"product_id": 7}}},
        "products/images cannot be reconciled: the shop lists it for one product_id at a time",
    ),
    "one record": ({"entity": "account"}, "account cannot be reconciled: it is one record"),
    "no list": ({"entity": "dashboard"}, "dashboard cannot be reconciled: it is one record"),
    "one id": (
        {"entity": "orders", "parameters": {"path": {"id": 7}}},
        "mode reconcile reads the whole list; leave out parameters.path",
    ),
    "filters": (
        {"entity": "orders", "parameters": {"query": {"limit": 5, "status": "new", "fields": "id"}}},
        "mode reconcile reads the whole list; leave out query status and fields",
    ),
    "a transformer": (
        {"entity": "orders", "entity_transformer": "$"},
        "mode reconcile compares ids and takes no entity_transformer",
    ),
    "an input transformer": (
        {"entity": "orders", "input_transformer": "$"},
        "mode reconcile compares ids and takes no input_transformer",
    ),
    "max_records": ({"entity": "orders", "max_records": 5}, "mode reconcile compares ids and takes no max_records"),
    "since": ({"entity": "orders", "since": "2026-01-01"}, "since is for mode incremental"),
    "too many percent": ({"entity": "orders", "max_deleted_percent": 101}, "max_deleted_percent"),
    "percent of a full run": (
        {"entity": "orders", "mode": "full", "max_deleted_percent": 50},
        "max_deleted_percent is for mode reconcile",
    ),
}


@pytest.mark.parametrize(("event", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_reconciled_is_refused_early(event: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as refused:
        subscribe_request({"mode": "reconcile", **event})

    assert message in str(refused.value)


def test_a_list_without_pages_may_not_be_the_whole() -> None:
    request = subscribe_request({"entity": "reviews", "mode": "reconcile"})
    unpaged = replace(request.endpoint, filters=())

    assert reconcile_errors(request, unpaged) == [
        "reviews cannot be reconciled: its list has no pages, so it may not be the whole"
    ]


def test_a_limit_that_is_none_is_refused_before_anything_is_sent(world: World) -> None:
    sent = len(world.shop.requests)

    with pytest.raises(Exception, match="query limit must be from 1 to 250"):
        world.run("reconcile", parameters={"query": {"limit": 1000}})

    assert len(world.shop.requests) == sent
