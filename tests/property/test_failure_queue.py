"""What the state machine does when its function fails: it tries again, or keeps the event that replays the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connector.errors import RequestError, RunInProgress
from tests.property.sync import Sync
from tests.property.world import OPENING, ShopTime, VirtualTime, World
from tests.shop import Fault, Shop

pytestmark = pytest.mark.usefixtures("one_thread")

EVENT = {"entity": "reviews", "mode": "incremental", "parameters": {"query": {"limit": 4}}}
SCARCE = (12, 3000, 12000)


class Stack:
    """The shop, the service and the state machine."""

    def __init__(self, quota: tuple[int, int, int] | None = SCARCE) -> None:
        self.time = VirtualTime()
        self.shop = Shop(orders=0, products=0, clock=ShopTime(self.time), quota=quota, rate_per_second=None)
        for number in range(90):
            self.shop.store.add("reviews", score=number, at=OPENING - 9000 + 100 * number)
        self.world = World(self.shop, self.time)
        self.sync = Sync(self.function, self.time)
        self.invocations = 0
        self.before: Callable[[int], None] = lambda _: None

    def function(self, payload: dict[str, Any]) -> dict[str, Any]:
        self.invocations += 1
        self.before(self.invocations)
        return self.world.invoke(payload)

    def landed(self) -> list[int]:
        return sorted(found.id for found in self.world.bucket.landed())

    def everything(self) -> list[int]:
        return sorted(self.shop.store.ids("reviews"))


def test_a_run_of_several_invocations_is_carried_to_its_end() -> None:
    stack = Stack()

    execution = stack.sync.start(EVENT, "run")

    assert execution.status == "SUCCEEDED"
    assert execution.output["run_id"] == "run"
    assert stack.invocations > 1
    assert stack.landed() == stack.everything()
    assert stack.sync.queue == []


@pytest.mark.parametrize(("query", "verified"), [({}, True), ({"limt": 5}, False)])
def test_the_output_of_sync_says_whether_all_records_are_there(query: dict[str, Any], verified: bool) -> None:
    output = Stack().sync.start({"entity": "reviews", "parameters": {"query": query}}, "run").output

    assert output["verified"] is verified
    assert ("reason" in output, "warnings" in output) == (not verified, not verified)
    assert verified or output["warnings"][0].endswith("did you mean limit?")


def test_a_shop_in_trouble_is_waited_for() -> None:
    stack = Stack()
    stack.shop.faults.next(Fault.answers(500), times=30, after=6)

    execution = stack.sync.start(EVENT, "run")

    assert execution.status == "SUCCEEDED"
    assert stack.landed() == stack.everything()


def test_a_process_that_is_killed_is_tried_again_at_the_same_cursor() -> None:
    stack = Stack()

    def kill_the_second(number: int) -> None:
        if number in (2, 3):
            stack.world.at.kill_at = stack.world.at.passed + 20

    stack.before = kill_the_second

    execution = stack.sync.start(EVENT, "run")

    assert execution.status == "SUCCEEDED"
    assert stack.landed() == stack.everything()
    assert stack.world.bucket.broken == []


@pytest.mark.parametrize("invocation", [1, 2, 3])
def test_a_run_that_failed_leaves_the_event_that_finishes_it(invocation: int) -> None:
    stack = Stack()

    def refuse_access(number: int) -> None:
        if number == invocation:
            stack.shop.faults.next(Fault.answers(403), times=1)

    stack.before = refuse_access
    failed = stack.sync.start(EVENT, "run")
    assert failed.status == "FAILED"
    assert failed.output["Error"] == "PermissionDenied"
    (message,) = stack.sync.queue
    assert message["run_id"] == "run"
    assert ("cursor" in message) == (invocation > 1)
    stack.before = lambda _: None

    stack.time.passes(7200)
    replayed = stack.sync.start(message, "replay")

    assert replayed.status == "SUCCEEDED"
    assert replayed.output["run_id"] == "run"
    assert stack.landed() == stack.everything()
    assert stack.world.bookmark("reviews")["run_id"] == "run"
    assert stack.world.bucket.broken == []


def test_a_message_that_is_replayed_twice_changes_nothing_more() -> None:
    stack = Stack()
    stack.before = lambda number: stack.shop.faults.next(Fault.answers(403), times=1) if number == 2 else None
    stack.sync.start(EVENT, "run")
    (message,) = stack.sync.queue
    stack.before = lambda _: None
    stack.sync.start(message, "replay")
    objects, requests = dict(stack.world.bucket.objects), len(stack.shop.requests)

    again = stack.sync.start(message, "again")

    assert again.status == "SUCCEEDED"
    assert again.output["manifest"] is not None
    assert len(stack.shop.requests) == requests
    assert stack.world.bucket.objects == objects


def test_a_second_start_ends_well_and_names_the_run_under_way() -> None:
    stack = Stack()
    result = stack.world.invoke({**EVENT, "run_id": "first"})
    assert result["status"] == "partial"

    second = stack.sync.start(EVENT, "second")

    assert second.status == "SUCCEEDED"
    assert second.output == {"run_id": "second", "status": "already_started", "run_under_way": "first"}
    assert stack.sync.queue == []
    stack.time.passes(result["resume_after_seconds"])
    stack.sync.start({**EVENT, "run_id": "first", "cursor": result["cursor"]}, "first")
    assert stack.landed() == stack.everything()


def test_a_run_of_a_webhook_starts_within_ten_seconds_of_the_end_of_the_run_under_way() -> None:
    stack = Stack()
    result = stack.world.invoke({**EVENT, "run_id": "first"})
    begun: list[float] = []
    ended: list[float] = []
    stack.before = lambda _: begun.append(stack.time.time())

    def function(payload: dict[str, Any]) -> dict[str, Any]:
        try:
            return stack.function(payload)
        except RunInProgress:
            if stack.invocations == 3:
                stack.time.passes(result["resume_after_seconds"])
                stack.world.run({**EVENT, "cursor": result["cursor"]}, "first")
                ended.append(stack.time.time())
            raise

    stack.sync.function = function

    execution = stack.sync.start(EVENT, "20261123T060000-webhook-0123456789abcdef")

    assert (execution.status, execution.output["status"]) == ("SUCCEEDED", "complete")
    assert 0 < begun[3] - ended[0] <= 10
    assert stack.sync.queue == []


def test_an_event_that_is_wrong_is_kept_even_if_the_queue_fails_at_first() -> None:
    stack = Stack()
    stack.sync.queue_fails = 3

    failed = stack.sync.start({**EVENT, "colour": "blue"}, "run")

    assert failed.status == "FAILED"
    assert failed.output["Error"] == RequestError.__name__
    assert stack.sync.queue == [{**EVENT, "colour": "blue", "run_id": "run"}]


def test_a_result_that_is_none_ends_in_the_queue_too() -> None:
    stack = Stack()
    machine = Sync(lambda _: {"status": "tired"}, stack.time)

    failed = machine.start(EVENT, "run")

    assert failed.status == "FAILED"
    assert failed.output["Error"] == "UnexpectedResult"
    assert machine.queue == [{**EVENT, "run_id": "run"}]
