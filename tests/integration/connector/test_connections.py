"""Connections out of Secrets Manager: cached for a minute, read afresh on demand, refused without repeating them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connector.clients import AwsClients, ShopClients
from connector.connections import Connections
from connector.errors import RequestError, UnknownConnection
from connector.settings import Settings
from lightspeed import AuthenticationError, InvalidConnection
from tests.integration.subscribe.bundle import Bundle
from tests.support.clock import FakeClock

SETTINGS = {"cluster": "eu1", "api_key": "key", "api_secret": "secret", "language": "nl"}
Store = Callable[..., None]


@pytest.fixture
def secrets(aws: AwsClients) -> Iterator[Any]:
    client = aws.client("secretsmanager")
    yield client
    for found in client.list_secrets()["SecretList"]:
        client.delete_secret(SecretId=found["ARN"], ForceDeleteWithoutRecovery=True)


@pytest.fixture
def connections(secrets: Any) -> Connections:
    return Connections(secrets, "team/shops-")


def store(secrets: Any, name: str, **changes: object) -> None:
    text = json.dumps({**SETTINGS, **changes})
    try:
        secrets.create_secret(Name=name, SecretString=text)
    except secrets.exceptions.ResourceExistsException:
        secrets.put_secret_value(SecretId=name, SecretString=text)


def test_prefix_and_name_are_joined_as_they_are(secrets: Any, connections: Connections) -> None:
    store(secrets, "team/shops-north")

    assert connections.get("north").origin == "https://api.webshopapp.com"


@pytest.mark.parametrize("name", ["north", "Shop_2-eu", "7", "x" * 200])
def test_names_of_secrets_are_names_of_connections(secrets: Any, connections: Connections, name: str) -> None:
    store(secrets, f"team/shops-{name}")

    assert connections.get(name).language == "nl"


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "/",
        "a/",
        "/a",
        "a/b",
        "a//b",
        "../a",
        ".",
        "a.b",
        "a+b",
        "a@b",
        "a\n",
        "é",
        "a*",
        "x" * 201,
        "arn:aws:x",
    ],
)
def test_what_cannot_be_a_name_is_refused_without_asking(connections: Connections, name: str) -> None:
    with pytest.raises(RequestError, match="connection must be a name such as default, not"):
        connections.get(name)


def test_a_connection_is_kept_for_a_while(secrets: Any, connections: Connections) -> None:
    store(secrets, "team/shops-a")
    connections.get("a")
    store(secrets, "team/shops-a", language="en")

    assert connections.get("a").language == "nl"


def test_after_a_minute_a_connection_is_read_again(secrets: Any) -> None:
    clock = FakeClock()
    connections = Connections(secrets, "team/shops-", clock)
    store(secrets, "team/shops-a")
    connections.get("a")
    store(secrets, "team/shops-a", language="en")

    clock.advance(59)
    assert connections.get("a").language == "nl"
    clock.advance(1)
    assert connections.get("a").language == "en"


def test_a_fresh_connection_replaces_what_is_kept(secrets: Any, connections: Connections) -> None:
    store(secrets, "team/shops-a")
    connections.get("a")
    store(secrets, "team/shops-a", language="en")

    assert connections.get("a", fresh=True).language == "en"
    assert connections.get("a").language == "en"


def test_one_that_was_deleted_is_gone_when_read_afresh(secrets: Any, connections: Connections) -> None:
    store(secrets, "team/shops-a")
    connections.get("a")
    secrets.delete_secret(SecretId="team/shops-a", ForceDeleteWithoutRecovery=True)

    with pytest.raises(UnknownConnection, match="unknown connection 'a': there is no secret 'team/shops-a'"):
        connections.get("a", fresh=True)


def test_every_mistake_is_named_and_no_value(secrets: Any, connections: Connections) -> None:
    store(secrets, "team/shops-a", api_key="has:a:colon", api_secret=" blank ", language="dutch")

    with pytest.raises(InvalidConnection) as refused:
        connections.get("a")

    assert len(refused.value.errors) == 3
    assert "has:a:colon" not in str(refused.value)
    assert " blank " not in str(refused.value)


def test_a_byte_order_mark_in_front_of_a_secret_is_ignored(secrets: Any, connections: Connections) -> None:
    secrets.create_secret(Name="team/shops-a", SecretString="\ufeff" + json.dumps(SETTINGS))

    assert connections.get("a").language == "nl"


def test_a_binary_secret_is_as_good(secrets: Any, connections: Connections) -> None:
    secrets.create_secret(Name="team/shops-a", SecretBinary=json.dumps(SETTINGS).encode())

    assert connections.get("a").language == "nl"


def test_trouble_with_secrets_manager_is_not_an_unknown_connection(
    secrets: Any, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue")

    monkeypatch.setattr(secrets, "get_secret_value", refuse)

    with pytest.raises(ClientError, match="AccessDenied"):
        connections.get("a")


def test_a_client_renews_its_connection_after_a_401(bundle: Bundle, aws: AwsClients) -> None:
    client = ShopClients(aws, Settings.from_env(), bundle.clock).open("default")
    bundle.shop.api_secret = "rotated0secret"
    bundle.store_connection()

    client.record(client.build("shop", "get"))

    assert [request.status for request in bundle.shop.requests] == [401, 200]


def test_a_client_that_is_refused_twice_gives_up(bundle: Bundle, aws: AwsClients) -> None:
    client = ShopClients(aws, Settings.from_env(), bundle.clock).open("default")
    bundle.shop.api_secret = "nobody0knows0it"

    with pytest.raises(AuthenticationError):
        client.record(client.build("shop", "get"))

    assert [request.status for request in bundle.shop.requests] == [401, 401]


def test_clients_of_aws_are_made_once(aws: AwsClients) -> None:
    assert aws.client("s3") is aws.client("s3")
