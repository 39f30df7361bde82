"""An unreadable event is refused with one sentence, and stops no other event."""

import json
from typing import Any

import pytest

from connector.errors import RequestError
from tests.integration.publish.conftest import Publisher, event, message
from tests.integration.publish.test_failure_queue import FailureQueue, failures, redriven, tags
from tests.integration.publish.test_files import PublishFile, machine
from tests.integration.publish.test_results import Bus, bus

__all__ = ["bus", "failures", "machine"]

TAG = event("tags", "create", {"title": "new"})
DEEP = "nested too deep, at most 200 objects and lists in one another"
UNREADABLE = {
    "endless": ("[" * 100_000, DEEP),
    "deep lists": ("[" * 100_000 + "]" * 100_000, DEEP),
    "deep objects": ('{"a":' * 100_000 + "1" + "}" * 100_000, DEEP),
    "a deep entity": ('{"action":"create","entity":' + "[" * 900 + "]" * 900 + "}", DEEP),
    "a deep payload": ('{"parameters":{"payload":' + "[" * 300 + "]" * 300 + "}}", DEEP),
    "half an entity": (r'{"action":"create","entity":"\ud800"}', r"half a character in it, '\ud800'"),
    "half an action": (r'{"action":"\ud800","entity":"tags"}', r"half a character in it, '\ud800'"),
    "half a key": (r'{"action":"create","entity":"tags","idempotency_key":"\udfff"}', r"it, '\udfff'"),
    "half a name": (r'{"action":"create","entity":"tags","\ud800":1}', r"half a character in it, '\ud800'"),
}
every = pytest.mark.parametrize(("text", "why"), UNREADABLE.values(), ids=UNREADABLE)


def nested(levels: int) -> list[Any]:
    """A list in a list, and so on."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@every
def test_a_message_goes_to_the_failure_queue_and_the_others_are_published(
    publisher: Publisher, failures: FailureQueue, text: str, why: str
) -> None:
    assert publisher.failed(message(1, text), message(2, TAG)) == []
    (found,) = failures.receive()
    assert (found["Error"], found["body"]) == ("RequestError", text)
    assert why in found["Detail"]
    assert tags(publisher, "new") == 1


@every
def test_a_line_fails_and_the_others_are_published(machine: PublishFile, text: str, why: str) -> None:
    machine.put("publish/in/lines.jsonl", text, TAG)
    assert machine.run("publish/in/lines.jsonl")["outcomes"] == {"failed": 1, "created": 1}
    bad, good = sorted(machine.results("publish/out/lines.jsonl"), key=lambda result: int(result["line"]))
    assert why in bad["error"]["detail"]
    assert good["status"] == "created"


@every
def test_a_call_answers_400(publisher: Publisher, text: str, why: str) -> None:
    for asked in ({}, {"Prefer": "respond-async"}):
        answer = publisher.http(text, **asked)
        assert answer["statusCode"] == 400
        assert why in answer["body"]["detail"]
    assert publisher.sent() == []


BAD_ITEMS = [
    {"entity": nested(250), "action": "create"},
    {**TAG, "parameters": {"path": {"id": nested(250)}}},
    nested(100_000),
    {"entity": "\ud800", "action": "create"},
    {**TAG, "idempotency_key": "\ud800"},
]


def test_an_item_fails_and_the_others_are_published_and_told(publisher: Publisher, bus: Bus) -> None:
    results = publisher.batch(*BAD_ITEMS, TAG)
    assert [result["status"] for result in results] == ["failed"] * len(BAD_ITEMS) + ["created"]
    assert {result["error"]["status"] for result in results[:-1]} == {400}
    json.dumps([results, bus.entries], ensure_ascii=False).encode()
    assert [entry["DetailType"] for entry in bus.entries] == ["failed"] * len(BAD_ITEMS) + ["succeeded"]


@pytest.mark.parametrize("bad", BAD_ITEMS[:2])
def test_an_event_by_itself_is_refused(publisher: Publisher, bus: Bus, bad: object) -> None:
    with pytest.raises(RequestError, match=DEEP):
        publisher(bad)
    assert [entry["DetailType"] for entry in bus.entries] == ["failed"]


def timed(number: int, body: object, **texts: str) -> dict[str, Any]:
    """A message with attributes of its own."""
    attributes = {name: {"stringValue": text, "dataType": "String"} for name, text in texts.items()}
    return {**message(number, body), "messageAttributes": attributes}


@pytest.mark.parametrize("time", ["soon", "1.5", "-1", "1e3", "١٢", "9" * 16, "9" * 5000, " 7"])
def test_a_message_whose_time_cannot_be_read_is_given_up_and_undoes_nothing(
    publisher: Publisher, failures: FailureQueue, time: str
) -> None:
    variant = publisher.shop.store.ids("variants")[0]

    def stock(level: int) -> dict[str, Any]:
        return event("variants", "update", {"stockLevel": level}, path={"id": variant})

    assert publisher.failed(message(5, stock(50))) == []
    assert publisher.failed(timed(9, stock(10), FirstSentTimestamp=time), message(10, TAG)) == []
    assert (publisher.shop.store.row("variants", variant) or {})["stockLevel"] == 50
    assert tags(publisher, "new") == 1
    (found,) = failures.receive()
    assert (found["Error"], found["FirstSentTimestamp"]) == ("RequestError", time)
    assert "FirstSentTimestamp must be epoch milliseconds" in found["Detail"]
    assert publisher.failed(redriven(11, found)) == [], "nor when it is moved back as it is"
    assert (publisher.shop.store.row("variants", variant) or {})["stockLevel"] == 50
    mended = redriven(12, {**found, "FirstSentTimestamp": "7"})
    assert publisher.failed(mended) == []
    assert (publisher.shop.store.row("variants", variant) or {})["stockLevel"] == 10


def test_what_the_queue_says_of_a_message_stops_no_other_where_it_is_no_number(
    publisher: Publisher, failures: FailureQueue
) -> None:
    odd = message(1, TAG) | {"attributes": {"SentTimestamp": "soon", "ApproximateReceiveCount": "often"}}
    assert publisher.failed(odd, message(2, TAG)) == []
    assert [found["FirstMessageId"] for found in failures.receive()] == ["message-1"]
    assert tags(publisher, "new") == 1


def test_a_secret_that_is_nested_too_deep_is_not_json(publisher: Publisher) -> None:
    deps = publisher.deps
    name = deps.settings.secret_prefix + "deep"
    deps.aws.client("secretsmanager").create_secret(Name=name, SecretString="[" * 50_000)
    results = publisher.batch({**TAG, "connection": "deep"}, TAG)
    assert [result["status"] for result in results] == ["failed", "created"]
    assert "the secret is not JSON" in results[0]["error"]["detail"]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("[" * 100_000, "the table 'deep' cannot be read"),
        ('{"a":' + "[" * 900 + "]" * 900 + "}", "returns values nested deeper than 200"),
    ],
    ids=["endless", "deep"],
)
def test_a_table_that_cannot_be_read_fails_its_event_alone(publisher: Publisher, table: str, why: str) -> None:
    deps = publisher.deps
    deps.aws.client("s3").put_object(Bucket=deps.settings.bucket, Key="config/tables/deep.json", Body=table.encode())
    looked_up = {**TAG, "request_transformer": '{"payload": {"title": $lookup_table("deep", "a", "x")}}'}
    results = publisher.batch(looked_up, TAG)
    assert [result["status"] for result in results] == ["failed", "created"]
    assert results[0]["error"]["status"] == 400
    assert why in results[0]["error"]["detail"]


def test_a_saved_transformer_that_is_nested_too_deep_fails_its_event_alone(publisher: Publisher) -> None:
    deps = publisher.deps
    key = "config/transformers/deep.jsonata"
    deps.aws.client("s3").put_object(Bucket=deps.settings.bucket, Key=key, Body=b"(" * 20_000)
    results = publisher.batch({**TAG, "request_transformer": {"$ref": f"s3:{key}"}}, TAG)
    assert [result["status"] for result in results] == ["failed", "created"]
    assert results[0]["error"]["status"] == 400
    assert "goes too deep" in results[0]["error"]["detail"]
