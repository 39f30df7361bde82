"""Several creates that put a product into categories become one request."""

import json
from typing import Any

import pytest

from tests.integration.publish.conftest import Publisher, event, message
from tests.shop import Fault

ENTITY = "categories/products"
LIST = ("GET", "/nl/categories/products.json")
BULK = ("POST", "/nl/categories/products/bulk.json")
ONE = ("POST", "/nl/categories/products.json")
HABITS = ("all or none", "until refused", "each")


def place(category: object, product: object, **more: Any) -> dict[str, Any]:
    return event(ENTITY, "create", {"category": category, "product": product}, match=["category", "product"], **more)


def places(publisher: Publisher, product: int) -> list[int]:
    """The categories of a product, ascending; one that it has twice stands there twice."""
    return sorted(row["category"] for row in publisher.shop.store.rows(ENTITY) if row["product"] == product)


@pytest.fixture
def product(publisher: Publisher) -> int:
    """A product that is in no category."""
    return publisher.shop.store.add("products")


@pytest.fixture
def categories(publisher: Publisher) -> list[int]:
    return sorted(publisher.shop.store.ids("categories"))[:4]


def test_places_of_a_product_cost_a_look_and_one_request(
    publisher: Publisher, product: int, categories: list[int]
) -> None:
    results = publisher.batch(*(place(category, product) for category in categories))
    assert [result["status"] for result in results] == ["created"] * 4
    assert publisher.sent() == [LIST, BULK]
    assert publisher.shop.requests[1].json == {"categoriesProduct": {"categories": categories, "product": product}}
    assert [result["record"]["category"]["resource"]["id"] for result in results] == categories
    assert {result["id"] for result in results} == {
        row["id"] for row in publisher.shop.store.rows(ENTITY) if row["product"] == product
    }


def test_two_absent_places_are_one_request(publisher: Publisher, product: int, categories: list[int]) -> None:
    publisher.batch(*(place(category, product) for category in categories[:2]))
    assert publisher.sent() == [LIST, BULK]


def test_each_product_has_its_own_request(publisher: Publisher, product: int, categories: list[int]) -> None:
    other = publisher.shop.store.add("products")
    publisher.batch(*(place(category, owner) for category in categories for owner in (product, other)))
    assert publisher.sent() == [LIST, BULK, LIST, BULK]
    assert places(publisher, product) == places(publisher, other) == categories


def test_places_that_are_there_are_left_as_they_are(publisher: Publisher, product: int, categories: list[int]) -> None:
    first, *others = categories
    join = publisher.shop.store.add(ENTITY, category=first, product=product)
    results = publisher.batch(*(place(category, product) for category in categories))
    assert (results[0]["status"], results[0]["id"]) == ("unchanged", join)
    assert publisher.shop.requests[1].json["categoriesProduct"]["categories"] == others
    again = publisher.batch(*(place(category, product) for category in categories))
    assert [result["status"] for result in again] == ["unchanged"] * 4
    assert publisher.sent(2) == [LIST]


def test_places_of_other_products_that_the_shop_lists_too_do_not_count(
    publisher: Publisher, product: int, categories: list[int]
) -> None:
    kept, *others = publisher.shop.store.ids(ENTITY)
    for other in others:
        publisher.shop.store.delete(ENTITY, other)
    publisher.shop.habits.ignored_filters = {"product"}
    publisher.shop.store.add(ENTITY, category=categories[0], product=product)

    results = publisher.batch(*(place(category, product) for category in categories))

    assert [result["status"] for result in results] == ["unchanged", "created", "created", "created"]
    assert publisher.sent() == [LIST, BULK]
    assert publisher.shop.store.row(ENTITY, kept) is not None
    assert places(publisher, product) == categories


def test_a_single_absent_place_is_created_by_itself(publisher: Publisher, product: int, categories: list[int]) -> None:
    publisher.shop.store.add(ENTITY, category=categories[0], product=product)
    results = publisher.batch(*(place(category, product) for category in categories[:2]))
    assert [result["status"] for result in results] == ["unchanged", "created"]
    assert publisher.sent() == [LIST, ONE]


@pytest.mark.parametrize(
    "payload",
    [
        {"match": None},
        {"match": ["product"]},
        {"parameters": {"payload": {"category": 1, "product": 2, "sortOrder": 3}}},
        {"parameters": {"payload": {"category": "01", "product": 2}}},
    ],
)
def test_what_does_not_fit_goes_out_alone(publisher: Publisher, payload: dict[str, Any]) -> None:
    events = [{**place(category, 2), **payload} for category in (1, 2)]
    publisher.batch(*(one if one["match"] else {k: v for k, v in one.items() if k != "match"} for one in events))
    assert BULK not in publisher.sent()


@pytest.mark.parametrize("habit", HABITS)
def test_a_bad_category_fails_alone_whatever_it_does_to_the_others(
    publisher: Publisher, product: int, categories: list[int], habit: Any
) -> None:
    publisher.shop.habits.places_in_bulk = habit
    first, *others = categories
    results = publisher.batch(*(place(category, product) for category in (first, 7, *others)))
    assert [result["status"] for result in results] == ["created", "failed", "created", "created", "created"]
    assert results[1]["error"]["status"] == 422
    assert "Unknown category: 7" in results[1]["error"]["detail"]
    assert places(publisher, product) == categories


def test_a_shop_without_bulk_gets_single_creates(publisher: Publisher, product: int, categories: list[int]) -> None:
    publisher.shop.faults.next(Fault.answers(405), times=100, path_contains="bulk")
    results = publisher.batch(*(place(category, product) for category in categories))
    assert [result["status"] for result in results] == ["created"] * 4
    assert places(publisher, product) == categories


@pytest.mark.parametrize(
    "left_out", [{"error": "no"}, {"id": None}, {"id": None, "error": "no"}, {"id": 7, "error": "no"}, {}]
)
def test_a_row_of_the_answer_that_is_no_place_is_looked_for_and_created_by_itself(
    publisher: Publisher, product: int, categories: list[int], left_out: dict[str, Any]
) -> None:
    """The shop takes all but the last, and its answer names that one too."""
    *taken, last = categories
    rows = [{"category": last, "product": product, **left_out}]

    def take(request: Any) -> None:
        if request.path.endswith("bulk.json"):
            ids = [publisher.shop.store.add(ENTITY, category=category, product=product) for category in taken]
            rows.extend({"id": i, "category": c, "product": product} for i, c in zip(ids, taken, strict=True))
            body = json.dumps({"categoriesProducts": rows}).encode()
            publisher.shop.faults.next(
                Fault("answer", 201, body, (("Content-Type", "application/json"),)), path_contains="bulk"
            )

    publisher.shop.on_request(take)
    results = publisher.batch(*(place(category, product) for category in categories))
    assert [result["status"] for result in results] == ["created"] * 4
    assert places(publisher, product) == categories
    assert {result["id"] for result in results} == {
        row["id"] for row in publisher.shop.store.rows(ENTITY) if row["product"] == product
    }
    assert publisher.sent() == [LIST, BULK, LIST, ONE]


@pytest.mark.parametrize("fault", [Fault.loses_answer(), Fault.cuts_body(), Fault.error_in_success()])
def test_a_lost_answer_is_settled_by_a_second_look(
    publisher: Publisher, product: int, categories: list[int], fault: Fault
) -> None:
    publisher.shop.faults.next(fault, method="POST")
    results = publisher.batch(*(place(category, product) for category in categories))
    assert [result["status"] for result in results] == ["created"] * 4
    assert publisher.sent() == [LIST, BULK, LIST]
    assert places(publisher, product) == categories


@pytest.mark.parametrize("fault", [Fault.drops(), Fault.answers(503), Fault.html(200)])
def test_what_is_absent_after_a_lost_answer_is_unknown_and_not_sent_again(
    publisher: Publisher, product: int, categories: list[int], fault: Fault
) -> None:
    publisher.shop.faults.next(fault, method="POST")
    calls = [place(category, product, idempotency_key=f"k{category}") for category in categories]
    results = publisher.batch(*calls)
    assert {result["status"] for result in results} == {"unknown"}
    assert results[0]["check"]["parameters"]["query"] == {"category": categories[0], "product": product}
    assert publisher.batch(*calls) == results, "for now"
    assert [sent for sent in publisher.sent() if sent[0] == "POST"] == [BULK]
    publisher.minutes_pass()
    assert {result["status"] for result in publisher.batch(*calls)} == {"created"}
    assert places(publisher, product) == categories


@pytest.mark.parametrize("habit", HABITS)
def test_what_cannot_be_looked_for_after_a_refusal_is_unknown(
    publisher: Publisher, product: int, categories: list[int], habit: Any
) -> None:
    publisher.shop.habits.places_in_bulk = habit
    publisher.shop.faults.next(Fault.answers(500), times=4, method="GET", after=1)
    results = publisher.batch(*(place(category, product) for category in (categories[0], 7, categories[1])))
    sure = 2 if habit == "each" else 0
    assert [result["status"] for result in results].count("created") == sure
    assert [result["status"] for result in results].count("unknown") == 3 - sure
    assert [sent for sent in publisher.sent() if sent[0] == "POST"] == [BULK]


@pytest.mark.parametrize(("status", "told"), [(401, 422), (429, 429)])
def test_what_surely_did_not_arrive_frees_the_keys(
    publisher: Publisher, product: int, categories: list[int], status: int, told: int
) -> None:
    publisher.shop.faults.next(Fault.answers(status, headers={"Retry-After": "60"}), times=4, method="POST")
    calls = [place(category, product, idempotency_key=f"k{category}") for category in categories]
    assert {result["error"]["status"] for result in publisher.batch(*calls)} == {told}
    publisher.shop.faults.clear()
    assert {result["status"] for result in publisher.batch(*calls)} == {"created"}


def test_keys_are_kept_and_compared(publisher: Publisher, product: int, categories: list[int]) -> None:
    calls = [place(category, product, idempotency_key=f"k{category}") for category in categories]
    first = publisher.batch(*calls)
    other = place(categories[1], product, idempotency_key=f"k{categories[0]}")
    again = publisher.batch(*calls, other)
    assert again[:4] == first
    assert again[4]["error"]["status"] == 409
    assert publisher.sent() == [LIST, BULK]


def test_the_same_place_twice_is_created_once(publisher: Publisher, product: int, categories: list[int]) -> None:
    first, second, *_ = categories
    results = publisher.batch(*(place(category, product) for category in (first, second, first)))
    assert [result["status"] for result in results] == ["created", "created", "unchanged"]
    assert places(publisher, product) == [first, second]


def test_a_place_that_a_product_has_twice_is_refused_with_both_ids(
    publisher: Publisher, product: int, categories: list[int]
) -> None:
    twins = [publisher.shop.store.add(ENTITY, category=categories[0], product=product) for _ in range(2)]
    results = publisher.batch(*(place(category, product) for category in categories[:2]))
    assert [result["status"] for result in results] == ["failed", "created"]
    assert all(str(twin) in results[0]["error"]["detail"] for twin in twins)


def test_a_place_that_cannot_be_one_stops_no_other(publisher: Publisher, product: int, categories: list[int]) -> None:
    odd = ["9" * 5000, "0", True, 7.5, None, {"id": 7}]
    results = publisher.batch(*(place(category, product) for category in [*odd, *categories]))
    assert [result["status"] for result in results] == ["failed"] * len(odd) + ["created"] * 4
    assert places(publisher, product) == categories


def test_a_delete_among_them_keeps_its_place(publisher: Publisher, product: int, categories: list[int]) -> None:
    join = publisher.shop.store.add(ENTITY, category=categories[0], product=product)
    results = publisher.batch(
        place(categories[0], product),
        place(categories[1], product),
        event(ENTITY, "delete", path={"id": join}),
        place(categories[0], product),
    )
    assert [result["status"] for result in results] == ["unchanged", "created", "deleted", "created"]
    assert places(publisher, product) == categories[:2]


def test_a_shop_that_ignores_the_filter_is_noticed(publisher: Publisher, product: int, categories: list[int]) -> None:
    for _ in range(260):
        publisher.shop.store.add(ENTITY, category=categories[0], product=publisher.shop.store.add("products"))
    publisher.shop.ignore_filter("product")
    publisher.shop.ignore_filter("category")
    results = publisher.batch(*(place(category, product) for category in categories))
    assert {result["status"] for result in results} == {"failed"}
    assert "ignores a filter" in results[0]["error"]["detail"]
    assert places(publisher, product) == []


def test_messages_are_joined_too_and_each_is_published_once(
    publisher: Publisher, product: int, categories: list[int]
) -> None:
    records = [message(n, place(category, product)) for n, category in enumerate(categories)]
    assert publisher.failed(*records) == []
    assert publisher.failed(*records) == []
    assert publisher.sent() == [LIST, BULK]


def test_with_the_quota_used_up_the_other_products_are_not_tried(
    publisher: Publisher, product: int, categories: list[int]
) -> None:
    other = publisher.shop.store.add("products")
    publisher.shop.limits.quota = (1, 100, 1000)
    results = publisher.batch(*(place(category, owner) for owner in (product, other) for category in categories))
    assert {result["error"]["status"] for result in results} == {429}
    assert publisher.sent() == [LIST, BULK]
    assert places(publisher, product) == places(publisher, other) == []
