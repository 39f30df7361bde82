import json
from collections.abc import Mapping
from typing import Any

import pytest
from jsonata import Jsonata

from connector.transform import NotFoundInLibrary, Scope, TransformError
from connector.transform.engine.functions import FUNCTIONS
from connector.transform.transformer import Transformers

_SCOPE = Scope("main", "orders", "nl", None, "2026-11-23T06:00:00+00:00", "run")


class _Tables:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def transformer(self, name: str) -> str:
        raise NotFoundInLibrary(f"there is no saved transformer {name!r}")

    def table(self, name: str) -> Mapping[str, Any]:
        self.asked.append(name)
        if name == "broken":
            raise ConnectionError("S3 does not answer")
        if name != "carriers":
            raise NotFoundInLibrary(f"there is no table {name!r}: it does not exist")
        return {"dhl": "DHL", "7": 1, "none": None}


def _value(expression: str, record: str = "{}") -> Any:
    made = Transformers(f'{{"v": {expression}}}', _Tables()).records_or_raise(record.encode(), _SCOPE)
    return json.loads(made[0]).get("v", "nothing")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$money(1.005)", 1.01),
        ("$money(-1.005)", -1.01),
        ("$money('19.9')", 19.9),
        ("$money(0.1, '+', 0.2)", 0.3),
        ("$money(1, '-', 0.9)", 0.1),
        ("$money(19.99, '*', 3)", 59.97),
        ("$money(100, '/', 3)", 33.33),
        ("$money(100, '/', 3, 4)", 33.3333),
        ("$money(12.5, 0)", 13),
        ("$money([0.1, 0.2, '0.3'])", 0.6),
        ("$money([])", 0),
        ("$money(nothing)", "nothing"),
        ("$money(1, '*', nothing)", "nothing"),
        ("$money(12345678901234567890.12)", 12345678901234567000.00),
    ],
)
def test_money_calculates_in_decimal_and_rounds_halves_up(expression: str, value: object) -> None:
    assert _value(expression) == value


def test_money_keeps_its_digits_in_a_record() -> None:
    made = Transformers('{"a": $money(a, "*", 3), "b": $money(b)}').records(
        b'{"a":1.10,"b":12345678901234567.895}', _SCOPE
    )

    assert made.records == [b'{"a":3.30,"b":12345678901234567.90}']


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("$money('12,50')", "expects an amount such as 12.50"),
        ("$money(true)", "expects an amount"),
        ("$money({'a': 1})", "expects an amount"),
        ("$money('1e999999')", "expects an amount"),
        ("$money('NaN')", "expects an amount"),
        ("$money(1, '^', 2)", 'expects "\\+", "-", "\\*" or "/"'),
        ("$money(1, '/', 0)", "divides by zero"),
        ("$money(1, 11)", "expects from 0 to 10 digits"),
        ("$money(1, 1.5)", "expects from 0 to 10 digits"),
    ],
)
def test_what_is_no_money_is_refused(expression: str, message: str) -> None:
    with pytest.raises(TransformError, match=message):
        _value(expression)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$lookup_table('carriers', 'dhl')", "DHL"),
        ("$lookup_table('carriers', 7)", 1),
        ("$lookup_table('carriers', 'none')", None),
        ("$lookup_table('carriers', 'bike')", "nothing"),
        ("$lookup_table('carriers', 'bike', 'other')", "other"),
        ("$lookup_table('carriers', nothing, 'other')", "other"),
        ("$lookup_table('carriers', null, 'other')", "other"),
        ("[$map(['dhl', 'bike'], function($c) { $lookup_table('carriers', $c, $c) })]", ["DHL", "bike"]),
    ],
)
def test_a_table_maps_keys_to_values(expression: str, value: object) -> None:
    assert _value(expression) == value


def test_a_table_is_loaded_once_for_all_records() -> None:
    tables = _Tables()
    transformers = Transformers('{"c": $lookup_table("carriers", code)}', tables)

    made = [transformers.records(text, _SCOPE).records for text in (b'{"code":"dhl"}', b'{"code":"x"}')]

    assert made == [[b'{"c":"DHL"}'], [b"{}"]]
    assert tables.asked == ["carriers"]


def test_an_unknown_table_is_noticed_before_any_record_is_read() -> None:
    with pytest.raises(TransformError, match="there is no table 'carrier': it does not exist") as caught:
        Transformers('{"c": $lookup_table("carrier", code)}', _Tables())
    assert caught.value.position == 20


def test_an_unknown_table_whose_name_is_calculated_rejects_the_record() -> None:
    outcome = Transformers('{"c": $lookup_table(name, "a")}', _Tables()).records(b'{"name":"x"}', _SCOPE)

    assert "there is no table 'x'" in str(outcome.rejection)


def test_a_library_that_cannot_be_reached_is_no_mistake_of_the_record() -> None:
    transformers = Transformers('{"c": true and $lookup_table(name, "a")}', _Tables())

    with pytest.raises(ConnectionError, match="S3 does not answer"):
        transformers.records(b'{"name":"broken"}', _SCOPE)


def test_a_hash_with_a_key_is_another_one_and_both_stay_the_same() -> None:
    plain = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

    assert _value("$hash('foo')") == plain
    assert _value("$hash('foo', 'key')") == "6ea1d9f5e93a8f3ade026261ffe5d72a1c90804ed94404a69892a163b8a35497"
    assert _value("$hash({'a': 1})") == _value("$hash('{\"a\":1}')")
    assert _value("$hash(nothing)") == "nothing"


def test_a_uuid_is_new_at_each_call_unless_it_has_a_name() -> None:
    first, second = _value("[$uuid(), $uuid()]")

    assert first != second
    assert first[14] == "4"
    assert _value("$uuid('ORD7')") == _value("$uuid('ORD7')") == "87725f8c-6f62-512d-9b39-6b695c63435c"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$replace('a.b.c', '.', '-')", "a-b-c"),
        ("$replace('a.b.c', '.', '$$', 1)", "a$b.c"),
        ("$replace('2026-11-23', /(\\d+)-(\\d+)-(\\d+)/, '$3/$2/$1')", "23/11/2026"),
        ("$replace('aa', /a/, 'b', 1)", "ba"),
        ("$replace('aa', /a/, 'b', 0)", "aa"),
        ("$replace('abc', /(b)/, '[$1$12$9]')", "a[bb2]c"),
        ("$replace('abc', /b/, function($m) { $uppercase($m.match) })", "aBc"),
        ("$split('a, b', /,\\s*/)", ["a", "b"]),
        ("$split('abc', '')", ["a", "b", "c"]),
        ("$split('a-b-c', '-', 2)", ["a", "b"]),
        ("$match('a1b2', /[a-z](\\d)/).groups", ["1", "2"]),
        ("$match('a1b2', /[a-z](\\d)/, 1).match", "a1"),
        ("[$distinct([1, true, 1, '1', [1], [1], {'a': 1}, {'a': 1}])]", [1, True, "1", [1], {"a": 1}]),
        ("[$spread({'a': 1, 'b': 2})]", [{"a": 1}, {"b": 2}]),
        ("[$spread([{'a': 1}, {'b': 2}])]", [{"a": 1}, {"b": 2}]),
        ("$zip([1, 2], ['a', 'b'])", [[1, "a"], [2, "b"]]),
        ("$append([1], 2)", [1, 2]),
        ("$join(['a', 'b'], '-')", "a-b"),
        ("$pad('a', 3) & $pad('b', -3, '#')", "a  ##b"),
        ("$toMillis('23/11/2026', '[D]/[M]/[Y]')", 1795392000000),
        ("$toMillis('2026-11-23T06:00:00+01:00')", 1795410000000),
        ("5.5 % 2", 1.5),
        ("$number('12345678901234567890')", 12345678901234567890),
        ("$number('1.50')", 1.5),
        ("$number(true)", 1),
        ("[1..3].($ * 2)", [2, 4, 6]),
        ("$count([1..3])", 3),
        ("[3..1]", []),
        ("$map([1, 2], $substring('abcdef', ?, 2))", ["bc", "cd"]),
        ("$substring('abcdef', ?)(1, 'ignored')", "bcdef"),
        ("$substring('abcdef', ?)()", "abcdef"),
        ("$zip(?, [3, 4])([1, 2])", [[1, 3], [2, 4]]),
        ("($s := $substring; $substring := function() { 'other' }; $s(?, 1)('abc'))", "bc"),
        ("('  a ' ~> $trim ~> $uppercase)", "A"),
        ("{'a': 1, 'b': {'c': [1, [2]]}}.**[$type($) = 'number']", [1, 1, 2]),
        ("{'a': [1, [2, 3]], 'b': 4}.*", [1, 2, 3, 4]),
    ],
)
def test_functions_that_were_given_bounds_do_what_jsonata_says(expression: str, value: object) -> None:
    assert _value(expression) == value


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_any_function_refuses_or_takes_wrong_arguments_but_never_crashes(name: str) -> None:
    for arguments in (
        "",
        "null",
        "{}",
        "[[]]",
        "'carriers'",
        "-1.5, -1",
        "'carriers', 'a', -1",
        "[1, 'a'], 'a'",
        "$sum, $sum",
        "$$, $$, $$, $$",
    ):
        Transformers(f'{{"v": ${name}({arguments})}}', _Tables()).records(b'{"a":null}', _SCOPE)


def test_functions_are_a_list_of_what_is_allowed_and_eval_is_not_in_it() -> None:
    known = set(Jsonata.static_frame.bindings)

    assert known - set(FUNCTIONS) == {"eval"}
    assert set(FUNCTIONS) - known == {"lookup_table", "money", "hash", "uuid"}
    with pytest.raises(TransformError, match=r"there is no function \$eval at position 6"):
        _value("$eval('1')")
