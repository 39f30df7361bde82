"""The HTTP API lets in who shows the token, and nobody else."""

import pytest

from tests.local.stack import Stack

pytestmark = pytest.mark.e2e

ROUTES = [
    ("GET", "/entities"),
    ("GET", "/entities/products/images"),
    ("GET", "/connections/default"),
    ("GET", "/runs/some-run"),
    ("POST", "/subscribe"),
    ("POST", "/publish"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_call_without_a_token_is_unauthorized(stack: Stack, method: str, path: str) -> None:
    assert stack.http(method, path, {} if method == "POST" else None, token="").status_code == 401


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_call_with_a_wrong_token_is_forbidden(stack: Stack, method: str, path: str) -> None:
    assert stack.http(method, path, {} if method == "POST" else None, token="wrong").status_code == 403


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
