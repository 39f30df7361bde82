"""The process of a handler killed in the middle of a run, as by `kill -9`: the next invocation finishes it."""

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import Landed
from tests.local.stack import Stack
from tests.shop.faults import Fault
from tests.shop.shop import Shop

pytestmark = pytest.mark.e2e

ORDERS = 60
PAGE = 5
ANSWERED_PAGES = 3
HANDLER = "subscribe.app.lambda_handler"
Eventually = Callable[..., Any]


@dataclass(frozen=True)
class Reading:
    """A shop of this test's own, which holds back one page until it closes, so that a reader hangs in it.

    Attributes:
        connection: Leads to the shop.
        event: Asks for all its orders, page by small page.
    """

    stack: Stack
    shop: Shop
    connection: str
    eventually: Eventually

    @property
    def event(self) -> dict[str, Any]:
        asked = {"connection": self.connection, "entity": "orders", "mode": "incremental"}
        return asked | {"parameters": {"query": {"limit": PAGE}}}

    def kill(self) -> None:
        """End the process that reads, once it waits for the page that is held back.

        Processes that wait for an invocation look the same from outside and end with it; the next invocation starts
        a new one.
        """
        self.eventually(lambda: self.shop.faults.fired)
        found = self.stack.emulator.handlers(HANDLER)
        assert found, "no process of the handler runs"
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    def times_asked(self) -> int:
        """How often the page that was held back was asked for; every time up to another moment."""
        ((_, held),) = self.shop.faults.fired
        pages = [request.query["page"] for request in self.shop.requests if request.path == held.path]
        return pages.count(held.query["page"])

    def bookmark(self, landed: Landed) -> dict[str, Any] | None:
        """The time of the bookmark, if there is one."""
        keys = landed.keys(f"state/connection={self.connection}/")
        assert len(keys) <= 1
        stored: dict[str, Any] | None = json.loads(landed.read(keys[0]))["bookmark"] if keys else None
        return stored

    def check_complete(self, landed: Landed, result: dict[str, Any]) -> None:
        """Every order is landed, once, by this run and no other, and the bookmark is at its end."""
        assert (result["status"], result["records"]) == ("complete", ORDERS)
        keys = landed.keys(f"raw/connection={self.connection}/")
        manifest = landed.manifest(result["run_id"])
        assert (manifest["verified"], manifest["records"]) == (True, ORDERS)
        assert keys == sorted(part["key"] for part in manifest["parts"])
        ids = sorted(record["id"] for record in landed.records(result["run_id"]))
        assert ids == sorted(self.shop.store.ids("orders"))
        bookmark = self.bookmark(landed)
        assert bookmark is not None
        assert (bookmark["run_id"], bookmark["until"]) == (result["run_id"], manifest["window"]["end"])


@pytest.fixture
def reading(request: pytest.FixtureRequest, stack: Stack, eventually: Eventually) -> Iterator[Reading]:
    """A shop that is in the middle of being read for as long as it takes to kill the reader."""
    name = re.sub(r"[^a-z]+", "-", request.node.name)
    with Shop(orders=ORDERS, products=20, rate_per_second=None) as shop:  # two may read within a second
        shop.faults.next(Fault.delays(600), path_contains="/orders.json", after=ANSWERED_PAGES)
        credentials = {"api_key": shop.api_key, "api_secret": shop.api_secret}
        connection = {"base_url": shop.url, "language": "nl", **credentials}
        stack.add_connection(name, connection)
        yield Reading(stack, shop, name, eventually)


def test_sync_finishes_a_run_whose_process_was_killed(reading: Reading, landed: Landed) -> None:
    states = reading.stack.client("stepfunctions")
    machine = reading.stack.outputs["SyncStateMachineArn"]

    started = states.start_execution(stateMachineArn=machine, input=json.dumps(reading.event))["executionArn"]
    reading.kill()

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = states.describe_execution(executionArn=started)
        return None if found["status"] == "RUNNING" else found

    execution = reading.eventually(ended)
    assert execution["status"] == "SUCCEEDED", execution
    result = json.loads(execution["output"])
    assert result["run_id"] == execution["name"]
    events = states.get_execution_history(executionArn=started)["events"]
    failures = [event["taskFailedEventDetails"]["error"] for event in events if event["type"] == "TaskFailed"]
    assert failures == ["Runtime.ExitError"]
    assert reading.times_asked() == 2
    reading.check_complete(landed, result)


def test_a_new_run_lands_everything_after_one_that_was_killed(reading: Reading, landed: Landed) -> None:
    def invoke(run_id: str) -> dict[str, Any]:
        functions, function = reading.stack.client("lambda"), reading.stack.outputs["SubscribeFunctionArn"]
        event = reading.event | {"run_id": run_id}
        answer: dict[str, Any] = functions.invoke(FunctionName=function, Payload=json.dumps(event))
        return answer

    with ThreadPoolExecutor() as caller:
        first = caller.submit(invoke, "killed")
        reading.kill()
        killed = first.result(timeout=300)
    assert json.loads(killed["Payload"].read())["errorType"] == "Runtime.ExitError"
    assert landed.keys(f"manifests/connection={reading.connection}/") == []
    assert reading.bookmark(landed) is None

    answer = invoke("after-the-killed")

    result = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    assert result["run_id"] == "after-the-killed"
    assert reading.times_asked() == 2
    reading.check_complete(landed, result)
