import json
from dataclasses import replace
from typing import Any

import pytest

from publish.dependencies import Dependencies
from tests.integration.publish.conftest import Publisher, event, message
from tests.shop import Fault


class Bus:
    """A client of EventBridge that keeps what it is given, and refuses as often as it is told."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.calls: list[int] = []
        self.refuse = 0

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - the service's name
        self.calls.append(len(Entries))
        answers = []
        for entry in Entries:
            refused = self.refuse > 0
            self.refuse -= refused
            if not refused:
                self.entries.append({**entry, "Detail": json.loads(entry["Detail"])})
            answers.append(
                {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"} if refused else {"EventId": "1"}
            )
        return {"Entries": answers}


@pytest.fixture
def bus(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Bus:
    bus = Bus()
    deps = publisher.deps
    publisher.deps = Dependencies(replace(deps.settings, results_bus="results"), deps.clock, deps.aws)
    client = deps.aws.client
    monkeypatch.setattr(deps.aws, "client", lambda service: bus if service == "events" else client(service))
    return bus


def test_every_outcome_is_told(publisher: Publisher, bus: Bus) -> None:
    publisher.shop.faults.next(Fault.loses_answer(), method="POST", after=1)
    publisher.batch(
        event("tags", "create", {"title": "one"}, idempotency_key="first"),
        event("tags", "create", {"title": "lost"}),
        event("tags", "update", {"title": "x"}, path={"id": 7}),
        event("tags", "delete", path={"id": 7}, dry_run=True),
    )
    assert [(entry["Source"], entry["DetailType"]) for entry in bus.entries] == [
        ("lightspeed.publish", "succeeded"),
        ("lightspeed.publish", "unknown"),
        ("lightspeed.publish", "failed"),
    ]
    assert {entry["EventBusName"] for entry in bus.entries} == {"results"}
    first, lost, failed = (entry["Detail"] for entry in bus.entries)
    assert (first["entity"], first["action"], first["status"], first["idempotency_key"]) == (
        "tags",
        "create",
        "created",
        "first",
    )
    assert "may or may not have acted" in lost["detail"]
    assert (failed["path"], failed["error"]["status"]) == ({"id": 7}, 404)


def test_no_record_goes_to_the_bus(publisher: Publisher, bus: Bus) -> None:
    publisher(event("customers", "create", {"email": "private@example.com", "firstname": "Jo", "lastname": "Doe"}))
    assert "private@example.com" not in json.dumps(bus.entries)
    assert "record" not in bus.entries[0]["Detail"]


def test_a_refusal_of_a_direct_call_is_told_and_raised(publisher: Publisher, bus: Bus) -> None:
    with pytest.raises(Exception, match="action is missing"):
        publisher({"entity": "tags"})
    assert [entry["DetailType"] for entry in bus.entries] == ["failed"]


def test_messages_are_told_with_their_id_but_not_that_they_wait(publisher: Publisher, bus: Bus) -> None:
    publisher.shop.limits.quota = (1, 100, 1000)
    publisher.failed(*(message(n, event("tags", "create", {"title": f"tag {n}"})) for n in range(3)))
    assert [(entry["DetailType"], entry["Detail"]["message_id"]) for entry in bus.entries] == [
        ("succeeded", "message-0")
    ]
    assert bus.entries[0]["Detail"]["attempt"] == 1


def test_messages_that_wait_for_another_writer_are_not_told(publisher: Publisher, bus: Bus) -> None:
    deadline = str(int((publisher.deps.clock.time() + 100) * 1000))
    publisher.keep({"id": {"S": "writer#default"}, "holder": {"S": "another"}, "deadline": {"N": deadline}})
    waiting = [message(n, event("tags", "create", {"title": f"tag {n}"})) for n in range(2)]
    assert publisher.failed(*waiting) == ["message-0", "message-1"]
    assert bus.entries == []


def test_ten_go_at_once_and_what_the_bus_refuses_is_put_again(publisher: Publisher, bus: Bus) -> None:
    bus.refuse = 3
    ids = publisher.shop.store.ids("variants")[:25]
    publisher.batch(*(event("variants", "update", {"stockLevel": 1}, path={"id": i}) for i in ids))
    assert bus.calls == [10, 3, 10, 5]
    assert len(bus.entries) == 25


def test_what_the_bus_does_not_take_is_logged_and_the_caller_gets_the_result(
    publisher: Publisher, bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    bus.refuse = 5
    assert publisher(event("tags", "create", {"title": "one"}))["status"] == "created"
    assert "could not be put on the bus" in caplog.text


def test_a_bus_that_does_not_answer_does_not_fail_the_call(
    publisher: Publisher,
) -> None:
    deps = publisher.deps
    missing = "arn:aws:events:eu-west-1:123456789012:event-bus/none"
    publisher.deps = Dependencies(replace(deps.settings, results_bus=missing), deps.clock, deps.aws)
    assert publisher(event("tags", "create", {"title": "one"}))["status"] == "created"


def test_without_a_bus_nothing_is_told(publisher: Publisher) -> None:
    assert publisher.deps.settings.results_bus == ""
    assert publisher(event("tags", "create", {"title": "one"}))["status"] == "created"


def test_a_result_repeats_only_the_start_of_what_a_caller_sent(publisher: Publisher, bus: Bus) -> None:
    publisher.batch(event("x" * 300_000, "create", {"title": "x"}, path={"id": "9" * 300_000}))
    (entry,) = bus.entries
    assert entry["DetailType"] == "failed"
    assert len(json.dumps(entry["Detail"])) < 5_000
