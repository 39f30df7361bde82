"""Deletes in the simulated shop, found through the handler and stored in S3."""

from __future__ import annotations

from typing import Any

import pytest

from connector.errors import RequestError
from tests.integration.subscribe.bundle import Bundle
from tests.shop import Fault, Request, Shop
from tests.support.clock import MONDAY_SIX

RECONCILE = {"entity": "products", "mode": "reconcile"}
HOUR = 3600


def delete(bundle: Bundle, *positions: int, entity: str = "products") -> list[int]:
    """Delete records of the shop, and return their ids in order."""
    ids = bundle.shop.store.ids(entity)
    gone = sorted(ids[position] for position in positions)
    for identity in gone:
        bundle.shop.store.delete(entity, identity)
    return gone


def test_deletes_are_noticed_once_over_a_chain_of_runs(bundle: Bundle) -> None:
    bundle.invoke({"entity": "products"}, "full")
    bundle.clock.advance(HOUR)
    first = delete(bundle, 3)
    noticed = bundle.invoke(RECONCILE, "first")
    bundle.clock.advance(HOUR)
    bundle.invoke({"entity": "products", "mode": "incremental"}, "incremental")
    second = delete(bundle, 5)

    assert bundle.ids(noticed) == first
    assert bundle.ids(bundle.invoke(RECONCILE, "second")) == second
    assert bundle.ids(bundle.invoke(RECONCILE, "third")) == []


def test_a_record_with_half_a_surrogate_pair_is_missed_as_any_other(bundle: Bundle) -> None:
    odd = bundle.shop.store.add("products", {"title": "\ud83d"}, at=MONDAY_SIX - HOUR)
    bundle.invoke({"entity": "products"}, "full")
    bundle.clock.advance(HOUR)
    bundle.shop.store.delete("products", odd)

    result = bundle.invoke(RECONCILE, "run")

    assert bundle.ids(result) == [odd]
    assert bundle.manifest(result)["ids"]["without_by_run"] == {}


def test_a_tombstone_is_stored_apart_from_records_and_its_manifest_names_it(bundle: Bundle) -> None:
    bundle.invoke({"entity": "products"}, "full")
    bundle.clock.advance(HOUR)
    (gone,) = delete(bundle, 3)

    result = bundle.invoke(RECONCILE, "run")

    day = "connection=default/entity=products/lang=nl/date=2026-11-23"
    assert result["manifest"] == f"manifests/{day}/run.json"
    assert bundle.stored("deleted/") == result["objects"]
    assert bundle.stored(f"raw/{day}/run=run/") == []
    assert bundle.records(result) == [
        {"id": gone, "last_seen": "2026-11-23T06:00:00Z", "noticed_at": "2026-11-23T07:00:00Z"}
    ]
    manifest = bundle.manifest(result)
    assert (manifest["records"], manifest["verified"]) == (1, True)
    assert manifest["request"] == RECONCILE
    part = manifest["deleted"][0]
    assert part["key"] == f"deleted/{day}/run=run/part-00000-{part['sha256'][:16]}.jsonl.gz"
    assert manifest["parts"] == manifest["rejected"] == []
    assert bundle.stored("state/connection=default/") == [
        "state/connection=default/products.ids.jsonl.gz",
        "state/connection=default/products.ids.turn",
    ]


def test_it_takes_a_page_of_ids_a_control_and_two_looks_at_each_absent_record(bundle: Bundle) -> None:
    bundle.invoke({"entity": "products"}, "full")
    first, second = delete(bundle, 3, 5)
    listed = bundle.shop.store.ids("products")[0]
    bundle.shop.requests.clear()

    result = bundle.invoke(RECONCILE)

    assert bundle.sent[:3] == [
        "GET /nl/products/count.json",
        "GET /nl/products.json",
        f"GET /nl/products/{listed}.json",
    ]
    looks = sorted([f"GET /nl/products/{first}.json", f"GET /nl/products/{second}.json"])
    assert (sorted(bundle.sent[3:5]), sorted(bundle.sent[5:])) == (looks, looks)
    assert [request.query.get("fields") for request in bundle.shop.requests[3:]] == [None, None, "id", "id"]
    assert result["requests"] == len(bundle.sent) == 7


def test_a_404_of_an_order_may_pass(bundle: Bundle) -> None:
    bundle.invoke({"entity": "orders"}, "full")
    there, gone = bundle.shop.store.ids("orders")[3], bundle.shop.store.ids("orders")[5]
    bundle.shop.store.delete("orders", gone)
    bundle.shop.store.update("orders", there, createdAt=int(bundle.clock.now()) + 600)
    bundle.shop.faults.next(Fault.answers(404), path_contains=f"/orders/{there}.json")

    result = bundle.invoke({"entity": "orders", "mode": "reconcile"})

    assert bundle.ids(result) == [gone]
    assert bundle.sent.count(f"GET /nl/orders/{there}.json") == 2
    assert bundle.sent.count(f"GET /nl/orders/{gone}.json") == 2


def test_half_of_the_products_gone_takes_a_persons_word(bundle: Bundle) -> None:
    bundle.invoke({"entity": "products"}, "full")
    gone = delete(bundle, *range(10))

    refused = bundle.invoke(RECONCILE, "refused")

    assert (refused["records"], refused["objects"], refused["verified"]) == (0, [], False)
    assert refused["reason"].endswith("say so with max_deleted_percent 50")
    allowed = bundle.invoke(RECONCILE | {"max_deleted_percent": 50}, "allowed")
    assert bundle.ids(allowed) == gone


def test_over_http_the_tombstones_are_in_the_answer(bundle: Bundle) -> None:
    bundle.invoke({"entity": "products"}, "full")
    (gone,) = delete(bundle, 3)

    answer = bundle.http("POST", "/subscribe", RECONCILE, request_id="http")

    assert answer.status == 200
    assert [tombstone["id"] for tombstone in answer.json["data"]] == [gone]
    assert bundle.http("GET", "/runs/http").json["status"] == "complete"
    assert bundle.http("GET", "/runs/http").json["records"] == 1


def test_over_http_what_cannot_be_reconciled_is_refused(bundle: Bundle) -> None:
    event = {"entity": "orders/products", "mode": "reconcile", "parameters": {"path": {"order_id": "*"}}}

    answer = bundle.http("POST", "/subscribe", event)

    assert answer.status == 400
    assert "orders/products cannot be reconciled" in answer.json["detail"]
    assert bundle.untouched


def test_bad_input_is_refused_before_anything_is_sent_or_written(bundle: Bundle) -> None:
    for event in ({"max_records": 5}, {"parameters": {"query": {"brand": 7}}}, {"max_deleted_percent": -1}):
        with pytest.raises(RequestError):
            bundle.invoke(RECONCILE | event)

    assert bundle.untouched


def test_every_invocation_keeps_the_reserve_and_the_run_goes_on_from_its_cursor(bundle: Bundle) -> None:
    with Shop(orders=0, products=60, clock=bundle.clock, quota=(24, 3000, 12000), rate_per_second=None) as shop:
        bundle.shop = shop
        bundle.store_connection()
        event: dict[str, Any] = RECONCILE | {"parameters": {"query": {"limit": 2}}, "max_deleted_percent": 50}
        bundle.invoke({"entity": "products"}, "full")
        gone = delete(bundle, *range(20))
        invocations = 0
        result: dict[str, Any] = {"status": "partial", "resume_after_seconds": 0}
        while result["status"] == "partial":
            bundle.clock.advance(result["resume_after_seconds"])
            result = bundle.invoke(event, "run")
            event = event | {"cursor": result.get("cursor")}
            invocations += 1

    assert bundle.ids(result) == gone
    assert invocations > 2
    assert not [request for request in shop.requests if request.status == 429]


def test_a_delete_is_noticed_in_a_list_whose_order_changes_while_it_is_read(bundle: Bundle) -> None:
    store = bundle.shop.store
    bundle.shop.habits.orders["products"] = "updatedAt"
    bundle.invoke({"entity": "products"}, "full")
    bundle.clock.advance(HOUR)
    gone = delete(bundle, 3)

    def changed(identity: int) -> int:
        return int((store.stored("products", identity) or {})["updatedAt"])

    def touch(_: Request) -> None:
        store.update("products", min(store.ids("products"), key=changed))

    bundle.shop.on_request(touch)
    result = bundle.invoke({**RECONCILE, "parameters": {"query": {"limit": 5}}}, "noticed")

    assert any("createdAt" in request.query.get("fields", "") for request in bundle.shop.requests)
    assert bundle.ids(result) == gone
