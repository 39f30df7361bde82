"""Many upserts: the entity's list is read once instead of a look-up for each."""

from collections.abc import Callable
from typing import Any

import pytest

from publish.batch.lookups import FEWEST_UPSERTS
from tests.integration.publish.conftest import Publisher, event, message
from tests.integration.publish.test_files import PublishFile
from tests.shop import Fault
from tests.shop.exchange import Request

COUNT = ("GET", "/nl/variants/count.json")
LIST = ("GET", "/nl/variants.json")
BULK = ("PUT", "/nl/variants/bulk.json")


def stocked(publisher: Publisher, number: int) -> list[int]:
    """So many variants, the n-th of which has the sku `A-n`, and no others; their ids."""
    store = publisher.shop.store
    product = store.ids("products")[0]
    for variant in store.ids("variants"):
        store.delete("variants", variant)
    return [store.add("variants", product=product, sku=f"A-{n}", stockLevel=0) for n in range(number)]


def upsert(sku: str, level: object, **more: Any) -> dict[str, Any]:
    return event("variants", "create", {"sku": sku, "stockLevel": level}, match="sku", **more)


def levels(publisher: Publisher, ids: list[int]) -> list[int]:
    return [(publisher.shop.store.row("variants", i) or {})["stockLevel"] for i in ids]


def singly(publisher: Publisher) -> int:
    """How many look-ups went out by themselves."""
    return sum("sku" in seen.query for seen in publisher.shop.requests)


def when_listed(publisher: Publisher, act: Callable[[Request], None], *, page: str = "1") -> None:
    """Do something before a page of the list is answered."""

    def look(seen: Request) -> None:
        if seen.path.endswith("variants.json") and seen.query.get("page") == page:
            act(seen)

    publisher.shop.on_request(look)


def test_a_thousand_stock_changes_by_sku_cost_a_count_a_list_and_ten_bulks(publisher: Publisher) -> None:
    ids = stocked(publisher, 1500)
    results = publisher.batch(*(upsert(f"A-{n}", n) for n in range(1000)))
    assert [(result["status"], result["id"]) for result in results] == [("updated", i) for i in ids[:1000]]
    assert levels(publisher, ids[:1000]) == list(range(1000))
    assert publisher.sent() == [COUNT, *[LIST] * 7, *[BULK] * 10]
    assert {seen.query["fields"] for seen in publisher.shop.requests if "fields" in seen.query} == {"id,sku"}
    assert publisher.shop.requests[-1].json["variant"][0] == {"id": ids[900], "stockLevel": 900}


def test_a_hundred_messages_by_sku_cost_a_count_a_list_and_a_bulk(publisher: Publisher) -> None:
    ids = stocked(publisher, 300)
    assert publisher.failed(*(message(n, upsert(f"A-{n}", n)) for n in range(100))) == []
    assert publisher.sent() == [COUNT, LIST, LIST, BULK]
    assert levels(publisher, ids[:100]) == list(range(100))


def test_where_the_list_is_longer_than_the_batch_only_the_count_is_asked_besides(publisher: Publisher) -> None:
    stocked(publisher, 250 * FEWEST_UPSERTS)
    publisher.batch(*(upsert(f"A-{n}", 1) for n in range(FEWEST_UPSERTS)))
    assert publisher.sent() == [COUNT, *[LIST] * FEWEST_UPSERTS, BULK]
    assert singly(publisher) == FEWEST_UPSERTS


def test_a_few_upserts_are_looked_up_by_themselves(publisher: Publisher) -> None:
    stocked(publisher, 20)
    publisher.batch(*(upsert(f"A-{n}", 1) for n in range(FEWEST_UPSERTS - 1)))
    assert publisher.sent() == [*[LIST] * (FEWEST_UPSERTS - 1), BULK]


def test_a_value_that_the_list_does_not_show_is_looked_up_before_it_is_created(publisher: Publisher) -> None:
    stocked(publisher, 20)
    product = publisher.shop.store.ids("products")[0]
    fresh = event("variants", "create", {"sku": "NEW", "stockLevel": 7, "product": product}, match="sku")
    results = publisher.batch(*(upsert(f"A-{n}", 1) for n in range(15)), fresh, fresh)
    assert [result["status"] for result in results] == ["updated"] * 15 + ["created", "updated"]
    assert results[15]["id"] == results[16]["id"]
    assert singly(publisher) == 2


def test_a_value_of_two_records_is_refused_with_their_ids(publisher: Publisher) -> None:
    ids = stocked(publisher, 20)
    publisher.shop.store.update("variants", ids[1], sku="A-0")
    results = publisher.batch(*(upsert(f"A-{n}", 1) for n in [0, *range(2, 15)]))
    assert [result["status"] for result in results] == ["failed"] + ["updated"] * 13
    assert all(str(i) in results[0]["error"]["detail"] for i in ids[:2])


def test_a_record_that_moves_out_of_sight_while_the_list_is_read_is_looked_up_by_itself(publisher: Publisher) -> None:
    ids = stocked(publisher, 300)
    newest_first = list(reversed(ids))

    def delete(_: Request) -> None:
        publisher.shop.store.delete("variants", newest_first[0])

    when_listed(publisher, delete, page="2")
    hidden = ids.index(newest_first[250])
    results = publisher.batch(*(upsert(f"A-{n}", n) for n in range(hidden - 30, hidden + 30)))
    assert {result["status"] for result in results} == {"updated"}
    assert singly(publisher) == 1
    assert publisher.shop.store.count("variants") == 299


def test_a_record_that_is_seen_on_two_pages_is_one(publisher: Publisher) -> None:
    stocked(publisher, 300)
    product = publisher.shop.store.ids("products")[0]

    def add(_: Request) -> None:
        publisher.shop.store.add("variants", product=product, sku="LATE")

    when_listed(publisher, add, page="2")
    results = publisher.batch(*(upsert(f"A-{n}", n) for n in range(20, 90)))
    assert {result["status"] for result in results} == {"updated"}
    assert singly(publisher) == 0


def test_a_record_that_is_deleted_after_the_list_was_read_is_created_anew(publisher: Publisher) -> None:
    ids = stocked(publisher, 20)
    product = publisher.shop.store.ids("products")[0]
    gone: list[Request] = []

    def delete(seen: Request) -> None:
        if seen.method == "PUT" and not gone:
            gone.append(seen)
            publisher.shop.store.delete("variants", ids[3])

    publisher.shop.on_request(delete)
    call = {"sku": "A-3", "stockLevel": 3, "product": product}
    results = publisher.batch(
        *(upsert(f"A-{n}", n, idempotency_key=str(n)) for n in range(10) if n != 3),
        event("variants", "create", call, match="sku", idempotency_key="3"),
        event("variants", "create", call, match="sku", idempotency_key="3 again"),
    )
    assert [result["status"] for result in results] == ["updated"] * 9 + ["created", "updated"]
    assert [row["stockLevel"] for row in publisher.shop.store.rows("variants") if row["sku"] == "A-3"] == [3]


def test_what_the_batch_itself_writes_is_not_taken_from_the_list(publisher: Publisher) -> None:
    ids = stocked(publisher, 30)
    product = publisher.shop.store.ids("products")[0]
    rename = event("variants", "update", {"sku": "RENAMED"}, path={"id": ids[1]})
    twin = event("variants", "create", {"sku": "A-3", "product": product})
    results = publisher.batch(
        *(upsert(f"A-{n}", 1) for n in range(10, 25)),
        rename,
        upsert("RENAMED", 5),
        event("variants", "create", {"sku": "A-1", "stockLevel": 6, "product": product}, match="sku"),
        event("variants", "delete", path={"id": ids[2]}),
        event("variants", "create", {"sku": "A-2", "stockLevel": 7, "product": product}, match="sku"),
        twin,
        upsert("A-3", 8),
        upsert("A-4", 9),
    )
    statuses = [result["status"] for result in results[15:]]
    assert statuses == ["updated", "updated", "created", "deleted", "created", "created", "failed", "updated"]
    assert results[16]["id"] == ids[1]
    assert results[17]["id"] not in ids
    assert singly(publisher) == 4, "RENAMED, A-1, A-2 and A-3"


def test_a_deleted_product_takes_its_variants_with_it(publisher: Publisher) -> None:
    ids = stocked(publisher, 20)
    store = publisher.shop.store
    doomed, other = store.ids("products")[5], store.ids("products")[0]
    store.update("variants", ids[7], product=doomed)
    results = publisher.batch(
        *(upsert(f"A-{n}", 1) for n in range(10, 20)),
        event("products", "delete", path={"id": doomed}),
        event("variants", "create", {"sku": "A-7", "product": other}, match="sku"),
    )
    assert [result["status"] for result in results[10:]] == ["deleted", "created"]


def test_a_bulk_of_the_sender_may_have_changed_any_key(publisher: Publisher) -> None:
    ids = stocked(publisher, 20)
    results = publisher.batch(
        *(upsert(f"A-{n}", 1) for n in range(10, 20)),
        event("variants", "bulk", [{"id": ids[0], "sku": "A-1"}, {"id": ids[1], "sku": "A-0"}]),
        upsert("A-0", 5),
    )
    assert results[-1]["id"] == ids[1]


def test_a_record_that_was_created_by_one_key_is_seen_by_another(publisher: Publisher) -> None:
    ids = stocked(publisher, 20)
    product = publisher.shop.store.ids("products")[0]
    for n, variant in enumerate(ids):
        publisher.shop.store.update("variants", variant, ean=f"87{n}")

    def by_ean(n: int) -> dict[str, Any]:
        return event("variants", "create", {"ean": f"87{n}", "stockLevel": 1}, match="ean")

    fresh = {"sku": "NEW", "ean": "871", "product": product}
    results = publisher.batch(
        *(upsert(f"A-{n}", 1) for n in range(10, 20)),
        *(by_ean(n) for n in range(10, 20)),
        event("variants", "create", fresh, match="sku"),
        by_ean(1),
        by_ean(2),
    )
    assert [result["status"] for result in results[20:]] == ["created", "failed", "updated"]


@pytest.mark.parametrize(
    ("entity", "match", "stored", "asked"),
    [
        ("customers", "email", {"email": "Buyer-{}@Example.com"}, {"email": "buyer-{}@example.COM", "firstname": "B"}),
        ("variants", "article_code", {"articleCode": "C{}"}, {"articleCode": "C{}", "stockLevel": 4}),
        ("variants", ["sku", "ean"], {"sku": "S", "ean": "87{}"}, {"sku": "S", "ean": "87{}", "stockLevel": 4}),
    ],
)
def test_values_are_compared_as_a_look_up_compares_them(
    publisher: Publisher, entity: str, match: str | list[str], stored: dict[str, Any], asked: dict[str, Any]
) -> None:
    def numbered(fields: dict[str, Any], n: int) -> dict[str, Any]:
        return {name: value.format(n) if isinstance(value, str) else value for name, value in fields.items()}

    ids = [publisher.shop.store.add(entity, **numbered(stored, n)) for n in range(12)]
    results = publisher.batch(*(event(entity, "create", numbered(asked, n), match=match) for n in range(12)))
    assert [(result["status"], result["id"]) for result in results] == [("updated", i) for i in ids]
    assert not any(set(seen.query) & {"email", "sku", "ean", "article_code"} for seen in publisher.shop.requests)


def test_relations_are_compared_by_their_ids(publisher: Publisher) -> None:
    store = publisher.shop.store
    products = store.ids("products")[:12]
    for variant in store.ids("variants"):
        store.delete("variants", variant)
    ids = [store.add("variants", product=product, sku="A") for product in products]
    payloads = [{"product": product, "sku": "A", "stockLevel": 2} for product in products]
    results = publisher.batch(*(event("variants", "create", fields, match=["product", "sku"]) for fields in payloads))
    assert [result["id"] for result in results] == ids
    assert publisher.sent() == [COUNT, LIST, BULK]


def test_a_shop_that_ignores_fields_gives_whole_records(publisher: Publisher) -> None:
    ids = stocked(publisher, 20)
    publisher.shop.habits.ignored_filters = {"fields", "sku"}
    results = publisher.batch(*(upsert(f"A-{n}", n) for n in range(12)))
    assert [result["id"] for result in results] == ids[:12]
    assert publisher.sent() == [COUNT, LIST, BULK]


def test_a_list_that_the_shop_does_not_give_is_tried_once(publisher: Publisher) -> None:
    stocked(publisher, 600)
    publisher.shop.faults.next(Fault.answers(400), method="GET", after=2)
    results = publisher.batch(*(upsert(f"A-{n}", n) for n in range(12)))
    assert {result["status"] for result in results} == {"updated"}
    assert publisher.sent() == [COUNT, *[LIST] * 2, *[LIST] * 12, BULK]


def test_with_the_quota_used_up_in_the_middle_of_the_list_everything_is_handed_back(publisher: Publisher) -> None:
    stocked(publisher, 1500)
    publisher.shop.limits.quota = (100, 1000, 10_000)
    others = [85, 0]
    when_listed(publisher, lambda _: publisher.shop.limits.use(others.pop(0)), page="3")
    records = [message(n, upsert(f"A-{n}", n)) for n in range(50)]
    assert publisher.failed(*records) == [record["messageId"] for record in records]
    assert publisher.sent() == [COUNT, *[LIST] * 4]
    assert publisher.shop.limits.remaining[0] >= 10, "the reserve"
    publisher.shop.clock.advance(301)
    assert publisher.failed(*records) == []


def test_a_list_for_which_the_quota_has_no_room_is_not_read(publisher: Publisher) -> None:
    stocked(publisher, 1500)
    publisher.shop.limits.quota = (9, 1000, 10_000)
    records = [message(n, upsert(f"A-{n}", n)) for n in range(50)]
    failed = publisher.failed(*records)
    assert singly(publisher) == 7
    assert len(failed) == 50, "found, but there is no request left to write them"


def test_a_list_that_takes_half_of_the_time_is_left(publisher: Publisher) -> None:
    ids = stocked(publisher, 1500)

    def pass_time(_: Request) -> None:
        publisher.context.seconds -= 25 if len(publisher.shop.requests) < 5 else 0

    publisher.shop.on_request(pass_time)
    results = publisher.batch(*(upsert(f"A-{n}", n) for n in range(15)))
    assert {result["status"] for result in results} == {"updated"}
    assert singly(publisher) == 15
    assert levels(publisher, ids[:15]) == list(range(15))


def test_a_list_that_was_left_is_not_begun_again_by_the_next_segment(publisher: Publisher) -> None:
    ids = stocked(publisher, 1500)

    def pass_time(_: Request) -> None:
        publisher.context.seconds -= 15 if len(publisher.shop.requests) < 6 else 0

    publisher.shop.on_request(pass_time)
    by_id = [event("variants", "update", {"title": "x"}, path={"id": ids[0]})] * 490
    lines = [line for at in (0, 10) for line in [*(upsert(f"A-{n}", n) for n in range(at, at + 10)), *by_id]]
    machine = PublishFile(publisher)
    machine.put("publish/in/stock.jsonl", *lines)
    assert machine.run("publish/in/stock.jsonl")["outcomes"] == {"updated": 1000}
    assert publisher.sent().count(COUNT) == 1
    assert singly(publisher) == 20
    assert publisher.sent().count(LIST) < 20 + 7


def test_an_upsert_that_was_done_before_needs_no_list(publisher: Publisher) -> None:
    stocked(publisher, 20)
    calls = [upsert(f"A-{n}", n, idempotency_key=str(n)) for n in range(12)]
    first = publisher.batch(*calls)
    before = len(publisher.sent())
    assert publisher.batch(*calls) == first
    assert len(publisher.sent()) == before


@pytest.mark.soak  # hundreds of lines: moto copies its tables in every transaction
def test_a_file_reads_the_list_once_for_all_its_segments(publisher: Publisher) -> None:
    ids = stocked(publisher, 600)
    machine = PublishFile(publisher)
    machine.put("publish/in/stock.jsonl", *(upsert(f"A-{n}", n) for n in range(600)))
    assert machine.run("publish/in/stock.jsonl")["outcomes"] == {"updated": 600}
    assert publisher.sent() == [COUNT, *[LIST] * 3, *[BULK] * 6]
    assert levels(publisher, ids) == list(range(600))


@pytest.mark.soak  # hundreds of lines: moto copies its tables in every transaction
def test_a_list_that_pays_for_the_file_is_read_though_it_does_not_for_a_segment(publisher: Publisher) -> None:
    ids = stocked(publisher, 250 * FEWEST_UPSERTS + 1)
    machine = PublishFile(publisher)
    by_id = [event("variants", "update", {"stockLevel": 3}, path={"id": variant}) for variant in ids[500:990]]
    by_sku = [upsert(f"A-{n}", n) for n in range(20)]
    machine.put("publish/in/stock.jsonl", *by_id, *by_sku[:10], *by_id, *by_sku[10:])
    assert machine.run("publish/in/stock.jsonl")["outcomes"] == {"updated": 1000}
    assert singly(publisher) == 0
    assert publisher.sent().count(LIST) == FEWEST_UPSERTS + 1
    assert levels(publisher, ids[:20]) == list(range(20))


def test_a_waiting_update_of_the_key_is_sent_before_the_list_is_read(publisher: Publisher) -> None:
    ids = stocked(publisher, 20)
    rename = event("variants", "update", {"sku": "RENAMED"}, path={"id": ids[0]})
    results = publisher.batch(rename, upsert("RENAMED", 5), *(upsert(f"A-{n}", n) for n in range(1, 15)))
    assert [result["id"] for result in results] == [ids[0], ids[0], *ids[1:15]]
    assert publisher.sent()[0] == ("PUT", f"/nl/variants/{ids[0]}.json")
    assert levels(publisher, ids[:2]) == [5, 1]


@pytest.mark.parametrize(("others", "is_read"), [(0, True), (6, False)])
def test_a_file_counts_the_look_ups_of_the_segments_that_are_left(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, others: int, *, is_read: bool
) -> None:
    monkeypatch.setattr("publish.triggers.file.SEGMENT_LINES", 6)
    ids = stocked(publisher, 12)
    updates = [event("variants", "update", {"stockLevel": 1}, path={"id": variant}) for variant in ids[:others]]
    machine = PublishFile(publisher)
    machine.put("publish/in/stock.jsonl", *updates, *(upsert(f"A-{n}", 5) for n in range(others, 12)))
    assert machine.run("publish/in/stock.jsonl")["outcomes"] == {"updated": 12}
    assert (COUNT in publisher.sent()) is is_read
