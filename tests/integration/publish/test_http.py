import json
from dataclasses import replace

from publish.dependencies import Dependencies
from tests.integration.publish.conftest import Publisher, event
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
    assert json.loads(found["Body"]) == TAG
    assert publisher.sent() == []


def test_respond_async_refuses_a_bad_event_before_anything_is_queued(publisher: Publisher) -> None:
    answer = publisher.http({"items": [TAG, {"entity": "tags", "action": "burn"}]}, Prefer="respond-async")
    assert answer["statusCode"] == 400
    sqs, queue = publisher.deps.aws.client("sqs"), publisher.deps.settings.publish_queue_url
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


def test_respond_async_without_a_queue_is_a_mistake_of_the_deployment(publisher: Publisher) -> None:
    held = publisher.deps
    publisher.deps = Dependencies(replace(held.settings, publish_queue_url=""), held.clock, held.aws)
    assert publisher.http(TAG, Prefer="respond-async")["statusCode"] == 500


def test_an_unknown_outcome_is_an_answer_not_an_error(publisher: Publisher) -> None:
    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    answer = publisher.http(TAG)
    assert (answer["statusCode"], answer["body"]["status"]) == (200, "unknown")
