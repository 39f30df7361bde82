"""Several processes of the service that take turns at every call of S3 and of the shop, as a seed decides.

Calls of S3 fail as S3 and its SDK do: with and without having written.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.property.bucket import MemoryBucket
from tests.property.world import Killed

MAX_SECONDS = 300
"""How long a process waits for its turn before the test fails."""


class Turns:
    """Lets one process run at a time, and gives the turn to any of them at every point.

    Args:
        rng: Decides which process gets the turn.
        kills: The share of points at which the process is killed.

    Attributes:
        passed: The number of points that were passed.
        switched: How often another process got the turn.
        meanwhile: Called at some points. It acts as another user of the shop.
    """

    def __init__(self, rng: random.Random, *, kills: float = 0.0) -> None:
        self.passed = 0
        self.switched = 0
        self.meanwhile: Callable[[], None] = lambda: None
        self._rng = rng
        self._kills = kills
        self._waiting: dict[int, threading.Event] = {}
        self._local = threading.local()

    def __call__(self, name: str) -> None:
        me = getattr(self._local, "number", None)
        if me is None:
            return
        if self._local.dead:
            raise Killed(name)
        self.passed += 1
        if self._rng.random() < 0.02:
            self.meanwhile()
        if self._rng.random() < self._kills:
            self._local.dead = True
            raise Killed(name)
        self._hand_over(me)

    def revive(self) -> None:
        """Start another process in this thread."""
        self._local.dead = False

    def run(self, processes: list[Callable[[], None]]) -> None:
        """Run processes until all have ended; which of them goes on changes at every point."""
        failures: list[BaseException] = []
        self._waiting = {number: threading.Event() for number in range(len(processes))}

        def body(number: int) -> None:
            self._local.number, self._local.dead = number, False
            self._wait(number)
            try:
                processes[number]()
            except BaseException as error:
                failures.append(error)
            del self._waiting[number]
            self._wake_one()

        threads = [threading.Thread(target=body, args=(number,), daemon=True) for number in range(len(processes))]
        for thread in threads:
            thread.start()
        self._wake_one()
        for thread in threads:
            thread.join(MAX_SECONDS)
            assert not thread.is_alive(), "a process waits for ever"
        if failures:
            raise failures[0]

    def _hand_over(self, me: int) -> None:
        chosen = self._rng.choice(sorted(self._waiting))
        if chosen == me:
            return
        self.switched += 1
        self._waiting[chosen].set()
        self._wait(me)

    def _wait(self, me: int) -> None:
        assert self._waiting[me].wait(MAX_SECONDS), "no turn"
        self._waiting[me].clear()

    def _wake_one(self) -> None:
        if self._waiting:
            self._waiting[self._rng.choice(sorted(self._waiting))].set()


@dataclass
class Faults:
    """What goes wrong with calls of S3.

    Attributes:
        share: Of the calls that fail; 0 switches faults off.
        seen: How often each fault happened.
    """

    rng: random.Random
    share: float = 0.0
    seen: dict[str, int] = field(default_factory=dict)

    def choose(self, kinds: tuple[str, ...]) -> str:
        if self.rng.random() >= self.share:
            return ""
        kind = self.rng.choice(kinds)
        self.seen[kind] = self.seen.get(kind, 0) + 1
        return kind


READ_FAULTS = ("slow down", "no answer", "closed")
WRITE_FAULTS = ("slow down", "closed", "failed after the write", "answer lost", "answer lost and sent again")
CONDITIONAL_FAULTS = (*WRITE_FAULTS, "conflict", "conflict")


class FaultyBucket(MemoryBucket):
    """S3 whose calls fail before or after they did what was asked."""

    def __init__(self, at: Callable[[str], None], faults: Faults, now: Callable[[], float]) -> None:
        super().__init__(at, now)
        self._faults = faults

    def get_object(self, **given: Any) -> dict[str, Any]:
        fault = self._faults.choose(READ_FAULTS)
        if fault:
            raise _error(fault, "GetObject")
        return super().get_object(**given)

    def put_object(self, **given: Any) -> dict[str, Any]:
        conditional = "IfMatch" in given or "IfNoneMatch" in given
        fault = self._faults.choose(CONDITIONAL_FAULTS if conditional else WRITE_FAULTS)
        if fault in ("slow down", "closed", "conflict"):
            raise _error(fault, "PutObject")
        answer = super().put_object(**given)
        if fault == "answer lost and sent again":
            return super().put_object(**given)
        if fault:
            raise _error(fault, "PutObject")
        return answer


def _error(kind: str, operation: str) -> Exception:
    error: Exception
    if kind in ("closed", "answer lost", "no answer"):
        broken = ReadTimeoutError if kind == "no answer" else ConnectionClosedError
        error = broken(endpoint_url="https://s3.example")
        return error
    status, code = {
        "slow down": (503, "SlowDown"),
        "conflict": (409, "ConditionalRequestConflict"),
        "failed after the write": (500, "InternalError"),
    }[kind]
    answer = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error = ClientError(answer, operation)
    return error
