"""The publish function in process: its real handler, moto for AWS, the shop over loopback, and a clock to move."""

import functools
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from connector.clients import AwsClients
from connector.observability import logger
from connector.settings import Settings
from publish.app import handle
from publish.dependencies import Dependencies
from tests.shop import Shop
from tests.support.clock import FakeClock
from tests.support.lambda_context import Context

_NUMBERS = itertools.count(1)


class Publisher:
    """The function with what it holds, and the shop and the AWS side that it works on."""

    def __init__(self, deps: Dependencies, shop: Shop) -> None:
        self.deps = deps
        self.shop = shop
        self.context = Context(seconds=120, function_name="publish")

    def __call__(self, event: object) -> Any:
        return handle(event, self.context, self.deps)

    def batch(self, *events: object) -> list[dict[str, Any]]:
        """Publish a batch; its results."""
        results: list[dict[str, Any]] = self({"items": list(events)})["results"]
        return results

    def failed(self, *records: dict[str, Any]) -> list[str]:
        """Publish messages; the ids of those that go back to the queue."""
        answer = self({"Records": list(records)})
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def sent(self, since: int = 0) -> list[tuple[str, str]]:
        """Verb and path of every request that reached the shop, or of those after the first so many."""
        return [(seen.method, seen.path) for seen in self.shop.requests[since:]]

    def http(self, body: object, **headers: str) -> dict[str, Any]:
        """Call `POST /publish`; the answer with its body decoded."""
        answer = self(http_event(body, headers))
        return {**answer, "body": json.loads(answer["body"])}

    def connect(self, name: str) -> None:
        """Store a connection to the shop."""
        shop = self.shop
        settings = {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret, "language": "nl"}
        secret = self.deps.settings.secret_prefix + name
        self.deps.aws.client("secretsmanager").create_secret(Name=secret, SecretString=json.dumps(settings))

    @property
    def items(self) -> list[dict[str, Any]]:
        """What lies in the table, without the shares of the requests per second."""
        found = self.deps.aws.client("dynamodb").scan(TableName=self.deps.settings.idempotency_table)
        return [item for item in found["Items"] if not item["id"]["S"].startswith("rate#")]

    def keep(self, item: dict[str, Any]) -> None:
        """Write an item of the table over."""
        table = self.deps.settings.idempotency_table
        self.deps.aws.client("dynamodb").put_item(TableName=table, Item=item)

    def minutes_pass(self) -> None:
        """Let the deadline of every invocation that has begun pass, and the margin after it."""
        for item in self.items:
            if "in_progress_expiration" in item:
                item["in_progress_expiration"] = {"N": "1"}
                item["expiration"] = {"N": str(int(item["expiration"]["N"]) - 3600)}
                self.keep(item)


def event(entity: str, action: str, payload: object = None, **more: Any) -> dict[str, Any]:
    """A publish event; `path` and `query` go into its parameters."""
    parameters: dict[str, Any] = {name: more.pop(name) for name in ("path", "query") if name in more}
    if payload is not None:
        parameters["payload"] = payload
    return {"entity": entity, "action": action, "parameters": parameters, **more}


def message(
    number: int, body: object, *, sent: int | None = None, receipts: int = 1, receipt: str = "r"
) -> dict[str, Any]:
    """A message of the queue, sent in the millisecond of its number unless it is told otherwise."""
    counted = {"SentTimestamp": str(number if sent is None else sent), "ApproximateReceiveCount": str(receipts)}
    return {
        "messageId": f"message-{number}",
        "receiptHandle": receipt,
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": counted,
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:publish",
        "awsRegion": "eu-west-1",
    }


def http_event(body: object, headers: dict[str, str]) -> dict[str, Any]:
    """A call as API Gateway hands it over."""
    http = {"method": "POST", "path": "/publish", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "t"}
    return {
        "version": "2.0",
        "routeKey": "POST /publish",
        "rawPath": "/publish",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **{k.replace("_", "-").lower(): v for k, v in headers.items()}},
        "requestContext": {
            "http": http,
            "stage": "$default",
            "requestId": "x",
            "accountId": "1",
            "apiId": "a",
            "authorizer": {"lambda": {"token": "erp", "scopes": "publish", "error": ""}},
        },
        "body": body if isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shop(clock: FakeClock) -> Iterator[Shop]:
    with Shop(orders=40, products=60, quota=None, rate_per_second=None, clock=clock) as running:
        yield running


@functools.cache
def _clients() -> AwsClients:
    """The clients of AWS: slow to make, and valid under every new AWS of moto."""
    return AwsClients()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsClients]:
    """An empty AWS of moto's."""
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y"), ("DEFAULT_REGION", "eu-west-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "publish")
    level = logger().log_level
    logger().setLevel("ERROR")
    with mock_aws():
        yield _clients()
    logger().setLevel(level)


@pytest.fixture
def publisher(aws: AwsClients, shop: Shop, clock: FakeClock) -> Publisher:
    """The function, connected to the shop; its bucket, table and queue are empty."""
    number = next(_NUMBERS)
    bucket, table, prefix = f"bucket-{number}", f"table-{number}", f"lightspeed-{number}/"
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    aws.client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    queue = aws.client("sqs").create_queue(QueueName=f"publish-{number}")["QueueUrl"]
    environment = {"BUCKET": bucket, "IDEMPOTENCY_TABLE": table, "PUBLISH_QUEUE_URL": queue, "SECRET_PREFIX": prefix}
    publisher = Publisher(Dependencies(Settings.from_env(environment), clock, aws), shop)
    publisher.connect("default")
    return publisher
