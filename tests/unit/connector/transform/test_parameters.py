from typing import Any

import pytest

from connector.transform import Limits, TransformError, load, parse_transformers
from connector.transform.transformer import Transformers
from lightspeed import Parameters


def _document(**members: Any) -> dict[str, Any]:
    return {
        "path": {"id": 7},
        "query": {"limit": 50},
        "payload": None,
        "connection": "main",
        "entity": "quotes",
        "language": "nl",
        "bookmark": None,
        "now": "2026-11-23T06:00:00+00:00",
        **members,
    }


def _made(given: Any, **members: Any) -> list[Parameters]:
    return Transformers(given).parameters(_document(**members))


def test_without_transformers_the_parameters_stay_as_they_are() -> None:
    assert _made(None) == [Parameters({"id": 7}, {"limit": 50}, None)]


def test_a_key_that_is_left_out_keeps_its_value() -> None:
    assert _made('{"path": {"id": 1016615295}}') == [Parameters({"id": 1016615295}, {"limit": 50}, None)]


def test_null_empties_path_and_query() -> None:
    assert _made('{"path": null, "query": null}') == [Parameters({}, {}, None)]


def test_the_expressions_of_a_list_see_what_the_one_before_returned() -> None:
    assert _made(['{"path": {"id": 1}}', '{"path": {"id": path.id + 1}}'])[0].path == {"id": 2}


def test_an_array_fans_out_in_order_and_each_element_goes_on_by_itself() -> None:
    made = _made(['[1, 2].{"path": {"id": $}}', '[path.id, path.id * 10].{"path": {"id": $}}'])

    assert [parameters.path["id"] for parameters in made] == [1, 10, 2, 20]


def test_an_empty_array_asks_for_nothing() -> None:
    assert _made("[]") == []


def test_the_document_itself_may_be_returned() -> None:
    assert _made("$") == _made(None)


def test_the_scope_is_in_the_document_and_in_variables() -> None:
    expression = (
        '{"query": {"a": [connection, entity, language, bookmark.until], "b": [$connection, $entity, $language]}}'
    )

    query = _made(expression, bookmark={"until": "2026-01-01"})[0].query

    assert query == {"a": ["main", "quotes", "nl", "2026-01-01"], "b": ["main", "quotes", "nl"]}


def test_now_stands_still_at_the_start_of_the_run() -> None:
    query = _made('{"query": {"a": now, "b": $now(), "c": $fromMillis($millis())}}')[0].query

    assert query == {
        "a": "2026-11-23T06:00:00+00:00",
        "b": "2026-11-23T06:00:00.000Z",
        "c": "2026-11-23T06:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1", "expected an object with path, query or payload, got 1"),
        ("nothing.here", "got nothing \\(return \\[\\] to send nothing\\)"),
        ('[{"path": {}}, 2]', "expected an object with path, query or payload, got 2"),
        ('{"paht": {}}', "got the unknown key 'paht'"),
        ('{"language": "en"}', "language cannot be changed by a transformer"),
        ('{"path": 7}', "expected an object as path, got 7"),
        ('{"query": ["status"]}', "expected an object as query"),
        ('{"payload": $sum}', "returns a function, where a value was expected"),
        ('{"payload": 1e308 * 10}', "number out of range"),
    ],
)
def test_what_is_no_parameters_is_refused_with_what_was_expected(expression: str, message: str) -> None:
    with pytest.raises(TransformError, match=message) as caught:
        _made(expression)
    assert caught.value.expression == expression


def test_the_expression_of_a_list_that_failed_is_named() -> None:
    with pytest.raises(TransformError) as caught:
        _made(['{"path": {}}', '{"query": 1 + "a"}'])

    assert (caught.value.expression, caught.value.position) == ('{"query": 1 + "a"}', 12)


def test_numbers_are_built_in_ones_whatever_they_were_made_of() -> None:
    payload = _made(['{"payload": {"a": $money("1.105"), "b": 7}}', "$"])[0].payload

    assert isinstance(payload, dict)
    assert [type(value) for value in payload.values()] == [float, int]
    assert payload == {"a": 1.11, "b": 7}


def test_the_input_is_not_changed() -> None:
    document = _document(payload={"title": "a"})

    Transformers('$ ~> |payload|{"title": "b"}|').parameters(document)

    assert document == _document(payload={"title": "a"})


def test_a_seed_makes_a_resumed_run_plan_the_same() -> None:
    transformers = Transformers('{"query": {"fields": [$uuid(), $string($random())]}}')

    assert transformers.parameters(_document(), "run") == transformers.parameters(_document(), "run")
    assert transformers.parameters(_document(), "run") != transformers.parameters(_document(), "other")
    assert transformers.parameters(_document()) != transformers.parameters(_document())


def test_too_many_expressions_are_refused() -> None:
    with pytest.raises(TransformError, match="expected up to 50 expressions, got 51"):
        Transformers(["$"] * 51)


def test_too_many_requests_are_refused() -> None:
    transformers = Transformers('[1..10001].{"path": {"id": $}}', limits=Limits(seconds=60))

    with pytest.raises(TransformError, match="makes more than 10,000 requests"):
        transformers.parameters(_document(), "run")


def test_nothing_is_loaded_where_nothing_is_given() -> None:
    assert load(None) is None
    assert load([]) is None
    assert [type(item) for item in parse_transformers(["$", {"$ref": "s3:config/transformers/t.jsonata"}])] == [
        str,
        dict,
    ]
    made = load('{"path": {"id": 8}}')
    assert made is not None
    assert made.parameters(_document())[0].path == {"id": 8}
