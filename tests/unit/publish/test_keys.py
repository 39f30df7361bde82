import json
from typing import Any

import pytest

from lightspeed import Client, Connection, Parameters, Request, Response, Transport, get_entity
from lightspeed.writing.natural_key import NaturalKey
from publish.batch.lookups import KeyIndex
from tests.support.fake_transport import FakeTransport

ENDPOINT = get_entity("variants")


class Shop(FakeTransport, Transport):
    """Gives pages of variants."""

    pages: list[list[dict[str, Any]]]

    def send(self, request: Request) -> Response:
        rows = self.pages[int(request.query["page"]) - 1]
        return Response(200, json.dumps({"variants": rows}).encode(), "")


def shop() -> Shop:
    settings = {"cluster": "eu1", "api_key": "key", "api_secret": "secret", "language": "nl"}
    return Shop(Connection.from_mapping(settings))


def read(*rows: dict[str, Any], names: tuple[str, ...] = ("sku",)) -> KeyIndex:
    """What is known after a list of one page."""
    transport = shop()
    transport.pages = [list(rows)]
    keys = KeyIndex(ENDPOINT, names)
    assert list(keys.read(Client(transport))) == [None]
    return keys


def match(**fields: object) -> NaturalKey:
    return NaturalKey(Client(shop()), ENDPOINT, tuple(fields), Parameters(payload=fields))


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (249, 1), (250, 2), (251, 2), (1500, 7)])
def test_the_last_page_is_one_that_is_not_full(count: int, requests: int) -> None:
    assert KeyIndex.requests(count) == requests


def test_only_a_value_of_one_record_is_answered() -> None:
    keys = read({"id": 1, "sku": "A"}, {"id": 2, "sku": "B"}, {"id": 1, "sku": "A"}, {"id": 3, "sku": "B"})
    assert [keys.find(match(sku=sku)) for sku in "ABC"] == [1, None, None]


def test_three_records_of_one_value_are_no_more_one_than_two() -> None:
    keys = read(*({"id": identity, "sku": "A"} for identity in (1, 2, 1, 2, 1)))
    assert keys.find(match(sku="A")) is None


@pytest.mark.parametrize("row", [{"sku": "1"}, {"id": 5}, {"id": 5, "sku": None}, {"id": 5, "sku": False}, {"sku": ""}])
def test_a_row_without_id_or_value_is_not_found(row: dict[str, Any]) -> None:
    keys = read(row)
    assert [keys.find(match(sku=sku)) for sku in ("1", "None", "False")] == [None] * 3


def test_a_number_is_found_as_text_and_text_as_a_number() -> None:
    assert read({"id": 1, "sku": "17"}).find(match(sku=17)) == 1
    assert read({"id": 1, "sku": 17}).find(match(sku="17")) == 1


def test_a_relation_is_found_by_its_id() -> None:
    keys = read({"id": 1, "sku": "A", "product": {"resource": {"id": 7, "url": "u"}}}, names=("sku", "product"))
    assert keys.find(match(sku="A", product=7)) == 1
    assert keys.find(match(sku="A", product=8)) is None


def test_a_write_of_other_fields_changes_nothing() -> None:
    keys = read({"id": 1, "sku": "A"})
    keys.forget(1, {"stockLevel": 4})
    assert keys.find(match(sku="A")) == 1


def test_a_record_whose_key_is_written_and_the_value_it_gets_are_forgotten() -> None:
    keys = read({"id": 1, "sku": "A"}, {"id": 2, "sku": "B"}, {"id": 3, "sku": "C"})
    keys.forget("1", {"sku": "B"})
    assert [keys.find(match(sku=sku)) for sku in "ABC"] == [None, None, 3]


def test_a_deleted_record_is_forgotten() -> None:
    keys = read({"id": 1, "sku": "A"}, {"id": 2, "sku": "B"})
    keys.forget(1, None)
    assert [keys.find(match(sku=sku)) for sku in "AB"] == [None, 2]


def test_a_write_of_a_part_of_the_key_forgets_everything() -> None:
    keys = read({"id": 1, "sku": "A", "ean": "1"}, {"id": 2, "sku": "B", "ean": "2"}, names=("sku", "ean"))
    assert keys.find(match(sku="A", ean="1")) == 1
    keys.forget(2, {"ean": "1"})
    assert keys.find(match(sku="A", ean="1")) is None


def test_the_field_of_a_filter_that_has_another_name_counts_as_the_key() -> None:
    keys = read({"id": 1, "articleCode": "A"}, names=("article_code",))
    assert keys.find(match(article_code="A")) == 1
    keys.forget(1, {"articleCode": "B"})
    assert keys.find(match(article_code="A")) is None


def test_a_key_is_not_written_again_unless_it_is_all_or_may_differ() -> None:
    assert match(sku="A").without({"sku": "A", "stockLevel": 1}) == {"stockLevel": 1}
    assert match(sku="A").without({"sku": "A"}) == {"sku": "A"}
    assert match(article_code="A").without({"articleCode": "A", "hs": "1"}) == {"hs": "1"}
    buyer = NaturalKey(Client(shop()), get_entity("customers"), ["email"], Parameters(payload={"email": "A@b.c"}))
    assert buyer.without({"email": "A@b.c", "firstname": "A"}) == {"email": "A@b.c", "firstname": "A"}
