"""A very large list of small orders, quickly served, under the simulated shop's own limits."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.property.world import ShopTime
from tests.shop import Habits
from tests.shop.clock import http_date
from tests.shop.limits import Limits

FIVE_MINUTES, HOUR, DAY = 300, 3600, 86_400
_STAMP = "2026-11-01T10:00:00+00:00"


class OrderPages:
    """Orders `1 … rows`, newest first, that do not change.

    Attributes:
        limits: The quota, as the simulated shop counts it.
        admitted: How many requests were admitted in each five minutes, by their number since 1970.
        statuses: How often each status was answered.
        least: The fewest requests that were left in each window at any time.
    """

    def __init__(
        self,
        rows: int,
        clock: ShopTime,
        *,
        quota: tuple[int, int, int] | None,
        rate: int | None,
        habits: Habits | None = None,
    ) -> None:
        self.rows = rows
        self.limits = Limits(quota, rate, clock, habits or Habits())
        self.admitted: Counter[int] = Counter()
        self.statuses: Counter[int] = Counter()
        self.least = [*(quota or (0, 0, 0))]
        self._clock = clock
        self._lock = threading.Lock()

    def answer(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer a list or count of orders."""
        assert (method, headers, body) == ("GET", None, b"")
        admitted, found = self.limits.admit()
        status = 200 if admitted else 429
        with self._lock:
            self.statuses[status] += 1
            if admitted:
                self.admitted[int(self._clock.now()) // FIVE_MINUTES] += 1
                left = map(int, found["X-RateLimit-Remaining"].split("/"))
                self.least = [min(pair) for pair in zip(self.least, left, strict=True)]
        found |= {"Date": http_date(self._clock.now())}
        if not admitted:
            error: dict[str, Any] = {"code": 429, "method": "GET", "request": target, "message": "Too many requests."}
            return status, found, json.dumps({"error": error}).encode()
        parts = urlsplit(target)
        if parts.path.endswith("/count.json"):
            return status, found, json.dumps({"count": self.rows}).encode()
        query = dict(parse_qsl(parts.query))
        first = self.rows - (int(query["page"]) - 1) * int(query["limit"])
        ids = range(first, max(0, first - int(query["limit"])), -1)
        records = ",".join(f'{{"id":{i},"createdAt":"{_STAMP}","updatedAt":"{_STAMP}"}}' for i in ids)
        return status, found, f'{{"orders":[{records}]}}'.encode()

    def offered(self, reserve_percent: float) -> tuple[int, int]:
        """Return how many requests were sent, and how many could have been, in the five minutes before the last ones.

        What could be sent in five minutes is what every window allows above its reserve, by what was sent before.
        """
        assert self.limits.quota is not None
        above = [int(limit * (1 - reserve_percent / 100)) for limit in self.limits.quota]
        first, last = min(self.admitted), max(self.admitted)
        sent = could = 0
        for number in range(first, last):
            left = above[0]
            for seconds, most in ((HOUR, above[1]), (DAY, above[2])):
                since = number * FIVE_MINUTES // seconds * seconds // FIVE_MINUTES
                left = min(left, most - sum(self.admitted[each] for each in range(since, number)))
            could += left
            sent += self.admitted[number]
        return sent, could
