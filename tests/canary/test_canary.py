"""No credential goes astray: secrets that cannot be mistaken, many runs, and a search of all that is left behind.

Success and failure of both functions and the authorizer are run; logs, output, objects in S3, items in DynamoDB,
messages in SQS, inputs of the state machine, texts of exceptions with their chains and HTTP answers are gathered. A
secret in any form may be found in one place only: the `Authorization` header that the shop received.
"""

import base64
import contextlib
import gzip
import hashlib
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest

import authorizer.app
import publish.app
import publish.dependencies
import webhook.app
import webhook.daily
import webhook.trigger
from connector.clients import AwsClients
from tests.integration.subscribe.bundle import Bundle, Json, http_event, quote_event
from tests.shop import Fault, Shop
from tests.support.lambda_context import Context

KEY = "canary-api-key-7c1f0e"
SECRET = "canary/api+secret=9d2b4a"
WEBHOOK_SECRET = "canary-webhook-secret-51e8c3"
TOKEN = "canary-bearer-token-a64f77"
OLD_SECRET = "canary-old-secret-0b9e21"
WRONG_SECRET = "canary-wrong-secret-38cd5f"
SECRETS = (KEY, SECRET, WEBHOOK_SECRET, TOKEN, OLD_SECRET, WRONG_SECRET)
PAIRS = tuple(f"{KEY}:{secret}" for secret in (SECRET, OLD_SECRET, WRONG_SECRET))


def forms(secret: str) -> Iterator[str]:
    """Yield how a text may look where it was put into something else."""
    yield secret
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):  # inside a longer text it begins at one of three places
            encoded = encode(b"x" * shift + secret.encode()).decode()
            yield encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]
    yield secret.encode().hex()


FORMS = {form for secret in (*SECRETS, *PAIRS) for form in forms(secret)}
BEGINNINGS = {secret[:18] for secret in SECRETS}
"""What is left of a secret where a text was cut."""


@dataclass
class Evidence:
    """All that was left behind, by where it was found."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, what: object) -> None:
        text = what if isinstance(what, str) else json.dumps(what, default=str, ensure_ascii=False)
        self.found.append((where, text))

    def call(self, where: str, work: Callable[[], object]) -> None:
        """Keep what a call answers, or its exception as Lambda would log it."""
        try:
            self.add(where, work())
        except Exception as error:
            self.add(where, repr(error) + "".join(traceback.format_exception(error)) + repr(vars(error)))

    def leaks(self) -> list[tuple[str, str]]:
        """Where a secret was found, and what stands around it."""
        return [
            (where, text[max(0, text.index(form) - 60) : text.index(form) + 60])
            for where, text in self.found
            for form in FORMS | BEGINNINGS
            if form in text
        ]


@pytest.fixture
def other() -> Iterator[Shop]:
    """Another origin, which no credential may reach."""
    with Shop(orders=0, products=0) as running:
        yield running


@pytest.fixture
def functions(aws: AwsClients, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """Both functions, everything that they can write to, and a shop that has secrets of its own."""
    shop = bundle.shop
    shop.api_key, shop.api_secret = KEY, SECRET
    shop.singletons["account"]["apiKey"] = KEY
    bundle.store_connection(webhook_secret=WEBHOOK_SECRET)
    monkeypatch.setattr(publish.dependencies, "AwsClients", lambda: aws)
    for module in (publish.dependencies, webhook.daily, webhook.trigger):
        monkeypatch.setattr(module, "SystemClock", lambda: bundle.clock)
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("IDEMPOTENCY_TABLE", bundle.bucket)
    aws.client("dynamodb").create_table(
        TableName=bundle.bucket,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    monkeypatch.setenv("PUBLISH_QUEUE_URL", aws.client("sqs").create_queue(QueueName=bundle.bucket)["QueueUrl"])
    monkeypatch.setenv("WEBHOOK_QUEUE_URL", aws.client("sqs").create_queue(QueueName=f"{bundle.bucket}-w")["QueueUrl"])
    monkeypatch.setenv("STACK_NAME", "canary")
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    machine = aws.client("stepfunctions").create_state_machine(
        name=bundle.bucket, definition=definition, roleArn="arn:aws:iam::123456789012:role/sync"
    )
    monkeypatch.setenv("SYNC_STATE_MACHINE_ARN", machine["stateMachineArn"])
    aws.client("secretsmanager").create_secret(Name=f"{bundle.bucket}-token", SecretString=TOKEN)
    monkeypatch.setenv("API_TOKEN_SECRET", f"{bundle.bucket}-token")
    authorizer.app.tokens.cache_clear()
    return bundle


def subscribing(bundle: Bundle) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield calls of subscribe, directly and over HTTP."""
    events: list[Json] = [
        {"entity": "account"},
        {"entity": "account", "entity_transformer": '{"copy": apiKey, "all": $string($)}'},
        {"entity": "account", "entity_transformer": "$error($string($))"},
        {"entity": "account", "entity_transformer": "$number(apiKey)"},
        quote_event(),
        quote_event(parameters={"path": {"id": 7}}),
        quote_event(input_transformer="$error($string($))"),
        quote_event(connection="none"),
        {"entity": "orders", "mode": "incremental"},
        {"entity": "orders", "language": "fr"},
        {"entity": "quots"},
        {"entity": "products", "max_records": 3, "languages": ["nl", "en"]},
    ]
    for event in events:
        yield f"subscribe {event}", lambda event=event: bundle.invoke(event)  # type: ignore[misc]
        yield f"POST /subscribe {event}", lambda event=event: bundle.http("POST", "/subscribe", event).text  # type: ignore[misc]
    asynchronous = {"prefer": "respond-async", "authorization": f"Bearer {TOKEN}"}
    yield "async", lambda: bundle.http("POST", "/subscribe", quote_event(run_id="later"), asynchronous).text
    for path in ("/runs/later", "/entities/orders", "/connections/default", "/connections/none", "/nope"):
        yield path, lambda path=path: bundle.http("GET", path, None, asynchronous).text  # type: ignore[misc]


def publishing() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield calls of publish: directly, in a batch, over HTTP, and of the queue."""
    tag = {"entity": "tags", "action": "create", "parameters": {"payload": {"title": "sale"}}}
    events: list[Json] = [
        {**tag, "idempotency_key": "once"},
        {**tag, "idempotency_key": "once"},
        {**tag, "idempotency_key": "once", "entity": "brands"},
        {**tag, "dry_run": True},
        {**tag, "match": "title"},
        {"entity": "orders", "action": "create", "parameters": {"payload": {}}},
        {"entity": "tags", "action": "delete", "parameters": {"path": {"id": 7}}},
        {**tag, "connection": "none"},
        {**tag, "request_transformer": "$error($string($))"},
    ]
    for event in events:
        yield f"publish {event}", lambda event=event: publish.app.lambda_handler(event, Context("request"))  # type: ignore[misc]
    yield "batch", lambda: publish.app.lambda_handler({"items": events}, Context("request"))
    for headers in ({}, {"prefer": "respond-async"}):
        event = http_event("POST", "/publish", json.dumps(tag), {**headers, "authorization": f"Bearer {TOKEN}"})
        yield f"POST /publish {headers}", lambda event=event: publish.app.lambda_handler(event, Context("request"))  # type: ignore[misc]
    message = {
        "messageId": "message",
        "receiptHandle": "receipt",
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1795413600000"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:publish",
        "awsRegion": "eu-west-1",
    }
    for body in (json.dumps(tag), "no JSON", json.dumps({**tag, "entity": "nothing"})):
        records = {"Records": [{**message, "body": body}]}
        yield "queue", lambda records=records: publish.app.lambda_handler(records, Context("request"))  # type: ignore[misc]


def receiving() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield webhooks, genuine and forged, what the trigger makes of them, and the daily look."""
    body = json.dumps({"order": {"id": 7}})
    for secret in (WEBHOOK_SECRET, WRONG_SECRET):
        signature = hashlib.md5((body + secret).encode()).hexdigest()  # noqa: S324 - the shop's own scheme
        headers = {"x-event": "orders/updated", "x-signature": signature, "authorization": f"Bearer {TOKEN}"}
        event = {**http_event("POST", "/webhooks/default", body, headers), "pathParameters": {"connection": "default"}}
        yield "webhook", lambda event=event: webhook.app.lambda_handler(event, Context("request"))  # type: ignore[misc]
    message = {"connection": "default", "entity": "orders", "action": "deleted", "id": "7", "received": 1795413600000}
    records = {"Records": [{"messageId": "1", "body": json.dumps(message)}, {"messageId": "2", "body": "no JSON"}]}
    yield "trigger", lambda: webhook.trigger.lambda_handler(records, Context("request"))
    yield "daily", lambda: webhook.daily.lambda_handler({"date": "2026-11-23"}, Context("request"))


def authorizing() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield calls of the authorizer."""
    for header in (f"Bearer {TOKEN}", f"Bearer {TOKEN}x", "Bearer ", TOKEN):
        event = {"headers": {"authorization": header}}
        yield "authorizer", lambda event=event: authorizer.app.lambda_handler(event, Context("request"))  # type: ignore[misc]


def troubles(bundle: Bundle, other: Shop) -> Iterator[str]:
    """Put the shop or the connection into one trouble after another."""
    shop = bundle.shop
    said = f"your key {KEY} with {SECRET} in {shop.authorization}"
    page = Fault("answer", 200, f"<html><b>{said}</b></html>".encode(), (("Content-Type", "text/html"),))
    cut = Fault("answer", 502, f"<p>{'x' * 180} {SECRET}</p>".encode(), page.headers)
    faults = {
        "401 that repeats": Fault.answers(401, said),
        "400 that repeats": Fault.answers(400, said),
        "500 that repeats": Fault.answers(500, said),
        "error inside that repeats": Fault.error_in_success(said),
        "page that repeats": page,
        "page that repeats where it is cut": cut,
        "429": Fault.answers(429, said, {"Retry-After": "60"}),
        "redirect": Fault.redirects(other.url + "/nl/orders.json"),
        "dropped": Fault.drops(),
        "cut": Fault.cuts_body(),
        "lost": Fault.loses_answer(),
    }
    for name, fault in faults.items():
        shop.faults.next(fault, times=8)
        yield name
        shop.faults.clear()
    connections: dict[str, Json] = {
        "wrong secret": {"api_secret": WRONG_SECRET},
        "old secret": {"api_secret": OLD_SECRET},
        "colon": {"api_key": f"{KEY}:{SECRET}"},
        "blanks": {"api_secret": f" {SECRET}\n"},
        "credentials in the address": {"base_url": f"https://{quote(KEY)}:{quote(SECRET, safe='')}@shop.example"},
        "no address": {"base_url": "http://127.0.0.1:9"},
        "plain HTTP": {"base_url": "http://shop.example"},
    }
    for name, changes in connections.items():
        bundle.store_connection(webhook_secret=WEBHOOK_SECRET, **changes)
        if "api_secret" in changes:
            shop.faults.next(Fault.answers(401, f"nobody has {changes['api_secret']}"), times=6)
        yield name
        shop.faults.clear()
    for text in (SECRET, f'"{SECRET}"', f'{{"api_key": "{KEY}", "api_secret": "{SECRET}"', f'["{KEY}", "{SECRET}"]'):
        bundle.store_secret("default", text)
        yield "secret of another form"
    bundle.store_connection(webhook_secret=WEBHOOK_SECRET)


def everything_that_was_written(bundle: Bundle, aws: AwsClients) -> Iterator[tuple[str, object]]:
    """Yield objects, items, messages and inputs."""
    for key in bundle.stored():
        body = bundle.body(key)
        yield key, key + (gzip.decompress(body) if key.endswith(".gz") else body).decode()
    yield "items", aws.client("dynamodb").scan(TableName=bundle.bucket)["Items"]
    sqs = aws.client("sqs")
    for name in (bundle.bucket, f"{bundle.bucket}-w"):
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            yield "messages", messages
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    states = aws.client("stepfunctions")
    for machine in states.list_state_machines()["stateMachines"]:
        for execution in states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]:
            yield "executions", states.describe_execution(executionArn=execution["executionArn"])


def test_secrets_are_found_in_the_authorization_header_and_nowhere_else(
    functions: Bundle,
    other: Shop,
    aws: AwsClients,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    evidence = Evidence()
    bundle, shop = functions, functions.shop
    caplog.set_level(logging.INFO)
    for name in ("lightspeed", "connector", "subscribe", "publish", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)

    calls = [*subscribing(bundle), *publishing(), *receiving(), *authorizing()]
    for where, work in calls:
        evidence.call(where, work)
    short = [
        quote_event(),
        {"entity": "orders"},
    ]
    for trouble in troubles(bundle, other):
        for event in short:
            evidence.call(f"{trouble}: {event}", lambda event=event: bundle.invoke(event))  # type: ignore[misc]
        evidence.call(f"{trouble}: POST", lambda: bundle.http("POST", "/subscribe", short[0]).text)
        evidence.call(f"{trouble}: check", lambda: bundle.http("GET", "/connections/default").text)
        create = {"entity": "tags", "action": "create", "parameters": {"payload": {"title": "t"}}}
        item = {**create, "idempotency_key": trouble}
        evidence.call(f"{trouble}: create", lambda item=item: publish.app.lambda_handler(item, Context("r")))  # type: ignore[misc]
        evidence.call(
            f"{trouble}: batch",
            lambda item=item: publish.app.lambda_handler({"items": [item]}, Context("r")),  # type: ignore[misc]
        )

    for where, what in everything_that_was_written(bundle, aws):
        evidence.add(where, what)
    captured = capsys.readouterr()
    evidence.add("standard output", captured.out)
    evidence.add("standard error", captured.err)
    for record in caplog.records:
        evidence.add(f"log of {record.name}", record.getMessage() + repr(vars(record)))
    for request in shop.requests:
        headers = {name: value for name, value in request.headers.items() if name != "authorization"}
        evidence.add("requests", [request.method, request.path, request.query, headers, request.body.decode()])

    leaks = evidence.leaks()
    assert not leaks, leaks
    assert other.requests == []
    sent = {request.headers.get("authorization", "") for request in shop.requests}
    right = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    assert right in sent
    assert all(value.startswith("Basic ") for value in sent)
    kinds = {where.split(" ")[0].split("/")[0] for where, _ in evidence.found}
    assert {
        "subscribe",
        "POST",
        "publish",
        "queue",
        "raw",
        "state",
        "events",
        "items",
        "messages",
        "log",
        "standard",
    } <= kinds


@pytest.mark.parametrize("secret", [*SECRETS, *PAIRS], ids=lambda secret: secret.replace("canary", "")[:30])
def test_the_search_would_find_a_secret(secret: str) -> None:
    for hidden in (
        f"so {secret} it is",
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"some{secret}thing".encode()).decode(),
        base64.b64encode(f"somet{secret}hing".encode()).decode(),
        base64.b64encode(f"someth{secret}ing".encode()).decode(),
        "Basic " + base64.b64encode(f"{KEY}:{secret}".encode()).decode(),
        quote(secret, safe=""),
    ):
        evidence = Evidence()
        evidence.add("here", hidden)
        assert evidence.leaks(), hidden


def test_nobody_kept_what_was_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(KeyError):
        authorizer.app.lambda_handler({"headers": {"authorization": f"Bearer {TOKEN}"}}, Context("request"))

    assert TOKEN not in "".join(capsys.readouterr())
