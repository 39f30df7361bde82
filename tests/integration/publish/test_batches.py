import json
from typing import Any

import pytest

from publish.batch.planner import MAX_RECORDS
from tests.integration.publish.conftest import Publisher, event
from tests.shop import Fault


def stock(variant: int | str, level: object, **more: Any) -> dict[str, Any]:
    return event("variants", "update", {"stockLevel": level}, path={"id": variant}, **more)


def levels(publisher: Publisher, ids: list[int]) -> list[int]:
    return [(publisher.shop.store.row("variants", i) or {})["stockLevel"] for i in ids]


def test_results_come_in_the_order_of_the_items_and_one_bad_item_stops_no_other(publisher: Publisher) -> None:
    results = publisher.batch(
        event("tags", "create", {"title": "first"}),
        event("orders", "create", {"email": "buyer@example.com"}),
        "no event",
        event("tags", "create", {"title": "last"}),
    )
    assert [result["status"] for result in results] == ["created", "failed", "failed", "created"]
    assert results[1]["error"]["status"] == 400
    assert "checkout" in results[1]["error"]["detail"]
    assert results[2]["error"]["type"].endswith(":malformed-request")


def test_records_that_lambda_cannot_return_are_left_out(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("publish.app.MAX_ANSWER_BYTES", 200)
    tag = event("tags", "create", {"title": "sale"})
    answers = [*publisher.batch(tag, tag), publisher(tag)]

    assert [answer["status"] for answer in answers] == ["created"] * 3
    assert [answer["record"] for answer in answers] == [None] * 3
    assert {answer["record_omitted"] for answer in answers} == {"too large for an answer: read it by its id"}


def test_an_unforeseen_error_concerns_one_item(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = publisher.deps.aws.client("s3")

    def explode(**_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(s3, "head_object", explode)
    product = publisher.shop.store.ids("products")[0]
    results = publisher.batch(
        event("products/images", "create", {"s3_key": "publish/files/a.png"}, path={"product_id": product}),
        event("tags", "create", {"title": "sale"}),
    )
    assert [result["status"] for result in results] == ["failed", "created"]
    assert results[0]["error"]["status"] == 500


def test_stock_and_prices_of_a_batch_go_out_in_one_request(publisher: Publisher) -> None:
    ids = publisher.shop.store.ids("variants")[:60]
    results = publisher.batch(*(stock(variant, number) for number, variant in enumerate(ids)))
    assert [result["id"] for result in results] == ids
    assert {result["status"] for result in results} == {"updated"}
    assert [result["record"]["stockLevel"] for result in results] == list(range(60))
    assert publisher.sent() == [("PUT", "/nl/variants/bulk.json")]
    assert publisher.shop.requests[0].json["variant"][3] == {"id": ids[3], "stockLevel": 3}
    assert levels(publisher, ids) == list(range(60))


def values(publisher: Publisher, products: list[int]) -> list[tuple[int, int]]:
    """Product and attribute of every attribute value of some products."""
    rows = publisher.shop.store.rows("products/attributes")
    return [(row["parent_id"], row["id"]) for product in products for row in rows if row["parent_id"] == product]


def value(product: int, attribute: int, text: str, **more: Any) -> dict[str, Any]:
    return event(
        "products/attributes", "update", {"value": text}, path={"product_id": product, "id": attribute}, **more
    )


def test_attribute_values_of_a_product_go_out_in_one_request(publisher: Publisher) -> None:
    pairs = values(publisher, publisher.shop.store.ids("products")[:2])
    items = [value(product, attribute, f"value {n}") for n, (product, attribute) in enumerate(pairs)]
    results = publisher.batch(*items)
    assert len(pairs) > 2
    assert [result["status"] for result in results] == ["updated"] * len(pairs)
    assert [(result["id"], result["record"]["value"]) for result in results] == [
        (attribute, f"value {n}") for n, (_, attribute) in enumerate(pairs)
    ]
    products = list(dict.fromkeys(product for product, _ in pairs))
    assert publisher.sent() == [("PUT", f"/nl/products/{product}/attributes.json") for product in products]
    (first, *_) = pairs
    assert publisher.shop.requests[0].json["productAttributes"][0] == {"id": first[1], "value": "value 0"}


def test_a_bad_attribute_value_fails_alone(publisher: Publisher) -> None:
    pairs = values(publisher, publisher.shop.store.ids("products")[:1])
    items = [value(product, attribute, "good") for product, attribute in pairs]
    results = publisher.batch(*items, value(pairs[0][0], 7, "bad"))
    assert [result["status"] for result in results] == ["updated"] * len(pairs) + ["failed"]
    assert results[-1]["error"]["status"] == 404
    assert {row["value"]["nl"] for row in publisher.shop.store.rows("products/attributes") if row["value"]} >= {"good"}


def test_with_the_quota_used_up_the_attributes_of_the_other_products_are_not_tried(publisher: Publisher) -> None:
    pairs = values(publisher, publisher.shop.store.ids("products")[:3])
    publisher.shop.limits.quota = (1, 100, 1000)
    results = publisher.batch(*(value(product, attribute, "new") for product, attribute in pairs))
    assert {result["status"] for result in results} == {"updated", "failed"}
    assert {result["error"]["status"] for result in results if result["status"] == "failed"} == {429}
    assert len(publisher.sent()) == 2


@pytest.mark.parametrize("odd", ["0{}", " {}", "9" * 5000])
def test_an_id_that_is_written_oddly_stops_no_other(publisher: Publisher, odd: str) -> None:
    first, second = publisher.shop.store.ids("variants")[:2]
    results = publisher.batch(stock(first, 1), stock(odd.format(first), 2), stock(second, 3))
    assert [results[0]["status"], results[2]["status"]] == ["updated", "updated"]
    assert results[1]["status"] in ("updated", "failed")


def test_other_fields_of_a_variant_go_out_alone(publisher: Publisher) -> None:
    first, second = publisher.shop.store.ids("variants")[:2]
    publisher.batch(
        event("variants", "update", {"title": "Blue"}, path={"id": first}),
        event("variants", "update", {"title": "Red"}, path={"id": second}),
    )
    assert [path for _, path in publisher.sent()] == [f"/nl/variants/{first}.json", f"/nl/variants/{second}.json"]


def test_a_connection_that_asks_for_patch_gets_no_bulk(publisher: Publisher) -> None:
    secret = publisher.deps.settings.secret_prefix + "default"
    client = publisher.deps.aws.client("secretsmanager")
    settings = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])
    client.put_secret_value(SecretId=secret, SecretString=json.dumps(settings | {"update_method": "PATCH"}))
    results = publisher.batch(*(stock(variant, 1) for variant in publisher.shop.store.ids("variants")[:2]))
    assert [method for method, _ in publisher.sent()] == ["PATCH", "PATCH"]
    assert len(results) == 2


def test_several_updates_of_a_record_become_one_and_the_last_value_of_each_field_wins(publisher: Publisher) -> None:
    product = publisher.shop.store.ids("products")[0]
    path = {"id": product}
    results = publisher.batch(
        event("products", "update", {"title": "One", "fulltitle": "Full"}, path=path),
        event("products", "update", {"product": {"title": "Two"}}, path={"id": str(product)}),
        event("products", "update", {"visibility": "hidden"}, path=path),
    )
    assert [result["status"] for result in results] == ["updated"] * 3
    (seen,) = publisher.shop.requests
    assert seen.json == {"product": {"title": "Two", "fulltitle": "Full", "visibility": "hidden"}}


def test_a_bad_update_among_several_of_a_record_does_not_harm_the_others(publisher: Publisher) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    price = event("variants", "update", {"priceExcl": 4.5}, path={"id": variant})
    results = publisher.batch(stock(variant, 3), price, stock(variant, "many"))
    assert [result["status"] for result in results] == ["updated", "updated", "failed"]
    assert levels(publisher, [variant]) == [3]
    assert (publisher.shop.store.row("variants", variant) or {})["priceExcl"] == 4.5


def test_order_is_kept_per_record_over_different_actions(publisher: Publisher) -> None:
    tag = publisher.shop.store.ids("tags")[0]
    other = publisher.shop.store.ids("tags")[1]
    publisher.batch(
        event("tags", "update", {"title": "before"}, path={"id": tag}),
        event("tags", "update", {"title": "other"}, path={"id": other}),
        event("tags", "delete", path={"id": tag}),
    )
    assert [method for method, path in publisher.sent() if path.endswith(f"{tag}.json")] == ["PUT", "DELETE"]


def test_a_bulk_of_the_sender_stays_in_its_place(publisher: Publisher) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    publisher.batch(
        stock(variant, 1),
        event("variants", "bulk", [{"id": variant, "stockLevel": 2}]),
        stock(variant, 3),
    )
    assert [path for _, path in publisher.sent()] == [
        f"/nl/variants/{variant}.json",
        "/nl/variants/bulk.json",
        f"/nl/variants/{variant}.json",
    ]
    assert levels(publisher, [variant]) == [3]


def test_keys_of_updates_in_bulk_are_kept_and_compared(publisher: Publisher) -> None:
    ids = publisher.shop.store.ids("variants")[:3]
    calls = [stock(variant, 7, idempotency_key=f"stock {variant}") for variant in ids]
    first = publisher.batch(*calls)
    again = publisher.batch(*calls, stock(ids[0], 8, idempotency_key=f"stock {ids[0]}"))
    assert again[:3] == first
    assert again[3]["error"]["status"] == 409
    assert len(publisher.sent()) == 1


def test_a_key_that_comes_twice_in_a_batch_is_sent_once(publisher: Publisher) -> None:
    variant, other = publisher.shop.store.ids("variants")[:2]
    call = stock(variant, 7, idempotency_key="twice")
    results = publisher.batch(call, call, stock(other, 7, idempotency_key="twice"))
    assert results[0] == results[1]
    assert results[2]["error"]["status"] == 409
    assert len(publisher.sent()) == 1


def test_a_key_of_a_waiting_update_is_refused_to_another_action(publisher: Publisher) -> None:
    tag = publisher.shop.store.ids("tags")[0]
    update = event("tags", "update", {"title": "x"}, path={"id": tag}, idempotency_key="k")
    results = publisher.batch(update, event("tags", "delete", path={"id": tag}, idempotency_key="k"))
    assert [result["status"] for result in results] == ["updated", "failed"]
    assert results[1]["error"]["status"] == 409


def test_credentials_that_the_shop_does_not_take_are_not_tried_for_every_item(publisher: Publisher) -> None:
    publisher.shop.faults.next(Fault.answers(401), times=100)
    results = publisher.batch(*(event("tags", "create", {"title": f"tag {n}"}) for n in range(20)))
    assert {result["error"]["type"].rpartition(":")[2] for result in results} == {"wrong-credentials"}
    assert len(publisher.sent()) == 2, "once, and once more with the secret read afresh"


def upsert(sku: str, level: int, product: int, **more: Any) -> dict[str, Any]:
    payload = {"sku": sku, "stockLevel": level, "product": product}
    return event("variants", "create", payload, match="sku", **more)


def test_upserts_of_records_that_are_there_are_joined_like_updates(publisher: Publisher) -> None:
    store = publisher.shop.store
    ids, product = store.ids("variants")[:3], store.ids("products")[0]
    for number, variant in enumerate(ids):
        store.update("variants", variant, sku=f"A-{number}")
    by_sku = '{"payload": $sift(payload, function($value, $name) {$name != "product"})}'
    calls = [upsert(f"A-{n}", n, product, request_transformer=by_sku, idempotency_key=f"k{n}") for n in range(3)]

    results = publisher.batch(*calls, calls[0])

    assert [(result["status"], result["id"]) for result in results[:3]] == [("updated", variant) for variant in ids]
    assert results[3] == results[0]
    assert levels(publisher, ids) == [0, 1, 2]
    assert publisher.batch(*calls) == results[:3]


def test_two_upserts_of_a_record_that_is_new_make_one(publisher: Publisher) -> None:
    product = publisher.shop.store.ids("products")[0]
    results = publisher.batch(upsert("NEW", 1, product), upsert("NEW", 2, product), upsert("NEW", 3, product))
    assert [result["status"] for result in results] == ["created", "updated", "updated"]
    assert len({result["id"] for result in results}) == 1
    assert levels(publisher, [results[0]["id"]]) == [3]


def test_an_upsert_that_finds_several_fails_alone_and_frees_its_key(publisher: Publisher) -> None:
    twins = [publisher.shop.store.add("tags", {"title": {"nl": "twin"}}) for _ in range(2)]
    twin = event("tags", "create", {"title": "twin"}, match="title", idempotency_key="t")
    results = publisher.batch(twin, event("tags", "create", {"title": "new"}, match="title"))
    assert [result["status"] for result in results] == ["failed", "created"]
    publisher.shop.store.delete("tags", twins[0])
    assert publisher.batch(twin)[0]["id"] == twins[1]


def test_a_thousand_items_with_one_in_a_hundred_bad(publisher: Publisher) -> None:
    store = publisher.shop.store
    ids = store.ids("variants")
    product = store.ids("products")[0]
    while len(ids) < 1000:
        ids.append(store.add("variants", product=product))
    wanted = {variant: number for number, variant in enumerate(ids[:1000])}
    bad = set(range(50, 1000, 100))
    items = [stock(variant, "bad" if n in bad else n) for n, variant in enumerate(wanted)]

    results = publisher.batch(*items)

    assert [n for n, result in enumerate(results) if result["status"] == "failed"] == sorted(bad)
    assert {results[n]["error"]["status"] for n in bad} == {422}
    assert [results[n]["id"] for n in range(1000) if n not in bad] == [i for n, i in enumerate(wanted) if n not in bad]
    assert all(levels(publisher, [variant]) == [n] for variant, n in wanted.items() if n not in bad)
    assert len(publisher.sent()) <= 10 + 10 * 16, "ten bulks, each halved down to its bad one"
    assert MAX_RECORDS == 100


def test_a_shop_without_bulk_gets_single_updates(publisher: Publisher) -> None:
    ids = publisher.shop.store.ids("variants")[:5]
    publisher.shop.faults.next(Fault.answers(405), times=100, path_contains="bulk")
    results = publisher.batch(*(stock(variant, 2) for variant in ids))
    assert [result["status"] for result in results] == ["updated"] * 5
    assert len(publisher.sent()) == 6


def test_a_bulk_that_the_shop_never_answers_fails_whole_and_is_not_multiplied(publisher: Publisher) -> None:
    ids = publisher.shop.store.ids("variants")[:5]
    publisher.shop.faults.next(Fault.answers(503), times=100, path_contains="bulk")
    results = publisher.batch(*(stock(variant, 2) for variant in ids))
    assert [result["error"]["status"] for result in results] == [502] * 5
    assert len(publisher.sent()) == 4


def test_with_the_quota_used_up_the_rest_is_not_tried(publisher: Publisher) -> None:
    publisher.shop.limits.quota = (2, 100, 1000)
    results = publisher.batch(*(event("tags", "create", {"title": f"tag {n}"}) for n in range(5)))
    assert [result["status"] for result in results] == ["created"] * 2 + ["failed"] * 3
    assert [result["error"]["status"] for result in results[2:]] == [429] * 3
    assert len(publisher.sent()) == 3


def test_with_the_time_used_up_the_rest_is_not_tried(publisher: Publisher) -> None:
    def hurry(_: object) -> None:
        publisher.context.seconds = 3

    publisher.shop.on_request(hurry)
    results = publisher.batch(*(event("tags", "create", {"title": f"tag {n}"}) for n in range(3)))
    assert [result["status"] for result in results] == ["created", "failed", "failed"]
    assert results[2]["error"]["status"] == 503
    assert len(publisher.sent()) == 1


def test_an_update_that_skips_nothing_is_sent_though_another_of_its_record_skips(publisher: Publisher) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    publisher.shop.store.update("variants", variant, stockLevel=5)
    same = event("variants", "update", {"stockLevel": 5}, path={"id": variant})
    results = publisher.batch({**same, "skip_unchanged": True}, same)
    assert [result["status"] for result in results] == ["updated", "updated"]
    assert publisher.sent() == [("PUT", f"/nl/variants/{variant}.json")]


def test_an_upsert_that_skips_is_compared_with_what_its_own_batch_wrote_before(publisher: Publisher) -> None:
    store = publisher.shop.store
    variant, product = store.ids("variants")[0], store.ids("products")[0]
    store.update("variants", variant, sku="A", stockLevel=1)
    calls = [upsert("A", level, product, skip_unchanged=True) for level in (5, 1, 1)]
    calls[1]["parameters"]["payload"]["priceExcl"] = "dear"
    results = publisher.batch(*calls)
    assert [result["status"] for result in results] == ["updated", "failed", "updated"]
    assert levels(publisher, [variant]) == [1]


def test_an_upsert_that_skips_sends_nothing_if_the_values_are_there(publisher: Publisher) -> None:
    tag = event("tags", "create", {"title": "sale"}, match="title")
    publisher(tag)
    before = len(publisher.sent())
    assert publisher({**tag, "skip_unchanged": True})["status"] == "unchanged"
    assert publisher.sent(before) == [("GET", "/nl/tags.json")]


def test_an_upsert_whose_update_is_not_tried_frees_its_key(publisher: Publisher) -> None:
    product, variant = publisher.shop.store.ids("products")[0], publisher.shop.store.ids("variants")[0]
    publisher.shop.store.update("variants", variant, sku="A")
    publisher.shop.faults.next(Fault.answers(401), after=1, times=10)
    calls = [upsert(sku, 5, product, idempotency_key=f"key of {sku}") for sku in "AB"]
    assert [result["status"] for result in publisher.batch(*calls)] == ["failed", "failed"]
    assert publisher.items == []
