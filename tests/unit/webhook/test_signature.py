"""The check of a webhook's sender."""

import hashlib
import json
from typing import Any

import pytest

from webhook.signature import MAX_AGE_SECONDS, MIN_AGE_SECONDS, Signers

BODY = b'{"order":{"id":1}}'


def sign(body: bytes, secret: str) -> str:
    return hashlib.md5(body + secret.encode()).hexdigest()  # noqa: S324 - the shop's own scheme


class Secrets:
    """Secrets by connection, and which were read."""

    def __init__(self, **secrets: Any) -> None:
        self.secrets = secrets
        self.read: list[str] = []

    def __call__(self, connection: str) -> str | None:
        self.read.append(connection)
        found = self.secrets.get(connection)
        return found if found is None or isinstance(found, str) else json.dumps(found)


def genuine(secret: Any, signed_with: str, **headers: str) -> bool:
    sent = {
        "x-signature": sign(BODY, signed_with),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return Signers(Secrets(c=secret)).verify("c", sent, BODY, 0.0)[0]


@pytest.mark.parametrize(
    ("secret", "signed_with", "expected"),
    [
        ({"api_secret": "s"}, "s", True),
        ({"api_secret": "s"}, "other", False),
        ({"api_secret": "s", "webhook_secret": "w"}, "w", True),
        ({"api_secret": "s", "webhook_secret": "w"}, "s", False),
        ({"api_secret": "s", "webhook_secret": ["new", "old"]}, "new", True),
        ({"api_secret": "s", "webhook_secret": ["new", "old"]}, "old", True),
        ({"api_secret": "s", "webhook_secret": ["new", "old"]}, "s", False),
        ({"api_secret": ""}, "", False),
        ({"api_secret": ["", None]}, "", False),
        ({}, "", False),
        ("no JSON", "", False),
        ("[1]", "", False),
        (None, "", False),
    ],
)
def test_a_body_is_signed_with_one_of_the_connections_secrets(secret: Any, signed_with: str, expected: bool) -> None:
    assert genuine(secret, signed_with) is expected


@pytest.mark.parametrize(
    ("shop", "cluster", "expected"), [("7", "eu1", True), ("8", "eu1", False), ("7", "us1", False), ("", "", False)]
)
def test_shop_and_cluster_must_be_those_that_the_connection_names(shop: str, cluster: str, expected: bool) -> None:
    secret = {"api_secret": "s", "shop_id": 7, "cluster": "eu1"}

    assert genuine(secret, "s", x_shop_id=shop, x_cluster_id=cluster) is expected


def test_a_connection_that_names_neither_shop_nor_cluster_takes_any() -> None:
    assert genuine({"api_secret": "s"}, "s", x_shop_id="9", x_cluster_id="us1")


@pytest.mark.parametrize("change", [str.upper, lambda text: f" {text} "])
def test_case_and_white_space_of_the_signature_do_not_count(change: Any) -> None:
    signers = Signers(Secrets(c={"api_secret": "s"}))

    assert signers.verify("c", {"x-signature": change(sign(BODY, "s"))}, BODY, 0.0)[0]


@pytest.mark.parametrize("signature", ["", "é", "0" * 32, sign(BODY, "s")[:-1]])
def test_another_signature_is_refused(signature: str) -> None:
    assert not Signers(Secrets(c={"api_secret": "s"})).verify("c", {"x-signature": signature}, BODY, 0.0)[0]


@pytest.mark.parametrize("name", ["", "a/b", "a.b", "../x", "a b", "x" * 101])
def test_a_name_that_no_connection_can_have_is_not_even_looked_up(name: str) -> None:
    secrets = Secrets()

    assert Signers(secrets).verify(name, {"x-signature": sign(BODY, "")}, BODY, 0.0)[0] is False
    assert secrets.read == []


def test_a_secret_is_read_once_in_five_minutes() -> None:
    secrets = Secrets(c={"api_secret": "s"})
    signers = Signers(secrets)
    headers = {"x-signature": sign(BODY, "s")}

    assert all(signers.verify("c", headers, BODY, now)[0] for now in (0.0, 1.0, MAX_AGE_SECONDS - 1))
    assert secrets.read == ["c"]
    assert signers.verify("c", headers, BODY, MAX_AGE_SECONDS)[0]
    assert secrets.read == ["c", "c"]


def test_a_rotated_secret_is_read_again_at_once_and_guessing_costs_a_call_in_five_seconds() -> None:
    secrets = Secrets(c={"api_secret": "old"})
    signers = Signers(secrets)
    assert signers.verify("c", {"x-signature": sign(BODY, "old")}, BODY, 0.0)[0]
    secrets.secrets["c"] = {"api_secret": "new"}

    assert signers.verify("c", {"x-signature": sign(BODY, "new")}, BODY, MIN_AGE_SECONDS)[0]
    for now in range(100):
        assert not signers.verify("c", {"x-signature": "0" * 32}, BODY, 6 + now / 100)[0]
    assert len(secrets.read) == 2


def test_unknown_connections_are_remembered_but_never_without_bound() -> None:
    secrets = Secrets()
    signers = Signers(secrets)

    for number in range(2_500):
        assert not signers.verify(f"c{number}", {}, b"", 0.0)[0]
    assert not signers.verify("c2499", {}, b"", 1.0)[0]

    assert len(secrets.read) == 2_500
    assert len(signers._cache) <= 1_000


def test_no_webhook_is_refused_while_a_secret_is_rotated_under_load() -> None:
    secrets = Secrets(c={"api_secret": "old"})
    environments = [Signers(secrets) for _ in range(3)]
    both_known, shop_changed, old_removed = 100.0, 106.0, 700.0

    for tick in range(10_000):
        now = tick / 10
        if now == both_known:
            secrets.secrets["c"] = {"api_secret": "old", "webhook_secret": ["new", "old"]}
        if now == old_removed:
            secrets.secrets["c"] = {"api_secret": "new"}
        still_under_way = shop_changed <= now < shop_changed + 60 and tick % 3 == 0
        secret = "old" if now < shop_changed or still_under_way else "new"
        headers = {"x-signature": sign(BODY, secret)}
        assert environments[tick % 3].verify("c", headers, BODY, now)[0], now

    assert len(secrets.read) <= 3 * (1 + 1_000 / MAX_AGE_SECONDS + 1)
