"""Runs over some ids, as webhooks start them: read by id, or checked because the shop reported their deletion."""

from __future__ import annotations

from typing import Any

import pytest

from connector.errors import RequestError
from tests.integration.subscribe.bundle import Bundle
from tests.shop import Fault

HOUR = 3600


def reconcile(*ids: Any, entity: str = "products") -> dict[str, Any]:
    return {"entity": entity, "mode": "reconcile", "ids": list(ids)}


def test_a_deleted_id_gets_a_tombstone_and_the_others_none(bundle: Bundle) -> None:
    bundle.invoke({"entity": "products"}, "full")
    bundle.clock.advance(HOUR)
    gone, there, not_asked, *_ = bundle.shop.store.ids("products")
    bundle.shop.store.delete("products", gone)
    bundle.shop.store.delete("products", not_asked)

    result = bundle.invoke(reconcile(gone, there, 999_999_999), "run")

    assert bundle.records(result) == [
        {"id": gone, "last_seen": "2026-11-23T06:00:00Z", "noticed_at": "2026-11-23T07:00:00Z"}
    ]
    manifest = bundle.manifest(result)
    assert (manifest["verified"], manifest["window"], manifest["ids"]["absent"]) == (True, None, 2)
    assert "GET /nl/products/999999999.json" not in bundle.sent
    assert bundle.ids(bundle.invoke({"entity": "products", "mode": "reconcile"}, "whole")) == [not_asked]


def test_a_tombstone_is_stored_once_however_often_it_is_asked_for(bundle: Bundle) -> None:
    bundle.invoke({"entity": "products"}, "full")
    bundle.clock.advance(HOUR)
    gone = bundle.shop.store.ids("products")[0]
    bundle.shop.store.delete("products", gone)

    assert bundle.ids(bundle.invoke(reconcile(gone), "first")) == [gone]
    sent = len(bundle.sent)
    assert bundle.ids(bundle.invoke(reconcile(gone), "again")) == []
    assert len(bundle.sent) == sent


def test_ids_that_were_never_landed_cost_no_request(bundle: Bundle) -> None:
    bundle.invoke({"entity": "products"}, "full")
    sent = len(bundle.sent)

    result = bundle.invoke(reconcile(*range(1, 101)), "run")

    assert (result["records"], len(bundle.sent) - sent) == (0, 0)


def test_only_a_404_says_that_a_record_is_gone(bundle: Bundle) -> None:
    bundle.invoke({"entity": "products"}, "full")
    gone = bundle.shop.store.ids("products")[0]
    bundle.shop.store.delete("products", gone)
    bundle.shop.faults.next(Fault.answers(403), path_contains=f"/products/{gone}.json")

    result = bundle.invoke(reconcile(gone), "run")

    assert (result["records"], bundle.manifest(result)["ids"]["unclear"]) == (0, 1)


def test_a_shop_that_finds_no_record_by_its_id_deletes_none(bundle: Bundle) -> None:
    bundle.invoke({"entity": "products"}, "full")
    first, second, *_ = bundle.shop.store.ids("products")
    bundle.shop.store.delete("products", first)
    bundle.shop.faults.next(Fault.answers(404), 9, path_contains="/products/")

    result = bundle.invoke(reconcile(first, second), "run")

    assert (result["records"], result["verified"]) == (0, False)
    assert "its 404 says nothing" in result["reason"]


def test_records_are_read_by_id_and_those_that_do_not_exist_are_left_out(bundle: Bundle) -> None:
    first, second, *_ = bundle.shop.store.ids("contacts")
    bundle.shop.store.delete("contacts", first)

    result = bundle.invoke({"entity": "contacts", "ids": [first, second]}, "run")

    assert bundle.ids(result) == [second]
    assert bundle.manifest(result)["verified"] is True


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"entity": "products", "ids": []}, "ids"),
        ({"entity": "products", "ids": list(range(101))}, "ids"),
        ({"entity": "products", "ids": [1, "1"]}, "ids names one more than once"),
        ({"entity": "products", "ids": [1], "mode": "incremental"}, "ids are for modes full and reconcile"),
        ({"entity": "products", "ids": [1], "parameters": {"path": {"id": 1}}}, "leave out parameters"),
        ({"entity": "products", "ids": [1], "mode": "reconcile", "max_deleted_percent": 5}, "leave out max_deleted"),
        ({"entity": "products/images", "ids": [1]}, "products/images takes no ids"),
        ({"entity": "shop", "ids": [1]}, "shop takes no ids"),
        ({"entity": "products", "ids": [1], "estimate": True}, "leave out ids"),
    ],
)
def test_ids_that_make_no_sense_are_refused(bundle: Bundle, event: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        bundle.invoke(event)
    assert bundle.sent == []
