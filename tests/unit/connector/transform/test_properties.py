import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.transform import Limits, Scope, TransformError
from connector.transform.transformer import Transformers
from tests.fuzz.expressions import expressions, json_values

_SCOPE = Scope("main", "orders", "nl", None, "2026-11-23T06:00:00+00:00", "run")
_LIMITS = Limits(seconds=0.3, items=20_000, characters=200_000, output_values=5000, output_bytes=100_000)
_FEW = settings(
    max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
_RECORDS = st.dictionaries(st.text(max_size=10), json_values(), max_size=6)


def _check_place(error: TransformError) -> None:
    assert -1 <= error.position <= len(error.expression)


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@_FEW
@given(record=_RECORDS)
def test_any_record_passes_through_a_transformer_that_changes_nothing(record: dict[str, Any]) -> None:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    for expression in ("$", "$merge([$])", "$ ~> |$|{}|", "$clone($)"):
        outcome = Transformers(expression).records(text, _SCOPE)

        assert outcome.rejection is None
        assert _same([json.loads(made) for made in outcome.records], [record])


@_FEW
@given(expression=expressions(), record=_RECORDS)
def test_any_expression_on_any_record_ends_in_time_with_records_or_a_rejection(
    expression: str, record: dict[str, Any]
) -> None:
    try:
        transformers = Transformers(expression, limits=_LIMITS)
    except TransformError:
        return

    outcome = transformers.records(json.dumps(record).encode(), _SCOPE)

    assert all(isinstance(json.loads(text), dict) for text in outcome.records)
    assert (outcome.rejection is None) or (outcome.records == [] and outcome.line is not None)


@_FEW
@given(expression=expressions(), document=_RECORDS)
def test_any_expression_on_parameters_makes_parameters_or_says_what_is_wrong(
    expression: str, document: dict[str, Any]
) -> None:
    full = {"path": {}, "query": {}, "payload": document, "language": "nl", "bookmark": None}
    try:
        made = Transformers(expression, limits=_LIMITS).parameters(full)
    except TransformError as error:
        _check_place(error)
        return

    assert all(isinstance(parameters.path, dict) and isinstance(parameters.query, dict) for parameters in made)


@_FEW
@given(text=st.text(alphabet="$()[]{}\"'`.,:;*/%|&^<>=!~?@#0123456789aéx\\ \n", max_size=40))
def test_any_text_is_an_expression_or_is_refused_with_a_position_inside_it(text: str) -> None:
    try:
        Transformers(text)
    except TransformError as error:
        _check_place(error)


@_FEW
@given(expression=expressions(), record=_RECORDS)
def test_a_record_that_is_transformed_in_time_becomes_the_same_in_the_same_run(
    expression: str, record: dict[str, Any]
) -> None:
    try:
        transformers = Transformers(expression, limits=_LIMITS)
    except TransformError:
        return
    text = json.dumps(record).encode()

    first, second = transformers.records(text, _SCOPE), transformers.records(text, _SCOPE)

    if not any("takes longer than" in str(outcome.rejection) for outcome in (first, second)):
        assert first.records == second.records


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n", "\x00", "\ufeff", "'", '"', "`", "/", "/*", "\\", "'\\", '"\\u12', "1e999", "0x", "$", "$$", "%"],
)
def test_odd_texts_are_expressions_or_refused(text: str) -> None:
    try:
        Transformers(text).records(b'{"a":1}', _SCOPE)
    except TransformError as error:
        _check_place(error)
