"""Reading and writing by entity name."""

import json
from dataclasses import replace

import pytest

from lightspeed import (
    BrokenResponse,
    Client,
    InvalidConnection,
    InvalidParameters,
    InvalidRequest,
    Parameters,
    ServerError,
    UnexpectedResponse,
    UnknownEntity,
    UnsupportedOperation,
)
from tests.integration.lightspeed.conftest import Connect
from tests.shop import Fault, Shop


def ids(client: Client, entity: str, path: dict[str, object] | None = None, **query: object) -> list[list[int]]:
    pages = client.pages(entity, Parameters(path or {}, query))
    return [[json.loads(record)["id"] for record in page.records] for page in pages]


def test_the_seed_example_reads_one_quote(client: Client, shop: Shop) -> None:
    quote = shop.store.ids("quotes")[0]
    record = client.record(client.build("quotes", "get", Parameters({"id": quote})))

    assert shop.requests[0].path == f"/nl/quotes/{quote}.json"
    assert b'{"quote":' + record + b"}" == shop.answer("GET", f"/nl/quotes/{quote}.json")[2]


def test_a_page_has_the_shops_order(client: Client, shop: Shop) -> None:
    page = client.page(client.build("orders", "list", Parameters(query={"limit": 5})))

    assert [json.loads(record)["id"] for record in page.records] == shop.store.ids("orders")[:5]


def test_all_pages_are_all_records(client: Client, shop: Shop) -> None:
    pages = ids(client, "orders", limit=7)

    assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
    assert [record for page in pages for record in page] == shop.store.ids("orders")
    assert [seen.query for seen in shop.requests] == [{"limit": "7", "page": str(page)} for page in range(1, 6)]


def test_a_full_last_page_needs_one_more_request(client: Client) -> None:
    assert [len(page) for page in ids(client, "orders", limit=15)] == [15, 15, 0]


def test_pages_are_as_large_as_the_shop_allows(client: Client, shop: Shop) -> None:
    ids(client, "orders")

    assert [seen.query["limit"] for seen in shop.requests] == ["250"]


def test_pages_may_start_in_the_middle(client: Client, shop: Shop) -> None:
    assert ids(client, "orders", limit=20, page=2) == [shop.store.ids("orders")[20:]]


def test_filters_go_along_with_every_page(client: Client, shop: Shop) -> None:
    ids(client, "orders", limit=2, created_at_min="2026-11-01T00:00:00+01:00", status="on_hold")

    assert {seen.query["created_at_min"] for seen in shop.requests} == {"2026-10-31 23:00:00"}
    assert {seen.query["status"] for seen in shop.requests} == {"on_hold"}


@pytest.mark.parametrize("limit", ["many", 0, 251, None, 2.5], ids=repr)
def test_a_wrong_limit_is_refused_before_any_request(client: Client, shop: Shop, limit: object) -> None:
    with pytest.raises(InvalidParameters, match="query limit must be"):
        ids(client, "orders", limit=limit)

    assert shop.requests == []


def test_a_list_without_pages_is_read_once(client: Client, shop: Shop) -> None:
    checkout = shop.store.add("checkouts")
    pages = list(client.pages("checkouts/payment_methods", Parameters({"checkout_id": checkout})))

    assert len(pages) == 1
    assert len(pages[0].records) > 1
    assert [seen.query for seen in shop.requests] == [{}]


def test_a_shop_that_ignores_the_page_number_is_found_out(client: Client, shop: Shop) -> None:
    page = shop.answer("GET", "/nl/orders.json?limit=5")[2]
    same = replace(Fault.html(200), body=page)
    shop.faults.next(same, times=9)

    with pytest.raises(UnexpectedResponse, match="the same page twice"):
        ids(client, "orders", limit=5)

    assert len(shop.faults.fired) == 2


def test_another_language_of_the_shop_may_be_read(client: Client, shop: Shop) -> None:
    client.page(client.build("products", "list", language="en"))
    list(client.pages("products", Parameters(), language="de"))

    assert [seen.path for seen in shop.requests] == ["/en/products.json", "/de/products.json"]
    with pytest.raises(InvalidConnection):
        client.build("products", "list", language="../")


def test_counting_takes_the_filters_of_the_list(client: Client, shop: Shop) -> None:
    customer = shop.store.rows("orders")[0]["customer"]
    query = {"customer": customer}

    assert client.count(client.build("orders", "count", Parameters(query=query))) == len(
        shop.store.where("orders", "customer", customer)
    )


def test_what_is_written_comes_back_as_the_shop_has_it(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.changes_headers({"X-Request-Id": "r-7"}))
    written = client.write(client.build("products", "create", Parameters(payload={"title": "Kop é"})))

    assert written.record is not None
    record = json.loads(written.record)
    assert (written.http_status, written.request_id) == (201, "r-7")
    assert record["title"] == "Kop é"
    assert record["id"] in shop.store.ids("products")


def test_a_deletion_brings_no_record(client: Client, shop: Shop) -> None:
    product = shop.store.ids("products")[0]
    written = client.write(client.build("products", "delete", Parameters({"id": product})))

    assert (written.http_status, written.record) == (204, None)
    assert product not in shop.store.ids("products")


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b"[]", b"null"], ids=repr)
def test_a_deletion_may_also_answer_200_and_nothing_in_json(client: Client, shop: Shop, body: bytes) -> None:
    shop.faults.next(replace(Fault.html(200), body=body))
    written = client.write(client.build("products", "delete", Parameters({"id": 7})))

    assert (written.http_status, written.record) == (200, None)


def test_a_bulk_update_answers_all_its_records(client: Client, shop: Shop) -> None:
    rows = [{"id": variant, "stockLevel": 5} for variant in shop.store.ids("variants")[:3]]
    written = client.write(client.build("variants", "bulk", Parameters(payload=rows)))

    assert written.record is not None
    assert [record["id"] for record in json.loads(written.record)] == [row["id"] for row in rows]


def test_an_error_inside_a_good_answer_is_an_error(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.error_in_success("Something went wrong"), times=9)
    requests = (
        client.build("products", "list"),
        client.build("products", "count"),
        client.build("products", "create", Parameters(payload={"title": "Mug"})),
    )

    for request, send in zip(requests, (client.page, client.count, client.write), strict=True):
        with pytest.raises(ServerError) as caught:
            send(request)
        assert (caught.value.status, caught.value.message) == (500, "Something went wrong")


def test_an_error_inside_without_a_code_keeps_the_status_of_the_answer(client: Client, shop: Shop) -> None:
    shop.faults.next(replace(Fault.html(200), body=b'{"error":"no"}'))

    with pytest.raises(InvalidRequest) as caught:
        client.count(client.build("products", "count"))

    assert (caught.value.status, caught.value.message) == (200, '"no"')


@pytest.mark.parametrize("entity", ["products", "checkouts"])
@pytest.mark.parametrize("operation", ["list", "get", "count", "delete"])
def test_a_page_of_html_is_an_error_with_its_first_words(
    client: Client, shop: Shop, entity: str, operation: str
) -> None:
    shop.faults.next(Fault.html(200), times=4)
    path = {"id": 7} if operation in ("get", "delete") else {}
    request = client.build(entity, operation, Parameters(path))
    send = {"list": client.page, "get": client.record, "count": client.count, "delete": client.write}[operation]

    with pytest.raises(BrokenResponse) as caught:
        send(request)

    assert len(shop.requests) == (1 if operation == "delete" else 4)
    assert caught.value.status == 200
    assert str(caught.value).endswith("expected JSON, got: 200 Maintenance Maintenance")


def test_json_of_somebody_else_is_an_error(client: Client, shop: Shop) -> None:
    shop.faults.next(replace(Fault.html(200), body=b'{"status":"ok","version":3}'))

    with pytest.raises(UnexpectedResponse, match="expected a record under 'product', found status, version"):
        client.record(client.build("products", "get", Parameters({"id": 7})))


@pytest.mark.parametrize(
    ("entity", "operation", "error"),
    [
        ("ordres", "list", UnknownEntity),
        ("orders", "create", UnsupportedOperation),
        ("orders", "get", InvalidParameters),
    ],
)
def test_nothing_is_sent_before_the_request_is_valid(
    client: Client, shop: Shop, entity: str, operation: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        client.build(entity, operation)

    assert shop.requests == []


def test_an_update_under_another_name_of_the_verb(connect: Connect) -> None:
    client = connect({"update_method": "PATCH"})

    assert client.build("products", "update", Parameters({"id": 7}, payload={"title": "x"})).method == "PATCH"
