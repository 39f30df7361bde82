import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from publish.dependencies import Dependencies
from tests.integration.publish.conftest import Publisher, event, message
from tests.shop import Fault

Json = dict[str, Any]


class FailureQueue:
    """The failure queue, as the function is told of it."""

    def __init__(self, publisher: Publisher) -> None:
        deps = publisher.deps
        self._sqs = deps.aws.client("sqs")
        self.url = self._sqs.create_queue(QueueName=deps.settings.idempotency_table + "-failures")["QueueUrl"]
        publisher.deps = Dependencies(replace(deps.settings, publish_failure_queue_url=self.url), deps.clock, deps.aws)

    def receive(self) -> list[Json]:
        """What lies there: `body` and its attributes, each as text."""
        asked = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "VisibilityTimeout": 600}
        found = self._sqs.receive_message(QueueUrl=self.url, **asked).get("Messages", [])
        return [
            {"body": one["Body"], **{k: v["StringValue"] for k, v in one.get("MessageAttributes", {}).items()}}
            for one in found
        ]


@pytest.fixture
def failures(publisher: Publisher) -> FailureQueue:
    return FailureQueue(publisher)


def redriven(number: int, given_up: Json) -> Json:
    """A message that was moved back to the publish queue: a new id, a new time, and the attributes it was kept with."""
    attributes = {
        name: {"stringValue": text, "dataType": "String"} for name, text in given_up.items() if name != "body"
    }
    return {**message(number, given_up["body"]), "messageAttributes": attributes}


def tags(publisher: Publisher, title: str) -> int:
    return [row["title"].get("nl") for row in publisher.shop.store.rows("tags")].count(title)


def stock(variant: int, level: object) -> Json:
    return event("variants", "update", {"stockLevel": level}, path={"id": variant})


def level(publisher: Publisher, variant: int) -> object:
    return (publisher.shop.store.row("variants", variant) or {})["stockLevel"]


def test_what_the_shop_refuses_goes_to_the_failure_queue_at_once(publisher: Publisher, failures: FailureQueue) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    bad = stock(variant, "many")
    assert publisher.failed(message(1, bad), message(2, event("tags", "create", {"title": "new"}))) == []
    assert failures.receive() == [
        {
            "body": json.dumps(bad),
            "FirstMessageId": "message-1",
            "FirstSentTimestamp": "1",
            "Error": "InvalidRequest",
            "Detail": f"PUT /nl/variants/{variant}.json: 422 Invalid value for stockLevel",
        }
    ]
    assert tags(publisher, "new") == 1


@pytest.mark.parametrize(
    ("body", "error", "detail"),
    [
        ("not JSON", "RequestError", "must be a JSON object"),
        ("[1]", "RequestError", "object"),
        ({"entity": "tags"}, "RequestError", "action is missing"),
        (event("tagz", "create", {"title": "x"}), "UnknownEntity", "tags"),
        (event("orders", "create", {"email": "a@example.com"}), "UnsupportedOperation", "checkout"),
        (event("tags", "update", {"title": "x"}), "InvalidParameters", "path lacks id"),
        (event("tags", "create", {"title": "x"}, request_transformer="{"), "TransformError", "transformer"),
        (event("tags", "update", {"title": "x"}, path={"id": 7}), "NotFound", "404"),
    ],
)
def test_what_is_wrong_itself_goes_to_the_failure_queue_with_what_was_wrong(
    publisher: Publisher, failures: FailureQueue, body: object, error: str, detail: str
) -> None:
    assert publisher.failed(message(1, body)) == []
    (found,) = failures.receive()
    assert found["Error"] == error
    assert detail in found["Detail"]


def test_a_key_that_was_used_with_other_content_goes_to_the_failure_queue(
    publisher: Publisher, failures: FailureQueue
) -> None:
    publisher(event("tags", "create", {"title": "one"}, idempotency_key="k"))
    assert publisher.failed(message(1, event("tags", "create", {"title": "two"}, idempotency_key="k"))) == []
    assert [found["Error"] for found in failures.receive()] == ["IdempotencyConflict"]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_what_may_pass_or_is_mended_elsewhere_comes_again(
    publisher: Publisher, failures: FailureQueue, status: int
) -> None:
    publisher.shop.faults.next(Fault.answers(status), times=20)
    variant = publisher.shop.store.ids("variants")[0]
    assert publisher.failed(message(1, stock(variant, 5))) == ["message-1"]
    assert failures.receive() == []


def test_a_connection_that_is_not_there_is_not_the_messages_fault(publisher: Publisher, failures: FailureQueue) -> None:
    absent = event("tags", "create", {"title": "x"}, connection="absent")
    assert publisher.failed(message(1, absent)) == ["message-1"]
    assert failures.receive() == []


def test_an_order_that_is_not_found_comes_again_since_that_may_pass(
    publisher: Publisher, failures: FailureQueue
) -> None:
    note = event("orders", "update", {"memo": "x"}, path={"id": 7})
    assert publisher.failed(message(1, note)) == ["message-1"]
    assert failures.receive() == []


def test_a_message_whose_first_call_may_still_run_is_hidden_until_that_call_has_ended(
    publisher: Publisher, failures: FailureQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden: list[int] = []
    sqs = publisher.deps.aws.client("sqs")
    monkeypatch.setattr(sqs, "change_message_visibility", lambda **asked: hidden.append(asked["VisibilityTimeout"]))
    tag = event("tags", "create", {"title": "new"})
    assert publisher.failed(message(1, tag)) == []
    (item,) = publisher.items
    later = {"N": str(int((publisher.deps.clock.time() + 170) * 1000))}
    publisher.keep({**item, "status": {"S": "INPROGRESS"}, "in_progress_expiration": later})
    assert publisher.failed(message(1, tag)) == ["message-1"]
    assert failures.receive() == []
    assert hidden == [170]


def test_an_unknown_outcome_stays_in_the_queue_until_it_is_worn(publisher: Publisher, failures: FailureQueue) -> None:
    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    tag = event("tags", "create", {"title": "new"})
    for receipts in range(1, 9):
        assert publisher.failed(message(1, tag, receipts=receipts)) == ["message-1"]
    assert failures.receive() == []
    assert publisher.failed(message(1, tag, receipts=9)) == []
    (found,) = failures.receive()
    assert (found["Error"], found["FirstMessageId"]) == ("unknown", "message-1")
    assert "may or may not have acted" in found["Detail"]
    assert publisher.failed(redriven(7, found)) == ["message-7"], "redriven, it is still not sent again"
    assert len(publisher.sent()) == 1


def test_what_never_passed_is_given_up_with_its_first_id_and_time(publisher: Publisher, failures: FailureQueue) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    publisher.shop.faults.next(Fault.answers(503), times=20)
    assert publisher.failed(message(1, stock(variant, 10), receipts=8)) == ["message-1"]
    assert publisher.failed(message(1, stock(variant, 10), receipts=9)) == []
    publisher.shop.faults.clear()
    assert publisher.failed(message(2, stock(variant, 20))) == []
    (found,) = failures.receive()
    assert found["Error"] == "ServerError"
    assert publisher.failed(redriven(9, found)) == []
    assert level(publisher, variant) == 20, "a newer message has set it meanwhile"


def test_a_message_that_is_redriven_after_the_cause_is_mended_is_published_once(
    publisher: Publisher, failures: FailureQueue
) -> None:
    publisher.shop.faults.next(Fault.answers(422), method="POST")
    assert publisher.failed(message(1, event("tags", "create", {"title": "new"}))) == []
    (found,) = failures.receive()
    assert publisher.failed(redriven(5, found)) == []
    assert publisher.failed(redriven(6, found)) == [], "and once more: its first id was done"
    assert tags(publisher, "new") == 1
    assert failures.receive() == []


def test_a_message_that_is_refused_again_after_a_redrive_keeps_its_first_id(
    publisher: Publisher, failures: FailureQueue
) -> None:
    publisher.failed(message(3, "not JSON"))
    (found,) = failures.receive()
    assert publisher.failed(redriven(8, found)) == []
    assert failures.receive() == [found]


def test_a_refused_update_that_is_redriven_does_not_undo_a_newer_one(
    publisher: Publisher, failures: FailureQueue
) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    publisher.shop.faults.next(Fault.answers(422), method="PUT")
    assert publisher.failed(message(1, stock(variant, 10))) == []
    assert publisher.failed(message(2, stock(variant, 20))) == []
    (found,) = failures.receive()
    assert publisher.failed(redriven(9, found)) == []
    assert level(publisher, variant) == 20


def test_the_detail_is_cut_and_holds_only_what_a_queue_takes(publisher: Publisher, failures: FailureQueue) -> None:
    publisher.shop.faults.next(Fault.answers(422, message="not\x00 so\ufffe " + "x" * 5000), method="POST")
    assert publisher.failed(message(1, event("tags", "create", {"title": "new"}))) == []
    (found,) = failures.receive()
    assert "not so " in found["Detail"]
    assert len(found["Detail"]) == 1000


def test_without_the_failure_queue_the_message_goes_back(publisher: Publisher) -> None:
    deps = publisher.deps
    assert deps.settings.publish_failure_queue_url == ""
    records = [message(1, "not JSON", receipts=10), message(2, {"entity": "tags"}, receipts=9)]
    assert publisher.failed(*records) == ["message-1", "message-2"]


def test_a_failure_queue_that_takes_nothing_leaves_the_message_where_it_is(publisher: Publisher) -> None:
    deps = publisher.deps
    absent = deps.settings.publish_queue_url + "-absent"
    publisher.deps = Dependencies(replace(deps.settings, publish_failure_queue_url=absent), deps.clock, deps.aws)
    assert publisher.failed(message(1, "not JSON")) == ["message-1"]


def test_a_copy_that_cannot_be_sent_leaves_the_message_waiting(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://sqs.eu-west-1.amazonaws.com")

    publisher.deps.pauses["default"] = publisher.deps.clock.time() + 500
    monkeypatch.setattr(publisher.deps.aws.client("sqs"), "send_message", unreachable)
    variant = publisher.shop.store.ids("variants")[0]
    assert publisher.failed(message(7, stock(variant, 5), receipts=5)) == ["message-7"]
