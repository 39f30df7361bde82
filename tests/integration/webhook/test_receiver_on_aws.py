"""The webhook function's handler on S3, SQS and Secrets Manager."""

import hashlib
import json
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.webhook.conftest import SECRET, Account
from tests.support.lambda_context import Context
from webhook import app

ROOT = Path(__file__).parents[3]


def event(body: str = '{"order":{"id":7}}', secret: str = SECRET, **headers: str) -> dict[str, Any]:
    signature = hashlib.md5((body + secret).encode()).hexdigest()  # noqa: S324 - the shop's own scheme
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "version": "2.0",
        "routeKey": "POST /webhooks/{connection}",
        "pathParameters": {"connection": "default"},
        "headers": {
            "x-signature": signature,
            "x-shop-id": "1",
            "x-event": "orders/updated",
            "x-order-id": "7",
            **named,
        },
        "requestContext": {"requestId": "r1", "timeEpoch": 1_795_413_600_000, "http": {"method": "POST"}},
        "body": body,
        "isBase64Encoded": False,
    }


def test_a_webhook_is_queued_and_stored(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.lambda_handler(event(), None) == {"statusCode": 204, "headers": {"X-Request-Id": "r1"}}
    assert app.lambda_handler(event(x_request_id="other"), None)["statusCode"] == 204

    (key,) = account.keys()
    assert key.startswith("events/connection=default/entity=orders/date=2026-11-23/")
    assert account.json(key)["body"] == '{"order":{"id":7}}'
    assert [message["id"] for message in account.messages()] == ["7", "7"]
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first["WebhooksReceived"], second["WebhooksRepeated"]) == (1, 1)
    assert "_aws" not in first
    assert first["request_id"] == first["correlation_id"] == "r1"
    assert (first["cold_start"], second["cold_start"]) == (True, False)
    assert SECRET not in f"{first}{second}"


@pytest.mark.usefixtures("account")
def test_a_call_without_an_id_has_that_of_the_invocation() -> None:
    call = event()
    del call["requestContext"]["requestId"]

    answer = app.lambda_handler(call, Context())
    assert answer == {"statusCode": 204, "headers": {"X-Request-Id": Context().aws_request_id}}


def test_a_call_without_a_time_has_that_of_the_clock(account: Account) -> None:
    call = event()
    del call["requestContext"]["timeEpoch"]

    assert app.lambda_handler(call, None)["statusCode"] == 204
    assert account.json(account.keys()[0])["received_at"] > "2026"


@pytest.mark.usefixtures("account")
def test_a_webhook_that_a_known_shop_signed_with_another_secret_is_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.lambda_handler(event(secret="wrong"), None)["statusCode"] == 401

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (described,) = line["_aws"]["CloudWatchMetrics"]
    assert (described["Dimensions"], described["Metrics"]) == (
        [["stack"]],
        [{"Name": "WebhookTrouble", "Unit": "Count"}],
    )
    assert line["WebhookTrouble"] == 1


def test_a_forged_webhook_is_refused(account: Account) -> None:
    assert app.lambda_handler(event(secret="wrong"), None)["statusCode"] == 401
    unknown = {**event(), "pathParameters": {"connection": "unknown"}}
    assert app.lambda_handler(unknown, None)["statusCode"] == 401

    assert account.keys() == []
    assert account.messages() == []


@pytest.fixture
def calls(account: Account) -> Iterator[Counter[str]]:
    """How often each operation of AWS was called."""
    found: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        found[model.name] += 1

    clients = [account.client(service) for service in ("s3", "sqs", "secretsmanager")]
    for client in clients:
        client.meta.events.register("before-call", count)
    yield found
    for client in clients:
        client.meta.events.unregister("before-call", count)


@pytest.mark.parametrize("webhooks", [50, pytest.param(1_000, marks=pytest.mark.soak)])
def test_each_of_a_thousand_webhooks_is_stored_and_queued_and_the_secret_is_read_once(
    account: Account, calls: Counter[str], webhooks: int
) -> None:
    bodies = [f'{{"order":{{"id":{number}}}}}' for number in range(webhooks)]
    answers = Counter(app.lambda_handler(event(body), None)["statusCode"] for body in bodies)

    assert answers == {204: webhooks}
    assert calls == {"PutObject": webhooks, "SendMessage": webhooks, "GetSecretValue": 1}
    pages = account.client("s3").get_paginator("list_objects_v2").paginate(Bucket=account.bucket)
    assert sum(page["KeyCount"] for page in pages) == webhooks


def test_a_flood_of_forged_webhooks_costs_no_storage_and_no_request_to_the_shop(
    account: Account, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: socket.socket, address: object) -> None:
        raise AssertionError(f"the receiver calls {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    forged = [event(f'{{"order":{{"id":{number}}}}}', secret=f"guess-{number}") for number in range(900)]
    unknown = [{**event(), "pathParameters": {"connection": f"shop-{number}"}} for number in range(100)]
    answers = Counter(app.lambda_handler(call, None)["statusCode"] for call in [*forged, *unknown])

    assert answers == {401: 1_000}
    assert set(calls) == {"GetSecretValue"}
    assert calls["GetSecretValue"] <= 2 + 100  # one more look after the first wrong signature, and one for each name
    assert (account.keys(), account.messages()) == ([], [])


@pytest.mark.parametrize("gone", ["queue", "bucket", "secrets"])
def test_if_aws_fails_the_sender_sends_it_again(account: Account, gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if gone == "queue":
        account.client("sqs").delete_queue(QueueUrl=account.queue)
    elif gone == "bucket":
        account.client("s3").delete_bucket(Bucket=account.bucket)
    else:
        refused = ClientError({"Error": {"Code": "InternalServiceError", "Message": ""}}, "GetSecretValue")

        def refuse(**_: object) -> None:
            raise refused

        monkeypatch.setattr(app._client("secretsmanager"), "get_secret_value", refuse)

    answer = app.lambda_handler(event(), None)

    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "30")
    if gone != "bucket":
        assert account.keys() == []


def test_the_handler_loads_nothing_that_makes_a_cold_start_slow() -> None:
    heavy = ["boto3", "botocore", "msgspec", "jsonata", "requests", "aws_lambda_powertools", "lightspeed", "subscribe"]
    look = f"import sys, webhook.app; print([name for name in {heavy!r} if name in sys.modules])"
    path = f"{ROOT / 'functions'}:{ROOT / 'layers' / 'lightspeed'}"
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", look], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )

    assert done.stdout.strip() == "[]"
