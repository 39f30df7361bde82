"""The objects in the bucket after a run, and the run's result."""

import gzip
import hashlib
import json

import pytest

from connector.timestamps import iso_text
from lightspeed import ResponseTooLarge
from tests.integration.subscribe.bundle import Bundle, quote_event
from tests.shop import Fault, Shop
from tests.support.clock import MONDAY_SIX

DAY = "connection=default/entity=orders/lang=nl/date=2026-11-23"


def test_a_list_is_landed_in_parts_with_a_manifest(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders"})

    (part,) = bundle.stored("raw/")
    sha256 = hashlib.sha256(bundle.body(part)).hexdigest()
    assert part == f"raw/{DAY}/run=run-1/part-00000-{sha256[:16]}.jsonl.gz"
    assert result == {
        "run_id": "run-1",
        "connection": "default",
        "entity": "orders",
        "status": "complete",
        "records": 30,
        "objects": [part],
        "manifest": f"manifests/{DAY}/run-1.json",
        "requests": 2,
        "bookmark": None,
        "verified": True,
    }
    assert sorted(bundle.ids(result)) == sorted(bundle.shop.store.ids("orders"))
    assert bundle.stored("manifests/") == [result["manifest"]]
    assert len(bundle.body(result["manifest"]).splitlines()) == 1


@pytest.mark.parametrize("transformer", [{}, {"entity_transformer": "$"}], ids=["as sent", "transformed"])
def test_the_level_of_gzip_changes_the_size_only(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, transformer: dict[str, str]
) -> None:
    lines, sizes = [], []
    for level in ("1", "9"):
        monkeypatch.setenv("GZIP_LEVEL", level)
        result = bundle.run_to_the_end({"entity": "orders", **transformer}, f"level-{level}")[0]
        lines.append(bundle.lines(result))
        sizes.append(sum(len(bundle.body(key)) for key in result["objects"]))

    assert lines[0] == lines[1]
    assert sizes[1] < 0.9 * sizes[0]


@pytest.mark.parametrize(("megabytes", "is_read"), [("8", False), ("16", True)])
def test_an_answer_is_read_up_to_the_size_that_is_set(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, megabytes: str, is_read: bool
) -> None:
    monkeypatch.setenv("MAX_RESPONSE_MB", megabytes)
    bundle.shop.faults.next(Fault.sends(b'{"quote":{"id":1016615295,"memo":"%s"}}' % (b"x" * (9 << 20))))

    if is_read:
        assert bundle.run(quote_event())["records"] == 1
        return
    with pytest.raises(ResponseTooLarge, match="the answer has more than 8,388,608 bytes"):
        bundle.run(quote_event())


def test_the_manifest_tells_request_window_parts_and_counts(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders"})

    manifest = bundle.manifest(result)
    part = manifest.pop("parts")[0]
    assert manifest == {
        "run_id": "run-1",
        "request_id": "",
        "connection": "default",
        "entity": "orders",
        "language": "nl",
        "request": {"entity": "orders"},
        "started": "2026-11-23T06:00:00Z",
        "window": {"by": "created_at", "start": None, "end": "2026-11-23T05:59:55Z"},
        "newest_change": max(iso_text(row["updatedAt"]) for row in bundle.shop.store.rows("orders")),
        "records": 30,
        "deleted": [],
        "rejected": [],
        "count": {"before": 30, "after": 30},
        "verified": True,
        "reason": None,
        "warnings": [],
    }
    assert set(part) == {"key", "records", "bytes", "sha256"}


def test_one_record_by_path_id(bundle: Bundle) -> None:
    result = bundle.run(quote_event())

    assert bundle.sent == ["GET /nl/quotes/1016615295.json"]
    assert (result["records"], result["requests"]) == (1, 1)
    assert bundle.ids(result) == [1016615295]
    assert bundle.manifest(result)["verified"] is True


def test_a_singleton_needs_no_id(bundle: Bundle) -> None:
    result = bundle.run({"entity": "shop"})

    assert bundle.sent == ["GET /nl/shop.json"]
    assert bundle.records(result)[0]["mainDomain"] == "example-shop.example"


def test_a_nested_entity_takes_its_parent_and_its_key_has_a_dot(bundle: Bundle) -> None:
    product = bundle.shop.store.ids("products")[0]

    result = bundle.run({"entity": "products/images", "parameters": {"path": {"product_id": product}}})

    assert result["records"] == len(bundle.shop.store.ids("products/images", product)) > 0
    assert "/entity=products.images/" in result["manifest"]


def test_a_bare_entity_is_landed_whole(bundle: Bundle) -> None:
    order = bundle.shop.answer("POST", "/nl/checkouts.json", body=b'{"mode":"guest"}')
    checkout = json.loads(order[2])["id"]

    result = bundle.run({"entity": "checkouts", "parameters": {"path": {"id": checkout}}})

    assert bundle.lines(result) == [bundle.shop.answer("GET", f"/nl/checkouts/{checkout}.json")[2]]


def test_a_list_without_pages_is_one_request(bundle: Bundle) -> None:
    order = bundle.shop.answer("POST", "/nl/checkouts.json", body=b'{"mode":"guest"}')
    checkout = json.loads(order[2])["id"]
    bundle.shop.requests.clear()

    result = bundle.run({"entity": "checkouts/payment_methods", "parameters": {"path": {"checkout_id": checkout}}})

    assert bundle.sent == [f"GET /nl/checkouts/{checkout}/payment_methods.json"]
    assert result["records"] > 0
    assert bundle.manifest(result)["count"] == {"before": None, "after": None}


def test_an_empty_list_has_a_manifest_and_no_part(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders", "parameters": {"query": {"number": "NONE"}}})

    assert (result["records"], result["objects"]) == (0, [])
    manifest = bundle.manifest(result)
    assert (manifest["records"], manifest["parts"], manifest["verified"]) == (0, [], True)


def test_records_are_landed_byte_for_byte(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders"})

    shop = bundle.shop
    sent = [line for i in shop.store.ids("orders") if (line := shop.store.text("orders", i, "nl")) is not None]
    assert sorted(bundle.lines(result)) == sorted(line.encode() for line in sent)


ODD = (
    b'{"id":7,"createdAt":"2026-01-01T00:00:00+00:00","big":123456789012345678901234567890,"price":1.10,"exp":1E+2,'
    b'"z":false,"a":null,"empty":"","nothing":{},"unicode":"\\u00e9\\ud83d\\ude00 \\/ \xe2\x82\xac","b":0,"b2":-0.0}'
)


def answering(shop: Shop, path: str, body: bytes) -> None:
    """Let the shop answer a path with these bytes."""
    inner = shop.handle

    def handle(request):  # type: ignore[no-untyped-def]
        answer = inner(request)
        if request.path == path:
            answer.status, answer.body = 200, body
        return answer

    shop.handle = handle  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("entity", "path", "wrap"),
    [
        ("taxes", {"id": 7}, b'{"tax":%s}'),
        ("taxes", {}, b'{"taxes":[%s]}'),
    ],
    ids=["record", "list"],
)
def test_numbers_escapes_and_order_of_keys_stay_as_sent(
    bundle: Bundle, entity: str, path: dict[str, int], wrap: bytes
) -> None:
    bundle.shop.ignore_filter("fields")
    answering(bundle.shop, "/nl/taxes/count.json", b'{"count":1}')
    answering(bundle.shop, "/nl/taxes/7.json" if path else "/nl/taxes.json", wrap % ODD)

    result = bundle.run({"entity": entity, "parameters": {"path": path}})

    assert bundle.lines(result) == [ODD]


def test_a_pretty_printed_answer_is_one_line_a_record_and_otherwise_untouched(bundle: Bundle) -> None:
    body = b'{\n  "tax": {\n    "id": 7,\r\n    "rate": 0.210,\n    "title": "BTW\\n21%"\n  }\n}\n'
    answering(bundle.shop, "/nl/taxes/7.json", body)

    result = bundle.run({"entity": "taxes", "parameters": {"path": {"id": 7}}})

    assert bundle.lines(result) == [b'{    "id": 7,    "rate": 0.210,    "title": "BTW\\n21%"  }']


def test_the_api_key_inside_account_is_masked(bundle: Bundle) -> None:
    result = bundle.run({"entity": "account"})

    assert bundle.records(result)[0]["apiKey"] == "***"
    assert bundle.shop.api_key.encode() not in gzip.decompress(bundle.body(result["objects"][0]))


def test_an_entity_transformer_sees_a_masked_api_key(bundle: Bundle) -> None:
    result = bundle.run({"entity": "account", "entity_transformer": '{"stolen": apiKey}'})

    assert bundle.records(result) == [{"stolen": "***"}]


def test_the_date_of_the_keys_is_the_start_of_the_run(bundle: Bundle) -> None:
    bundle.clock.advance(18 * 3600 - 10)  # ten seconds to midnight
    bundle.shop.limits.use(271)

    result, invocations = bundle.run_to_the_end({"entity": "orders"})

    assert invocations == 2
    assert bundle.clock.now() >= MONDAY_SIX + 18 * 3600
    assert "/date=2026-11-23/" in result["manifest"]


def test_a_repeated_run_answers_what_it_answered(bundle: Bundle) -> None:
    first = bundle.run({"entity": "orders"}, "run-1")
    before = {key: bundle.body(key) for key in bundle.stored()}
    bundle.shop.requests.clear()

    again = bundle.run({"entity": "orders"}, "run-1")

    assert again == first
    assert {key: bundle.body(key) for key in bundle.stored()} == before
    assert bundle.sent == []


def test_a_run_id_is_for_one_request(bundle: Bundle) -> None:
    bundle.run({"entity": "orders"}, "run-1")
    bundle.shop.requests.clear()

    with pytest.raises(Exception, match="run_id run-1 was used before for another request"):
        bundle.run({"entity": "products"}, "run-1")

    assert bundle.sent == []
