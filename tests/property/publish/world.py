"""A shop, a table in memory, and function processes that may end at any step."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

from connector.settings import Settings
from lightspeed import Client, Connection, Request, Response, Transport
from publish.app import handle
from publish.dependencies import Dependencies
from tests.integration.publish.conftest import message
from tests.property.publish.table import Table
from tests.shop import Shop
from tests.support.clock import FakeClock
from tests.support.lambda_context import Context

_Found = TypeVar("_Found")


class Killed(BaseException):
    """The process ends here: nothing that cleans up runs."""


class Steps:
    """Counts the steps of a process, and ends it at the one that is due."""

    def __init__(self) -> None:
        self.due: int | None = None

    def __call__(self) -> None:
        if self.due is not None:
            self.due -= 1
            if self.due < 0:
                raise Killed


class MortalTransport(Transport):
    """A transport in a process that may end before a request is sent, or when it is answered."""

    steps: Steps

    def fetch(self, request: Request, unwrap: Callable[[Response], _Found]) -> _Found:
        self.steps()
        found = super().fetch(request, unwrap)
        self.steps()
        return found


class Failures:
    """A failure queue; whoever puts a message into it may end before or after."""

    def __init__(self, steps: Steps) -> None:
        self.messages: list[dict[str, Any]] = []
        self._steps = steps

    def send_message(self, **asked: Any) -> None:
        assert asked["QueueUrl"] == "failures"
        self._steps()
        self.messages.append(asked)
        self._steps()

    def redrive(self, number: int) -> dict[str, dict[str, Any]]:
        """Move everything back: new ids and times, the attributes stay."""
        moved, self.messages = self.messages, []
        records = {}
        for n, asked in enumerate(moved):
            kept = {name: {"stringValue": value["StringValue"]} for name, value in asked["MessageAttributes"].items()}
            record = message(number + n, asked["MessageBody"])
            records[record["messageId"]] = {**record, "messageAttributes": kept}
        return records


class World:
    """A shop, a table, and function processes that die."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.steps = Steps()
        self.table = Table()
        self.table.step = self.steps
        self.queue: Any = None
        self.failures: Failures | None = None
        assert isinstance(shop.clock, FakeClock)
        self.clock = shop.clock

    def process(self) -> Dependencies:
        """A new execution environment."""
        environment = {"IDEMPOTENCY_TABLE": "table", "PUBLISH_QUEUE_URL": "queue" if self.queue else ""}
        if self.failures is not None:
            environment["PUBLISH_FAILURE_QUEUE_URL"] = "failures"
        settings = Settings.from_env(environment)
        held = Dependencies(settings, self.clock)
        shop = self.shop
        connection = Connection.from_mapping(
            {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret, "language": "nl"}
        )

        def opened(name: str, **_: object) -> Client:
            assert name == "default"
            transport = MortalTransport(connection, clock=self.clock)
            transport.steps = self.steps
            return Client(transport)

        held.shops.open = opened  # type: ignore[method-assign]
        held.aws.client = {"dynamodb": self.table, "sqs": self.failures or self.queue}.__getitem__  # type: ignore[assignment]
        return held

    def deliver(self, records: list[dict[str, Any]], kill_at: int | None) -> set[str]:
        """Let a consumer publish messages; the ids of those that stay in the queue, all of them if it dies."""
        outer, self.steps.due = self.steps.due, kill_at
        try:
            answer = handle({"Records": records}, Context(seconds=120, function_name="publish"), self.process())
        except Killed:
            return {record["messageId"] for record in records}
        finally:
            self.steps.due = outer
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}

    def minutes_pass(self) -> None:
        """Let claims and leases run out, and what is unknown grow old."""
        for item in self.table.items.values():
            if "deadline" in item:
                item["deadline"] = {"N": "1"}
            if "in_progress_expiration" in item:
                item["in_progress_expiration"] = {"N": "1"}
                item["expiration"] = {"N": str(int(item["expiration"]["N"]) - 600)}

    def result_of(self, message_id: str) -> dict[str, Any] | None:
        """What is kept of a message, if anything."""
        key = hashlib.md5(json.dumps(f"default {message_id}").encode(), usedforsecurity=False).hexdigest()
        item = self.table.items.get(f"publish#{key}", {})
        return json.loads(item["data"]["S"]) if "data" in item else None
