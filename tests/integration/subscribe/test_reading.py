"""Languages, transformers, `max_records`, filters that the shop ignores, clocks that differ."""

from typing import Any

import pytest

from connector.errors import TransformError
from lightspeed import Client, UnknownLanguage
from tests.integration.subscribe.bundle import Bundle, quote_event
from tests.shop import filters
from tests.support.clock import MONDAY_SIX


def test_another_language_than_the_connections(bundle: Bundle) -> None:
    result = bundle.run(quote_event(language="en"))

    assert bundle.sent == ["GET /en/quotes/1016615295.json"]
    assert "/lang=en/" in result["manifest"]


def test_several_languages_have_a_manifest_each(bundle: Bundle) -> None:
    result = bundle.run({"entity": "brands", "languages": ["nl", "en"]})

    brands = len(bundle.shop.store.ids("brands"))
    assert result["records"] == 2 * brands
    assert "/lang=nl/" in result["manifest"]
    found = [bundle.json(key) for key in bundle.stored("manifests/")]
    assert [(manifest["language"], manifest["records"]) for manifest in found] == [("en", brands), ("nl", brands)]


def test_a_language_that_the_shop_lacks_leaves_no_manifest(bundle: Bundle) -> None:
    with pytest.raises(UnknownLanguage):
        bundle.run({"entity": "brands", "languages": ["nl", "fr"]})

    assert not bundle.stored("manifests/")


def test_an_input_transformer_may_ask_for_several_reads_in_order(bundle: Bundle) -> None:
    ids = bundle.shop.store.ids("orders")[:3]

    result = bundle.run({"entity": "orders", "input_transformer": f'{ids}.{{"path": {{"id": $}}}}'})

    assert bundle.ids(result) == ids
    assert len(result["objects"]) == 1, "records that are read one by one share a part"


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_readings_that_overlap_store_each_record_once(bundle: Bundle, mode: str) -> None:
    ids = bundle.shop.store.ids("orders")
    reads = '[{"query": {"limit": 7}}, {"query": {"limit": 8}}]'

    result = bundle.run({"entity": "orders", "mode": mode, "input_transformer": reads})

    assert sorted(bundle.ids(result)) == sorted(ids)
    assert bundle.manifest(result)["verified"] is True


@pytest.mark.parametrize(
    ("mode", "filters", "verified"),
    [
        ("full", '[{"status": "completed_shipped"}, {"status": "on_hold"}]', False),
        ("full", '[{"created_at_max": "2020-01-01T00:00:00Z"}, {"created_at_min": "2020-01-01T00:00:00Z"}]', True),
        ("incremental", '[{"status": "completed_shipped"}, {"status": "on_hold"}]', True),
    ],
)
def test_a_record_that_moves_between_two_readings_is_a_reason_unless_the_next_run_reads_it(
    bundle: Bundle, mode: str, filters: str, verified: bool
) -> None:
    order = bundle.shop.store.ids("orders")[0]
    bundle.shop.store.update("orders", order, {"status": "on_hold"}, at=bundle.clock.now() - 3600)

    def meanwhile(request: Any) -> None:
        if request.query.get("status") == "on_hold":
            bundle.shop.store.update("orders", order, {"status": "completed_shipped"})

    bundle.shop.on_request(meanwhile)
    event = {"entity": "orders", "mode": mode, "input_transformer": f'{filters}.{{"query": $}}'}
    first = bundle.run(event)
    bundle.clock.advance(60)
    found = [*bundle.ids(first), *(bundle.ids(bundle.run(event)) if mode == "incremental" else [])]

    assert (order in found, first["verified"]) == (verified, verified)
    assert ("moved from one of the run's lists" in str(first.get("reason"))) is not verified


@pytest.mark.parametrize("reads", ["[{A}, {A}]", "[{A}, {}]", "[{}, {A}]", "[{A}, {A}, {}]"])
def test_a_record_that_is_read_by_its_id_and_in_a_list_is_stored_once(bundle: Bundle, reads: str) -> None:
    ids = bundle.shop.store.ids("orders")
    expression = reads.replace("A", f'"path": {{"id": {ids[0]}}}')

    result = bundle.run({"entity": "orders", "input_transformer": expression})

    assert sorted(bundle.ids(result)) == (sorted(ids) if "{}" in reads else ids[:1])
    assert bundle.manifest(result)["verified"] is True


def test_another_record_than_was_asked_for_is_a_reason(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "record", lambda *_: b'{"id":8,"number":"QUO8"}')

    result = bundle.run(quote_event())

    assert "the shop answers with record 8 for" in bundle.manifest(result)["reason"]


def test_children_that_are_read_twice_are_not_verified(bundle: Bundle) -> None:
    result = bundle.run(
        {
            "entity": "orders/products",
            "parameters": {"path": {"order_id": "*"}},
            "input_transformer": '[{"query": {"limit": 7}}, {"query": {"limit": 8}}]',
        }
    )

    assert "twice" in bundle.manifest(result)["reason"]


def test_an_input_transformer_may_ask_for_nothing(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders", "input_transformer": "[]"})

    assert (result["status"], result["records"], result["manifest"]) == ("complete", 0, None)
    assert bundle.sent == []


@pytest.mark.parametrize(
    ("expression", "records"),
    [('{"n": number}', 30), ("[{}, {}]", 60), ("null", 0), ("number ? null : null", 0), ("[]", 0)],
    ids=["replaces", "splits", "null", "nothing", "empty"],
)
def test_an_entity_transformer_replaces_splits_and_drops(bundle: Bundle, expression: str, records: int) -> None:
    result = bundle.run({"entity": "orders", "entity_transformer": expression})

    assert result["records"] == records
    assert bundle.manifest(result)["verified"] is True


@pytest.mark.parametrize(
    ("rejected", "percent", "is_complete"),
    [(1, None, True), (3, None, True), (4, None, False), (4, 14, True), (4, 13, False), (1, 0, False), (0, 0, True)],
)
def test_a_run_fails_if_more_records_are_rejected_than_may_be(
    bundle: Bundle, rejected: int, percent: int | None, is_complete: bool
) -> None:
    ids = sorted(bundle.shop.store.ids("orders"))
    assert len(ids) == 30
    event: dict[str, Any] = {"entity": "orders", "entity_transformer": f"id in {ids[:rejected]} ? $error('odd') : $"}
    if percent is not None:
        event["max_rejected_percent"] = percent

    if is_complete:
        result = bundle.run(event)
        assert (result["records"], result.get("rejected", 0)) == (30 - rejected, rejected)
    else:
        with pytest.raises(TransformError, match=f"{rejected} of 30 records were rejected"):
            bundle.run(event)
        assert bundle.stored("manifests/") == []


def test_a_failing_entity_transformer_leaves_no_manifest(bundle: Bundle) -> None:
    with pytest.raises(TransformError):
        bundle.run({"entity": "orders", "entity_transformer": "$error('broken')"})

    assert not bundle.stored("manifests/")


def stopped(bundle: Bundle, result: dict[str, Any]) -> bool:
    manifest = bundle.manifest(result)
    assert manifest["verified"] is (manifest["reason"] is None)
    return bool(manifest["reason"] == "stopped after max_records")


def test_max_records_stops_and_says_so(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders", "max_records": 7})

    assert (result["records"], len(bundle.ids(result))) == (7, 7)
    assert stopped(bundle, result)


@pytest.mark.parametrize("most", [30, 31, 5000])
def test_max_records_that_is_not_reached_says_nothing(bundle: Bundle, most: int) -> None:
    result = bundle.run({"entity": "orders", "max_records": most})

    assert result["records"] == 30
    assert bundle.manifest(result)["verified"] is True


def test_max_records_asks_for_no_page_that_it_does_not_need(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders", "max_records": 5, "parameters": {"query": {"limit": 5}}})

    assert result["records"] == 5
    assert [path for path in bundle.sent if path.endswith("/orders.json")] == ["GET /nl/orders.json"]
    assert stopped(bundle, result)


def test_max_records_counts_over_all_reads(bundle: Bundle) -> None:
    ids = bundle.shop.store.ids("orders")[:3]

    result = bundle.run({"entity": "orders", "max_records": 2, "input_transformer": f'{ids}.{{"path": {{"id": $}}}}'})

    assert bundle.ids(result) == ids[:2]
    assert len(bundle.sent) == 2
    assert stopped(bundle, result)


def test_max_records_cuts_what_a_transformer_splits(bundle: Bundle) -> None:
    result = bundle.run(quote_event(max_records=2, entity_transformer="[{}, {}, {}]"))

    assert result["records"] == 2
    assert stopped(bundle, result)


def test_one_record_is_all_of_one_record(bundle: Bundle) -> None:
    result = bundle.run(quote_event(max_records=1))

    assert bundle.manifest(result)["verified"] is True


@pytest.mark.parametrize(
    ("event", "ignored", "reason"),
    [
        (
            {"entity": "orders", "mode": "incremental", "since": "2026-06-02"},
            "updated_at_min",
            "the shop ignores its filter updated_at: see record",
        ),
        (
            {"entity": "orders", "parameters": {"query": {"created_at_min": "2026-06-02"}}},
            "created_at_min",
            "the shop ignores its filter created_at: see record",
        ),
    ],
    ids=["incremental", "full"],
)
def test_a_filter_that_the_shop_ignores_is_not_believed(
    bundle: Bundle, event: dict[str, Any], ignored: str, reason: str
) -> None:
    bundle.shop.ignore_filter(ignored)

    manifest = bundle.manifest(bundle.run(event))

    assert manifest["verified"] is False
    assert manifest["reason"].startswith(reason)


def test_a_relation_that_the_shop_ignores_is_not_believed(bundle: Bundle) -> None:
    customer = bundle.shop.store.stored("orders", bundle.shop.store.ids("orders")[0])["customer"]  # type: ignore[index]
    bundle.shop.ignore_filter("customer")

    manifest = bundle.manifest(bundle.run({"entity": "orders", "parameters": {"query": {"customer": customer}}}))

    assert manifest["reason"].startswith("the shop ignores its filter customer: see record")


def test_a_filter_that_nobody_knows_is_not_believed(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders", "parameters": {"query": {"stauts": "paid"}}})

    manifest = bundle.manifest(result)
    assert result["records"] == 30
    assert manifest["verified"] is False
    assert manifest["reason"].startswith(
        "it is not known whether the shop applies the filter stauts; known filters are page,"
    )
    assert "paymentStatus" in manifest["reason"]


def test_a_list_whose_pages_are_smaller_than_asked_is_read_in_parts(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "MAX_LIMIT", 10)

    result = bundle.run({"entity": "orders"})

    assert sorted(bundle.ids(result)) == sorted(bundle.shop.store.ids("orders"))
    assert bundle.manifest(result)["verified"] is True


def test_pages_of_another_size_are_read_to_the_end(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders", "parameters": {"query": {"limit": 7}}})

    assert sorted(bundle.ids(result)) == sorted(bundle.shop.store.ids("orders"))
    assert bundle.manifest(result)["verified"] is True


def test_an_entity_without_times_is_read_twice_if_it_has_several_pages(bundle: Bundle) -> None:
    result = bundle.run({"entity": "countries", "parameters": {"query": {"limit": 10}}})

    manifest = bundle.manifest(result)
    assert manifest["window"] is None
    assert manifest["verified"] is True
    assert len(bundle.ids(result)) == len(set(bundle.ids(result))) == bundle.shop.store.count("countries")
    assert any(request.query.get("fields") == "id" for request in bundle.shop.requests)


def test_an_entity_without_times_that_changes_meanwhile_is_not_verified(bundle: Bundle) -> None:
    def others_work(request: Any) -> None:
        if request.query.get("fields") == "id" and request.query.get("page") == "2":
            bundle.shop.store.add("taxes", {"title": "new"})

    for _ in range(5):
        bundle.shop.store.add("taxes", {"title": "some"})
    bundle.shop.on_request(others_work)

    manifest = bundle.manifest(bundle.run({"entity": "taxes", "parameters": {"query": {"limit": 2}}}))

    assert manifest["reason"] == "no time filter closes the list, and it changed between two passes"


@pytest.mark.parametrize("hours", [-30, -1, 1, 30])
def test_the_window_goes_by_the_shops_clock_not_ours(bundle: Bundle, hours: int) -> None:
    bundle.clock.ahead = hours * 3600.0
    new = bundle.shop.store.add("products", {"title": "new"}, at=MONDAY_SIX - 60)

    result = bundle.run({"entity": "products"})

    manifest = bundle.manifest(result)
    assert manifest["window"]["end"] == "2026-11-23T05:59:55Z"
    assert manifest["verified"] is True
    assert new in bundle.ids(result)


def test_a_record_created_during_the_run_is_the_next_runs(bundle: Bundle) -> None:
    bundle.shop.store.add("products", {"title": "just now"}, at=MONDAY_SIX - 2)

    result = bundle.run({"entity": "products"})

    assert result["records"] == 20
    assert bundle.manifest(result)["verified"] is True


@pytest.mark.parametrize("changed", ["null", '""', '"soon"', "false"])
def test_a_record_without_a_time_that_can_be_read_is_landed(bundle: Bundle, changed: str) -> None:
    inner = bundle.shop.handle

    def handle(request: Any) -> Any:
        answer = inner(request)
        if request.path == "/nl/orders.json":
            answer.body = b'{"orders":[{"id":7,"createdAt":"2026-06-01T00:00:00+00:00","updatedAt":%s}]}' % (
                changed.encode()
            )
        if request.path == "/nl/orders/count.json":
            answer.body = b'{"count":1}'
        return answer

    bundle.shop.handle = handle  # type: ignore[method-assign]

    result = bundle.run({"entity": "orders", "mode": "incremental"})

    assert bundle.ids(result) == [7]
