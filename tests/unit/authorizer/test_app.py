from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from authorizer import app
from authorizer.app import MAX_AGE_SECONDS, MIN_AGE_SECONDS, Token


class Vault:
    """A secret whose value moves, and a clock that moves with it."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.reads = 0
        self.now = 1000.0

    def read(self) -> str:
        self.reads += 1
        return self.value

    def clock(self) -> float:
        return self.now


def request(authorization: str | None) -> dict[str, Any]:
    headers = {} if authorization is None else {"authorization": authorization}
    return {"version": "2.0", "type": "REQUEST", "routeKey": "GET /entities", "headers": headers}


@pytest.fixture
def vault() -> Vault:
    return Vault("right")


@pytest.fixture
def token(vault: Vault) -> Token:
    return Token(vault.read, vault.clock)


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("API_TOKEN_SECRET", "stack-api-token")
    app.token.cache_clear()
    with mock_aws():
        boto3.client("secretsmanager").create_secret(Name="stack-api-token", SecretString="right\n")
        yield app
    app.token.cache_clear()


@pytest.mark.parametrize(
    ("authorization", "authorized"),
    [
        pytest.param("Bearer right", True, id="right"),
        pytest.param("bearer  right ", True, id="scheme in lower case, spaces around"),
        pytest.param("Bearer wrong", False, id="wrong"),
        pytest.param("Bearer right2", False, id="longer"),
        pytest.param("Bearer rïght", False, id="not ASCII"),
        pytest.param("Bearer ", False, id="empty"),
        pytest.param("right", False, id="no scheme"),
        pytest.param("Basic right", False, id="other scheme"),
        pytest.param(None, False, id="no header"),
    ],
)
def test_only_the_right_bearer_token_is_authorized(
    deployed: ModuleType, authorization: str | None, authorized: bool
) -> None:
    assert deployed.lambda_handler(request(authorization), None) == {"isAuthorized": authorized}


def test_an_empty_secret_lets_nobody_in(vault: Vault, token: Token) -> None:
    vault.value = " \n"

    assert not token.matches("")


def test_nothing_is_read_before_the_first_token_is_offered(vault: Vault, token: Token) -> None:
    assert vault.reads == 0

    token.matches("right")

    assert vault.reads == 1


def test_a_matching_token_costs_no_second_read(vault: Vault, token: Token) -> None:
    assert token.matches("right")
    vault.now += MAX_AGE_SECONDS - 1
    assert token.matches("right")

    assert vault.reads == 1


def test_a_rotated_token_is_taken_up_when_it_is_first_offered(vault: Vault, token: Token) -> None:
    token.matches("right")
    vault.value = "new"
    vault.now += MIN_AGE_SECONDS

    assert token.matches("new")
    assert not token.matches("right")


def test_a_withdrawn_token_ends_with_its_age(vault: Vault, token: Token) -> None:
    token.matches("right")
    vault.value = "new"
    vault.now += MAX_AGE_SECONDS

    assert not token.matches("right")


def test_guessing_reads_the_secret_once_per_interval(vault: Vault, token: Token) -> None:
    for _ in range(100):
        assert not token.matches("guess")
    assert vault.reads == 1

    vault.now += MIN_AGE_SECONDS
    for _ in range(100):
        assert not token.matches("guess")
    assert vault.reads == 2


def test_a_secret_that_cannot_be_read_is_an_error_and_not_an_answer(
    deployed: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN_SECRET", "another")

    with pytest.raises(Exception, match="ResourceNotFoundException"):
        deployed.lambda_handler(request("Bearer right"), None)
