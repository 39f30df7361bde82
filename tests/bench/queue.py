"""What a message of the publish queue costs: stock updates a hundred at once, a table in memory, a shop that echoes.

The CPU is that of the handler alone: what the table costs is taken off. The plain program keeps the last level of each
variant and writes the same bulk requests; it knows no second delivery, no order and no failure.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from connector.settings import Settings
from lightspeed import Client, Connection, Request, Response, Transport
from publish.app import handle
from publish.dependencies import Dependencies
from tests.integration.publish.conftest import event, message
from tests.property.publish.table import Table
from tests.support.clock import FakeClock
from tests.support.fake_transport import FakeTransport
from tests.support.lambda_context import Context

_AT_ONCE = 100
_VARIANTS = 650
_SETTINGS = {"cluster": "eu1", "api_key": "key", "api_secret": "secret", "language": "nl"}


class Echo(FakeTransport, Transport):
    """Answers a write with what was written.

    Attributes:
        requests: How many there were.
    """

    requests = 0

    def send(self, request: Request) -> Response:
        """Answer a write."""
        self.requests += 1
        body = request.body
        assert isinstance(body, bytes)
        return Response(200, body, "")


class Counted:
    """A table whose calls are counted.

    Attributes:
        calls: By name.
        cpu_seconds: What the calls took.
    """

    def __init__(self) -> None:
        self._table = Table()
        self.calls: Counter[str] = Counter()
        self.cpu_seconds = 0.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._table, name)

        def counted(**asked: Any) -> Any:
            began = time.thread_time()
            try:
                return call(**asked)
            finally:
                self.calls[name] += 1
                self.cpu_seconds += time.thread_time() - began

        return counted


def batches(messages: int) -> list[list[dict[str, Any]]]:
    """Return the messages as the handler gets them."""
    found = [
        message(n, event("variants", "update", {"stockLevel": n}, path={"id": 1 + n * 7 % _VARIANTS}))
        for n in range(messages)
    ]
    return [found[start : start + _AT_ONCE] for start in range(0, messages, _AT_ONCE)]


def plain(records: list[dict[str, Any]]) -> bytes:
    """Return the bulk request of a batch, as a program without promises makes it."""
    levels: dict[int, int] = {}
    for record in records:
        asked = json.loads(record["body"])["parameters"]
        levels[asked["path"]["id"]] = asked["payload"]["stockLevel"]
    return json.dumps({"variants": [{"id": key, "stockLevel": level} for key, level in levels.items()]}).encode()


def table(messages: int) -> str:
    """Return the figures as Markdown."""
    os.environ["POWERTOOLS_SERVICE_NAME"] = "bench-queue"
    found, log = batches(messages), io.StringIO()
    began = time.process_time()
    for records in found:
        plain(records)
    loop = time.process_time() - began
    dynamodb, clock = Counted(), FakeClock()
    deps = Dependencies(Settings.from_env({"IDEMPOTENCY_TABLE": "table"}), clock)
    transport = Echo(Connection.from_mapping(_SETTINGS), clock=clock)
    deps.aws.client = {"dynamodb": dynamodb}.__getitem__  # type: ignore[assignment]
    deps.shops.open = lambda *_, **__: Client(transport)  # type: ignore[method-assign]
    with contextlib.redirect_stdout(log):
        began = time.process_time()
        for records in found:
            failed = handle({"Records": records}, Context(seconds=120, function_name="publish"), deps)[
                "batchItemFailures"
            ]
            if failed:
                raise RuntimeError(f"{len(failed)} messages failed")
            clock.advance(1)
        cpu = time.process_time() - began - dynamodb.cpu_seconds
    each = 1e6 / messages
    calls = ", ".join(f"{number:,} {name}" for name, number in dynamodb.calls.most_common())
    return (
        f"### Queue, {messages:,} stock updates of {_VARIANTS} variants, {_AT_ONCE} at once\n\n"
        "| | CPU µs/message | requests | calls of the table | log bytes/message |\n| --- | --- | --- | --- | --- |\n"
        f"| publish | {cpu * each:.0f} ({cpu / loop:.1f} x plain) | {transport.requests:,} | {calls} | "
        f"{len(log.getvalue()) // messages} |\n"
        f"| plain | {loop * each:.0f} | {len(found):,} | none | 0 |\n"
    )
