"""The subscribe function on moto and a simulated shop; one clock for all, which moves only when somebody sleeps."""

import base64
import dataclasses
import gzip
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pytest
from moto import mock_aws

import lightspeed.transport
from connector.clients import AwsClients
from connector.settings import Settings
from subscribe import dependencies
from subscribe.app import lambda_handler
from subscribe.checks import subscribe_request
from subscribe.reconcile.run import Reconciliation
from subscribe.sync.run import SyncRun
from tests.shop import Shop
from tests.support.clock import FakeClock
from tests.support.lambda_context import Context

_NUMBERS = itertools.count(1)
_QUOTE = {"entity": "quotes", "parameters": {"path": {"id": 1016615295}}}

Json = dict[str, Any]

ANYTHING: Json = {"token": "test", "scopes": "admin", "error": ""}
"""A caller that may do everything, as the authorizer describes it."""


@dataclass
class Answer:
    """What an HTTP call was answered."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Bundle:
    """One bucket, one connection and one shop.

    Attributes:
        prefix: Of the names of secrets.
        run_numbers: Give every run an id of its own.
    """

    shop: Shop
    clock: FakeClock
    bucket: str
    prefix: str
    s3: Any
    secrets: Any
    run_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def store_connection(self, name: str = "default", **changes: object) -> None:
        """Store the secret of a connection to the shop; a change of `None` takes a key out."""
        settings: Json = {
            "base_url": self.shop.url,
            "api_key": self.shop.api_key,
            "api_secret": self.shop.api_secret,
            "language": "nl",
        } | changes
        self.store_secret(name, json.dumps({key: value for key, value in settings.items() if value is not None}))

    def store_secret(self, name: str, text: str) -> None:
        """Store any text as the secret of a connection."""
        try:
            self.secrets.create_secret(Name=self.prefix + name, SecretString=text)
        except self.secrets.exceptions.ResourceExistsException:
            self.secrets.put_secret_value(SecretId=self.prefix + name, SecretString=text)

    def build_run(
        self, event: object, run_id: str, remaining_seconds: Callable[[], float] | None = None, reserve: float = 10
    ) -> SyncRun | Reconciliation:
        """Return one invocation of a run, wired as the function wires it."""
        deps = dependencies.cached_dependencies(dataclasses.replace(Settings.from_env(), quota_reserve_percent=reserve))
        return deps.build_run(subscribe_request(event), run_id, remaining_seconds or (lambda: 900.0))

    def run(self, event: object, run_id: str | None = None, **how: Any) -> Json:
        """Carry one invocation and return its result."""
        return self.build_run(event, run_id or f"run-{next(self.run_numbers)}", **how).invoke().body

    def run_to_the_end(self, event: Json, run_id: str | None = None, **how: Any) -> tuple[Json, int]:
        """Carry a run as the state machine does, and return its result and how many invocations it took."""
        run_id = run_id or f"run-{next(self.run_numbers)}"
        for invocation in itertools.count(1):
            result = self.run(event, run_id, **how)
            if result["status"] == "complete":
                return result, invocation
            self.clock.advance(result["resume_after_seconds"])
            event = {**event, "cursor": result["cursor"]}
        raise AssertionError

    def invoke(self, event: object, request_id: str | None = None, seconds: float = 900) -> Any:
        """Call the handler."""
        return lambda_handler(event, Context(request_id or f"request-{next(self.run_numbers)}", seconds))

    def http(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Json | None = None,
        request_id: str | None = None,
        *,
        caller: Json | None = ANYTHING,
    ) -> Answer:
        """Call the handler as the HTTP API does.

        Args:
            method: The HTTP method.
            path: With its query, if it has one.
            body: Text is sent as it is, anything else as JSON.
            headers: More headers, with names in lower case.
            request_id: Lambda's id of the invocation.
            caller: What the authorizer found out; `None` for a route without authorizer.
        """
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        event = http_event(method, path, text, headers)
        event["requestContext"]["authorizer"] = {"lambda": caller}
        if caller is None:
            del event["requestContext"]["authorizer"]
        answer = self.invoke(event, request_id)
        body_text = answer["body"]
        if answer["isBase64Encoded"]:
            body_text = gzip.decompress(base64.b64decode(body_text)).decode()
        return Answer(answer["statusCode"], answer["headers"], body_text)

    def stored(self, prefix: str = "") -> list[str]:
        """Keys in the bucket, in order."""
        return [
            found["Key"] for found in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", ())
        ]

    def body(self, key: str) -> bytes:
        """An object as stored."""
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def json(self, key: str) -> Any:
        """A JSON object of the bucket."""
        return json.loads(self.body(key))

    def put(self, key: str, value: object) -> None:
        """Write a JSON object into the bucket."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=json.dumps(value).encode())

    def lines(self, result: Json) -> list[bytes]:
        """The records of a result as landed."""
        return [line for key in result["objects"] for line in gzip.decompress(self.body(key)).splitlines()]

    def records(self, result: Json) -> list[Json]:
        """The records of a result, decoded."""
        return [json.loads(line) for line in self.lines(result)]

    def ids(self, result: Json) -> list[int]:
        """The ids of the records of a result."""
        return [record["id"] for record in self.records(result)]

    def manifest(self, result: Json) -> Json:
        """The manifest of a result, after checking that it speaks of what is stored."""
        manifest: Json = self.json(result["manifest"])
        for part in (*manifest["parts"], *manifest["deleted"], *manifest["rejected"]):
            stored = self.body(part["key"])
            assert part["bytes"] == len(stored)
            assert part["sha256"] == hashlib.sha256(stored).hexdigest()
            assert part["records"] == len(gzip.decompress(stored).splitlines())
        return manifest

    def bookmark(self, name: str = "orders") -> Json:
        """A bookmark as stored."""
        bookmark: Json = self.json(f"state/connection=default/{name}.json")
        return bookmark

    @property
    def sent(self) -> list[str]:
        """Method and path of every request that the shop received."""
        return [f"{request.method} {request.path}" for request in self.shop.requests]

    @property
    def untouched(self) -> bool:
        """Whether nothing was sent to the shop and nothing written."""
        return not self.shop.requests and not self.stored()


def http_event(method: str, path: str, body: str | None = None, headers: Json | None = None) -> Json:
    """Return an event of the HTTP API, payload 2.0."""
    path, _, query = path.partition("?")
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "queryStringParameters": dict(parse_qsl(query, keep_blank_values=True)),
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "example",
            "authorizer": {"lambda": ANYTHING},
            "domainName": "example.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "example",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.10",
                "userAgent": "test",
            },
            "requestId": "request",
            "routeKey": "$default",
            "stage": "$default",
            "time": "23/Nov/2026:06:00:00 +0000",
            "timeEpoch": 1795413600000,
        },
        "isBase64Encoded": False,
        **({} if body is None else {"body": body}),
    }


def quote_event(**changes: object) -> Json:
    """Return the event that reads one quote."""
    return {**_QUOTE, **changes}


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsClients]:
    """AWS in this process, and its clients, for one file of tests: clients are dear to make."""
    with mock_aws(), pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        yield AwsClients()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock that function, client and shop go by."""
    shared = FakeClock()
    monkeypatch.setattr(dependencies, "SystemClock", lambda: shared)
    monkeypatch.setattr(lightspeed.transport, "SystemClock", lambda: shared)
    return shared


@pytest.fixture
def shop(clock: FakeClock) -> Iterator[Shop]:
    with Shop(orders=30, products=20, clock=clock) as running:
        yield running


@pytest.fixture
def bundle(aws: AwsClients, shop: Shop, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A bundle with the connection `default`, ready to run."""
    return make_bundle(aws, shop, clock, monkeypatch)


def make_bundle(aws: AwsClients, shop: Shop, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """Build a bundle with a bucket of its own around a shop."""
    number = next(_NUMBERS)
    bucket, prefix = f"bucket-{number}", f"lightspeed-{number}/"
    monkeypatch.setenv("BUCKET", bucket)
    monkeypatch.setenv("SECRET_PREFIX", prefix)
    monkeypatch.setattr(dependencies, "AwsClients", lambda: aws)
    s3, secrets = aws.client("s3"), aws.client("secretsmanager")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    made = Bundle(shop, clock, bucket, prefix, s3, secrets)
    made.store_connection()
    return made
