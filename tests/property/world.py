"""A shop, a bucket and a clock in one process: all that a run meets, without sockets and without waiting."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import urllib3
from requests.structures import CaseInsensitiveDict

from connector.aws.bucket import Bucket
from lightspeed import Client, Connection, Transport
from lightspeed.http_session import Answer
from lightspeed.listing.reader import CONNECTIONS
from subscribe.checks import subscribe_request
from subscribe.reconcile.run import Reconciliation
from subscribe.run.run import Services
from subscribe.sync.run import SyncRun
from tests.property.bucket import MemoryBucket
from tests.shop import API_KEY, API_SECRET, Clock, ConnectionDropped

BASE_URL = "http://127.0.0.1:1"
CONNECTION = Connection.from_mapping(
    {"base_url": BASE_URL, "api_key": API_KEY, "api_secret": API_SECRET, "language": "nl"}
)
OPENING = 1_795_413_600.0
"""2026-11-23 06:00 UTC, when the clock of every world starts; a whole hour."""

MAX_INVOCATIONS = 500


class Killed(BaseException):
    """The process is gone: nothing that it had in mind happens any more."""


class Points:
    """Numbers every point of an invocation at which its process may be killed.

    Attributes:
        passed: How many points were passed, over all invocations.
        kill_at: The number of the point at which the process is killed; 0 for none.
        last: The point passed last, for messages.
        meanwhile: What another process does while this one is at the point with this number.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.kill_at = 0
        self.last = ""
        self.meanwhile: dict[int, Callable[[], object]] = {}
        self._dead = False

    def __call__(self, name: str) -> None:
        if not self._dead:
            self.passed += 1
            self.last = name
            self.meanwhile.pop(self.passed, int)()
        if self._dead or self.passed == self.kill_at:
            self._dead = True
            raise Killed(self.last)

    def revive(self) -> None:
        """Start another process."""
        self._dead = False


class VirtualTime:
    """The clock of the service: sleeping moves it.

    Attributes:
        slept: Seconds slept so far.
    """

    def __init__(self) -> None:
        self.slept = 0.0
        self._elapsed = 0.0
        self._wall = OPENING
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self._elapsed

    def time(self) -> float:
        return self._wall + self._elapsed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept += seconds
            self._elapsed += seconds

    def passes(self, seconds: float) -> None:
        """Let time pass without a sleep."""
        with self._lock:
            self._elapsed += seconds

    def jumps(self, seconds: float) -> None:
        """Set the service's clock forward or back; the shop's is another one."""
        self._wall += seconds


class ShopTime(Clock):
    """The shop's clock: it runs with the service's, and `advance` sets it ahead or back."""

    def __init__(self, time: VirtualTime, ahead: float = 0.0) -> None:
        super().__init__(frozen_at=ahead)
        self._time = time

    def now(self) -> float:
        return OPENING + self._time.monotonic() + self._offset


class Answers(Protocol):
    """What answers requests in process, as the simulated shop does."""

    def answer(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]: ...


class ShopSession:
    """Carries the requests of a transport to a shop in the same process, as a session does over HTTP."""

    def __init__(self, shop: Answers, world: World) -> None:
        self._shop = shop
        self._world = world

    def request(self, method: str, url: str, *, params: Mapping[str, str] | None, **_: object) -> Answer:
        target = url.removeprefix(BASE_URL) + (f"?{urlencode(params)}" if params else "")
        self._world.at(f"before {method} {target}")
        self._world.time.passes(self._world.seconds_per_request())
        try:
            status, headers, body = self._shop.answer(method, target)
        except ConnectionDropped as error:
            raise urllib3.exceptions.ProtocolError("dropped") from error
        self._world.at(f"after {method} {target}")
        raw = urllib3.HTTPResponse(io.BytesIO(body), status=status, preload_content=False)
        return Answer(status, CaseInsensitiveDict(headers), raw)


class World:
    """Invokes the service on a shop and a bucket.

    Attributes:
        at: The points at which an invocation may be killed.
        seconds_per_request: How long the shop takes for one.
        billed: Seconds that invocations took so far.
    """

    def __init__(
        self,
        shop: Answers,
        time: VirtualTime,
        *,
        seconds_per_request: Callable[[], float] = lambda: 0.06,
        reserve_percent: float = 10,
    ) -> None:
        self.shop = shop
        self.time = time
        self.at = Points()
        self.bucket = MemoryBucket(self.at, time.time)
        self.seconds_per_request = seconds_per_request
        self.reserve_percent = reserve_percent
        self.billed = 0.0

    def invoke(self, event: Mapping[str, Any], run_id: str = "", remaining: float = 900.0) -> dict[str, Any]:
        """Carry one invocation, in a process of its own, and return its result.

        Args:
            event: A subscribe event.
            run_id: What Lambda calls the invocation.
            remaining: Seconds until it must be over.
        """
        self.at.revive()
        began = self.time.monotonic()
        request = subscribe_request(dict(event))

        def left() -> float:
            return began + remaining - self.time.monotonic()

        transport = Transport(CONNECTION, clock=self.time, remaining_seconds=left, threads=CONNECTIONS)
        transport._session = ShopSession(self.shop, self)  # type: ignore[assignment]
        try:
            kind: type[SyncRun | Reconciliation] = Reconciliation if request.mode == "reconcile" else SyncRun
            services = Services(
                client=Client(transport),
                bucket=Bucket(self.bucket, "bucket", self.time),
                clock=self.time,
                remaining_seconds=left,
                reserve_percent=self.reserve_percent,
            )
            return kind(request, run_id, services).invoke().body
        finally:
            self.billed += self.time.monotonic() - began

    def run(self, event: Mapping[str, Any], run_id: str, remaining: float = 900.0) -> dict[str, Any]:
        """Invoke until the run is complete, waiting as asked, as the state machine does."""
        event = {**event, "run_id": run_id}
        for _ in range(MAX_INVOCATIONS):
            result = self.invoke(event, remaining=remaining)
            if result["status"] == "complete":
                return result
            event = {**event, "cursor": result["cursor"]}
            self.time.passes(result["resume_after_seconds"])
        raise AssertionError(f"the run did not come to its end: {result}")

    def bookmark(self, subscription: str) -> dict[str, Any]:
        """Return a stored bookmark; empty where there is none."""
        stored = self.bucket.json(f"state/connection=default/{subscription}.json") or {}
        bookmark: dict[str, Any] = stored.get("bookmark", {})
        return bookmark
