"""The caller that the authorizer identifies."""

import json
import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from authorizer import app
from authorizer.app import MAX_AGE_SECONDS, MIN_AGE_SECONDS, Tokens, parse_tokens

ERP = "erp-token-0123456789"
DASHBOARD = "dashboard-0123456789"
TWO = json.dumps(
    {
        "tokens": [
            {"name": "erp", "token": ERP, "scopes": ["publish"]},
            {"name": "dashboard", "token": DASHBOARD, "scopes": ["read", "publish"]},
        ]
    }
)
NOBODY = {"token": "", "scopes": "", "error": ""}


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


def name(tokens: Tokens, offered: str) -> str | None:
    found = tokens.find(offered)
    return found.name if found else None


@pytest.fixture
def vault() -> Vault:
    return Vault("right")


@pytest.fixture
def tokens(vault: Vault) -> Tokens:
    return Tokens(vault.read, vault.clock)


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("API_TOKEN_SECRET", "stack-api-token")
    app.tokens.cache_clear()
    with mock_aws():
        boto3.client("secretsmanager").create_secret(Name="stack-api-token", SecretString="right\n")
        yield app
    app.tokens.cache_clear()


@pytest.mark.parametrize(
    ("authorization", "found"),
    [
        pytest.param("Bearer right", True, id="right"),
        pytest.param("bearer  right ", True, id="scheme in lower case, spaces around"),
        pytest.param("Bearer wrong", False, id="wrong"),
        pytest.param("Bearer right2", False, id="longer"),
        pytest.param("Bearer righ", False, id="shorter"),
        pytest.param("Bearer rïght", False, id="not ASCII"),
        pytest.param("Bearer \ud800", False, id="half a character"),
        pytest.param("Bearer " + "x" * 10_000, False, id="longer than any token"),
        pytest.param("Bearer ", False, id="empty"),
        pytest.param("right", False, id="no scheme"),
        pytest.param("Basic right", False, id="other scheme"),
        pytest.param(None, False, id="no header"),
    ],
)
def test_every_call_passes_and_only_the_right_token_has_scopes(
    deployed: ModuleType, authorization: str | None, found: bool
) -> None:
    caller = {"token": "default", "scopes": "read publish admin", "error": ""} if found else NOBODY

    assert deployed.lambda_handler(request(authorization), None) == {"isAuthorized": True, "context": caller}


@pytest.mark.parametrize(
    "event",
    [
        {"version": "2.0"},
        {"headers": None},
        {"headers": "x"},
        {"headers": ["authorization"]},
        {"headers": {"authorization": 7}},
        {"headers": {"authorization": ["Bearer x"]}},
        {},
        [],
        "x",
        None,
    ],
    ids=str,
)
def test_an_event_without_usable_headers_is_nobodys(deployed: ModuleType, event: object) -> None:
    assert deployed.lambda_handler(event, None)["context"] == NOBODY


def test_each_of_several_tokens_has_its_own_scopes(vault: Vault, tokens: Tokens) -> None:
    vault.value = TWO

    erp, dashboard = tokens.find(ERP), tokens.find(DASHBOARD)

    assert erp is not None
    assert dashboard is not None
    assert (erp.name, erp.scopes) == ("erp", ("publish",))
    assert (dashboard.name, dashboard.scopes) == ("dashboard", ("read", "publish"))
    assert tokens.find("another-0123456789") is None


def test_an_empty_secret_knows_nobody(vault: Vault, tokens: Tokens) -> None:
    vault.value = " \n"

    assert tokens.find("") is None
    assert tokens.find(" ") is None


WRONG = {
    "no JSON": "{tokens",
    "no tokens": "{}",
    "no list": '{"tokens": {"a": 1}}',
    "no name": json.dumps({"tokens": [{"name": "", "token": ERP, "scopes": ["read"]}]}),
    "quote in a name": json.dumps({"tokens": [{"name": 'a"b', "token": ERP, "scopes": ["read"]}]}),
    "short token": json.dumps({"tokens": [{"name": "erp", "token": "short", "scopes": ["read"]}]}),
    "long token": json.dumps({"tokens": [{"name": "erp", "token": "x" * 129, "scopes": ["read"]}]}),
    "no scope": json.dumps({"tokens": [{"name": "erp", "token": ERP, "scopes": []}]}),
    "unknown scope": json.dumps({"tokens": [{"name": "erp", "token": ERP, "scopes": ["write"]}]}),
    "scopes as text": json.dumps({"tokens": [{"name": "erp", "token": ERP, "scopes": "read"}]}),
    "scopes of another type": json.dumps({"tokens": [{"name": "erp", "token": ERP, "scopes": [{}]}]}),
    "one name twice": json.dumps(
        {"tokens": [{"name": "erp", "token": t, "scopes": ["read"]} for t in (ERP, DASHBOARD)]}
    ),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_secret_is_refused_without_repeating_a_token(text: str) -> None:
    with pytest.raises(ValueError, match="the secret of the API's tokens is wrong: ") as refused:
        parse_tokens(text)

    assert ERP not in str(refused.value)


def test_nothing_is_read_before_the_first_token_is_offered(vault: Vault, tokens: Tokens) -> None:
    assert vault.reads == 0

    tokens.find("right")

    assert vault.reads == 1


def test_a_matching_token_costs_no_second_read(vault: Vault, tokens: Tokens) -> None:
    assert name(tokens, "right")
    vault.now += MAX_AGE_SECONDS - 1
    assert name(tokens, "right")

    assert vault.reads == 1


def test_a_rotated_token_is_taken_up_when_it_is_first_offered(vault: Vault, tokens: Tokens) -> None:
    tokens.find("right")
    vault.value = "new"
    vault.now += MIN_AGE_SECONDS

    assert name(tokens, "new")
    assert not name(tokens, "right")


def test_a_withdrawn_token_is_refused_within_a_minute(vault: Vault, tokens: Tokens) -> None:
    tokens.find("right")
    vault.value = "new"
    vault.now += MAX_AGE_SECONDS

    assert MAX_AGE_SECONDS < 60
    assert not name(tokens, "right")


def test_during_a_rotation_the_old_and_the_new_token_are_both_valid(vault: Vault, tokens: Tokens) -> None:
    both = [{"name": f"erp-{token}", "token": token, "scopes": ["publish"]} for token in (ERP, DASHBOARD)]
    vault.value = json.dumps({"tokens": both})

    assert name(tokens, ERP)
    assert name(tokens, DASHBOARD)


def test_guessing_reads_the_secret_once_per_interval(vault: Vault, tokens: Tokens) -> None:
    for _ in range(100):
        assert not name(tokens, "guess")
    assert vault.reads == 1

    vault.now += MIN_AGE_SECONDS
    for _ in range(100):
        assert not name(tokens, "guess")
    assert vault.reads == 2


@pytest.mark.parametrize("secret", ["another", ""])
def test_a_secret_that_cannot_be_read_is_said_in_the_context(
    deployed: ModuleType, monkeypatch: pytest.MonkeyPatch, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("API_TOKEN_SECRET", secret)

    answer = deployed.lambda_handler(request("Bearer right"), None)

    assert answer["isAuthorized"]
    assert answer["context"]["scopes"] == ""
    assert answer["context"]["error"].startswith("the API's tokens cannot be checked: ")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_wrong_secret_is_said_in_the_context(deployed: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId="stack-api-token", SecretString="{")

    answer = deployed.lambda_handler(request("Bearer right"), None)

    assert answer["context"]["error"] == "the API's tokens cannot be checked: their secret is wrong"
    assert "the secret of the API's tokens is wrong" in caplog.text


def test_a_secret_that_is_no_text_is_said_in_the_context(deployed: ModuleType) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId="stack-api-token", SecretBinary=b"token")

    answer = deployed.lambda_handler(request("Bearer right"), None)

    assert answer["context"] == {"token": "", "scopes": "", "error": "the API's tokens cannot be checked: KeyError"}
