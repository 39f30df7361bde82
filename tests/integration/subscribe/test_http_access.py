"""Access to the routes, and every answer's request id, size limit, compression and time limit."""

import base64
import gzip
import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from connector.http import calls as http
from connector.http.calls import MAX_REQUEST_BYTES
from connector.http.routes import ROUTES
from connector.runs.lookup import Runs
from tests.integration.subscribe.bundle import Answer, Bundle, http_event, quote_event
from tests.integration.subscribe.test_http import problem
from tests.shop import Fault, server

READER = {"token": "dashboard", "scopes": "read", "error": ""}
PUBLISHER = {"token": "erp", "scopes": "publish", "error": ""}
NOBODY = {"token": "", "scopes": "", "error": ""}
CALLS = [
    ("GET", "/entities", None),
    ("GET", "/entities/products/images", None),
    ("GET", "/connections/default", None),
    ("GET", "/runs", None),
    ("GET", "/status", None),
    ("GET", "/runs/run-1", None),
    ("POST", "/subscribe", quote_event()),
    ("POST", "/transform", {"transformer": "$", "input": {"id": 1}}),
]
READING = [call for call in CALLS if call[1] != "/subscribe"]


@pytest.mark.parametrize("caller", [None, NOBODY, {}], ids=["no authorizer", "no token", "nothing known"])
@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_a_call_without_a_valid_token_is_401(
    bundle: Bundle, method: str, path: str, body: object, caller: dict[str, Any] | None
) -> None:
    answer = bundle.http(method, path, body, caller=caller)

    problem(answer, 401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert bundle.untouched


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_a_token_without_the_scope_is_403_and_the_answer_names_it(
    bundle: Bundle, method: str, path: str, body: object
) -> None:
    answer = bundle.http(method, path, body, caller=PUBLISHER)

    found = problem(answer, 403, "missing-scope")
    assert found["scope"] == ("admin" if path == "/subscribe" else "read")
    assert "the token 'erp' has: publish" in found["detail"]
    assert bundle.untouched


@pytest.mark.parametrize(("method", "path", "body"), READING)
def test_a_read_token_may_make_every_call_that_reads(bundle: Bundle, method: str, path: str, body: object) -> None:
    assert bundle.http(method, path, body, caller=READER).status in (200, 404)


def test_a_read_token_may_not_start_a_run(bundle: Bundle) -> None:
    problem(bundle.http("POST", "/subscribe", quote_event(), caller=READER), 403, "missing-scope")


def test_a_signed_call_is_decided_by_iam(bundle: Bundle) -> None:
    event = http_event("GET", "/entities")
    event["requestContext"]["authorizer"] = {"iam": {"userArn": "arn:aws:iam::123456789012:user/anna"}}

    assert bundle.invoke(event)["statusCode"] == 200


def test_tokens_that_cannot_be_checked_are_503(bundle: Bundle) -> None:
    answer = bundle.http("GET", "/entities", caller={**NOBODY, "error": "the API's tokens cannot be checked"})

    problem(answer, 503, "tokens-unavailable")
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize(
    ("path", "status"), [("/entities", 200), ("/entities/none", 404), ("/nope", 404), ("/subscribe", 405)]
)
def test_every_answer_carries_the_request_id(bundle: Bundle, path: str, status: int) -> None:
    answer = bundle.http("GET", path)

    assert (answer.status, answer.headers["X-Request-Id"]) == (status, "request")


def test_log_lines_carry_the_request_id_the_token_and_lambdas_id(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle.http("POST", "/subscribe", quote_event(), request_id="lambda-1")
    bundle.invoke(quote_event(), "lambda-2")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"message":"subscribe"' in line]
    over_http, direct = lines
    assert (over_http["request_id"], over_http["function_request_id"]) == ("request", "lambda-1")
    assert over_http["correlation_id"] == "request"
    assert over_http["token"] == "test"
    assert direct["function_request_id"] == "lambda-2"
    assert direct["request_id"] == direct["correlation_id"] == "lambda-2"
    assert {"cold_start", "function_name"} <= set(direct)
    assert "token" not in direct


def test_the_request_id_is_in_the_answer_the_manifest_and_the_shops_request(bundle: Bundle) -> None:
    answer = bundle.http("POST", "/subscribe", quote_event(), request_id="lambda-1")
    direct = bundle.invoke(quote_event(), "lambda-2\r\nX: 1")

    assert answer.headers["X-Request-Id"] == "request"
    assert [bundle.manifest(result)["request_id"] for result in (answer.json, direct)] == [
        "request",
        "lambda-2X:1",
    ]
    assert [request.headers.get("x-request-id") for request in bundle.shop.requests] == ["request", "lambda-2X:1"]


def test_a_large_answer_is_compressed_for_a_caller_that_takes_gzip(bundle: Bundle) -> None:
    plain = bundle.invoke(http_event("GET", "/entities"))
    packed = bundle.invoke(http_event("GET", "/entities", headers={"accept-encoding": "br, gzip"}))

    assert (plain["isBase64Encoded"], packed["isBase64Encoded"]) == (False, True)
    assert packed["headers"]["Content-Encoding"] == "gzip"
    raw = base64.b64decode(packed["body"])
    assert gzip.decompress(raw).decode() == plain["body"]
    assert len(raw) < len(plain["body"]) / 4


def test_a_small_answer_is_not_compressed(bundle: Bundle) -> None:
    answer = bundle.invoke(http_event("GET", "/runs/none", headers={"accept-encoding": "gzip"}))

    assert not answer["isBase64Encoded"]
    assert "Content-Encoding" not in answer["headers"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("path", ["/subscribe", "/transform"])
def test_a_body_of_another_type_is_415(bundle: Bundle, path: str, media_type: str) -> None:
    answer = bundle.http("POST", path, quote_event(), {"content-type": media_type})

    problem(answer, 415, "unsupported-media-type")
    assert answer.headers["Accept-Post"] == "application/json"
    assert bundle.untouched


@pytest.mark.parametrize(
    "media_type", ["", "application/json; charset=utf-8", "Application/JSON", "application/a+json"]
)
def test_json_goes_by_several_names(bundle: Bundle, media_type: str) -> None:
    assert bundle.http("POST", "/subscribe", quote_event(), {"content-type": media_type}).status == 200


def test_a_body_that_is_too_large_is_413(bundle: Bundle) -> None:
    text = json.dumps({"entity": "x" * MAX_REQUEST_BYTES})

    answer = bundle.http("POST", "/subscribe", text)

    assert "s3_key" in problem(answer, 413, "too-large")["detail"]


def test_an_answer_repeats_at_most_a_hundred_characters_of_its_input(bundle: Bundle) -> None:
    long = "q" * 1_000_000
    calls: list[tuple[str, str, object]] = [
        ("POST", "/subscribe", {"entity": long}),
        ("POST", "/subscribe", {"entity": "orders", long: 1}),
        ("POST", "/subscribe", {"entity": "orders", "mode": long}),
        ("POST", "/subscribe", {"entity": "orders", "connection": long}),
        ("POST", "/subscribe", {"entity": "orders", "since": long, "mode": "incremental"}),
        ("POST", "/subscribe", {"entity": "orders", "language": long}),
        ("POST", "/subscribe", {"entity": "orders", "input_transformer": f'"{long}" + 1'}),
        ("POST", "/subscribe", {"entity": "orders", "parameters": {"path": {long: 1}}}),
        ("POST", "/subscribe", {"entity": "orders", "parameters": {"query": {"limit": long}}}),
        ("POST", "/subscribe", {"entity": "orders", "parameters": long}),
        ("POST", "/transform", {"transformer": f'$nope("{long}")', "input": {}}),
        ("POST", "/transform", {"transformer": "$", "input": {}, "now": long}),
        ("GET", f"/entities/{long[:5000]}", None),
        ("GET", f"/runs/{long[:5000]}", None),
        ("GET", f"/connections/{long[:5000]}", None),
        ("PUT", f"/{long[:5000]}", None),
    ]
    for method, path, body in calls:
        answer = bundle.http(method, path, body)
        assert 400 <= answer.status < 500, answer.text[:300]
        assert "q" * 101 not in answer.text, f"{method} {path[:20]} {str(body)[:60]}"
        assert len(answer.text) < 3_000


def test_an_answer_that_is_too_large_is_a_problem(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 2_000)

    assert "ask for less" in problem(bundle.http("GET", "/entities"), 413, "answer-too-large")["detail"]


def test_a_call_that_takes_too_long_is_504(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = threading.Event()
    monkeypatch.setattr(http, "ANSWER_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr(Runs, "get", lambda *_: ends.wait(30))

    answer = bundle.http("GET", "/runs/run-1")

    ends.set()
    problem(answer, 504, "too-slow")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/connections/default", None),
        ("POST", "/subscribe", quote_event()),
        ("POST", "/subscribe", {"entity": "orders"}),
        ("POST", "/subscribe", {"entity": "orders", "estimate": True}),
    ],
)
def test_a_call_is_answered_within_28_seconds_though_every_answer_of_the_shop_trickles(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: object
) -> None:
    looked = threading.Event()

    def look() -> float:
        looked.set()
        return bundle.clock.now()

    def pass_seconds(seconds: float) -> None:
        looked.wait(1)  # the connector has taken the piece before, and looks how much time is left
        looked.clear()
        bundle.clock.advance(seconds)

    monkeypatch.setattr(server, "_PIECES", 40)
    monkeypatch.setattr(bundle.clock, "monotonic", look)
    monkeypatch.setattr(bundle.shop, "wait", pass_seconds)
    for _ in range(50):
        bundle.shop.faults.next(Fault.slows_body(96))
    start = bundle.clock.now()

    answer = bundle.http(method, path, body)

    assert bundle.clock.now() - start <= 28
    assert bundle.shop.requests
    problem(answer, 504, "answer-lost")


def aws_error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


@pytest.mark.parametrize(
    "error",
    [
        aws_error("SlowDown", 503),
        aws_error("InternalError", 500),
        aws_error("ThrottlingException", 400),
        aws_error("ProvisionedThroughputExceededException", 400),
        EndpointConnectionError(endpoint_url="https://s3.eu-west-1.amazonaws.com"),
    ],
    ids=lambda error: str(error)[:60],
)
def test_trouble_of_aws_that_may_pass_is_503(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Runs, "get", refuse)

    answer = bundle.http("GET", "/runs/run-1")

    problem(answer, 503, "aws-unavailable")
    assert answer.headers["Retry-After"] == "5"


def test_a_bug_is_a_problem_and_a_line_in_the_log(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(Runs, "get", fail)

    answer = bundle.http("GET", "/runs/run-1")

    problem(answer, 500, "internal-error")
    assert "secret detail" not in answer.text
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_a_new_call_does_not_see_the_caller_before(bundle: Bundle) -> None:
    answers: list[Answer] = [bundle.http("GET", "/entities", caller=caller) for caller in (READER, NOBODY, PUBLISHER)]

    assert [answer.status for answer in answers] == [200, 401, 403]


def test_every_route_that_needs_a_token_is_called_here() -> None:
    called = {(method, path) for method, path, _ in CALLS}
    reached = {route for route in ROUTES for method, path in called if route.method == method and route.answers(path)}

    assert {route for route in ROUTES if route.scope in ("read", "admin")} == reached
