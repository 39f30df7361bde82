"""Who may call the deployed HTTP API, over real HTTP."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from authorizer.app import MAX_AGE_SECONDS
from tests.local.stack import STACK_NAME, Stack
from tests.shop import Fault, Shop

pytestmark = pytest.mark.e2e

ROUTES = [
    ("GET", "/status"),
    ("GET", "/entities"),
    ("GET", "/entities/products/images"),
    ("GET", "/connections/default"),
    ("GET", "/runs/some-run"),
    ("POST", "/subscribe"),
    ("POST", "/transform"),
    ("POST", "/publish"),
]
READER, WRITER = "reader-0123456789", "writer-0123456789"


def problem(answer: requests.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("token", ["", "wrong"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_call_without_a_valid_token_is_401(stack: Stack, method: str, path: str, token: str) -> None:
    answer = stack.http(method, path, {} if method == "POST" else None, token=token)

    problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/nope", 404), ("GET", "/publish", 405), ("DELETE", "/entities/orders", 405)],
)
def test_a_path_or_method_that_is_not_there_needs_no_token(stack: Stack, method: str, path: str, status: int) -> None:
    answer = stack.http(method, path, token="")

    problem(answer, status)
    assert answer.headers.get("allow") == {"/publish": "POST", "/entities/orders": "GET"}.get(path)


@pytest.fixture
def two_tokens(stack: Stack) -> Iterator[None]:
    """Let two tokens be valid besides the one that every other test uses."""
    rows = [
        {"name": "default", "token": stack.token, "scopes": ["admin"]},
        {"name": "reader", "token": READER, "scopes": ["read"]},
        {"name": "writer", "token": WRITER, "scopes": ["publish"]},
    ]
    secret = stack.outputs["ApiTokenSecretArn"]
    before = stack.token
    stack.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=json.dumps({"tokens": rows}))
    yield
    stack.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=before)


@pytest.mark.usefixtures("two_tokens")
def test_a_token_may_do_what_its_scopes_say_and_is_refused_once_withdrawn(
    stack: Stack, eventually: Callable[..., Any]
) -> None:
    eventually(lambda: stack.http("GET", "/entities", token=READER).status_code == 200)
    assert problem(stack.http("POST", "/publish", {}, token=READER), 403)["scope"] == "publish"
    assert problem(stack.http("POST", "/subscribe", {}, token=READER), 403)["scope"] == "admin"
    assert problem(stack.http("GET", "/entities", token=WRITER), 403)["scope"] == "read"
    problem(stack.http("POST", "/publish", {}, token=WRITER), 400)

    secret = stack.outputs["ApiTokenSecretArn"]
    stack.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=stack.token)

    eventually(lambda: stack.http("GET", "/entities", token=READER).status_code == 401, MAX_AGE_SECONDS + 120)


def test_the_generated_token_is_letters_and_digits(stack: Stack) -> None:
    assert len(stack.token) == 48
    assert stack.token.isalnum()


def test_the_catalogue_names_its_entities(stack: Stack) -> None:
    answer = stack.http("GET", "/entities")

    assert answer.status_code == 200
    assert {"orders", "products/images", "shop"} <= {row["entity"] for row in answer.json()["entities"]}


def test_an_entity_below_another_is_found_by_its_whole_name(stack: Stack) -> None:
    answer = stack.http("GET", "/entities/products/images")

    assert answer.status_code == 200
    assert answer.json()["entity"] == "products/images"


def test_an_unknown_entity_is_a_problem_that_names_the_nearest(stack: Stack) -> None:
    answer = stack.http("GET", "/entities/ordrs")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "orders" in answer.text


def test_a_connection_is_checked_against_the_shop(stack: Stack) -> None:
    answer = stack.http("GET", "/connections/default")

    assert answer.status_code == 200, answer.text


def test_a_connection_that_does_not_exist_is_not_found(stack: Stack) -> None:
    assert stack.http("GET", "/connections/nobody").status_code == 404


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/start.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
        ("/openapi.json", "application/json"),
    ],
)
def test_the_page_that_shows_the_api_needs_no_token(stack: Stack, path: str, kind: str) -> None:
    answer = stack.http("GET", path, token="")

    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_run_is_in_the_list_of_runs(stack: Stack) -> None:
    result = stack.http("POST", "/subscribe", {"entity": "shop"})
    assert result.status_code == 200, result.text

    newest = stack.http("GET", "/runs?entity=shop&limit=1").json()["runs"][0]

    assert (newest["run_id"], newest["status"], newest["verified"]) == (result.json()["run_id"], "complete", True)
    assert stack.http("GET", f"/runs/{newest['run_id']}").json()["manifest"] in newest["manifests"]


TAG = {"entity": "tags", "action": "create", "parameters": {"payload": {"title": "first"}}, "idempotency_key": "e2e-1"}
OTHER_TAG = {**TAG, "parameters": {"payload": {"title": "second"}}}
WRONG_STOCK = {"entity": "variants", "action": "create", "parameters": {"payload": {"stockLevel": "x"}}}


@pytest.mark.usefixtures("dead_shop")
@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/subscribe", {"entity": "orders", "modus": "full"}, 400, "malformed-request"),
        ("/transform", {"transformer": "$nope(", "input": {}}, 400, "transformer-failed"),
        ("/subscribe", {"entity": "ordrs"}, 404, "unknown-entity"),
        ("/subscribe", {"entity": "orders", "connection": "nobody"}, 404, "unknown-connection"),
        ("/subscribe", {"entity": "orders", "parameters": {"path": {"id": 1}}}, 404, "not-found"),
        ("/publish", OTHER_TAG, 409, "idempotency-conflict"),
        ("/transform", {"transformer": "$", "input": {"text": "x" * 4_500_000}}, 413, "too-large"),
        ("/publish", WRONG_STOCK, 422, "refused-by-shop"),
        ("/subscribe", {"entity": "orders", "connection": "dead"}, 502, "shop-unreachable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_a_problem_over_real_http(
    stack: Stack, path: str, body: object, status: int, kind: str
) -> None:
    if kind == "idempotency-conflict":
        assert stack.http("POST", "/publish", TAG).status_code == 201

    answer = problem(stack.http("POST", path, body), status)

    assert answer["type"] == f"urn:lightspeed-connector:problem:{kind}"


def test_the_status_is_told_to_a_caller_with_a_token(stack: Stack) -> None:
    answer = stack.http("GET", "/status")

    assert answer.status_code == 200, answer.text
    assert answer.json()["stack"] == STACK_NAME


def test_a_body_of_another_type_is_415_over_real_http(stack: Stack) -> None:
    answer = stack.http("POST", "/transform", {"transformer": "$", "input": {}}, Content_Type="text/plain")

    assert problem(answer, 415)["status"] == 415


@pytest.fixture(scope="session")
def dead_shop(bundle: tuple[Stack, object]) -> None:
    """Store a connection to a shop that is not there."""
    settings = {"base_url": "http://127.0.0.1:9", "api_key": "k" * 32, "api_secret": "s" * 32, "language": "nl"}
    bundle[0].add_connection("dead", settings)


@pytest.fixture
def troubled_shop(stack: Stack) -> Iterator[Shop]:
    """A shop of its own, whose connection is `troubled`."""
    with Shop(orders=0, products=0, quota=(300, 3_000, 12_000)) as shop:
        settings = {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret, "language": "nl"}
        stack.add_connection("troubled", settings)
        yield shop


def test_a_quota_that_is_used_up_and_a_slow_shop_are_429_and_504_over_real_http(
    stack: Stack, troubled_shop: Shop
) -> None:
    event = {"entity": "shop", "connection": "troubled"}
    troubled_shop.faults.next(Fault.answers(504), times=20)
    slow = problem(stack.http("POST", "/subscribe", event), 504)
    troubled_shop.faults.clear()
    troubled_shop.limits.use(300)
    answer = stack.http("GET", "/connections/troubled")

    assert slow["type"] == "urn:lightspeed-connector:problem:shop-failed"
    assert problem(answer, 429)["type"] == "urn:lightspeed-connector:problem:quota-used-up"
    assert 0 < int(answer.headers["Retry-After"]) <= 300
