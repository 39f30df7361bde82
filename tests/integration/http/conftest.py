"""The whole HTTP API in this process: all functions behind one gateway, with one valid token."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import Client

import authorizer.app
import publish.dependencies
import webhook.app
from connector.clients import AwsClients
from tests.integration.http.gateway import Gateway
from tests.integration.subscribe.bundle import Bundle, aws, bundle, clock, shop

__all__ = ["aws", "bundle", "clock", "shop"]

TOKEN = "token-of-the-tests-0123456789"


@pytest.fixture
def gateway(aws: AwsClients, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The API, as a WSGI application."""
    name = bundle.bucket
    rows = [{"name": "tests", "token": TOKEN, "scopes": ["admin"]}]
    aws.client("secretsmanager").create_secret(Name=f"{name}-tokens", SecretString=json.dumps({"tokens": rows}))
    monkeypatch.setenv("API_TOKEN_SECRET", f"{name}-tokens")
    monkeypatch.setenv("IDEMPOTENCY_TABLE", name)
    aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    monkeypatch.setenv("PUBLISH_QUEUE_URL", aws.client("sqs").create_queue(QueueName=name)["QueueUrl"])
    monkeypatch.setenv("WEBHOOK_QUEUE_URL", aws.client("sqs").create_queue(QueueName=f"{name}-webhooks")["QueueUrl"])
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    machine = aws.client("stepfunctions").create_state_machine(
        name=name, definition=definition, roleArn="arn:aws:iam::123456789012:role/sync"
    )
    monkeypatch.setenv("SYNC_STATE_MACHINE_ARN", machine["stateMachineArn"])
    monkeypatch.setattr(publish.dependencies, "AwsClients", lambda: aws)
    monkeypatch.setattr(publish.dependencies, "SystemClock", lambda: bundle.clock)
    authorizer.app.tokens.cache_clear()
    webhook.app.receiver.cache_clear()
    return Gateway()


@pytest.fixture
def browser(gateway: Any) -> Client:
    """A caller without a token."""
    return Client(gateway)
