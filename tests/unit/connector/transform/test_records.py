import json
import threading

import msgspec
import pytest

from connector.transform import Outcome, Scope, TooManyRejected, TransformError, check_rejected
from connector.transform.transformer import Transformers

_SCOPE = Scope("main", "orders", "nl", {"until": "2026-01-01"}, "2026-11-23T06:00:00+00:00", "run")


def _made(given: str | list[str] | None, text: str) -> list[str]:
    outcome = Transformers(given).records(text.encode(), _SCOPE)
    assert outcome.rejection is None
    return [record.decode() for record in outcome.records]


def test_without_transformers_a_record_is_not_even_parsed() -> None:
    text = b'{ "this is" no JSON'

    assert Transformers(None).records(text, _SCOPE) == Outcome([text])


@pytest.mark.parametrize(
    ("expression", "made"),
    [
        ('{"a": 1}', ['{"a":1}']),
        ('[{"a": 1}, {"a": 2}]', ['{"a":1}', '{"a":2}']),
        ('[{"a": 1}, null, {"a": 2}]', ['{"a":1}', '{"a":2}']),
        ("null", []),
        ("nothing.here", []),
        ("[]", []),
        ("lines", ['{"n":1}', '{"n":2}']),
        ('lines.{"n": n, "of": %.id}', ['{"n":1,"of":7}', '{"n":2,"of":7}']),
    ],
)
def test_an_object_replaces_an_array_splits_and_nothing_drops(expression: str, made: list[str]) -> None:
    assert _made(expression, '{"id":7,"lines":[{"n":1},{"n":2}]}') == made


@pytest.mark.parametrize(
    ("name", "value", "made"),
    [
        ("$v.key", "$v.n", ['{"b":3,"a":2}']),
        ("$v.key", "$v.n < 3 ? $v.n", ['{"b":1,"a":2}']),
        ("$v.key", "$v.n > 1 ? $v.n", ['{"a":2,"b":3}']),
        ("($v.n > 1 ? $v.key)", "$v.n", ['{"a":2,"b":3}']),
        ("$v.key", "nothing", ["{}"]),
        ("nothing", "$v.n / 0", ["{}"]),
    ],
)
def test_merged_members_stay_where_their_name_came_first_and_have_the_last_value(
    name: str, value: str, made: list[str]
) -> None:
    expression = f"$merge($map(lines, function($v) {{ {{{name}: {value}}} }}))"

    assert _made(expression, '{"lines":[{"key":"b","n":1},{"key":"a","n":2},{"key":"b","n":3}]}') == made
    assert _made(expression, '{"lines":[]}') == []


def test_the_next_expression_takes_each_record_that_the_one_before_made() -> None:
    assert _made(["lines", 'n > 1 ? {"m": n}'], '{"lines":[{"n":1},{"n":2},{"n":3}]}') == ['{"m":2}', '{"m":3}']


def test_a_record_that_is_no_object_is_rejected() -> None:
    outcome = Transformers("id").records(b'{"id":7}', _SCOPE)

    assert outcome.records == []
    assert "expected an object, an array of objects, or nothing, got 7" in str(outcome.rejection)


@pytest.mark.parametrize(
    "number", ["12345678901234567890", "1.10", "1e400", "-0", "-0.0", "1E+2", "0.1000000000000000055511151"]
)
@pytest.mark.parametrize(
    "given",
    [
        "$",
        '{"n": n}',
        '$ ~> |$|{"n": n}|',
        ["$clone($)", "$merge([$])"],
        "$merge($each($, function($value, $name) { {$name: $value} }))",
        '($kept := n; true ? {"n": $map([$kept], function($value) { $value })})',
    ],
)
def test_a_number_that_is_only_moved_is_written_as_it_was_read(number: str, given: str | list[str]) -> None:
    assert _made(given, f'{{"n":{number}}}') == [f'{{"n":{number}}}']


@pytest.mark.parametrize(
    ("expression", "made"),
    [
        ('{"n": $sum([1, 2])}', '{"n":3}'),
        ('{"n": big + 0}', '{"n":12345678901234567168}'),
        ('{"n": price * 3}', '{"n":3.3000000000000003}'),
        ('{"n": $string(big)}', '{"n":"12345678901234567890"}'),
        ('{"n": $money(price, "*", 3)}', '{"n":3.30}'),
    ],
)
def test_what_is_calculated_is_a_double_unless_it_is_money(expression: str, made: str) -> None:
    assert _made(expression, '{"big":12345678901234567890,"price":1.10}') == [made]


def test_an_update_that_a_function_makes_keeps_the_text_of_numbers() -> None:
    assert _made('$map([$], |$|{"a": 1}|)', '{"price":1.10}') == ['{"price":1.10,"a":1}']


def test_calculating_with_a_number_that_no_double_holds_is_an_error() -> None:
    outcome = Transformers('{"n": huge + 1}').records(b'{"huge":1e400}', _SCOPE)

    assert "number out of range" in str(outcome.rejection)


def test_null_false_zero_and_empty_text_stay_what_they_are() -> None:
    text = '{"a":null,"b":false,"c":0,"d":"","e":[],"f":{},"g":[null,[1]]}'

    assert _made(["$", '$ ~> |$|{"h": null}|'], text) == [text[:-1] + ',"h":null}']


def test_an_update_leaves_the_record_that_it_copies_as_it_was() -> None:
    expression = '{"new": $ ~> |$|{"a": a + 1}, "b"|, "inside": $ ~> |c|{"d": 2}|, "old": $$}'

    (record,) = _made(expression, '{"a":1,"b":null,"c":{"d":1}}')

    old = {"a": 1, "b": None, "c": {"d": 1}}
    assert json.loads(record) == {"new": {"a": 2, "c": {"d": 1}}, "inside": {**old, "c": {"d": 2}}, "old": old}


def test_an_update_of_what_a_filter_finds_leaves_the_rest_as_it_was() -> None:
    expression = '($list := [[{"a": 1}]]; {"new": $list ~> |$[0]|{"a": 2}|, "old": $list})'

    assert _made(expression, "{}") == ['{"new":[[{"a":2}]],"old":[[{"a":1}]]}']


def test_null_stays_in_a_list_that_is_filtered() -> None:
    assert _made('{"a": $filter(a, function($value) { true })}', '{"a":[null,1]}') == ['{"a":[null,1]}']


def test_text_outside_unicode_survives() -> None:
    (record,) = _made('{"a": a, "b": "é", "n": n}', '{"a":"\\ud800","n":[1.10,1e400,-0,null]}')

    assert record == '{"a":"\\ud800","b":"\\u00e9","n":[1.10,1e400,-0,null]}'


def test_the_scope_is_in_variables() -> None:
    expression = '{"a": [$connection, $entity, $language, $bookmark.until, $now()]}'

    assert _made(expression, "{}") == ['{"a":["main","orders","nl","2026-01-01","2026-11-23T06:00:00.000Z"]}']


def test_a_repeated_invocation_makes_the_same_of_the_same_record() -> None:
    transformers = Transformers('{"id": $uuid(), "n": $random(), "s": $shuffle([1..20])}')

    assert transformers.records(b'{"id":1}', _SCOPE) == transformers.records(b'{"id":1}', _SCOPE)
    assert transformers.records(b'{"id":1}', _SCOPE) != transformers.records(b'{"id":2}', _SCOPE)


def test_a_rejected_record_comes_with_error_expression_and_position_in_one_line() -> None:
    outcome = Transformers(["$", '{"n": price + "a"}']).records(b'{"price":1.10,\n"huge":1e400}', _SCOPE)

    assert outcome.records == []
    assert outcome.line is not None
    assert b"\n" not in outcome.line
    assert outcome.line.startswith(b'{"record":{"price":1.10, "huge":1e400},')
    line = msgspec.json.decode(outcome.line.replace(b"1e400", b"1"))
    assert line["expression"] == '{"n": price + "a"}'
    assert line["position"] == 12
    assert line["error"].startswith("the right side of + must be a number, not 'a' at position 12")


def test_a_record_that_is_no_json_is_rejected_whole() -> None:
    outcome = Transformers("$").records(b'{"id":', _SCOPE)

    assert outcome.rejection is not None
    assert json.loads(outcome.line or b"")["record"] == '{"id":'


def test_the_engine_works_in_other_threads_and_leaves_patterns_to_the_main_one() -> None:
    found: list[Outcome] = []

    def work() -> None:
        found.append(Transformers('{"n": $sum([1..10])}').records(b"{}", _SCOPE))
        found.append(Transformers('{"n": $match("a", /a/)}').records(b"{}", _SCOPE))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert found[0].records == [b'{"n":55}']
    assert "regular expression outside the main thread" in str(found[1].rejection)


@pytest.mark.parametrize(
    ("seen", "rejected", "share", "final", "fails"),
    [
        (100, 0, 0.0, True, False),
        (100, 1, 0.0, True, True),
        (2, 1, 0.1, True, False),
        (1, 1, 0.1, True, True),
        (1, 1, 1.0, True, True),
        (20, 2, 0.1, True, False),
        (20, 3, 0.1, True, True),
        (999, 999, 0.1, False, False),
        (1000, 101, 0.1, False, True),
    ],
)
def test_more_than_a_share_of_rejected_records_fails_the_run(
    seen: int, rejected: int, share: float, final: bool, fails: bool
) -> None:
    first = TransformError("divides by zero", expression="1/0", position=1)
    if not fails:
        check_rejected(seen, rejected, share=share, first=first, final=final)
        return
    which = "every record was rejected" if rejected == seen else f"{rejected} of {seen} records were rejected where"
    with pytest.raises(TooManyRejected, match=f"^{which}.*; one of them: .*divides by zero") as caught:
        check_rejected(seen, rejected, share=share, first=first, final=final)
    assert str(caught.value).count("in the transformer") == 1
