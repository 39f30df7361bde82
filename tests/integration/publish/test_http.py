import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from publish.dependencies import Dependencies
from tests.integration.publish.conftest import Publisher, event, message
from tests.shop import Fault

TAG = event("tags", "create", {"title": "sale"})


def test_a_create_answers_201_and_anything_else_200(publisher: Publisher) -> None:
    created = publisher.http(TAG)
    assert (created["statusCode"], created["body"]["status"]) == (201, "created")
    deleted = publisher.http(event("tags", "delete", path={"id": created["body"]["id"]}))
    assert (deleted["statusCode"], deleted["body"]["status"]) == (200, "deleted")


def test_a_batch_answers_200_with_one_result_each(publisher: Publisher) -> None:
    answer = publisher.http({"items": [TAG, event("orders", "create", {"x": 1})]})
    assert answer["statusCode"] == 200
    assert [result["status"] for result in answer["body"]["results"]] == ["created", "failed"]


def test_errors_are_problems(publisher: Publisher) -> None:
    conflict = {**TAG, "idempotency_key": "k"}
    publisher.http(conflict)
    other = {**conflict, "parameters": {"payload": {"title": "other"}}}
    cases: list[tuple[object, int]] = [
        ("{", 400),
        ({"items": [TAG], "more": 1}, 400),
        ({**TAG, "skip": 1}, 400),
        (event("tugs", "create", {"title": "x"}), 404),
        (event("tags", "update", {"title": "x"}, path={"id": 7}), 404),
        ({**TAG, "connection": "none"}, 404),
        (other, 409),
        (event("variants", "update", {"stockLevel": "x"}, path={"id": publisher.shop.store.ids("variants")[0]}), 422),
    ]
    for body, status in cases:
        answer = publisher.http(body)
        headers = answer.get("multiValueHeaders") or answer["headers"]
        assert answer["statusCode"] == answer["body"]["status"] == status, body
        assert "problem+json" in str(headers.get("Content-Type"))


def test_with_the_quota_used_up_a_call_waits_a_few_seconds_at_most_and_answers_429(publisher: Publisher) -> None:
    publisher.shop.limits.quota = (1, 100, 1000)
    publisher.http(TAG)
    before = publisher.shop.clock.now()
    answer = publisher.http(TAG)
    assert answer["statusCode"] == 429
    headers = answer.get("multiValueHeaders") or answer["headers"]
    assert "300" in str(headers["Retry-After"])
    assert publisher.shop.clock.now() - before <= 5


def test_respond_async_checks_everything_and_queues_it(publisher: Publisher) -> None:
    sqs, queue = publisher.deps.aws.client("sqs"), publisher.deps.settings.publish_queue_url
    answer = publisher.http({"items": [TAG] * 12}, Prefer="respond-async")
    assert (answer["statusCode"], answer["body"]["status"]) == (202, "queued")
    assert len(set(answer["body"]["message_ids"])) == 12
    (found,) = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=1)["Messages"]
    body = json.loads(found["Body"])
    assert body.pop("idempotency_key") in answer["body"]["idempotency_keys"]
    assert body == TAG
    assert publisher.sent() == []


class Queue:
    """The client of SQS; it notes what is sent, and fails as it is told."""

    def __init__(self, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
        client = publisher.deps.aws.client("sqs")
        self.batches: list[list[dict[str, str]]] = []
        self.failures: list[Any] = []
        self._send = client.send_message_batch
        monkeypatch.setattr(client, "send_message_batch", self._answer)

    def _answer(self, **asked: Any) -> Any:
        self.batches.append(asked["Entries"])
        failure = self.failures.pop(0) if self.failures else None
        if isinstance(failure, Exception):
            raise failure
        if isinstance(failure, dict):
            return failure
        if failure is None:
            return self._send(**asked)
        refused = [{"Id": one["Id"], "Code": "Internal", "Message": "busy"} for one in asked["Entries"][failure:]]
        taken = self._send(QueueUrl=asked["QueueUrl"], Entries=asked["Entries"][:failure])
        return {**taken, "Failed": refused}


@pytest.fixture
def queue(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Queue:
    return Queue(publisher, monkeypatch)


def test_respond_async_gives_a_key_only_to_what_may_not_be_repeated(publisher: Publisher) -> None:
    update = event("tags", "update", {"title": "x"}, path={"id": 7})
    calls = [TAG, {**TAG, "idempotency_key": "own"}, update]
    answer = publisher.http({"items": calls}, Prefer="respond-async")
    given, own, none = answer["body"]["idempotency_keys"]
    assert (len(given), own, none) == (32, "own", None)


def test_respond_async_cuts_its_calls_by_bytes(publisher: Publisher, queue: Queue) -> None:
    large = event("products", "create", {"title": "x", "content": "é" * 60_000})
    answer = publisher.http({"items": [large] * 5}, Prefer="respond-async")
    assert (answer["statusCode"], len(set(answer["body"]["message_ids"]))) == (202, 5)
    assert [len(batch) for batch in queue.batches] == [2, 2, 1]


def test_respond_async_refuses_what_the_queue_cannot_hold_before_anything_is_queued(
    publisher: Publisher, queue: Queue
) -> None:
    large = event("products", "create", {"title": "x", "content": "x" * 262_144})
    answer = publisher.http({"items": [TAG] * 20 + [large]}, Prefer="respond-async")
    assert (answer["statusCode"], queue.batches) == (413, [])
    assert "items[20] has 262," in answer["body"]["detail"]
    assert "publish/in/" in answer["body"]["detail"]


def test_respond_async_sends_again_what_the_queue_did_not_take(publisher: Publisher, queue: Queue) -> None:
    queue.failures = [4]
    answer = publisher.http({"items": [TAG] * 10}, Prefer="respond-async")
    assert (answer["statusCode"], len(set(answer["body"]["message_ids"]))) == (202, 10)
    assert [len(batch) for batch in queue.batches] == [10, 6]


@pytest.mark.parametrize(
    "failure", [0, EndpointConnectionError(endpoint_url="https://sqs"), {}], ids=["busy", "no answer", "no word"]
)
def test_respond_async_says_what_is_queued_and_a_repetition_doubles_nothing(
    publisher: Publisher, queue: Queue, failure: Any
) -> None:
    queue.failures = [None, failure, failure, failure]
    items = [event("tags", "create", {"title": f"new {n}"}) for n in range(12)]
    answer = publisher.http({"items": items}, Prefer="respond-async")
    body = answer["body"]
    assert (answer["statusCode"], [found is None for found in body["message_ids"]]) == (503, [False] * 10 + [True] * 2)
    assert "10 of 12 events are queued" in body["detail"]
    queue.failures = []
    again = [{**item, "idempotency_key": key} for item, key in zip(items, body["idempotency_keys"], strict=True)]
    assert publisher.http({"items": again}, Prefer="respond-async")["statusCode"] == 202
    for number, batch in enumerate([*queue.batches[:1], *queue.batches[-2:]]):
        publisher.failed(*(message(100 * number + n, json.loads(one["MessageBody"])) for n, one in enumerate(batch)))
    created = [row["title"]["nl"] for row in publisher.shop.store.rows("tags")]
    assert [created.count(f"new {n}") for n in range(12)] == [1] * 12


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "the body is empty"),
        ('{"entity": "tags", "entity": "brands"}', "key 'entity' is there twice"),
        ('{"entity": "tags", "parameters": {"payload": {"a": 1, "a": 2}}}', "key 'a' is there twice"),
        ('{"entity": NaN}', "NaN is not JSON"),
    ],
)
def test_a_body_that_is_no_plain_json_is_refused(publisher: Publisher, body: str, reason: str) -> None:
    answer = publisher.http(body)
    assert answer["statusCode"] == 400
    assert reason in answer["body"]["detail"]


def test_a_write_that_would_start_more_than_20_seconds_after_the_call_is_not_sent(publisher: Publisher) -> None:
    publisher.shop.on_request(lambda _: publisher.shop.clock.advance(21))
    answer = publisher.http(event("products", "create", {"title": "Late"}, match="title"))
    assert (answer["statusCode"], answer["body"]["title"]) == (503, "Out of time")
    assert [method for method, _ in publisher.sent()] == ["GET"]
    product = publisher.shop.store.ids("products")[0]
    publisher.shop.faults.next(Fault.answers(500))
    assert publisher.http(event("products", "update", {"title": "x"}, path={"id": product}))["statusCode"] == 502
    assert [method for method, _ in publisher.sent()] == ["GET", "PUT"]


DECIMAL = '"price": 12345678901234567890.12, "weight": -0, "rate": 1.10'


def sent_body(publisher: Publisher) -> str:
    return publisher.shop.requests[-1].body.decode()


def call_with_decimals(**more: Any) -> str:
    text = json.dumps(event("products", "create", {"title": "Exact"}, **more))
    return text.replace('"title": "Exact"', f'"title": "Exact", {DECIMAL}')


@pytest.mark.parametrize("transformer", [None, '{"payload": payload}'])
def test_numbers_are_sent_as_they_are_written(publisher: Publisher, transformer: str | None) -> None:
    text = call_with_decimals(**({"request_transformer": transformer} if transformer else {}))
    wanted = DECIMAL.replace(" ", "")
    assert publisher.http(text)["statusCode"] == 201
    assert wanted in sent_body(publisher)
    assert publisher.failed(message(1, text)) == []
    assert wanted in sent_body(publisher)


def test_numbers_are_queued_as_they_are_written(publisher: Publisher, queue: Queue) -> None:
    assert publisher.http(call_with_decimals(), Prefer="respond-async")["statusCode"] == 202
    assert DECIMAL.replace(" ", "") in queue.batches[0][0]["MessageBody"]


def test_a_number_written_in_another_form_is_the_same_content(publisher: Publisher) -> None:
    call = json.dumps(event("products", "create", {"title": "x", "weightValue": 1.5}, idempotency_key="k"))
    assert publisher.http(call)["statusCode"] == 201
    assert publisher.http(call.replace("1.5", "1.50"))["statusCode"] == 201
    assert publisher.http(call.replace("1.5", "1.50000000000000000001"))["statusCode"] == 409
    assert len(publisher.sent()) == 1


def test_a_number_and_a_text_of_its_digits_are_other_content(publisher: Publisher) -> None:
    call = json.dumps(event("products", "create", {"title": "x", "weightValue": "?"}, idempotency_key="k"))
    for number in ("1.5", "12345678901234567890.12"):
        keyed = call.replace('"k"', f'"{number}"')
        assert publisher.http(keyed.replace('"?"', number))["statusCode"] == 201
        assert publisher.http(keyed.replace("?", number))["statusCode"] == 409


def test_respond_async_refuses_a_bad_event_before_anything_is_queued(publisher: Publisher) -> None:
    answer = publisher.http({"items": [TAG, {"entity": "tags", "action": "burn"}]}, Prefer="respond-async")
    assert answer["statusCode"] == 400
    sqs, queue = publisher.deps.aws.client("sqs"), publisher.deps.settings.publish_queue_url
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


def test_respond_async_without_a_queue_is_a_mistake_of_the_deployment(publisher: Publisher) -> None:
    deps = publisher.deps
    publisher.deps = Dependencies(replace(deps.settings, publish_queue_url=""), deps.clock, deps.aws)
    assert publisher.http(TAG, Prefer="respond-async")["statusCode"] == 500


def test_an_unknown_outcome_is_an_answer_not_an_error(publisher: Publisher) -> None:
    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    answer = publisher.http(TAG)
    assert (answer["statusCode"], answer["body"]["status"]) == (200, "unknown")


def test_records_that_are_too_large_for_an_answer_are_left_out(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.http.calls.MAX_BODY_BYTES", 500)

    (first, second) = publisher.http({"items": [TAG, event("tags", "create", {"title": "new"})]})["body"]["results"]

    assert (first["status"], second["status"]) == ("created", "created")
    assert first["record"] is second["record"] is None
    assert "read it by its id" in second["record_omitted"]


def test_a_write_whose_answer_trickles_is_unknown_within_28_seconds(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trickle(_: object) -> None:
        """Let each look at the clock take three seconds, also those between two bytes."""
        monkeypatch.setattr(publisher.deps.clock, "_step", 3.0)

    publisher.shop.on_request(trickle)
    publisher.shop.faults.next(Fault.slows_body(0.5))
    start = publisher.shop.clock.now()

    answer = publisher.http(TAG)

    assert publisher.shop.clock.now() - start <= 28
    assert (answer["statusCode"], answer["body"]["status"]) == (200, "unknown")
    assert publisher.sent()[0] == ("POST", "/nl/tags.json")
