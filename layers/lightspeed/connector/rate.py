"""One budget of requests per second for all workers of a stack: each worker holds a share of it.

The shares are in one item of the table per connection. A worker holds some of the shop's 20 requests per second for two
seconds at a time. While it sends, it renews them four times a second. In any 1.02 seconds by its own clock, it sends no
more than its share. The sum of all shares is at most 20. So the shop gets at most 20 requests in any second, wherever
that second begins. Clocks need not agree on it.

A share that is not renewed is free again two seconds after its end. In the first of them its last request may still
count. The other one is how much the clocks of two workers may differ.

Reading does not stop with the table. After five seconds without an answer, a worker sends one request per second. After
an error, a worker uses half of its share for five seconds, because others may still send without one.

A call that a caller waits for takes its share first, up to what it needs. Background runs divide the rest. A
background run alone has all 20. It returns what a call needs within a few hundred milliseconds.

Each change is one write. Its condition is that no other worker wrote meanwhile. If one did, the answer holds the new
item, and the change is computed again.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from connector.aws.conditional_items import put_item
from connector.observability import logger
from lightspeed import Clock
from lightspeed.rate_limiter import PACING_WINDOW_SECONDS, REQUESTS_PER_SECOND

LEASE_SECONDS = 2.0
"""How long a share may be used after it was confirmed."""

RENEW_SECONDS = 0.25
"""How often a worker that sends renews its share, and sees what others need."""

SKEW_SECONDS = 1.0
"""The most by which the clocks of two workers may differ."""

OUTAGE_SECONDS = 5.0
"""After this time without an answer of the table, every share has ended, and a worker sends `OUTAGE_SHARE`.

For the same time after an error a worker uses half of its share.
"""

OUTAGE_SHARE = 1
"""Requests per second of a worker while the table does not answer."""

BACKGROUND_MINIMUM = 4
"""Requests per second that calls leave to background runs."""

_LATEST_SECONDS = LEASE_SECONDS + PACING_WINDOW_SECONDS + 2 * SKEW_SECONDS
"""Seconds. A share that ends later is of a worker whose clock is wrong. It would block the shop, so it is left out."""

_HURRY_SECONDS = 0.1
_FIRST_NEED = 2
_ATTEMPTS = 5
_KEPT_SECONDS = 24 * 3600


class Share(msgspec.Struct, frozen=True, array_like=True):
    """The share of one worker.

    Attributes:
        held: Requests per second that only this worker may send.
        needed: Requests per second that it can use.
        background: Whether no caller waits for the worker.
        until: Epoch seconds by the worker's clock. Afterwards the shop counts none of its requests.
    """

    held: int
    needed: int
    background: bool
    until: float


_SHARES = msgspec.json.Decoder(dict[str, Share], strict=False)
"""Not strict, because an earlier version writes `background` as a number."""


def allotment(shares: Mapping[str, Share], worker: str) -> int:
    """Return the requests per second that a worker should hold.

    Args:
        shares: The valid shares of all workers, by worker.
        worker: The worker's key in `shares`.
    """
    background = sorted(name for name, share in shares.items() if share.background)
    calls = sorted(name for name, share in shares.items() if not share.background)
    left = min(sum(shares[name].needed for name in background), BACKGROUND_MINIMUM)
    divided = _divide(calls, shares, REQUESTS_PER_SECOND - left)
    divided |= _divide(background, shares, REQUESTS_PER_SECOND - sum(divided.values()))
    return divided[worker]


def _divide(names: list[str], shares: Mapping[str, Share], total: int) -> dict[str, int]:
    """Divide requests per second evenly. The others get what a worker does not need."""
    divided = {}
    for position, name in enumerate(sorted(names, key=lambda name: (shares[name].needed, name))):
        others = len(names) - position
        divided[name] = min(shares[name].needed, -(-total // others))
        total -= divided[name]
    return divided


class TableShare:
    """This worker's share of one connection's requests per second. One thread at a time may use it.

    Args:
        table: The name of the idempotency table.
        client: Returns the DynamoDB client.
        connection: The connection's name.
        clock: The clock of the share's lease.

    Attributes:
        background: Whether no caller waits for the next requests.
    """

    def __init__(self, table: str, client: Callable[[], Any], connection: str, clock: Clock) -> None:
        self.background = False
        self._table = table
        self._client = client
        self._connection = connection
        self._clock = clock
        self._worker = uuid.uuid4().hex[:12]
        self._token = ""
        self._shares: dict[str, Share] = {}
        self._mine = Share(0, 0, False, 0.0)
        self._usable = 0
        self._usable_until = -math.inf
        self._usable_until_time = 0.0
        self._needed = _FIRST_NEED
        self._next_renewal = -math.inf
        self._silent_since: float | None = None
        self._failed_at = -math.inf

    def requests_per_second(self, busy: int) -> int:
        """Return how many requests this worker may send in any second. Renew the share if its time has come.

        Args:
            busy: The requests that this worker sent in the last second.
        """
        if self._clock.monotonic() >= self._next_renewal:
            self._renew(busy)
        return self._current()

    def release(self) -> None:
        """Give the share back. It still counts for a second, because of the requests of the last second."""
        if self._is_current():
            self._usable_until = self._next_renewal = -math.inf
            until = self._clock.time() + PACING_WINDOW_SECONDS
            mine = msgspec.structs.replace(self._mine, needed=0, until=min(self._mine.until, until))
            self._write(lambda: mine)

    def _current(self) -> int:
        if self._is_current():
            recovering = self._clock.monotonic() < self._failed_at + OUTAGE_SECONDS
            return (self._usable + 1) // 2 if recovering else self._usable
        silent = self._silent_since is not None and self._clock.monotonic() >= self._silent_since + OUTAGE_SECONDS
        return OUTAGE_SHARE if silent else 0

    def _is_current(self) -> bool:
        """Return whether the share is valid. Both clocks decide, because one may stop while the process is frozen."""
        return self._clock.monotonic() < self._usable_until and self._clock.time() < self._usable_until_time

    def _renew(self, busy: int) -> None:
        start, start_time = self._clock.monotonic(), self._clock.time()
        if not self._is_current():
            self._usable, self._needed = 0, _FIRST_NEED
        elif busy >= self._usable:
            self._needed = min(2 * self._needed, REQUESTS_PER_SECOND)
        written = self._write(lambda: self._wanted(busy))
        pause = RENEW_SECONDS
        if written is not None:
            self._mine = written
            allotted = allotment(self._shares, self._worker)
            self._usable = min(written.held, allotted)
            self._usable_until, self._usable_until_time = start + LEASE_SECONDS, start_time + LEASE_SECONDS
            if written.held > allotted or (written.held < allotted and not self.background):
                pause = _HURRY_SECONDS
        self._next_renewal = self._clock.monotonic() + pause

    def _wanted(self, busy: int) -> Share:
        """Return the share to write, given the shares of others."""
        now = self._clock.time()
        self._shares = {
            name: share
            for name, share in self._shares.items()
            if name != self._worker and -_LATEST_SECONDS <= now - share.until <= SKEW_SECONDS
        }
        free = max(0, REQUESTS_PER_SECOND - sum(share.held for share in self._shares.values()))
        until = now + LEASE_SECONDS + PACING_WINDOW_SECONDS
        needed = REQUESTS_PER_SECOND if self.background else self._needed
        share = Share(0, needed, self.background, until)
        wanted = allotment({**self._shares, self._worker: share}, self._worker)
        self._usable = min(self._usable, wanted)  # a smaller share counts at once, because the answer may be lost
        return msgspec.structs.replace(share, held=min(free, max(wanted, busy)))

    def _write(self, wanted: Callable[[], Share]) -> Share | None:
        """Write this worker's share and return it; `None` if the table does not answer or others always write first."""
        begun = self._clock.monotonic()
        for _ in range(_ATTEMPTS):
            share = wanted()
            try:
                found = self._put({**self._shares, self._worker: share})
            except (ClientError, BotoCoreError) as error:
                self._failed_at = self._clock.monotonic()
                if self._silent_since is None:
                    self._silent_since = begun
                    facts = {"connection": self._connection, "error": str(error)}
                    logger().warning("the share of the requests per second could not be renewed", extra=facts)
                return None
            self._silent_since = None
            if found is None:
                return share
            self._token, self._shares = found
        return None

    def _put(self, shares: dict[str, Share]) -> tuple[str, dict[str, Share]] | None:
        """Write all shares. If another worker changed them, write nothing and return the item's token and shares."""
        token = uuid.uuid4().hex[:12]
        item = {
            "id": {"S": f"rate#{self._connection}"},
            "token": {"S": token},
            "shares": {"S": msgspec.json.encode(shares).decode()},
            "expiration": {"N": str(int(self._clock.time()) + _KEPT_SECONDS)},
        }
        condition = "attribute_not_exists(id) OR #token = :token"
        old = put_item(self._client(), self._table, item, condition, {":token": {"S": self._token or "none"}})
        if old is not None:
            return (old["token"]["S"], _SHARES.decode(old["shares"]["S"])) if old else ("", {})
        self._token, self._shares = token, shares
        return None
