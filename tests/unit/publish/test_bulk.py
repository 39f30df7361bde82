import json
from typing import Any

import pytest

from lightspeed import Client, Connection, InvalidRequest, Request, Response, Transport, UnknownLanguage
from publish.bulk import LIMIT, Change, fits, update_variants
from publish.outcome import Outcome, result


class Bulk(Transport):
    """Takes bulks; refuses those that hold a bad variant, and answers with the rows that it is told to."""

    bad: frozenset[int] = frozenset()
    error: Exception | None = None
    answer: Any = None
    sizes: list[int]

    def send(self, request: Request) -> Response:
        assert isinstance(request.body, bytes)
        entries = json.loads(request.body)["variant"]
        self.sizes.append(len(entries))
        if self.error is not None:
            raise self.error
        if any(entry["id"] in self.bad for entry in entries):
            raise InvalidRequest("Unknown variant", method="PUT", path=request.path, status=422)
        rows = {"variants": entries} if self.answer is None else self.answer
        return Response(200, b"" if rows == "" else json.dumps(rows).encode(), None, None, "")


@pytest.fixture
def bulk() -> Bulk:
    settings = {"cluster": "eu1", "api_key": "key", "api_secret": "secret", "language": "nl"}
    transport = Bulk(Connection.from_mapping(settings))
    transport.sizes = []
    return transport


def publish(bulk: Bulk, count: int) -> tuple[list[Outcome], list[object]]:
    """Update variants 1 to count; the outcomes, and those that were updated by themselves."""
    singles: list[object] = []

    def alone(change: Change) -> Outcome:
        singles.append(change[0])
        if change[0] in bulk.bad:
            return InvalidRequest("bad", method="PUT", path="/", status=422)
        return result("updated", 200, change[0], None)

    changes: list[Change] = [(number, {"stockLevel": 1}) for number in range(1, count + 1)]
    return update_variants(Client(bulk), changes, alone), singles


def test_a_bulk_holds_a_hundred(bulk: Bulk) -> None:
    outcomes, singles = publish(bulk, 250)
    assert bulk.sizes == [LIMIT, LIMIT, 50]
    assert [outcome["id"] for outcome in outcomes if isinstance(outcome, dict)] == list(range(1, 251))
    assert singles == []


def test_one_change_is_no_bulk(bulk: Bulk) -> None:
    assert publish(bulk, 1)[1] == [1]
    assert publish(bulk, 0) == ([], [])


@pytest.mark.parametrize("bad", [1, 37, 64, 100])
def test_one_bad_entry_of_a_hundred_is_found_in_fifteen_requests(bulk: Bulk, bad: int) -> None:
    bulk.bad = frozenset([bad])
    outcomes, singles = publish(bulk, 100)
    assert [n for n, outcome in enumerate(outcomes, 1) if not isinstance(outcome, dict)] == [bad]
    assert bad in singles
    assert len(bulk.sizes) + len(singles) <= 15


def test_an_entry_that_the_answer_leaves_out_is_updated_by_itself(bulk: Bulk) -> None:
    bulk.answer = {"variants": [{"id": 1}, {"id": 2, "error": "no"}, {"id": 4}]}
    outcomes, singles = publish(bulk, 4)
    assert singles == [2, 3]
    assert len(outcomes) == 4


def test_an_entry_that_was_answered_with_another_value_is_updated_by_itself(bulk: Bulk) -> None:
    bulk.answer = {"variants": [{"id": 1, "stockLevel": 1}, {"id": 2, "stockLevel": 5}, {"id": 3}]}
    outcomes, singles = publish(bulk, 3)
    assert singles == [2]
    assert len(outcomes) == 3


def test_an_answer_without_rows_is_taken_at_its_word(bulk: Bulk) -> None:
    bulk.answer = ""
    outcomes, singles = publish(bulk, 3)
    assert singles == []
    assert [outcome["id"] for outcome in outcomes if isinstance(outcome, dict)] == [1, 2, 3]


def test_a_language_that_the_shop_lacks_is_no_bad_entry(bulk: Bulk) -> None:
    bulk.error = UnknownLanguage("Unknown language", method="PUT", path="/xx/variants/bulk.json", status=404)
    outcomes, singles = publish(bulk, 8)
    assert outcomes == [bulk.error] * 8
    assert (bulk.sizes, singles) == ([8], [])


@pytest.mark.parametrize("field", ["stockLevel", "stockTracking", "priceExcl", "priceCost", "oldPriceIncl"])
def test_stock_and_prices_of_variants_fit(field: str) -> None:
    assert fits("variants", {field: 1})
    assert not fits("variants", {field: 1, "title": "x"})
    assert not fits("products", {field: 1})
    assert not fits("variants", {})
