import json
from collections.abc import Mapping
from typing import Any

import pytest

from connector.settings import Settings
from lightspeed import Client, Connection, InvalidRequest, Request, Response, Transport, UnknownLanguage, WriteResponse
from publish.batch.guard import Guard
from publish.batch.planner import MAX_RECORDS, PreparedWrite, bulk_route
from publish.batch.updates import UpdateSender
from publish.dependencies import Dependencies
from publish.event import parse_request
from publish.publisher import Publisher
from publish.result import Outcome
from publish.write import WriteOperation
from tests.integration.publish.conftest import event
from tests.support.fake_transport import FakeTransport
from tests.support.lambda_context import Context

STOCK = {"stockLevel": 1}
VALUE = {"value": "USA"}


class Shop(FakeTransport, Transport):
    """Takes updates; refuses requests with a bad record, and answers a bulk with the rows that it is told to.

    Attributes:
        sizes: Of each bulk request.
        paths: Of each bulk request.
        singles: Ids of the records that were updated alone.
    """

    bad: frozenset[int] = frozenset()
    error: BaseException | None = None
    answer: Any = None
    sizes: list[int]
    paths: list[str]
    singles: list[int]

    def send(self, request: Request) -> Response:
        assert isinstance(request.body, bytes)
        ((key, written),) = json.loads(request.body).items()
        if isinstance(written, list):
            self.sizes.append(len(written))
            self.paths.append(request.path)
            ids = {entry["id"] for entry in written}
            rows = {key: written} if self.answer is None else self.answer
        else:
            identity = int(request.path.rpartition("/")[2].removesuffix(".json"))
            self.singles.append(identity)
            ids, rows = {identity}, {key: {"id": identity, **written}}
        if self.error is not None:
            raise self.error
        if ids & self.bad:
            raise InvalidRequest("Unknown variant", method="PUT", path=request.path, status=422)
        return Response(200, b"" if rows == "" else json.dumps(rows).encode(), "")


@pytest.fixture
def shop() -> Shop:
    settings = {"cluster": "eu1", "api_key": "key", "api_secret": "secret", "language": "nl"}
    transport = Shop(Connection.from_mapping(settings))
    transport.sizes, transport.paths, transport.singles = [], [], []
    return transport


def publish(
    shop: Shop, count: int, entity: str = "variants", fields: Mapping[str, Any] = STOCK
) -> tuple[list[Outcome], list[int]]:
    """Update records 1 to count; the outcomes, and those that were updated alone."""
    assert bulk_route(entity, fields) is not None
    parents = {"product_id": 7} if entity == "products/attributes" else {}
    events = [event(entity, "update", dict(fields), path={**parents, "id": n}) for n in range(1, count + 1)]
    deps = Dependencies(Settings("", "", "", "", "", "", 0.0))
    operations = [WriteOperation.prepare(parse_request(one), Client(shop), deps) for one in events]
    items = [PreparedWrite(n, operation) for n, operation in enumerate(operations)]
    outcomes = UpdateSender(Guard(Publisher(deps, Context()), {}), deps).send(items)
    return [outcomes[position] for position in range(count)], shop.singles


@pytest.mark.parametrize("bad", [1, 37, 64, 100])
def test_one_bad_entry_of_a_hundred_is_found_in_fifteen_requests(shop: Shop, bad: int) -> None:
    shop.bad = frozenset([bad])
    outcomes, singles = publish(shop, MAX_RECORDS)
    assert [n for n, outcome in enumerate(outcomes, 1) if not isinstance(outcome, dict)] == [bad]
    assert bad in singles
    assert len(shop.sizes) + len(singles) <= 15


def test_an_entry_that_the_answer_leaves_out_is_updated_by_itself(shop: Shop) -> None:
    shop.answer = {"variants": [{"id": 1}, {"id": 2, "error": "no"}, {"id": 4}]}
    outcomes, singles = publish(shop, 4)
    assert singles == [2, 3]
    assert len(outcomes) == 4


def test_an_entry_that_was_answered_with_another_value_is_updated_by_itself(shop: Shop) -> None:
    shop.answer = {"variants": [{"id": 1, "stockLevel": 1}, {"id": 2, "stockLevel": 5}, {"id": 3}]}
    outcomes, singles = publish(shop, 3)
    assert singles == [2]
    assert len(outcomes) == 3


def test_an_entry_that_was_answered_with_another_form_of_its_value_is_done(shop: Shop) -> None:
    shop.answer = {"variants": [{"id": 1, "stockLevel": "1"}, {"id": 2, "stockLevel": "1.00"}, {"id": 3}]}
    assert publish(shop, 3)[1] == []


def test_an_answer_without_rows_is_taken_at_its_word(shop: Shop) -> None:
    shop.answer = ""
    outcomes, singles = publish(shop, 3)
    assert singles == []
    assert [outcome["id"] for outcome in outcomes if isinstance(outcome, dict)] == [1, 2, 3]


def test_a_language_that_the_shop_lacks_is_no_bad_entry(shop: Shop) -> None:
    shop.error = UnknownLanguage("Unknown language", method="PUT", path="/xx/variants/bulk.json", status=404)
    outcomes, singles = publish(shop, 8)
    assert outcomes == [shop.error] * 8
    assert (shop.sizes, singles) == ([8], [])


def test_after_an_answer_that_cannot_be_read_each_update_is_sent_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = Client.write

    def unreadable(client: Client, request: Request) -> WriteResponse:
        written = write(client, request)
        if request.operation == "bulk":
            raise RecursionError("deep")
        return written

    monkeypatch.setattr(Client, "write", unreadable)
    outcomes, singles = publish(shop, 3)
    assert [outcome["id"] for outcome in outcomes if isinstance(outcome, dict)] == [1, 2, 3]
    assert (shop.sizes, singles) == ([3], [1, 2, 3])
    assert "unexpected error after a write was sent" in caplog.text


def test_what_ends_the_process_is_no_outcome(shop: Shop) -> None:
    shop.error = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        publish(shop, 3)


def test_attribute_values_of_a_product_go_to_its_own_path(shop: Shop) -> None:
    outcomes, singles = publish(shop, 3, "products/attributes", VALUE)
    assert [outcome["record"] for outcome in outcomes if isinstance(outcome, dict)] == [
        {"id": number, "value": "USA"} for number in (1, 2, 3)
    ]
    assert (shop.paths, singles) == (["/nl/products/7/attributes.json"], [])


@pytest.mark.parametrize(
    "row",
    [{"id": 2}, {"id": 2, "value": "Canada"}, {"id": 2, "value": "USA", "error": "no"}, {"id": 9, "value": "USA"}],
)
def test_an_attribute_value_that_the_answer_does_not_show_is_updated_by_itself(
    shop: Shop, row: Mapping[str, Any]
) -> None:
    shop.answer = {"productAttributes": [{"id": 1, "value": "USA"}, row]}
    assert publish(shop, 2, "products/attributes", VALUE)[1] == [2]


@pytest.mark.parametrize("answer", ["", {"productAttributes": []}, {"done": True}])
def test_an_answer_without_rows_proves_no_attribute_value(shop: Shop, answer: object) -> None:
    shop.answer = answer
    assert publish(shop, 3, "products/attributes", VALUE)[1] == [1, 2, 3]


@pytest.mark.parametrize("field", ["stockLevel", "stockTracking", "priceExcl", "priceCost", "oldPriceIncl"])
def test_stock_and_prices_of_variants_fit(field: str) -> None:
    assert bulk_route("variants", {field: 1})
    assert not bulk_route("variants", {field: 1, "title": "x"})
    assert not bulk_route("products", {field: 1})
    assert not bulk_route("variants", {})


def test_values_of_attributes_fit() -> None:
    assert bulk_route("products/attributes", VALUE)
    assert not bulk_route("products/attributes", {"value": "USA", "attribute": 5})
    assert not bulk_route("attributes", VALUE)
