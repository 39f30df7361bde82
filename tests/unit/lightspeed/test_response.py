"""Records come out of answers as the shop sent them, whatever the envelope."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed import CATALOGUE, Endpoint, get_entity
from lightspeed.json_text import UnreadableBody, mask_api_key, one_line, with_first_member
from lightspeed.response import (
    EnvelopeError,
    ErrorInside,
    Reject,
    unwrap_count,
    unwrap_error,
    unwrap_page,
    unwrap_record,
)

COLLECTIONS = [pytest.param(row, id=row.name) for row in CATALOGUE.values() if row.items is not None]
SINGLE = [pytest.param(row, id=row.name) for row in CATALOGUE.values() if row.item is not None]


def listed(body: bytes, entity: str) -> list[bytes]:
    rows = unwrap_page(body, get_entity(entity))
    assert not rows.rejects
    return rows.records


def single(body: bytes, entity: str, operation: str = "get") -> bytes | None:
    endpoint = get_entity(entity)
    return unwrap_record(
        body, endpoint, endpoint.operation(operation).answer, several=operation not in endpoint.operations
    )


@pytest.mark.parametrize("row", COLLECTIONS)
def test_every_list_is_unwrapped_by_its_own_key(row: Endpoint) -> None:
    body = json.dumps({row.items: [{"id": 2}, {"id": 1}], "other": []}).encode()

    assert unwrap_page(body, row).records == [b'{"id": 2}', b'{"id": 1}']


@pytest.mark.parametrize("row", SINGLE)
def test_every_record_is_unwrapped_by_its_own_key(row: Endpoint) -> None:
    body = json.dumps({"other": {}, row.item: {"id": 2}}).encode()

    assert unwrap_record(body, row, row.item) == b'{"id": 2}'


@pytest.mark.parametrize("damage", [b"", b"\xe9"], ids=["whole", "no UTF-8"])
def test_the_list_of_another_entity_is_not_taken_for_the_one_that_was_asked_for(damage: bytes) -> None:
    with pytest.raises((EnvelopeError, UnreadableBody)):
        unwrap_page(b'{"products":[{"id":1,"memo":"%b"}]}' % damage, get_entity("orders"))


def test_a_list_under_a_key_that_nobody_knows_is_taken() -> None:
    assert listed(b'{"ordersList":[{"id":1}]}', "orders") == [b'{"id":1}']
    assert listed(b'{"products":[{"id":1}]}', "taxes") == [b'{"id":1}']


def test_text_of_a_record_is_untouched() -> None:
    text = (
        b'{"b": 1.10, "a":  0, "n": null, "f": false, "e": "", "u": "\\u00e9\xc3\xa9", "big": 12345678901234567890123}'
    )

    assert listed(b'{ "orders" : [ ' + text + b" , {} ] }", "orders") == [text, b"{}"]
    assert single(b'{"order":' + text + b"}", "orders") == text


def test_line_breaks_between_tokens_are_dropped_so_that_a_record_is_one_line() -> None:
    body = b'{\r\n  "orders": [\n    {\n      "id": 1,\r\n      "memo": "a\\nb"\n    }\n  ]\n}\n'

    assert listed(body, "orders") == [b'{      "id": 1,      "memo": "a\\nb"    }']


def test_the_order_of_rows_is_the_shops() -> None:
    assert listed(b'{"orders":[{"id":3},{"id":1},{"id":2}]}', "orders") == [b'{"id":3}', b'{"id":1}', b'{"id":2}']


@pytest.mark.parametrize(
    ("entity", "body"),
    [
        ("products/filtervalues", b'{"productFiltervalue":[{"id":1}]}'),
        ("products/filtervalues", b'{"productFilterValue":[{"id":1}]}'),
        ("products/filtervalues", b'{"productFiltervalues":[{"id":1}]}'),
        ("orders/events", b'{"ordersEvents":[{"id":1}]}'),
        ("orders/events", b'{"orderEvents":[{"id":1}]}'),
        ("variants/movements", b'{"variantsMovements":[{"id":1}]}'),
        ("variants/movements", b'{"variantMovements":[{"id":1}]}'),
        ("orders/customstatuses", b'{"customStatuses":[{"id":1}]}'),
        ("shop/scripts", b'{"shopScript":[{"id":1}]}'),
        ("shop/scripts", b'{"shopScripts":[{"id":1}]}'),
        ("shop/tracking", b'{"shopTracking":[{"id":1}]}'),
        ("catalog", b'{"products":[{"id":1}]}'),
        ("catalog", b'{"catalog":[{"id":1}]}'),
        ("checkouts", b'[{"id":1}]'),
        ("checkouts/products", b'{"products":[{"id":1}]}'),
        ("orders", b'[{"id":1}]'),
        ("orders", b'{"total":1,"rows":[{"id":1}]}'),
    ],
)
def test_documented_and_neighbouring_spellings_of_a_list_are_taken(entity: str, body: bytes) -> None:
    assert listed(body, entity) == [b'{"id":1}']


@pytest.mark.parametrize("nothing", [b"[]", b"{}", b"null", b"false"])
def test_an_empty_list_has_several_spellings(nothing: bytes) -> None:
    assert listed(b'{"orders":' + nothing + b"}", "orders") == []


@pytest.mark.parametrize(
    "body", [b"{}", b'{"orders":{"id":1}}', b'{"orders":7}', b'{"a":[],"b":[]}', b'{"orders":true}'], ids=bytes.decode
)
def test_a_list_that_is_not_there_is_an_error(body: bytes) -> None:
    with pytest.raises(EnvelopeError, match="expected a list under 'orders'"):
        listed(body, "orders")


@pytest.mark.parametrize(
    ("entity", "operation", "body"),
    [
        ("types/attributes", "create", b'{"typesAttributes":{"id":1}}'),
        ("types/attributes", "create", b'{"typesAttribute":{"id":1}}'),
        ("types/attributes", "create", b'{"typesAttributes":[{"id":1}]}'),
        ("products/filtervalues", "create", b'{"productFilterValue":{"id":1}}'),
        ("orders/events", "get", b'{"orderEvent":{"id":1}}'),
        ("orders/events", "get", b'{"ordersEvent":{"id":1}}'),
        ("brands/image", "get", b'{"brandImage":{"id":1}}'),
        ("brands/image", "get", b'{"image":{"id":1}}'),
        ("locations", "create", b'{"location":{"id":1}}'),
        ("locations", "create", b'{"locations":{"id":1}}'),
        ("catalog", "get", b'{"product":{"id":1}}'),
        ("catalog", "get", b'{"id":1}'),
        ("shop/settings", "get", b'{"shopSettings":{"id":1}}'),
        ("time", "get", b'{"id":1}'),
        ("checkouts", "get", b'{"id":1}'),
        ("quotes", "convert", b'{"order":{"id":1}}'),
        ("quotes", "convert", b'{"quote":{"id":1}}'),
        ("orders", "credit", b'{"invoice":{"id":1}}'),
        ("customers", "login", b'{"customerLogin":{"id":1}}'),
        ("orders", "get", b'{"ordre":{"id":1}}'),
    ],
)
def test_documented_and_neighbouring_spellings_of_a_record_are_taken(entity: str, operation: str, body: bytes) -> None:
    assert single(body, entity, operation) == b'{"id":1}'


def test_a_bulk_answer_may_be_a_list() -> None:
    assert single(b'{"variant":[{"id":1},{"id":2}]}', "variants", "bulk") == b'[{"id":1},{"id":2}]'
    assert single(b'{"variant":{"id":1}}', "variants", "bulk") == b'{"id":1}'
    assert single(b'{"productAttributes":[]}', "products/attributes", "bulk") == b"[]"


def test_a_bare_answer_is_the_record() -> None:
    assert (
        single(b' {"validated": true,\n "errors": []} ', "checkouts", "validate")
        == b'{"validated": true, "errors": []}'
    )
    assert single(b'[{"id":"a"}]', "checkouts", "validate") == b'[{"id":"a"}]'


def test_one_record_is_not_a_list_of_several() -> None:
    with pytest.raises(EnvelopeError, match="found a list of 2"):
        single(b'{"order":[{"id":1},{"id":2}]}', "orders")


@pytest.mark.parametrize("body", [b"{}", b'{"a":1,"b":2}', b'{"a":1}', b'{"a":{},"b":{}}'], ids=bytes.decode)
def test_a_record_that_is_not_there_is_an_error(body: bytes) -> None:
    with pytest.raises(EnvelopeError, match="expected a record under 'order'"):
        single(body, "orders")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"order":', b"not json", b"\xff", b"NaN"], ids=repr)
@pytest.mark.parametrize("entity", ["orders", "checkouts"])
def test_what_is_no_json_is_unreadable(entity: str, body: bytes) -> None:
    for unwrap in (listed, single):
        with pytest.raises(UnreadableBody):
            unwrap(body, entity)
    with pytest.raises(UnreadableBody):
        unwrap_count(body)


@pytest.mark.parametrize("body", [b"7", b"true", b'"text"'], ids=bytes.decode)
@pytest.mark.parametrize("entity", ["orders", "checkouts"])
def test_what_is_no_json_object_is_no_record(entity: str, body: bytes) -> None:
    for unwrap in (listed, single):
        with pytest.raises(EnvelopeError, match="expected a JSON object"):
            unwrap(body, entity)


@pytest.mark.parametrize(
    "body",
    [
        b'{"orders":[{"id":1}',
        b'{"orders":[{"id":1}{"id":2}',
        b'{"orders":[{"id":1,"lines":[{"id":7},{"id":8}]}',
        b'[{"id":1}',
        b'[{"id":1},',
        b'{"orders":[1]} x',
        b'{"orders":[{"id":1},{"memo":"cut]}',
        b'{"orders"[{"id":1}]}',
    ],
)
def test_a_cut_or_broken_list_is_never_taken_in_part(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        listed(body, "orders")


@pytest.mark.parametrize("entity", ["orders", "checkouts", "time", "catalog"])
def test_an_error_inside_a_good_answer_is_an_error(entity: str) -> None:
    body = b'{"error":{"code":500,"method":"GET","request":"orders.json","message":"Something went wrong"}}'

    for unwrap in (listed, single):
        with pytest.raises(ErrorInside) as caught:
            unwrap(body, entity)
        assert (caught.value.code, caught.value.message) == (500, "Something went wrong")
    with pytest.raises(ErrorInside):
        unwrap_count(body)


@pytest.mark.parametrize(
    ("inside", "code", "message"),
    [
        (b'"no"', 0, '"no"'),
        (b"true", 0, "true"),
        (b"{}", 0, "no message"),
        (b'{"code":"x","message":""}', 0, "no message"),
        (b'{"code":422,"message":"Bad","errors":{"sku":["taken"]}}', 422, "Bad {'sku': ['taken']}"),
    ],
)
def test_an_error_inside_may_have_any_form(inside: bytes, code: int, message: str) -> None:
    with pytest.raises(ErrorInside) as caught:
        single(b'{"error":' + inside + b"}", "orders")

    assert (caught.value.code, caught.value.message) == (code, message)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"error":"text"}', b'{"error":[1]}', b"\xff"], ids=repr
)
def test_a_body_that_is_not_the_error_envelope_gives_no_message(body: bytes) -> None:
    assert unwrap_error(body) is None


def test_the_error_envelope_gives_code_and_message() -> None:
    assert unwrap_error(b'{"error":{"code":401,"message":"Access denied."}}') == (401, "Access denied.")


def test_a_count_is_a_number() -> None:
    assert unwrap_count(b'{"count": 42}') == 42
    assert unwrap_count(b'{"count":0}') == 0


@pytest.mark.parametrize("body", [b"{}", b'{"total":4}'])
def test_a_count_that_is_not_there_is_an_error(body: bytes) -> None:
    with pytest.raises(EnvelopeError, match="expected a count"):
        unwrap_count(body)


@pytest.mark.parametrize(
    "found",
    ["many", "4.5", "null", "-5", '"-5"', "true", "[4]", '""', '"1_000"', '"\u0664"', "1e30", "9" * 400, "9" * 5000],
)
def test_a_count_that_is_no_whole_number_from_0_up_is_no_count(found: str) -> None:
    text = found if found != "many" else '"many"'
    with pytest.raises(EnvelopeError, match="expected a count of 0 or more"):
        unwrap_count(f'{{"count":{text}}}'.encode())


@pytest.mark.parametrize("found", ["42", '"42"', '" 42 "', "42.0", '"42.0"', "4.2e1"])
def test_a_count_may_be_text_or_have_a_point(found: str) -> None:
    assert unwrap_count(f'{{"count":{found}}}'.encode()) == 42


@pytest.mark.parametrize("nothing", ["null", "false", '""', "[]", " null ", "{}", "{ }", "0"])
def test_an_error_that_says_nothing_is_none(nothing: str) -> None:
    assert listed(f'{{"error":{nothing},"orders":[{{"id":1}}]}}'.encode(), "orders") == [b'{"id":1}']
    odd = f'{{"error":{nothing},"orders":[{{"id":1}},NaN]}}'.encode()
    assert unwrap_page(odd, get_entity("orders")).records == [b'{"id":1}']
    assert single(f'{{"order":{{"id":1}},"error":{nothing}}}'.encode(), "orders") == b'{"id":1}'
    assert unwrap_count(f'{{"error":{nothing},"count":3}}'.encode()) == 3


def test_a_list_may_be_an_object_with_numbers_for_keys() -> None:
    assert listed(b'{"orders":{"0":{"id":3},"1":{"id":1},"1":{"id":2}}}', "orders") == [
        b'{"id":3}',
        b'{"id":1}',
        b'{"id":2}',
    ]
    assert listed(b'{"orders":{ }}', "orders") == []


@pytest.mark.parametrize("nothing", ["false", "null", '""', "[]", " [ false ] "])
def test_a_record_that_is_false_is_not_there(nothing: str) -> None:
    assert single(f'{{"quote": {nothing} }}'.encode(), "quotes") is None
    assert single(f'{{"brandImage":{nothing}}}'.encode(), "brands/image") is None


@pytest.mark.parametrize("other", ["7", "true", '"text"', "0"])
def test_a_record_that_is_no_object_is_an_error(other: str) -> None:
    with pytest.raises(EnvelopeError, match="expected a record under 'quote', found"):
        single(f'{{"quote":{other}}}'.encode(), "quotes")


ODD_ROWS = {
    b"false": "no JSON object but false",
    b"null": "no JSON object but null",
    b"[]": "no JSON object but []",
    b'""': 'no JSON object but ""',
    b"7": "no JSON object but 7",
    b'{"id":2,"x":NaN}': "no JSON: NaN is no JSON value",
    b'{"id":2,"x":-Infinity}': "no JSON: -Infinity is no JSON value",
    b'{"id":2,"x":"a\x01b"}': "no JSON: Invalid control character at",
    b'{"id":2,"x":"a\nb"}': "no JSON: Invalid control character at",
    b'{"id":2,"x":"\xff"}': "no UTF-8 at byte 13",
    b'{"id":2,"\xffx":1}': "no UTF-8 at byte 9",
    b'{"id":2,"x":01}': "no JSON: Expecting",
    b'{"id":2,}': "no JSON: ",
    b'{"id"}': "no JSON: Expecting",
    b'{"id":2 "x":1}': "no JSON: Expecting",
    b'{"id":2,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}": "nested too deep",
}


@pytest.mark.parametrize("odd", ODD_ROWS, ids=lambda row: repr(row[:20]))
@pytest.mark.parametrize("body", [b'{"orders":[%b]}', b"[%b]", b'\n{"a":[1],"orders" : [%b],"n":"]"} '])
def test_an_odd_row_is_rejected_and_no_other(odd: bytes, body: bytes) -> None:
    good = b'{"id":1,"memo":"] \\" ,"}'
    rows = unwrap_page(body.replace(b"%b", b" , ".join([good, odd, b'{"id":3}'])), get_entity("orders"))

    assert rows.records == [good, b'{"id":3}']
    assert [reject.text for reject in rows.rejects] == [odd]
    assert rows.rejects[0].reason.startswith(ODD_ROWS[odd])


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"orders":[{"id":1},,{"id":2}]}', [1, 2]),
        (b'{"orders":[{"id":1}, ]}', [1]),
        (b'[,{"id":1}]', [1]),
        (b'{"orders":{"0":{"id":1},,"1":{"id":2}}}', [1, 2]),
    ],
)
def test_nothing_between_two_commas_is_a_row_that_is_rejected(body: bytes, ids: list[int]) -> None:
    rows = unwrap_page(body, get_entity("orders"))

    assert [json.loads(text)["id"] for text in rows.records] == ids
    assert rows.rejects == [Reject(b"", "nothing between two commas")]


@pytest.mark.parametrize(
    "body",
    [
        b'{"orders":[{"id":1}],}',
        b'{"orders":[{"id":1}],,"n":1}',
        b'{"ord\xffers":[{"id":1}]}',
        b'{"orders":[{"id":1}],"\xff":"\xff"}',
        b'{"orders":[{"id":1}],"n":NaN}',
        b'{"orders":{"0":{"id":1}},"n":"\xff"}',
        b'{"error":[],"o":[{"id":1}],"n":NaN}',
    ],
)
def test_what_is_odd_beside_a_list_costs_no_row(body: bytes) -> None:
    assert unwrap_page(body, get_entity("orders"))[:2] == ([b'{"id":1}'], [])


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[{"id":7}],"orders":"\xff"}',
        b'{"a":["\xff"],"b":[{"id":1}]}',
        b'{"orders":{"0":{"id":1},"x":"\xff"}}',
    ],
)
def test_a_list_that_is_not_the_only_one_is_not_guessed_in_a_broken_answer(body: bytes) -> None:
    with pytest.raises(UnreadableBody, match=r"position \d+"):
        listed(body, "orders")


LINES = b'"lines":[{"id":7},{"id":8},{"id":9}]'
ONE_QUOTE = [b'{"id":2,"t":"a"b",%b}' % LINES, b'{"id":2,"t":"a,%b}' % LINES, b'{"id":2,"t":"a\\",%b}' % LINES]


def row(number: int) -> bytes:
    return b'{"id":%d,"t":"x",%b}' % (number, LINES)


@pytest.mark.parametrize("odd", ONE_QUOTE)
@pytest.mark.parametrize(
    "order",
    ["o", "1o", "o2", "1o3", "oo3", "1oo", "1oo4", "1o3o5", "o2o4", "123oo6"],
    ids=lambda it: it.replace("o", "-"),
)
def test_a_quote_too_many_in_a_row_costs_no_other_row(odd: bytes, order: str) -> None:
    texts = [odd if letter == "o" else row(int(letter)) for letter in order]

    rows = unwrap_page(b'{"orders":[%b]}' % b" ,\n".join(texts), get_entity("orders"))

    assert rows.records == [text for text in texts if text != odd]
    assert b"".join(reject.text for reject in rows.rejects).count(odd) == order.count("o")


@pytest.mark.parametrize("odd", ONE_QUOTE)
def test_no_part_of_a_row_that_is_cut_behind_a_quote_too_many_is_taken_for_a_row(odd: bytes) -> None:
    rows = unwrap_page(b'{"orders":[%b,%b}' % (row(1), odd[:-1]), get_entity("orders"))

    assert rows.records == [row(1)]
    assert len(rows.rejects) == 1


def test_the_error_of_a_cut_list_has_its_place() -> None:
    for rows in ([row(1), row(2)[:-2]], [row(1)[:-2]]):
        with pytest.raises(UnreadableBody, match=r"\(byte \d+\)"):
            unwrap_page(b'{"orders":[%b}' % b",".join(rows), get_entity("orders"))


def test_a_list_under_an_unknown_key_is_not_searched_for_rows_behind_a_quote_too_many() -> None:
    body = b'{"%b":[%b,%b]}'
    odd = ONE_QUOTE[1]
    assert unwrap_page(body % (b"orders", odd, row(3)), get_entity("orders")).records == [row(3)]
    with pytest.raises(UnreadableBody):
        unwrap_page(body % (b"others", odd, row(3)), get_entity("orders"))


def test_rows_of_several_forms_behind_a_quote_too_many_are_found() -> None:
    odd = b'{"id":2,"t":"a"b"}'
    for good in ([b'{"id":3,"x":1}', b'{"id":4}'], [b'{"id":3,"t":"x"}', b'{"id":4}'], [b'{"id":3,"t":"\\ud83d"}']):
        rows = unwrap_page(b'{"orders":[{"id":1,"t":""},%b,%b]}' % (odd, b",".join(good)), get_entity("orders"))

        assert rows.records[1:] == good
        assert [reject.text for reject in rows.rejects] == [odd]


@pytest.mark.parametrize(
    "text",
    [
        b'{"id":2,"x":"\\ud83d"}',
        b'{"id":2,"x":"\\ude00\\ud83d"}',
        b'{"id":"\\ud83d"}',
        b'{"id":2,"id":3}',
        b'{"id":' + b"9" * 5000 + b"}",
        b'{"id":2,"x":"\\u0000"}',
        b"{ }",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_what_is_a_json_object_is_a_record_as_it_was_sent(text: bytes) -> None:
    assert listed(b'{"orders":[{"id":1},' + text + b"]}", "orders") == [b'{"id":1}', text]
    assert single(b'{"order":' + text + b"}", "orders") == text
    assert single(b'{"order":[' + text + b"]}", "orders") == text


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ('{"id":1}', '{"brand_id": 7,"id":1}'),
        ("{}", '{"brand_id": 7}'),
        (" { } ", '{"brand_id": 7}'),
        ('{ "id" : 1 }', '{"brand_id": 7, "id" : 1 }'),
        ('{"brand_id":9,"id":1}', '{"brand_id": 7,"id":1}'),
        ('{"id":1,"brand_id":9}', '{"brand_id": 7,"id":1}'),
        ('{"id":1,"brand\\u005fid":9}', '{"brand_id": 7,"id":1}'),
        ('{"brand_id":9,"brand_id":[8,{"a":1}]}', '{"brand_id": 7}'),
        ('{"id":1,"in":{"brand_id":9}}', '{"brand_id": 7,"id":1,"in":{"brand_id":9}}'),
        ('{"id":1,"x":"\\ud83d"}', '{"brand_id": 7,"id":1,"x":"\\ud83d"}'),
        ('{"id":1,"x":"\\ud83d","brand_id":2}', '{"brand_id": 7,"id":1,"x":"\\ud83d"}'),
    ],
)
def test_a_parents_id_stands_in_front_once(record: str, line: str) -> None:
    assert with_first_member("brand_id", 7, record.encode()) == line.encode()


def test_the_key_of_an_account_is_masked_and_nothing_else_changes() -> None:
    text = b'{"id":1,  "apiKey" : "0123\\"456", "appId":false}'

    assert mask_api_key(text) == b'{"id":1,  "apiKey" : "***", "appId":false}'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=15,
)
json_records = st.dictionaries(st.text(), json_values, max_size=5)
spacing = st.sampled_from([(",", ":"), (", ", ": "), (" , ", "\t:  ")])


@given(rows=st.lists(json_records, max_size=5), separators=spacing, ascii_only=st.booleans())
def test_the_text_of_any_list_survives_byte_for_byte(
    rows: list[dict[str, object]], separators: tuple[str, str], ascii_only: bool
) -> None:
    texts = [json.dumps(row, separators=separators, ensure_ascii=ascii_only).encode(errors="replace") for row in rows]
    inside = separators[0].encode().join(texts)

    assert listed(b'{"orders": [' + inside + b"]}", "orders") == texts
    assert listed(b" [" + inside + b"] ", "checkouts") == texts


@given(row=json_records, separators=spacing, ascii_only=st.booleans())
def test_the_text_of_any_record_survives_byte_for_byte(
    row: dict[str, object], separators: tuple[str, str], ascii_only: bool
) -> None:
    text = json.dumps(row, separators=separators, ensure_ascii=ascii_only).encode(errors="replace")

    assert single(b'{"order":' + text + b"}", "orders") == text


@given(row=json_records, indent=st.integers(0, 4))
def test_any_indented_record_becomes_one_line_of_the_same_value(row: dict[str, object], indent: int) -> None:
    line = one_line(json.dumps(row, indent=indent).encode())

    assert b"\n" not in line
    assert json.loads(line) == row


@given(st.binary(max_size=60))
def test_any_bytes_are_a_list_or_one_of_three_errors(body: bytes) -> None:
    try:
        texts = unwrap_page(body, get_entity("orders")).records
    except (EnvelopeError, ErrorInside, UnreadableBody):
        return
    assert all(isinstance(text, bytes) for text in texts)
