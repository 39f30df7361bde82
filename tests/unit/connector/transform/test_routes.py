import json
from collections.abc import Mapping
from typing import Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from connector.errors import RequestError, TransformError
from connector.http.calls import resolver
from connector.transform import NotFoundInLibrary
from connector.transform.routes import answer, register

READER = {"token": "reader", "scopes": "read", "error": ""}


class _Library:
    def transformer(self, name: str) -> str:
        if name != "keep":
            raise NotFoundInLibrary(f"there is no saved transformer {name!r}")
        return '{"id": id}'

    def table(self, name: str) -> Mapping[str, Any]:
        return {"7": name}


def _call(body: object) -> tuple[int, dict[str, Any]]:
    status, text = _call_with_text(json.dumps(body))
    return status, json.loads(text)


def _call_with_text(body: str) -> tuple[int, str]:
    app = resolver()
    register(app, _Library)
    http = {"method": "POST", "path": "/transform", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"}
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/transform",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": http, "stage": "$default", "requestId": "x", "authorizer": {"lambda": READER}},
        "body": body,
        "isBase64Encoded": False,
    }
    found = app.resolve(event, LambdaContext())
    return found["statusCode"], found["body"]


def test_each_step_is_answered_with_what_it_returns() -> None:
    status, body = _call({"transformer": ['[{"id": id}, {"id": 8}]', '{"n": id}'], "input": {"id": 7}})

    assert status == 200
    assert body == {
        "steps": [
            {"expression": '[{"id": id}, {"id": 8}]', "output": [{"id": 7}, {"id": 8}]},
            {"expression": '{"n": id}', "output": [{"n": 7}, {"n": 8}]},
        ],
        "output": [{"n": 7}, {"n": 8}],
    }


def test_the_texts_of_numbers_are_kept() -> None:
    numbers = '{"price":12.50,"large":12345678901234567890.12,"short":1e2,"id":7}'

    status, text = _call_with_text(f'{{"transformer": "$", "input": {numbers}}}')

    assert status == 200
    assert f'"output":[{numbers}]' in text


def test_saved_transformers_and_tables_are_at_hand() -> None:
    reference = {"$ref": "s3:config/transformers/keep.jsonata"}

    status, body = _call({"transformer": [reference, '{"a": $lookup_table("t", id)}'], "input": {"id": 7, "b": 1}})

    assert (status, body["output"]) == (200, [{"a": "t"}])


def test_parameters_are_tried_with_the_scope_of_the_call() -> None:
    status, body = _call(
        {
            "transformer": '[1, 2].{"path": {"id": $}, "query": {"fields": $language}}',
            "kind": "parameters",
            "input": {"query": {}},
            "language": "en",
            "entity": "orders",
        }
    )

    assert status == 200
    assert body["output"] == [{"path": {"id": n}, "query": {"fields": "en"}, "payload": None} for n in (1, 2)]


def test_an_error_is_a_problem_with_its_place_under_a_caret() -> None:
    status, body = _call({"transformer": '{\n  "a": 1 / 0\n}', "input": {}})

    assert status == 400
    assert body["type"].endswith(":transformer-failed")
    assert {key: body[key] for key in ("position", "line", "column", "caret")} == {
        "position": 11,
        "line": 2,
        "column": 10,
        "caret": '  "a": 1 / 0\n         ^',
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": {}}, "transformer is missing"),
        ({"transformer": "$", "inptu": {}}, "did you mean input?"),
        ({"transformer": "$", "input": []}, "input must be a JSON object"),
        ({"transformer": "$", "input": {}, "kind": "other"}, "kind must be record or parameters"),
        ({"transformer": "$", "input": {}, "now": "soon"}, "now must be a time"),
        ([], "the event must be a JSON object"),
    ],
)
def test_a_malformed_call_is_told_what_would_be_right(body: object, message: str) -> None:
    status, found = _call(body)

    assert status == 400
    assert message in found["detail"]


def test_the_answer_can_be_had_without_http() -> None:
    assert answer({"transformer": "$", "input": {"id": 7}}, _Library())["steps"][0]["expression"] == "$"
    with pytest.raises(RequestError):
        answer({}, _Library())
    with pytest.raises(TransformError):
        answer({"transformer": {"$ref": "s3:config/transformers/none.jsonata"}, "input": {}}, _Library())
