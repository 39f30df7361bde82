"""Every file of events/ runs through the real handler of its function, and does what its row says.

`events/README.md` lists every file.
"""

import importlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import boto3
import pytest

import authorizer.app
import publish.dependencies
from connector.clients import AwsClients
from tests.integration.subscribe.bundle import Bundle
from tests.support.lambda_context import Context

EVENTS = Path(__file__).parents[3] / "events"
FILES = sorted(path.name for path in EVENTS.glob("*.json") if path.name != "subscriptions.schema.json")
QUOTE = 1016615295

HANDLERS = {("webhook", "queue"): "webhook.trigger", ("webhook", "schedule"): "webhook.daily"}
"""Handlers of a function that are not in its `app`, by function and trigger."""

Json = dict[str, Any]
Check = Callable[[Bundle, Json], None]


def contents(name: str) -> Json:
    event: Json = json.loads((EVENTS / name).read_text(encoding="utf-8"))
    return event


def one_quote(bundle: Bundle, result: Json) -> None:
    assert (result["status"], result["records"], result["bookmark"]) == ("complete", 1, None)
    assert bundle.ids(result) == [QUOTE]
    assert bundle.sent == [f"GET /nl/quotes/{QUOTE}.json"]
    assert bundle.manifest(result)["verified"] is True


def all_orders(bundle: Bundle, result: Json) -> None:
    assert (result["status"], result["bookmark"]) == ("complete", None)
    assert sorted(bundle.ids(result)) == sorted(bundle.shop.store.ids("orders"))
    assert bundle.manifest(result)["verified"] is True


def changed_orders(bundle: Bundle, result: Json) -> None:
    assert result["bookmark"] == {"until": "2026-11-23T05:59:55Z"}
    assert 0 < result["records"] <= 30
    assert all(record["updatedAt"] >= "2026-01-01" for record in bundle.records(result))
    assert bundle.manifest(result)["verified"] is True


def lines_of_changed_orders(bundle: Bundle, result: Json) -> None:
    assert result["bookmark"] == {"until": "2026-11-23T05:59:55Z"}
    assert {line["order_id"] for line in bundle.records(result)} == set(bundle.shop.store.ids("orders"))


def two_languages(bundle: Bundle, result: Json) -> None:
    assert result["records"] == 2 * bundle.shop.store.count("brands")
    assert {key.split("/")[3] for key in result["objects"]} == {"lang=nl", "lang=en"}


def visible_products(bundle: Bundle, result: Json) -> None:
    assert 0 < result["records"] <= 25
    assert all(record["isVisible"] for record in bundle.records(result))


def lines_without_prices(bundle: Bundle, result: Json) -> None:
    records = bundle.records(result)
    assert records
    assert not [key for record in records for key in record if key.lower().startswith(("price", "baseprice"))]
    assert all("id" in record for record in records)


def estimate_of_orders(bundle: Bundle, result: Json) -> None:
    assert [key for key in bundle.stored() if not key.startswith("config/")] == []
    assert bundle.sent == ["GET /nl/orders/count.json"]
    assert result["status"] == "estimate"
    assert result["estimate"]["records"] == bundle.shop.store.count("orders")


def three_fields(bundle: Bundle, result: Json) -> None:
    assert result["records"] == bundle.shop.store.count("orders")
    assert {tuple(record) for record in bundle.records(result)} == {("id", "number", "total")}


def without_personal_data(bundle: Bundle, result: Json) -> None:
    records = bundle.records(result)
    assert len(records) == bundle.shop.store.count("customers")
    assert not [key for record in records for key in record if key in ("email", "phone", "mobile", "lastname")]


def orders_by_status(bundle: Bundle, result: Json) -> None:
    statuses = {record["status"] for record in bundle.records(result)}
    assert statuses <= {"processing_awaiting_shipment", "on_hold"}
    assert len([sent for sent in bundle.sent if "count" in sent]) >= 2


def transformed(_: Bundle, answer: Json) -> None:
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["steps"]


def deleted_products(bundle: Bundle, result: Json) -> None:
    assert (result["status"], result["records"], bundle.sent) == ("complete", 0, [])
    assert "none can be missed" in result["reason"]
    bundle.invoke({"entity": "products"}, "landing")
    gone = bundle.shop.store.ids("products")[3]
    bundle.shop.store.delete("products", gone)
    again = bundle.invoke(contents("subscribe-direct-reconcile-products.json"), "again")
    assert bundle.ids(again) == [gone]
    assert bundle.manifest(again)["verified"] is True


def http(status: int, **parts: object) -> Check:
    """Expect a status and some members of the body."""

    def check(_: Bundle, answer: Json) -> None:
        assert answer["statusCode"] == status, answer["body"]
        body = json.loads(answer["body"])
        assert {name: body[name] for name in parts} == parts

    return check


def http_quote(bundle: Bundle, answer: Json) -> None:
    assert answer["statusCode"] == 200
    body = json.loads(answer["body"])
    assert body["data"]["id"] == QUOTE
    del body["data"]
    one_quote(bundle, body)


def whole_catalogue(_: Bundle, answer: Json) -> None:
    assert answer["statusCode"] == 200
    assert len(json.loads(answer["body"])["entities"]) == 98


def created(title: str) -> Check:
    """Expect a record that was created with this title."""

    def check(bundle: Bundle, result: Json) -> None:
        assert (result["status"], result["http_status"], result["record"]["title"]) == ("created", 201, title)
        assert [request.method for request in bundle.shop.requests] == ["POST"]

    return check


def http_created(bundle: Bundle, answer: Json) -> None:
    assert answer["statusCode"] == 201
    created("Lamp")(bundle, json.loads(answer["body"]))


def batch(bundle: Bundle, answer: Json) -> None:
    first, second = answer["results"]
    assert first["status"] == "created"
    assert second["status"] == "failed"
    assert "orders has no create" in second["error"]["detail"]
    assert len(bundle.shop.requests) == 1


def converted(bundle: Bundle, result: Json) -> None:
    assert result["status"] == "done"
    assert bundle.shop.requests[-1].path == f"/nl/quotes/{QUOTE}/convert.json"


def one_bad_message(bundle: Bundle, answer: Json) -> None:
    assert answer == {"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661975020002"}]}
    assert [request.method for request in bundle.shop.requests] == ["POST"]


def upserted(bundle: Bundle, result: Json) -> None:
    assert (result["status"], result["record"]["title"]) == ("created", "Delta")
    assert [request.method for request in bundle.shop.requests] == ["GET", "POST"]


def shown(bundle: Bundle, result: Json) -> None:
    assert result["status"] == "dry_run"
    assert result["difference"]["stockLevel"]["to"] == 12
    assert [request.method for request in bundle.shop.requests] == ["GET"]


def stock_and_prices(bundle: Bundle, answer: Json) -> None:
    assert [result["status"] for result in answer["results"]] == ["updated"] * 4
    assert [request.path for request in bundle.shop.requests] == ["/nl/variants/bulk.json"]
    assert [(row["stockLevel"], row["priceExcl"]) for row in three_variants(bundle)][1:] == [(0, 24.5), (ANY, 19.95)]
    assert three_variants(bundle)[0]["stockLevel"] == 11


def product_in_categories(bundle: Bundle, answer: Json) -> None:
    assert [result["status"] for result in answer["results"]] == ["created"] * 2 + ["updated"] * 2
    assert [(request.method, request.path) for request in bundle.shop.requests] == [
        ("PUT", "/nl/products/163090479/attributes.json"),
        ("GET", "/nl/categories/products.json"),
        ("POST", "/nl/categories/products/bulk.json"),
    ]


def newest_stock(bundle: Bundle, answer: Json) -> None:
    assert answer == {"batchItemFailures": []}
    assert [row["stockLevel"] for row in three_variants(bundle)][:2] == [7, 3]


def three_variants(bundle: Bundle) -> list[Json]:
    return list(reversed(bundle.shop.store.rows("variants")))[:3]


def stored_webhook(entity: str, record_id: str) -> Check:
    """Expect that a webhook is answered 204 and stored, and that the shop is not asked."""

    def check(bundle: Bundle, answer: Json) -> None:
        assert answer["statusCode"] == 204
        (key,) = bundle.stored("events/")
        assert key.startswith(f"events/connection=default/entity={entity}/date=2026-11-23/")
        assert bundle.json(key)["record_id"] == record_id
        assert bundle.sent == []

    return check


def forged_webhook(bundle: Bundle, answer: Json) -> None:
    assert answer["statusCode"] == 401
    assert (bundle.stored("events/"), bundle.sent) == ([], [])


def queued_webhooks(bundle: Bundle, answer: Json) -> None:
    assert answer == {"batchItemFailures": []}
    # one tick for the orders, one for the products, one for the deleted id
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
    queue = boto3.client("sqs").get_queue_attributes(QueueUrl=os.environ["WEBHOOK_QUEUE_URL"], AttributeNames=counts)
    assert sum(int(queue["Attributes"][name]) for name in counts) == 3
    assert bundle.sent == []


def reported_day(bundle: Bundle, answer: Json) -> None:
    assert answer == {"date": "2026-11-23", "reports": [], "registrations": []}
    assert bundle.sent == []


def orders_of_2025(bundle: Bundle, result: Json) -> None:
    assert (result["run_id"], result["status"], result["bookmark"]) == ("orders-of-2025", "complete", None)
    assert result["records"] > 0
    assert {record["createdAt"][:4] for record in bundle.records(result)} <= {
        "2025",
        "2026",
    }  # the shop writes its zone


def one_run(bundle: Bundle, answer: Json) -> None:
    assert answer["statusCode"] == 404
    bundle.invoke(contents("subscribe-direct-orders-of-2025.json"))
    again = bundle.invoke(contents("subscribe-http-run.json"))
    assert (again["statusCode"], json.loads(again["body"])["status"]) == (200, "complete")


def listed_runs(bundle: Bundle, answer: Json) -> None:
    assert json.loads(answer["body"]) == {"runs": [], "after": None}
    bundle.invoke(contents("subscribe-direct-orders-of-2025.json"))
    again = bundle.invoke(contents("subscribe-http-runs.json"))
    assert [run["run_id"] for run in json.loads(again["body"])["runs"]] == ["orders-of-2025"]


def image_of_a_product(bundle: Bundle, result: Json) -> None:
    assert (result["status"], result["http_status"]) == ("created", 201)
    assert [request.path for request in bundle.shop.requests] == ["/nl/products/163090479/images.json"]


def deleted_product(bundle: Bundle, result: Json) -> None:
    assert result["status"] == "deleted"
    assert 163090605 not in bundle.shop.store.ids("products")


def queued_product(bundle: Bundle, answer: Json) -> None:
    body = json.loads(answer["body"])
    assert answer["statusCode"] == 202
    assert (len(body["message_ids"]), len(body["idempotency_keys"])) == (1, 1)
    assert bundle.sent == []


def published_file(_: Bundle, split: Json) -> None:
    handler = importlib.import_module("publish.app").lambda_handler
    for part in split["parts"]:
        assert handler(part, Context("part"))["status"] == "complete"
    joined = handler(split["join"], Context("join"))
    assert joined == {
        "results": "publish/out/publish-file-stock.jsonl",
        "lines": 4,
        "outcomes": {"updated": 3, "created": 1},
    }


def identified(_: Bundle, answer: Json) -> None:
    assert answer == {
        "isAuthorized": True,
        "context": {"token": "default", "scopes": "read publish admin", "error": ""},
    }


EXPECTED: dict[str, Check] = {
    "authorizer-http-token.json": identified,
    "publish-direct-batch.json": batch,
    "publish-direct-convert-quote.json": converted,
    "publish-direct-create-by-saved-transformer.json": created("DELTA"),
    "publish-direct-create-by-transformer.json": created("DELTA"),
    "publish-direct-create-product.json": created("Lamp"),
    "publish-direct-delete-product.json": deleted_product,
    "publish-direct-dry-run-update.json": shown,
    "publish-direct-image.json": image_of_a_product,
    "publish-direct-product-in-categories.json": product_in_categories,
    "publish-direct-stock-and-prices.json": stock_and_prices,
    "publish-direct-upsert-brand.json": upserted,
    "publish-file-uploaded.json": published_file,
    "publish-http-create-product.json": http_created,
    "publish-http-create-product-async.json": queued_product,
    "publish-queue-one-bad-message.json": one_bad_message,
    "publish-queue-stock-out-of-order.json": newest_stock,
    "subscribe-direct-customers-without-personal-data.json": without_personal_data,
    "subscribe-direct-entity-transformer.json": three_fields,
    "subscribe-direct-some-products.json": visible_products,
    "subscribe-direct-order-lines-without-prices.json": lines_without_prices,
    "subscribe-direct-orders-by-status.json": orders_by_status,
    "subscribe-direct-orders-of-2025.json": orders_of_2025,
    "subscribe-direct-estimate-orders.json": estimate_of_orders,
    "subscribe-direct-quote-by-transformer.json": one_quote,
    "subscribe-direct-quote.json": one_quote,
    "subscribe-direct-reconcile-products.json": deleted_products,
    "subscribe-direct-two-languages.json": two_languages,
    "subscribe-http-connection.json": http(200, connection="default", language="nl"),
    "subscribe-http-entities.json": whole_catalogue,
    "subscribe-http-entity.json": http(200, entity="products/images"),
    "subscribe-http-quote.json": http_quote,
    "subscribe-http-run.json": one_run,
    "subscribe-http-runs.json": listed_runs,
    "subscribe-http-transform.json": transformed,
    "subscribe-http-unknown-entity.json": http(404, entity="order", title="Unknown entity"),
    "subscribe-schedule-all-orders.json": all_orders,
    "subscribe-schedule-changed-orders.json": changed_orders,
    "subscribe-schedule-lines-of-changed-orders.json": lines_of_changed_orders,
    "subscribe-schedule-saved-transformer.json": three_fields,
    "webhook-http-customer-created-xml.json": stored_webhook("customers", "103"),
    "webhook-http-forged.json": forged_webhook,
    "webhook-http-order-updated.json": stored_webhook("orders", "101"),
    "webhook-http-product-deleted.json": stored_webhook("products", "102"),
    "webhook-queue-orders-and-a-deleted-product.json": queued_webhooks,
    "webhook-schedule-report-of-a-day.json": reported_day,
}


@pytest.fixture
def functions(aws: AwsClients, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The bundle with what publish needs besides."""
    monkeypatch.setattr(publish.dependencies, "AwsClients", lambda: aws)
    monkeypatch.setattr(publish.dependencies, "SystemClock", lambda: bundle.clock)
    monkeypatch.setenv("IDEMPOTENCY_TABLE", bundle.bucket)
    aws.client("dynamodb").create_table(
        TableName=bundle.bucket,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for saved in (EVENTS / "config").rglob("*.jsonata"):
        key = str(saved.relative_to(EVENTS))
        bundle.s3.put_object(Bucket=bundle.bucket, Key=key, Body=saved.read_bytes())
    monkeypatch.setenv("BUCKET", bundle.bucket)
    monkeypatch.setenv("STACK_NAME", "lightspeed-connector")
    monkeypatch.setenv("SYNC_STATE_MACHINE_ARN", "arn:aws:states:eu-west-1:123456789012:stateMachine:sync")
    queue = boto3.client("sqs").create_queue(QueueName=f"webhooks-{bundle.bucket}")["QueueUrl"]
    monkeypatch.setenv("WEBHOOK_QUEUE_URL", queue)
    queue = boto3.client("sqs").create_queue(QueueName=f"publish-{bundle.bucket}")["QueueUrl"]
    monkeypatch.setenv("PUBLISH_QUEUE_URL", queue)
    bundle.store_secret("tokens", "example-token-not-a-secret")
    monkeypatch.setenv("API_TOKEN_SECRET", f"{bundle.prefix}tokens")
    authorizer.app.tokens.cache_clear()
    return bundle


def test_every_file_has_a_row_and_every_row_a_file() -> None:
    assert sorted(EXPECTED) == FILES


def test_the_index_lists_every_file_and_no_other() -> None:
    index = (EVENTS / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\(([a-z0-9-]+\.(?:json|jsonl|toml|schema\.json))\)", index)

    assert sorted(listed) == sorted(
        path.name for path in EVENTS.iterdir() if path.is_file() and path.name != "README.md"
    )


@pytest.mark.parametrize("name", FILES)
def test_an_event_does_what_its_row_says(functions: Bundle, name: str) -> None:
    event = contents(name)
    function, trigger, _ = name.split("-", 2)
    if trigger == "file":  # what the state machine PublishFile makes of the event
        key = event["detail"]["object"]["key"]
        lines = (EVENTS / "publish-file-stock.jsonl").read_bytes()
        functions.s3.put_object(Bucket=functions.bucket, Key=key, Body=lines)
        event = {"file_step": "split", "key": key, "execution": "one", "input": event}
    module = HANDLERS.get((function, trigger), f"{function}.app")
    handler = importlib.import_module(module).lambda_handler

    result = handler(event, Context("request-1"))

    EXPECTED[name](functions, result)
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("name", FILES)
def test_the_name_of_a_file_says_function_and_trigger(name: str) -> None:
    function, trigger, *case = name.removesuffix(".json").split("-")
    event = contents(name)

    assert function in ("subscribe", "publish", "webhook", "authorizer")
    assert case
    assert {"http": "requestContext", "queue": "Records"}.get(trigger, "nothing special") in {*event, "nothing special"}
