"""The tap's schemas, the records that match them, and its catalogue."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightspeed.catalogue.entities import CATALOGUE
from lightspeed.numbers import dumps
from lightspeed.tap.schema import DECIMAL, RecordFitter, paths, stream_schema
from lightspeed.tap.streams import KEY, CatalogError, Stream, discover, select, streams
from lightspeed.tap.sync import StateError, bookmark_of, with_bookmark
from tests.integration.subscribe.test_odd_rows import LANDS
from tests.schemas import samples_of

STREAMS = {stream.name: stream for stream in streams()}
ORDERS = STREAMS["orders"]
LINE = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "price": {"type": "number"},
        "title": {"type": "string"},
        "image": {"type": "boolean", "x-none": 1},
        "brand": {"type": ["boolean", "object"], "properties": {"id": {"type": "integer"}}},
        "tags": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
    },
}
SCHEMA = stream_schema(LINE, (KEY,), ("updatedAt",))


def fitted(text: bytes, schema: dict[str, Any] = SCHEMA) -> bytes:
    """Return the fitted record, after checking that it matches."""
    found = RecordFitter(schema).fit(text)
    assert found is not None
    assert jsonschema_rs.validator_for(schema).is_valid(json.loads(found))
    return found


def test_every_sample_matches_its_stream_and_passes_unchanged() -> None:
    checked = 0
    for stream in STREAMS.values():
        for record in samples_of(stream.endpoint):
            text = dumps({**dict.fromkeys(stream.endpoint.parents, 7), **record})
            assert fitted(text, stream.schema) == text
            checked += 1
    assert checked >= 60


def test_the_page_names_every_list_whose_fields_are_not_known() -> None:
    page = (Path(__file__).parents[3] / "layers/lightspeed/README.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| lists without a sample |")]

    unknown = {
        stream.endpoint.name for stream in STREAMS.values() if set(stream.schema["properties"]) <= TIMES_AND_KEYS
    }

    assert set(re.findall(r"`(\w+)`", row)) == unknown


TIMES_AND_KEYS = {"id", "createdAt", "updatedAt"}


@pytest.mark.parametrize("row", [row for row in LANDS.values() if b'"id":12' in row])
def test_an_odd_row_matches_too(row: bytes) -> None:
    fitted(row, ORDERS.schema)


@pytest.mark.parametrize("row", [b'{"id":false}', b'{"id":null}', b"{}", b'{"id":"7"}', b'{"id":1.5}', b'{"id":true}'])
def test_a_record_without_a_whole_number_as_key_is_left_out(row: bytes) -> None:
    assert RecordFitter(SCHEMA).fit(row) is None


@pytest.mark.parametrize(
    "row",
    [
        b'{"id":1,"price":false,"title":false,"image":false,"brand":false,"tags":false,"updatedAt":false}',
        b'{"id":1,"price":null,"title":null,"image":null,"brand":null,"tags":null,"updatedAt":null}',
        b'{"id":1,"price":"12.50","image":{"src":"a"},"brand":[],"tags":{},"other":[1]}',
        b'{"id":1,"price":12345678901234567890.12,"brand":{"id":"7"}}',
        b'{"id":1,"price":1e400}',
    ],
)
def test_what_the_shop_writes_passes_unchanged(row: bytes) -> None:
    assert RecordFitter(SCHEMA).fit(row) == row


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (b'{"id":1,"title":12.50}', b'{"id":1,"title":"12.50"}'),
        (b'{"id":1,"title":{"nl":"Mok"}}', b'{"id":1,"title":"{\\"nl\\":\\"Mok\\"}"}'),
        (b'{"id":1,"brand":7}', b'{"id":1,"brand":"7"}'),
        (b'{"id":1,"tags":[{"name":[]},3]}', b'{"id":1,"tags":[{"name":"[]"},"3"]}'),
        (b'{"id":7.0}', b'{"id":7}'),
    ],
)
def test_a_value_of_another_type_becomes_its_json_text(row: bytes, expected: bytes) -> None:
    assert fitted(row) == expected


@pytest.mark.parametrize("depth", [500, 900, 5_000])
def test_a_deep_value_never_stops_the_tap(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth

    RecordFitter(SCHEMA).fit(b'{"id":1,"title":7,"more":%b}' % deep)
    RecordFitter(SCHEMA).fit(b'{"id":1,"title":%b}' % deep)


def test_half_a_surrogate_pair_loses_no_record() -> None:
    row = b'{"id":1,"title":"\\ud83d"}'

    assert RecordFitter(SCHEMA).fit(row) == row
    assert json.loads(RecordFitter(SCHEMA).fit(b'{"id":1,"title":"\\ud83d","brand":7}') or b"") == {
        "id": 1,
        "title": "\ud83d",
        "brand": "7",
    }
    assert RecordFitter(SCHEMA).fit(b'{"id":1,"title":["\\ud83d"]}') == b'{"id":1,"title":"[\\"\\\\ud83d\\"]"}'


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text("ab", max_size=2),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.sampled_from(["id", "name", "1"]), inside),
    max_leaves=5,
)


RECORDS = st.dictionaries(st.sampled_from(["price", "title", "image", "brand", "tags", "more"]), ANY, max_size=4)


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_every_record_with_a_key_matches(record: dict[str, Any]) -> None:
    fitted(dumps({"id": 1, **record}))


def test_no_schema_has_a_time_format_or_a_key_that_may_be_none() -> None:
    for stream in STREAMS.values():
        assert "date-time" not in json.dumps(stream.schema)
        keys = [stream.schema["properties"][key]["type"] for key in stream.keys]
        assert set(keys) <= {"integer", "string"}, stream.name
        assert stream.schema["required"] == list(stream.keys)
        assert "multipleOf" not in json.dumps(stream.schema)
        jsonschema_rs.meta.validate(stream.schema)


def test_the_replication_key_is_a_property() -> None:
    for stream in STREAMS.values():
        if stream.replication_key is not None:
            assert stream.replication_key in stream.schema["properties"]


def test_numbers_are_text_where_decimals_are_asked_for() -> None:
    schema = stream_schema(LINE, (KEY,), (), decimals=True)

    assert schema["properties"]["price"] == {"type": ["null", "string"], "format": DECIMAL}
    assert fitted(b'{"id":1,"price":12.50}', schema) == b'{"id":1,"price":"12.50"}'
    assert fitted(b'{"id":1,"price":12}', schema) == b'{"id":1,"price":"12"}'
    assert fitted(b'{"id":1,"price":false}', schema) == b'{"id":1,"price":null}'


def test_there_is_a_stream_for_each_list_but_those_of_the_checkouts() -> None:
    found = discover()["streams"]

    assert {"orders", "orders_products", "variants_movements", "catalog"} <= {entry["stream"] for entry in found}
    assert [name for name in STREAMS if name.startswith("checkouts")] == []
    assert all(CATALOGUE[stream.endpoint.name].has("list") for stream in STREAMS.values())
    assert len({stream.name for stream in STREAMS.values()}) == len(found)


def catalog_of(stream: str, **metadata: object) -> dict[str, Any]:
    """Return a catalogue of one stream whose own metadata is changed."""
    (entry,) = (entry for entry in discover()["streams"] if entry["stream"] == stream)
    entry["metadata"][0]["metadata"] |= metadata
    return {"streams": [entry]}


def test_a_discovered_catalogue_selects_every_list_that_is_not_nested() -> None:
    found = select(discover())

    assert found == select(None) == [stream for stream in STREAMS.values() if stream.parent is None]
    assert [stream.name for stream in select(catalog_of("orders_products", selected=True))] == ["orders_products"]


def test_a_nested_list_has_the_parents_id_in_its_key_and_follows_the_parents_change() -> None:
    lines, countries = STREAMS["orders_products"], STREAMS["shippingmethods_countries"]

    assert (lines.keys, lines.replication_key) == (("order_id", "id"), "order_updatedAt")
    assert (countries.keys, countries.replication_key) == (("shippingmethod_id", "id"), None)
    assert lines.entry()["key_properties"] == ["order_id", "id"]


def test_a_stream_that_is_not_selected_is_not_read() -> None:
    assert select(catalog_of("orders", selected=False)) == []
    assert [stream.name for stream in select(catalog_of("orders", selected=True))] == ["orders"]


def deselect(catalog: dict[str, Any], *path: str) -> None:
    breadcrumb = [word for name in path for word in ("properties", name)]
    (found,) = (each for each in catalog["streams"][0]["metadata"] if each["breadcrumb"] == breadcrumb)
    found["metadata"]["selected"] = False


def test_a_field_that_is_not_selected_leaves_neither_in_schema_nor_in_record() -> None:
    catalog = catalog_of("orders")
    deselect(catalog, "email")
    deselect(catalog, "addressBillingCountry", "code")
    (stream,) = select(catalog)

    text = fitted(
        b'{"id":1,"email":"jan@example.com","new":"jan@example.com","priceIncl":12.50,'
        b'"addressBillingCountry":{"id":1,"code":"nl","new":2}}',
        stream.schema,
    )

    assert text == b'{"id":1,"priceIncl":12.50,"addressBillingCountry":{"id":1}}'
    assert ("email",) not in set(paths(stream.schema))


def test_the_key_and_the_replication_key_cannot_be_left_out() -> None:
    catalog = catalog_of("orders")
    deselect(catalog, "id")
    deselect(catalog, "updatedAt")

    assert {"id", "updatedAt"} <= set(select(catalog)[0].schema["properties"])


def test_a_stream_can_be_read_as_a_whole_each_time() -> None:
    assert select(catalog_of("orders", **{"replication-method": "FULL_TABLE"}))[0].replication_key is None


@pytest.mark.parametrize("catalog", [[], {}, {"streams": {}}, {"streams": [{"tap_stream_id": "nothing"}]}])
def test_what_is_no_catalogue_is_refused(catalog: object) -> None:
    with pytest.raises(CatalogError):
        select(catalog)


@pytest.mark.parametrize(
    "bookmark", [7, "yesterday", {"replication_key_value": "yesterday"}, {"replication_key_value": 7}]
)
def test_a_bookmark_that_is_no_time_is_refused(bookmark: object) -> None:
    with pytest.raises(StateError, match="orders"):
        bookmark_of({"bookmarks": {"orders": bookmark}}, ORDERS)


def test_the_state_of_another_tap_is_taken_over() -> None:
    other = {"replication_key": "updated_at", "replication_key_value": "2026-11-01T00:00:00.000000+00:00", "more": 1}

    found = bookmark_of({"bookmarks": {"orders": other, "elsewhere": 7}}, ORDERS)
    assert found is not None
    assert found.isoformat() == "2026-11-01T00:00:00+00:00"


def test_a_bookmark_never_moves_back_and_others_stay() -> None:
    other = {"replication_key": "updatedAt", "replication_key_value": "2026-01-01T00:00:00Z"}
    state = {"bookmarks": {"orders": {"replication_key_value": "2026-11-23T06:00:00Z"}, "products": other}, "more": 1}
    earlier = bookmark_of({"bookmarks": {"orders": {"replication_key_value": "2026-11-20"}}}, ORDERS)
    assert earlier is not None

    found = with_bookmark(state, ORDERS, earlier)

    assert found["bookmarks"]["orders"]["replication_key_value"] == "2026-11-23T06:00:00Z"
    assert found["bookmarks"]["products"] == other
    assert found["more"] == 1


def test_a_whole_list_has_no_bookmark() -> None:
    whole = Stream("orders", ORDERS.endpoint, ORDERS.schema, None)
    end = datetime(2026, 1, 1, tzinfo=UTC)

    assert bookmark_of({"bookmarks": {"orders": {"replication_key_value": "2026"}}}, whole) is None
    assert with_bookmark({}, whole, end) == {}
