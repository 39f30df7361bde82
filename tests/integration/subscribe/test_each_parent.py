"""A nested entity of every parent, by `*` in place of the parent's id."""

from typing import Any

import pytest

from connector.errors import RequestError
from tests.integration.subscribe.bundle import Bundle
from tests.shop import Fault
from tests.support.clock import MONDAY_SIX

LINES: dict[str, Any] = {"entity": "orders/products", "parameters": {"path": {"order_id": "*"}}}


def all_lines(bundle: Bundle) -> set[int]:
    store = bundle.shop.store
    return {line for order in store.ids("orders") for line in store.ids("orders/products", order)}


def test_the_records_of_every_parent_are_landed_with_their_parents_id(bundle: Bundle) -> None:
    result = bundle.run(LINES)

    assert set(bundle.ids(result)) == all_lines(bundle)
    assert result["records"] == len(all_lines(bundle))
    store = bundle.shop.store
    for line in bundle.records(result):
        assert line["id"] in store.ids("orders/products", line["order_id"])


def test_a_record_is_otherwise_as_sent(bundle: Bundle) -> None:
    order = bundle.shop.store.ids("orders")[0]
    line = bundle.shop.store.ids("orders/products", order)[0]
    text = bundle.shop.store.text("orders/products", line, "nl") or ""

    assert f'{{"order_id": {order},{text[1:]}'.encode() in bundle.lines(bundle.run(LINES))


def test_single_records_of_every_parent(bundle: Bundle) -> None:
    result = bundle.run({"entity": "brands/image", "parameters": {"path": {"brand_id": "*"}}})

    assert result["status"] == "complete"
    assert {record["brand_id"] for record in bundle.records(result)} <= set(bundle.shop.store.ids("brands"))


def test_max_records_ends_the_walk(bundle: Bundle) -> None:
    bundle.shop.habits.orders["orders"] = "id"  # those with lines come first
    for number in range(100):
        bundle.shop.store.add("orders", {"number": f"NEW{number}"}, at=MONDAY_SIX - 3600)

    result = bundle.run({**LINES, "max_records": 3})

    assert result["records"] == 3
    assert bundle.manifest(result)["reason"] == "stopped after max_records"
    assert len(bundle.shop.requests) < 100


def test_max_records_that_the_parents_of_one_page_reach_leaves_out_the_next_page(bundle: Bundle) -> None:
    bundle.shop.habits.orders["orders"] = "-id"  # those with lines are on the last page, which is read first
    lines = all_lines(bundle)
    for number in range(250):
        bundle.shop.store.add("orders", {"number": f"NEW{number}"}, at=MONDAY_SIX - 3600)

    result = bundle.run({**LINES, "max_records": len(lines)})

    assert set(bundle.ids(result)) == lines
    assert bundle.manifest(result)["reason"] == "stopped after max_records"


def test_the_quota_interrupts_the_walk_and_nothing_is_missed_or_doubled(bundle: Bundle) -> None:
    bundle.shop.limits.use(255)

    result, invocations = bundle.run_to_the_end(LINES)

    assert invocations > 1
    assert len(bundle.ids(result)) == len(set(bundle.ids(result)))
    assert set(bundle.ids(result)) == all_lines(bundle)


def test_a_reason_of_one_invocation_is_still_one_after_the_next(bundle: Bundle) -> None:
    for number in range(60):
        bundle.shop.store.add("orders", {"number": f"NEW{number}"}, at=MONDAY_SIX - 3600)
    first = max(bundle.shop.store.ids("orders"))
    bundle.shop.faults.next(Fault.sends(b'{"orderProducts":[7]}'), path_contains=f"/orders/{first}/products")
    bundle.shop.limits.use(220)

    result, invocations = bundle.run_to_the_end(LINES)

    assert invocations > 1
    assert (result["verified"], result["reason"][:27]) == (False, "a row is no record: no JSON")


def test_long_lists_of_parents_keep_to_the_quota_as_well(bundle: Bundle) -> None:
    store = bundle.shop.store
    for order in store.ids("orders")[:3]:
        for number in range(1100):
            store.add("orders/products", {"productTitle": f"line {number}"}, parent=order, at=MONDAY_SIX - 3600)
    bundle.shop.limits.rate_per_second = None
    bundle.shop.limits.use(250)

    result, invocations = bundle.run_to_the_end(LINES)

    assert invocations > 1
    assert len(bundle.ids(result)) == len(set(bundle.ids(result)))
    assert set(bundle.ids(result)) == all_lines(bundle)
    assert {request.status for request in bundle.shop.requests} == {200}


def test_the_next_run_reads_a_parent_again_whose_lines_could_not_be_proved(bundle: Bundle) -> None:
    store, changes = bundle.shop.store, {**LINES, "mode": "incremental"}
    bundle.run(changes)
    bundle.clock.advance(300)
    order, other = store.add("orders", {}, at=bundle.clock.now()), store.add("orders", {}, at=bundle.clock.now())
    for number in range(260):
        store.add("orders/products", {"productTitle": f"line {number}"}, parent=order, at=bundle.clock.now())
    store.add("orders/products", {}, parent=other, at=bundle.clock.now())
    bundle.clock.advance(60)
    bundle.shop.faults.next(Fault.sends(b'{"count":3}'), path_contains=f"/orders/{order}/products/count", times=9)

    first = bundle.run(changes)
    bundle.shop.faults.clear()
    bundle.clock.advance(60)
    second = bundle.run(changes)

    assert (first["verified"], second["verified"]) == (False, True)
    assert {line["order_id"] for line in bundle.records(first)} == {order, other}
    assert sorted(bundle.ids(second)) == sorted(store.ids("orders/products", order))


def test_a_parent_that_goes_meanwhile_has_none(bundle: Bundle) -> None:
    gone = bundle.shop.store.ids("orders")[2]

    def others_work(request: Any) -> None:
        if request.path.endswith("/products.json") and gone in bundle.shop.store.ids("orders"):
            bundle.shop.store.delete("orders", gone)

    bundle.shop.on_request(others_work)

    result = bundle.run(LINES)

    assert gone not in {line["order_id"] for line in bundle.records(result)}


@pytest.mark.parametrize(
    "event",
    [
        {"entity": "orders", "parameters": {"path": {"id": "*"}}},
        {"entity": "orders/products", "parameters": {"path": {"order_id": "*", "id": 7}}},
        {"entity": "orders/products", "parameters": {"path": {"order_id": 7, "id": "*"}}},
        {"entity": "shop", "parameters": {"path": {"id": "*"}}},
    ],
    ids=["no parent", "one record", "for the id", "singleton"],
)
def test_a_star_stands_for_a_parent_and_nothing_else(bundle: Bundle, event: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match='"\\*" may only replace the parent id'):
        bundle.run(event)

    assert bundle.untouched
