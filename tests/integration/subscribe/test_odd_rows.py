"""One odd record never stops a subscription, never damages another, and never lands as a verified record."""

import gzip
import json
from typing import Any

import pytest

from lightspeed import BrokenResponse, NotFound, UnknownLanguage
from tests.integration.subscribe.bundle import Bundle, Json
from tests.shop import Fault
from tests.support.clock import MONDAY_SIX

IMAGES: Json = {"entity": "brands/image", "parameters": {"path": {"brand_id": "*"}}}
LINES: Json = {"entity": "orders/products", "parameters": {"path": {"order_id": "*"}}}
GOOD = b'{"id":11,"updatedAt":"2026-11-23T05:00:00+00:00"}'


def rejected(bundle: Bundle, result: Json) -> list[Any]:
    parts = bundle.manifest(result).get("rejected", [])
    return [json.loads(line) for part in parts for line in gzip.decompress(bundle.body(part["key"])).splitlines()]


def answer_page(bundle: Bundle, *rows: bytes, entity: str = "orders") -> None:
    """Let the shop have just these rows."""
    bundle.shop.faults.next(
        Fault.sends(b'{"count":%d}' % len(rows)), times=99, method="GET", path_contains=f"/{entity}/count"
    )
    bundle.shop.faults.next(
        Fault.sends(b'{"%b":[%b]}' % (entity.encode(), b",".join(rows))), method="GET", path_contains=f"/{entity}.json"
    )


LANDS = {
    "updatedAt a number": b'{"id":12,"updatedAt":7}',
    "updatedAt a list": b'{"id":12,"updatedAt":[]}',
    "updatedAt an object": b'{"id":12,"updatedAt":{"date":"2026-11-23"}}',
    "id false": b'{"id":false,"updatedAt":"2026-11-23T05:00:00+00:00"}',
    "id a list": b'{"id":[12]}',
    "id a fraction": b'{"id":1.5}',
    "id of 5,000 digits": b'{"id":' + b"9" * 5000 + b"}",
    "id half a pair": b'{"id":"\\ud83d"}',
}


@pytest.mark.parametrize("row", LANDS.values(), ids=LANDS)
@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_a_record_with_an_odd_value_lands_as_sent_and_is_not_verified(bundle: Bundle, mode: str, row: bytes) -> None:
    answer_page(bundle, GOOD, row)

    result = bundle.run({"entity": "orders", "mode": mode})

    assert bundle.lines(result) == [GOOD, row]
    manifest = bundle.manifest(result)
    assert manifest["verified"] is False
    assert manifest["reason"]
    assert "rejected" not in result


@pytest.mark.parametrize("row", [b'{"id":12,"memo":"\\ud83d"}', b'{"id":12,"id":13}', b'{"id":12,"memo":"\\u0000"}'])
def test_a_record_with_odd_text_lands_as_sent(bundle: Bundle, row: bytes) -> None:
    answer_page(bundle, GOOD, row)

    result = bundle.run({"entity": "orders"})

    assert bundle.lines(result) == [GOOD, row]
    assert bundle.manifest(result)["verified"] is True


REJECTS = {
    "false": (b"false", "no JSON object but false"),
    "null": (b"null", "no JSON object but null"),
    "list": (b"[]", "no JSON object but []"),
    "text": (b'""', 'no JSON object but ""'),
    "NaN": (b'{"id":12,"weight":NaN}', "no JSON: NaN is no JSON value"),
    "control character": (b'{"id":12,"memo":"a\x01b"}', "no JSON: Invalid control character"),
    "line break": (b'{"id":12,"memo":"a\nb"}', "no JSON: Invalid control character"),
    "no UTF-8": (b'{"id":12,"memo":"caf\xe9"}', "no UTF-8 at byte 20"),
    "no UTF-8 in a name": (b'{"id":12,"\xe9":1}', "no UTF-8 at byte 10"),
    "no JSON": (b'{"id":12,"memo":}', "no JSON: "),
    "a quote too many": (b'{"id":12,"memo":"a"b","lines":[{"id":1},{"id":2}]}', "no JSON: Expecting"),
    "nothing": (b"", "nothing between two commas"),
    "deep": (b'{"id":12,"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested too deep"),
}


@pytest.mark.parametrize("kind", REJECTS)
@pytest.mark.parametrize("transformer", [None, "$"])
def test_a_row_that_is_no_json_object_is_rejected_and_all_others_land(
    bundle: Bundle, kind: str, transformer: str | None
) -> None:
    row, reason = REJECTS[kind]
    answer_page(bundle, GOOD, row, b'{"id":13}')
    event = {"entity": "orders"} if transformer is None else {"entity": "orders", "entity_transformer": transformer}

    result = bundle.run(event)

    assert bundle.ids(result) == [11, 13]
    assert result["rejected"] == 1
    manifest = bundle.manifest(result)
    assert manifest["verified"] is False
    assert "a row is no record" in manifest["reason"]
    (line,) = rejected(bundle, result)
    assert line["record"] == row.decode(errors="backslashreplace")
    assert line["reason"].startswith(reason)


def test_a_list_of_odd_rows_only_ends_too(bundle: Bundle) -> None:
    answer_page(bundle, b"false")

    result = bundle.run({"entity": "orders", "mode": "incremental"})

    assert (result["status"], result["records"], result["rejected"]) == ("complete", 0, 1)


def test_a_page_that_cannot_be_cut_ends_the_run_with_page_and_place(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.sends(b'{"orders":[{"id":1'), times=99, path_contains="/orders.json")

    with pytest.raises(BrokenResponse, match=r"page 1: .*\(byte 18\); expected JSON, got: "):
        bundle.run({"entity": "orders"})


def test_a_page_that_is_cut_once_is_read_again(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.sends(b'{"orders":[{"id":1'), path_contains="/orders.json")
    bundle.shop.faults.next(Fault.html(200), path_contains="/orders.json")

    result = bundle.run({"entity": "orders"})

    assert sorted(bundle.ids(result)) == sorted(bundle.shop.store.ids("orders"))
    assert bundle.manifest(result)["verified"] is True


@pytest.mark.parametrize("nothing", [b"false", b"null", b'""', b"[]"])
def test_a_brand_without_image_has_no_row(bundle: Bundle, nothing: bytes) -> None:
    brands = sorted(bundle.shop.store.ids("brands"))
    bundle.shop.faults.next(Fault.sends(b'{"brandImage":%b}' % nothing), path_contains=f"/brands/{brands[0]}/image")

    result = bundle.run(IMAGES)

    assert brands[0] not in {record["brand_id"] for record in bundle.records(result)}
    assert result["records"] >= 1
    assert "rejected" not in result


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (b"{ }", b'{"brand_id": %d}'),
        (b'{ "id" : 5 }', b'{"brand_id": %d, "id" : 5 }'),
        (b'{"brand_id":3,"id":5}', b'{"brand_id": %d,"id":5}'),
        (b'{"id":5,"brand\\u005fid":3}', b'{"brand_id": %d,"id":5}'),
        (b'{"title":"\\ud83d"}', b'{"brand_id": %d,"title":"\\ud83d"}'),
    ],
)
def test_the_parents_id_stands_in_front_exactly_once(bundle: Bundle, image: bytes, line: bytes) -> None:
    brand = min(bundle.shop.store.ids("brands"))
    bundle.shop.faults.next(Fault.sends(b'{"brandImage":%b}' % image), path_contains=f"/brands/{brand}/image")

    assert line % brand in bundle.lines(bundle.run(IMAGES))


@pytest.mark.parametrize("image", [b"7", b"true", b'"text"', b'{"title":"\xe9"}', b'{"size":NaN}'])
def test_a_nested_record_that_is_no_json_object_is_rejected(bundle: Bundle, image: bytes) -> None:
    brand = min(bundle.shop.store.ids("brands"))
    bundle.shop.faults.next(Fault.sends(b'{"brandImage":%b}' % image), path_contains=f"/brands/{brand}/image")

    result = bundle.run(IMAGES)

    (line,) = rejected(bundle, result)
    assert line["record"] == image.decode(errors="backslashreplace")
    assert line["reason"].endswith(f"(brand_id {brand})")
    assert bundle.manifest(result)["verified"] is False


def test_an_odd_row_among_nested_ones_is_rejected(bundle: Bundle) -> None:
    order = next(iter(bundle.shop.store.ids("orders")))
    body = b'{"orderProducts":[{"id":1},false,{"order_id":"x","id":2}]}'
    bundle.shop.faults.next(Fault.sends(body), path_contains=f"/orders/{order}/products")

    result = bundle.run(LINES)

    mine = [line for line in bundle.lines(result) if json.loads(line)["order_id"] == order]
    assert mine == [b'{"order_id": %d,"id":1}' % order, b'{"order_id": %d,"id":2}' % order]
    assert [line["record"] for line in rejected(bundle, result)] == ["false"]


@pytest.mark.parametrize("nothing", [b"false", b"null", b'""', b"[]"])
def test_one_record_that_is_false_is_not_there(bundle: Bundle, nothing: bytes) -> None:
    bundle.shop.faults.next(Fault.sends(b'{"quote":%b}' % nothing))

    with pytest.raises(NotFound):
        bundle.run({"entity": "quotes", "parameters": {"path": {"id": 1016615295}}})
    assert bundle.stored("raw/") == []


# Nested records of a parent that the shop lists


def lines_of(bundle: Bundle, result: Json) -> set[int]:
    return {record["id"] for record in bundle.records(result)}


def every_line(bundle: Bundle) -> set[int]:
    store = bundle.shop.store
    return {line for order in store.ids("orders") for line in store.ids("orders/products", order)}


@pytest.mark.parametrize(
    "fault",
    [
        Fault.answers(404),
        Fault.html(404),
        Fault.sends(b"", 404),
    ],
    ids=["in the shop's words", "a proxy's page", "empty"],
)
@pytest.mark.parametrize("times", [1, 2])
def test_a_passing_404_loses_no_nested_record(bundle: Bundle, fault: Fault, times: int) -> None:
    order = next(order for order in bundle.shop.store.ids("orders") if bundle.shop.store.ids("orders/products", order))
    bundle.shop.faults.next(fault, times=times, path_contains=f"/orders/{order}/products")

    result = bundle.run(LINES)

    assert lines_of(bundle, result) == every_line(bundle)
    assert bundle.manifest(result)["verified"] is True


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.answers(404), BrokenResponse),
        (Fault.html(404), BrokenResponse),
        (Fault.answers(404, "Unknown or inactive language."), UnknownLanguage),
    ],
    ids=["in the shop's words", "a proxy's page", "language"],
)
def test_a_lasting_404_for_the_records_of_a_parent_that_is_there_is_an_error(
    bundle: Bundle, fault: Fault, error: type[Exception]
) -> None:
    order = next(iter(bundle.shop.store.ids("orders")))
    bundle.shop.faults.next(fault, times=99, path_contains=f"/orders/{order}/products")

    with pytest.raises(error):
        bundle.run(LINES)
    assert bundle.stored("manifests/") == []


def test_a_parent_that_is_gone_has_no_records(bundle: Bundle) -> None:
    order = next(order for order in bundle.shop.store.ids("orders") if bundle.shop.store.ids("orders/products", order))
    bundle.shop.faults.next(Fault.answers(404), times=99, path_contains=f"/orders/{order}/products")
    bundle.shop.faults.next(Fault.answers(404), times=99, path_contains=f"/orders/{order}.json")

    result = bundle.run(LINES)

    assert lines_of(bundle, result) == every_line(bundle) - set(bundle.shop.store.ids("orders/products", order))


# The shop's clock


def test_a_429_on_the_first_count_does_not_keep_the_window_from_the_shops_time(bundle: Bundle) -> None:
    bundle.clock.ahead = 300.0
    bundle.shop.faults.next(Fault.answers(429, headers={"Retry-After": "30"}), path_contains="/count")

    result, invocations = bundle.run_to_the_end({"entity": "orders", "mode": "incremental"})

    assert invocations == 2
    until = result["bookmark"]["until"]
    assert until == "2026-11-23T06:00:25Z"
    assert bundle.shop.clock.now() - 10 <= MONDAY_SIX + 25 <= bundle.shop.clock.now()


def test_a_date_a_year_ahead_in_one_answer_moves_no_bookmark(bundle: Bundle) -> None:
    odd = Fault.changes_headers({"Date": "Tue, 23 Nov 2027 06:00:00 GMT"})
    for after in (0, 1, 3):
        bundle.shop.faults.next(odd, after=after)

        result = bundle.run({"entity": "orders", "mode": "incremental"})

        assert result["bookmark"]["until"] == "2026-11-23T05:59:55Z"
        bundle.shop.faults.clear()
