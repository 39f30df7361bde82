"""Paging, order, filters and time windows, against rows that the test put there or a plain walk over all rows."""

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.shop import Clock, Habits, Shop

from .conftest import NOW, Ask


def utc(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S")


def listed(shop: Shop, target: str, limit: int) -> list[int]:
    """Read pages until an empty one and return all ids in order."""
    return [number for page in pages(shop, target, limit) for number in page]


def pages(shop: Shop, target: str, limit: int) -> list[list[int]]:
    """Read pages until an empty one."""
    found: list[list[int]] = []
    while True:
        mark = "&" if "?" in target else "?"
        _, _, body = shop.answer("GET", f"{target}{mark}limit={limit}&page={len(found) + 1}".replace(" ", "%20"))
        (rows,) = json.loads(body).values()
        if not rows:
            return found
        found.append([row["id"] for row in rows])


def test_orders_come_newest_first(shop: Shop) -> None:
    ids = listed(shop, "/nl/orders.json", 250)

    assert ids == sorted(shop.store.ids("orders"), reverse=True)
    assert len(ids) == 300


def test_a_page_has_fifty_rows_unless_asked(ask: Ask) -> None:
    _, answer = ask("GET", "orders")

    assert len(answer["orders"]) == 50


def test_a_limit_above_the_maximum_is_clamped(ask: Ask) -> None:
    assert len(ask("GET", "orders", limit=1000)[1]["orders"]) == 250
    assert len(ask("GET", "orders", limit=0)[1]["orders"]) == 1


def test_a_limit_above_the_maximum_can_be_refused(shop: Shop, ask: Ask) -> None:
    shop.habits.over_limit = "refuse"

    assert ask("GET", "orders", limit=251)[0] == 400
    assert ask("GET", "orders", limit=250)[0] == 200


def test_beyond_the_end_a_page_is_empty(ask: Ask) -> None:
    assert ask("GET", "orders", limit=250, page=3) == (200, {"orders": []})


def test_a_full_last_page_is_followed_by_an_empty_one(shop: Shop) -> None:
    assert [len(page) for page in pages(shop, "/nl/orders.json", 100)] == [100, 100, 100]


def test_the_count_counts_what_the_filters_leave(shop: Shop, ask: Ask) -> None:
    middle = utc(sorted(row["updatedAt"] for row in shop.store.rows("orders"))[150])

    found = listed(shop, f"/nl/orders.json?updated_at_min={middle}", 250)

    assert ask("GET", "orders/count", updated_at_min=middle) == (200, {"count": len(found)})
    assert 0 < len(found) < 300


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_both_bounds_of_a_window_include_their_second(offset: int, shop: Shop, ask: Ask) -> None:
    order = shop.store.add("orders", at=NOW)

    below = ask("GET", "orders", updated_at_min=utc(NOW + offset))[1]["orders"]
    above = ask("GET", "orders", updated_at_min=utc(NOW - 9), updated_at_max=utc(NOW + offset))[1]["orders"]

    assert ([row["id"] for row in below] == [order]) == (offset <= 0)
    assert ([row["id"] for row in above] == [order]) == (offset >= 0)


def test_the_upper_bound_can_exclude_its_second(shop: Shop, ask: Ask) -> None:
    shop.habits.max_inclusive = False
    order = shop.store.add("orders", at=NOW)

    assert ask("GET", "orders/count", updated_at_min=utc(NOW), updated_at_max=utc(NOW))[1] == {"count": 0}
    found = ask("GET", "orders", updated_at_min=utc(NOW), updated_at_max=utc(NOW + 1))[1]["orders"]
    assert [row["id"] for row in found] == [order]


def test_a_changed_row_leaves_a_window_of_the_past(clock: Clock, shop: Shop, ask: Ask) -> None:
    end = utc(NOW - 1)
    before = ask("GET", "orders/count", updated_at_max=end)[1]["count"]

    shop.store.update("orders", shop.store.ids("orders")[7], memo="changed")

    assert ask("GET", "orders/count", updated_at_max=end)[1]["count"] == before - 1
    assert ask("GET", "orders/count", updated_at_min=utc(clock.now()))[1]["count"] == 1


@pytest.mark.parametrize("order", ["-id", "id", "-updatedAt", "updatedAt"])
@pytest.mark.parametrize("seed", range(8))
def test_every_window_in_every_order_is_what_a_walk_over_all_rows_finds(seed: int, order: Any) -> None:
    dice = random.Random(seed)
    habits = Habits(orders={"orders": order})
    shop = Shop(
        seed=seed, orders=40, products=0, quota=None, rate_per_second=None, habits=habits, clock=Clock(frozen_at=NOW)
    )
    for _ in range(25):
        ids = shop.store.ids("orders")
        what = dice.randrange(3)
        if what == 0:
            shop.store.add("orders", at=NOW - dice.randrange(1000))
        elif what == 1:
            shop.store.update("orders", dice.choice(ids), at=NOW - dice.randrange(1000))
        else:
            shop.store.delete("orders", dice.choice(ids))
        rows = shop.store.rows("orders")
        times = sorted(row["updatedAt"] for row in rows)
        low, high = sorted((dice.choice(times), dice.choice(times)))
        field = order.lstrip("-")
        expected = sorted(
            (row for row in rows if low <= row["updatedAt"] <= high),
            key=lambda row: (row[field], row["id"]),
            reverse=order.startswith("-"),
        )
        window = f"updated_at_min={utc(low)}&updated_at_max={utc(high)}"
        assert listed(shop, f"/nl/orders.json?{window}", dice.choice((1, 7, 50))) == [row["id"] for row in expected]


def test_since_id_answers_larger_ids_newest_first(shop: Shop) -> None:
    ids = shop.store.ids("orders")

    found = listed(shop, f"/nl/orders.json?since_id={ids[10]}", 3)

    assert found == ids[:10]


def test_fields_leave_the_named_ones_in_the_order_of_the_record(ask: Ask) -> None:
    _, answer = ask("GET", "orders", fields="number,id,unknown", limit=2)
    _, one = ask("GET", f"orders/{answer['orders'][0]['id']}", fields="number,id")

    assert [list(row) for row in answer["orders"]] == [["id", "number"]] * 2
    assert one["order"] == answer["orders"][0]


@pytest.mark.parametrize(
    ("path", "name", "field"),
    [
        ("orders", "customer", "customer"),
        ("orders", "number", "number"),
        ("orders", "status", "status"),
        ("orders", "paymentStatus", "paymentStatus"),
        ("orders", "email", "email"),
        ("invoices", "order", "order"),
        ("shipments", "customer", "customer"),
        ("returns", "order", "orderId"),
        ("orders/events", "invoice", "invoice"),
        ("products", "brand", "brand"),
        ("products", "type", "type"),
        ("variants", "product", "product"),
        ("variants", "articleCode", "articleCode"),
        ("variants", "article_code", "articleCode"),
        ("variants", "sku", "sku"),
        ("variants/movements", "variant", "variant"),
        ("categories", "parent", "parent"),
        ("categories/products", "category", "category"),
        ("tags/products", "tag", "tag"),
        ("groups/customers", "group", "group"),
        ("customers", "email", "email"),
        ("reviews", "product", "product"),
        ("types/attributes", "type", "type"),
        ("quantity_discounts", "product", "product"),
    ],
)
def test_a_filter_answers_the_rows_whose_field_has_the_value(
    path: str, name: str, field: str, shop: Shop, ask: Ask
) -> None:
    rows = shop.store.rows(path)
    value = next(row[field] for row in rows if row[field])

    _, answer = ask("GET", path, **{name: value, "limit": 250})

    (found,) = answer.values()
    assert [row["id"] for row in found] == [row["id"] for row in rows if row[field] == value]


def test_a_filter_may_look_at_the_related_record(shop: Shop, ask: Ask) -> None:
    invoice = shop.store.rows("invoices")[0]
    buyer = shop.store.row("customers", invoice["customer"]) or {}

    _, answer = ask("GET", "invoices", email=buyer["email"])

    assert {row["customer"]["resource"]["id"] for row in answer["invoices"]} == {invoice["customer"]}


def test_visible_products_are_asked_for_by_word_or_number(shop: Shop, ask: Ask) -> None:
    hidden = sum(not row["isVisible"] for row in shop.store.rows("products"))

    assert ask("GET", "products/count", isVisible="false")[1] == {"count": hidden}
    assert ask("GET", "products/count", isVisible=1)[1] == {"count": 200 - hidden}


def test_unknown_parameters_are_ignored_or_refused(shop: Shop, ask: Ask) -> None:
    assert ask("GET", "orders/count", colour="red") == (200, {"count": 300})
    shop.habits.unknown_parameters = "refuse"
    assert ask("GET", "orders/count", colour="red")[0] == 400


def test_a_filter_can_be_made_to_be_ignored(shop: Shop, ask: Ask) -> None:
    shop.ignore_filter("updated_at_min")

    assert ask("GET", "orders/count", updated_at_min="2030-01-01 00:00:00")[1] == {"count": 300}


def test_a_time_that_is_none_is_refused(ask: Ask) -> None:
    assert ask("GET", "orders", updated_at_min="yesterday")[0] == 400


def test_records_below_another_are_listed_with_it_alone(shop: Shop, ask: Ask) -> None:
    first, second = shop.store.ids("orders")[:2]

    lines = [row["id"] for row in ask("GET", f"orders/{first}/products")[1]["orderProducts"]]
    others = [row["id"] for row in ask("GET", f"orders/{second}/products")[1]["orderProducts"]]

    assert not set(lines) & set(others)
    assert ask("GET", f"orders/{first}/products/{others[0]}")[0] == 404


def test_the_catalogue_holds_the_variants_by_id(shop: Shop, ask: Ask) -> None:
    _, answer = ask("GET", "catalog", limit=5)

    for product in answer["products"]:
        assert sorted(map(int, product["variants"])) == shop.store.where("variants", "product", product["id"])


def test_texts_differ_by_language(shop: Shop, ask: Ask) -> None:
    product = shop.store.ids("products")[0]

    titles = {
        language: ask("GET", f"products/{product}", language=language)[1]["product"]["title"]
        for language in shop.languages
    }

    assert len(set(titles.values())) == 3
