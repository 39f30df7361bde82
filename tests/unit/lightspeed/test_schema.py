"""The schemas that are inferred from records, and those that ship with the catalogue."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightspeed.catalogue.entities import CATALOGUE
from lightspeed.catalogue.sample_schemas import PLACE, load_sample_schemas
from lightspeed.numbers import dumps, loads
from lightspeed.schema import MAX_FIELDS, Inference
from tests.schemas import content, samples_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text("ab1", max_size=2), inside, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.text("abc1", max_size=2), VALUES, max_size=4), max_size=4)


def inferred(*records: dict[str, Any], **options: bool) -> dict[str, Any]:
    inference = Inference()
    for record in records:
        inference.add(record)
    return inference.schema(**options)


@settings(max_examples=40, deadline=None)
@given(RECORDS)
def test_every_record_is_valid_under_the_schema_inferred_of_it(records: list[dict[str, Any]]) -> None:
    validator = jsonschema_rs.validator_for(inferred(*records))

    assert all(validator.is_valid(record) for record in records)


def test_a_field_has_every_type_that_was_seen() -> None:
    schema = inferred({"image": False}, {"image": {"id": 7}}, {"image": None})

    assert schema["properties"]["image"] == {
        "type": ["null", "boolean", "object"],
        "properties": {"id": {"type": "integer"}},
    }


def test_integers_beside_fractions_are_numbers() -> None:
    assert inferred(loads(b'{"price":12}'), loads(b'{"price":12.50}'))["properties"]["price"] == {"type": "number"}


def test_a_field_that_was_always_none_says_so() -> None:
    assert inferred({"brand": False}, {"brand": None})["properties"]["brand"]["x-none"] == 1
    assert "x-none" not in inferred({"brand": False}, {"brand": True})["properties"]["brand"]


def test_keys_that_are_ids_are_one_pattern_and_not_many_properties() -> None:
    schema = inferred({"variants": {"1": {"sku": "A"}, "2": {"sku": False}}})["properties"]["variants"]

    assert "properties" not in schema
    assert schema["patternProperties"] == {
        "^[0-9]+$": {"type": "object", "properties": {"sku": {"type": ["boolean", "string"]}}}
    }


def test_a_schema_names_a_bounded_number_of_fields() -> None:
    schema = inferred({f"field{number}": {"inside": number} for number in range(MAX_FIELDS)})

    assert len(schema["properties"]) == MAX_FIELDS / 2


def test_shares_say_how_often_a_field_is_there_and_none() -> None:
    schema = inferred({"email": "a@b.example"}, {"email": None}, {"email": False}, {}, shares=True)

    assert schema["properties"]["email"] == {
        "type": ["null", "boolean", "string"],
        "x-present": 0.75,
        "x-none": 0.6667,
        "x-longest": 11,
    }


@pytest.mark.parametrize("shares", [True, False])
def test_a_value_is_repeated_only_if_asked_for(shares: bool) -> None:
    record = {"email": "jan@example.com", "lines": [{"note": "for Jan"}]}

    assert "jan" not in json.dumps(inferred(record, shares=shares)).lower()
    assert inferred(record, examples=True)["properties"]["email"]["examples"] == ["jan@example.com"]


def test_the_shipped_schemas_are_those_of_the_samples() -> None:
    assert PLACE.read_text(encoding="utf-8") == content(), "run `make schemas`"


def test_every_sample_is_valid_under_its_shipped_schema() -> None:
    schemas = load_sample_schemas()
    checked = 0
    for name, schema in schemas.items():
        validator = jsonschema_rs.validator_for(schema)
        for record in samples_of(CATALOGUE[name]):
            assert validator.is_valid(json.loads(dumps(record))), name
            checked += 1
    assert checked >= 80
