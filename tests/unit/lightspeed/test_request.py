"""Parameters are checked as a whole, and a good request is sent exactly as given."""

import json
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lightspeed import InvalidParameters, Parameters, Request, UnsupportedOperation, build_request, get_entity
from lightspeed.request import format_time, parse_time, query_warnings


def build(entity: str, operation: str, parameters: Parameters | None = None, **settings: str) -> Request:
    return build_request(get_entity(entity), operation, parameters or Parameters(), language="nl", **settings)


def mistakes(entity: str, operation: str, parameters: Parameters) -> tuple[str, ...]:
    with pytest.raises(InvalidParameters) as caught:
        build(entity, operation, parameters)
    assert caught.value.entity == entity
    assert caught.value.operation == operation
    assert str(caught.value).startswith(f"{entity} {operation}: ")
    return caught.value.errors


def query(entity: str, **values: object) -> dict[str, str]:
    return dict(build(entity, "list", Parameters(query=values)).query)


def test_the_seed_example_of_a_quote() -> None:
    request = build("quotes", "get", Parameters(path={"id": 1016615295}))

    assert request == Request("quotes", "get", "GET", "/nl/quotes/1016615295.json")


def test_a_parent_stands_in_the_path() -> None:
    request = build("products/images", "get", Parameters(path={"product_id": 7, "id": "9"}))

    assert request.path == "/nl/products/7/images/9.json"


def test_a_count_takes_the_suffix() -> None:
    assert build("orders", "count").path == "/nl/orders/count.json"


def test_a_list_takes_its_filters_as_text() -> None:
    values = query("orders", limit=250, page="2", status="on_hold", fields=["id", "number"], paymentStatus="paid")

    assert values == {"limit": "250", "page": "2", "status": "on_hold", "fields": "id,number", "paymentStatus": "paid"}


def test_update_goes_out_as_put_unless_the_connection_asks_for_patch() -> None:
    parameters = Parameters({"id": 7}, payload={"title": "x"})

    assert build("products", "update", parameters).method == "PUT"
    assert build("products", "update", parameters, update_method="PATCH").method == "PATCH"
    assert build("products", "create", Parameters(payload={"a": 1}), update_method="PATCH").method == "POST"


def test_reads_of_orders_and_lists_that_hang_on_no_record_are_worth_asking_for_again_after_a_404() -> None:
    assert build("orders", "get", Parameters({"id": 7})).retry_not_found
    assert build("orders/products", "list", Parameters({"order_id": 7})).retry_not_found
    assert build("products", "list").retry_not_found
    assert build("products", "count").retry_not_found
    assert not build("products", "get", Parameters({"id": 7})).retry_not_found
    assert not build("products/images", "list", Parameters({"product_id": 7})).retry_not_found
    assert not build("orders", "update", Parameters({"id": 7}, payload={"memo": "x"})).retry_not_found


def test_an_operation_that_is_missing_is_refused_before_its_parameters() -> None:
    with pytest.raises(UnsupportedOperation):
        build("orders", "create", Parameters({"nonsense": 1}))


def test_a_missing_path_parameter_is_named_with_an_example() -> None:
    assert mistakes("quotes", "get", Parameters()) == ('path lacks id; for example {"id": 7}',)
    assert mistakes("products/images", "get", Parameters()) == (
        'path lacks product_id and id; for example {"product_id": 7, "id": 9}',
    )


def test_an_unknown_path_parameter_lists_the_known_ones() -> None:
    assert mistakes("quotes", "get", Parameters({"id": 1, "quote": 1})) == (
        "unknown path parameter 'quote'; get takes id",
    )
    assert mistakes("account", "get", Parameters({"id": 1})) == ("unknown path parameter 'id'; get takes none",)


@pytest.mark.parametrize("value", ["", " ", ".", "..", " .. ", None, True, 1.5, [7], {"id": 7}, "\ud800"], ids=repr)
def test_a_path_value_must_be_an_id(value: object) -> None:
    (mistake,) = mistakes("quotes", "get", Parameters({"id": value}))

    assert mistake == f"path parameter id must be an id such as 7, not {value!r}"


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("a?b#c", "a%3Fb%23c"),
        ("%2e%2e", "%252e%252e"),
        ("é", "%C3%A9"),
        ("{id}", "%7Bid%7D"),
        (" 7 ", "7"),
        (-7, "-7"),
    ],
)
def test_path_values_are_percent_encoded(value: object, segment: str) -> None:
    assert build("quotes", "get", Parameters({"id": value})).path == f"/nl/quotes/{segment}.json"


@given(parent=st.text(min_size=1, max_size=20), record=st.text(min_size=1, max_size=20))
def test_no_path_value_can_leave_its_segment(parent: str, record: str) -> None:
    assume(not {parent.strip(), record.strip()} & {"", ".", ".."})

    path = build("products/images", "get", Parameters({"product_id": parent, "id": record})).path
    segments = path.split("/")

    assert path.isascii()
    assert [segments[1], segments[2], segments[4]] == ["nl", "products", "images"]
    assert unquote(segments[3]) == parent.strip()
    assert unquote(segments[5]) == record.strip() + ".json"


@pytest.mark.parametrize(
    ("name", "value", "mistake"),
    [
        ("limit", 0, "query limit must be from 1 to 250, not 0"),
        ("limit", 251, "query limit must be from 1 to 250, not 251"),
        ("limit", "many", "query limit must be a whole number, not 'many'"),
        ("limit", 10.0, "query limit must be a whole number, not 10.0"),
        ("limit", -5, "query limit must be a whole number, not -5"),
        ("limit", "٣", "query limit must be a whole number, not '٣'"),
        ("page", 0, "query page must be 1 or more, not 0"),
        ("page", True, "query page must be a whole number, not True"),
        ("customer", "Jansen", "query customer must be a whole number, not 'Jansen'"),
        ("customer", [1, 2], "query customer must be a whole number, not [1, 2]"),
        ("since_id", None, "query since_id must be a whole number, not None"),
        ("updated_at_min", "yesterday", "query updated_at_min must be a time such as 2026-11-23T06:00:00Z"),
        ("updated_at_min", 20261123, "query updated_at_min must be a time such as 2026-11-23T06:00:00Z"),
        ("updated_at_min", "2026-13-01", "query updated_at_min must be a time such as 2026-11-23T06:00:00Z"),
        ("updated_at_min", "0001-01-01T00:00:00+14:00", "query updated_at_min must be a time such as"),
        ("number", {"a": 1}, "query number must be text, a number, true or false, or a list of those, not {'a': 1}"),
        ("number", None, "query number must be text, a number, true or false, or a list of those, not None"),
        ("fields", [{}], "query fields must be text, a number, true or false, or a list of those, not {}"),
        ("number", "\ud800", "query number must be text that can be sent as UTF-8, not '\\ud800'"),
    ],
)
def test_a_query_value_of_a_wrong_type_is_refused(name: str, value: object, mistake: str) -> None:
    (found,) = mistakes("orders", "list", Parameters(query={name: value}))

    assert found.startswith(mistake)


@pytest.mark.parametrize("value", ["maybe", "yes", "", None, 2, []], ids=repr)
def test_a_boolean_filter_takes_only_true_and_false(value: object) -> None:
    assert mistakes("products", "list", Parameters(query={"isVisible": value})) == (
        f"query isVisible must be true or false, not {value!r}",
    )


@pytest.mark.parametrize(
    ("value", "sent"), [(True, "true"), ("False", "false"), ("1", "1"), (0, "0"), ("TRUE", "true")]
)
def test_a_boolean_filter_is_sent_in_small_letters(value: object, sent: str) -> None:
    assert query("products", isVisible=value) == {"isVisible": sent}


def test_an_unknown_filter_is_passed_on_since_the_list_of_filters_may_not_be_complete() -> None:
    assert query("orders", colour="red", big=True, weight=1.5, sizes=["s", 2]) == {
        "colour": "red",
        "big": "true",
        "weight": "1.5",
        "sizes": "s,2",
    }


def test_an_unknown_filter_of_a_wrong_type_lists_the_known_ones() -> None:
    (mistake,) = mistakes("languages", "list", Parameters(query={"colour": None}))

    assert mistake.endswith("not None; known filters are page, limit, since_id, fields")


@pytest.mark.parametrize(
    ("given_time", "sent"),
    [
        ("2026-11-23", "2026-11-23 00:00:00"),
        ("2026-11-23T06:00:00Z", "2026-11-23 06:00:00"),
        ("2026-11-23T06:00:00+02:00", "2026-11-23 04:00:00"),
        ("2026-11-23T23:30:00-05:00", "2026-11-24 04:30:00"),
        ("2026-11-23 06:00:00", "2026-11-23 06:00:00"),
        ("2026-11-23T06:00:00.987654Z", "2026-11-23 06:00:00"),
        ("0987-01-02", "0987-01-02 00:00:00"),
    ],
)
def test_times_are_sent_as_utc_in_whole_seconds(given_time: str, sent: str) -> None:
    assert query("orders", updated_at_min=given_time) == {"updated_at_min": sent}


@given(
    st.datetimes(
        min_value=datetime(2, 1, 1),
        max_value=datetime(9998, 1, 1),
        timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
    )
)
def test_a_time_means_the_same_moment_after_formatting(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment.astimezone(UTC).replace(microsecond=0)


def test_a_payload_is_put_into_its_envelope() -> None:
    request = build("products", "create", Parameters(payload={"title": "Kop é", "brand": 3}))

    assert request.body == '{"product":{"title":"Kop é","brand":3}}'.encode()


def test_a_payload_in_its_envelope_is_left_alone() -> None:
    request = build("products", "create", Parameters(payload={"product": {"title": "x"}}))

    assert request.body == b'{"product":{"title":"x"}}'


def test_a_field_of_the_envelopes_name_is_not_taken_for_the_envelope() -> None:
    request = build("variants", "update", Parameters({"id": 1}, payload={"variant": 5}))

    assert request.body == b'{"variant":{"variant":5}}'


def test_a_record_with_more_than_the_envelopes_key_is_wrapped() -> None:
    request = build("variants", "update", Parameters({"id": 1}, payload={"variant": {}, "sku": "a"}))

    assert request.body == b'{"variant":{"variant":{},"sku":"a"}}'


def test_a_bare_payload_gets_no_envelope() -> None:
    request = build("checkouts", "create", Parameters(payload={"mode": "guest"}))

    assert request.body == b'{"mode":"guest"}'


def test_a_bulk_payload_is_a_list_in_the_singular_envelope() -> None:
    rows = [{"id": 1, "stockLevel": 4}, {"id": 2, "stockLevel": 0}]
    bare = build("variants", "bulk", Parameters(payload=rows))
    wrapped = build("variants", "bulk", Parameters(payload={"variant": rows}))

    assert bare.body == wrapped.body == b'{"variant":[{"id":1,"stockLevel":4},{"id":2,"stockLevel":0}]}'
    assert (bare.method, bare.path) == ("PUT", "/nl/variants/bulk.json")


def test_an_optional_payload_left_out_is_an_empty_envelope() -> None:
    assert build("orders", "credit", Parameters({"id": 7})).body == b'{"credit":{}}'
    assert build("orders", "credit", Parameters({"id": 7}, payload={})).body == b'{"credit":{}}'


def test_an_optional_payload_without_envelope_left_out_is_no_body() -> None:
    assert build("checkouts", "order", Parameters({"id": 7})).body is None


def test_reading_has_no_body() -> None:
    assert build("orders", "list").body is None
    assert build("checkouts", "validate", Parameters({"id": "abc"})).body is None


@pytest.mark.parametrize("payload", [{}, [], [{"title": "x"}], "text", 7, True, 1.5], ids=repr)
def test_a_payload_must_be_a_record(payload: object) -> None:
    (mistake,) = mistakes("products", "create", Parameters(payload=payload))

    assert mistake.startswith("payload must be a record (a JSON object that is not empty), not ")


def test_a_missing_payload_is_named() -> None:
    assert mistakes("products", "create", Parameters()) == ("payload is missing: create sends a record",)


def test_a_payload_where_none_is_taken_is_refused() -> None:
    assert mistakes("products", "delete", Parameters({"id": 7}, payload={"a": 1})) == ("delete takes no payload",)


@pytest.mark.parametrize(
    "payload",
    [{"a": float("nan")}, {"a": {1, 2}}, {"a": "\ud800"}, {"a": b"bytes"}],
    ids=["nan", "set", "surrogate", "bytes"],
)
def test_a_payload_that_is_not_json_is_refused(payload: object) -> None:
    (mistake,) = mistakes("products", "create", Parameters(payload=payload))

    assert mistake.startswith("payload is not JSON: ")


def test_every_mistake_is_named_at_once() -> None:
    found = mistakes(
        "products/images", "update", Parameters({"id": "", "image": 1}, {"limit": 0}, payload="attachment")
    )

    assert len(found) == 5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, min_size=2, max_size=4))
def test_any_record_arrives_in_the_shop_as_it_was_given(record: dict[str, object]) -> None:
    assume(not any("\ud800" <= letter <= "\udfff" for letter in json.dumps(record, ensure_ascii=False)))

    body = build("products", "create", Parameters(payload=record)).body

    assert isinstance(body, bytes)
    assert json.loads(body) == {"product": record}


@pytest.mark.parametrize(
    ("query", "warnings"),
    [
        ({}, []),
        ({"limit": 5, "updated_at_min": "2026-11-23"}, []),
        (
            {"updated_at_mim": "x", "limit": 5},
            ["orders has no known filter 'updated_at_mim', and the shop may ignore it; did you mean updated_at_min?"],
        ),
    ],
)
def test_a_filter_that_the_catalogue_does_not_know_is_warned_about(
    query: dict[str, object], warnings: list[str]
) -> None:
    assert query_warnings(get_entity("orders"), query) == warnings


def test_a_filter_like_no_other_is_warned_about_with_those_that_are_known() -> None:
    (warning,) = query_warnings(get_entity("orders"), {"zzz" * 100: 1})

    assert len(warning) < 600
    assert "known are " in warning
