"""A whole shop that is hostile on purpose, and that remembers every text of every record.

Its lists have the habits of `HostileList`. Some records are odd, some were never updated. Answers are damaged on their
way, at most twice in a row, and their headers are absurd now and then.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import requests

from lightspeed import AnswerLost
from tests.hostile.world import SHOWN, Habits, HostileList
from tests.property.world import VirtualTime
from tests.shop.clock import http_date

NAMES = {
    "orders": ("orders", "order"),
    "products": ("products", "product"),
    "taxes": ("taxes", "tax"),
    "orders/products": ("orderProducts", "orderProduct"),
    "products/images": ("productImages", "productImage"),
}
"""By entity: how the shop calls its rows, and one of them."""

NO_ROWS = [b"null", b"false", b"[]", b"7", b'""']
NO_ID = b'"id":false'
NO_TIMES = [b"7", b"[]", b'{"date":"2026-11-23"}', b'"soon"', b'"0000-00-00T00:00:00+00:00"']
ODD_MEMBERS = [b'"memo":"\\ud83d"', NO_ID, b'"weight":NaN', b'"memo":"a\x01b"', b'"memo":"caf\xe9"']
DAMAGES = (
    "lost",
    "late",
    "maintenance",
    "empty",
    "cut",
    "429",
    "500",
    "502",
    "503",
    "504",
    "404 of a proxy",
    *["404"] * 4,
)
WAITS = [
    *("1", "0.5", "40", "-1", "soon", "1795413900", "1000000000000", "9" * 500),
    *("Mon, 23 Nov 2026 06:01:00 GMT", "2026-11-23T06:01:00Z"),
]
ABSURD = [
    {"X-RateLimit-Limit": "9" * 500, "X-RateLimit-Remaining": "1/1/1", "X-RateLimit-Reset": "1/1/1"},
    {"X-RateLimit-Limit": "300/3000/12000", "X-RateLimit-Remaining": "0/0/0", "X-RateLimit-Reset": "1795413900/9/-5"},
    {"X-RateLimit-Limit": "300/3000/12000", "X-RateLimit-Remaining": "-1/nan/1e9", "X-RateLimit-Reset": "inf/1/1"},
    {"X-RateLimit-Limit": "a/b", "X-RateLimit-Remaining": "///", "X-RateLimit-Reset": ""},
    {"Date": "soon"},
    {"Content-Type": "text/html; charset=utf-16"},
]
SHIFTS = (-365 * 86_400, -7200, 7200, 86_400, 365 * 86_400)
MAX_IN_A_ROW = 2

_PATH = re.compile(r"/(?P<language>\w\w)/(?P<list>[a-z]+(?:/\d+/[a-z]+)?)(?:/(?P<id>\d+))?(?P<count>/count)?\.json")


@dataclass
class Row:
    """What a record was for some time.

    Attributes:
        until: When it was changed or deleted; `None` for what it is now.
    """

    created: str
    updated: str
    version: int
    until: datetime | None = None


@dataclass
class Resource(HostileList):
    """A list that remembers what its records were.

    Attributes:
        never_updated: Share of the records without a time of change.
        odd: Share of the records that are odd, for good.
        was: What each record was, in order.
    """

    never_updated: float = 0.0
    odd: float = 0.0
    was: dict[int, list[Row]] = field(default_factory=dict)
    oddities: dict[int, tuple[str, bytes]] = field(default_factory=dict)

    def insert(self, created: datetime, updated: datetime) -> None:
        identity = self.next_id
        super().insert(created, updated)
        if self.rng.random() < self.never_updated:
            self.rows[identity] = (self.rows[identity][0], "")
        if self.rng.random() < self.odd:
            kind, texts = self.rng.choice([("row", NO_ROWS), ("time", NO_TIMES), ("member", ODD_MEMBERS)])
            self.oddities[identity] = kind, self.rng.choice(texts)
        self._note(identity)

    def update(self, identity: int) -> None:
        super().update(identity)
        self._note(identity)

    def delete(self, identity: int) -> None:
        super().delete(identity)
        self.was[identity][-1].until = self.now

    def lies(self, time: str, low: str, high: str) -> bool:
        """Hide a record without a time from every filter by it."""
        return super().lies(time, low, high) if time else (low, high) == ("", "9")

    def text(self, identity: int, path: str) -> bytes:
        return self._said(identity, self.was[identity][-1], language_of(path))

    def hides_id(self, identity: int) -> bool:
        """Return whether a record does not show which one it is."""
        return self.oddities.get(identity) == ("member", NO_ID)

    def texts(self, language: str, since: datetime) -> dict[bytes, int]:
        """Return every text that a record had at or after a time, with the record's id."""
        return {
            self._said(identity, row, language): identity
            for identity, rows in self.was.items()
            for row in rows
            if row.until is None or row.until >= since
        }

    def _note(self, identity: int) -> None:
        rows = self.was.setdefault(identity, [])
        if rows:
            rows[-1].until = self.now
        created, updated = (time[:SHOWN] for time in self.rows[identity])
        rows.append(Row(created, updated, version=len(rows)))

    def _said(self, identity: int, row: Row, language: str) -> bytes:
        kind, odd = self.oddities.get(identity, ("", b""))
        if kind == "row":
            return odd
        updated = odd if kind == "time" else b'"%b+00:00"' % row.updated.encode() if row.updated else b"null"
        return b'{"id":%d,"createdAt":"%b+00:00","updatedAt":%b,"price":1.50,"none":false,"title":"%b %d"%b}' % (
            identity,
            row.created.encode(),
            updated,
            language.encode(),
            row.version,
            b"," + odd if kind == "member" else b"",
        )


def language_of(path: str) -> str:
    """Return the language of a path such as `/nl/orders.json`."""
    return path[1:3]


class HostileShop:
    """Answers requests in process.

    Attributes:
        lists: Every list by its path without the language: `orders`, `orders/7/products`.
        damage: Share of the answers that are damaged.
        absurd: Share of the answers with absurd headers.
        wrong_dates: Share of the answers whose date is wrong.
        date_ahead: How many seconds every date is ahead of the times of records, as that of a proxy may be.
    """

    def __init__(self, rng: random.Random, time: VirtualTime) -> None:
        self.lists: dict[str, Resource] = {}
        self.damage = self.absurd = self.wrong_dates = self.date_ahead = 0.0
        self._rng = rng
        self._time = time
        self._damaged: Counter[str] = Counter()

    def opens(self, path: str, habits: Habits, rows: int, *, never_updated: float = 0.0, odd: float = 0.0) -> Resource:
        """Add a list with so many records of the past."""
        resource = self.lists[path] = Resource(self._rng, habits, never_updated=never_updated, odd=odd)
        resource.now = self.now
        seconds = sorted(self._rng.randrange(habits.ties) for _ in range(rows))
        for second in seconds:
            created = self.now - timedelta(seconds=20_000 - second)
            changed = created + timedelta(seconds=self._rng.choice([0, self._rng.randrange(habits.ties)]))
            resource.insert(created, changed)
        return resource

    @property
    def now(self) -> datetime:
        """The shop's time."""
        return datetime.fromtimestamp(self._time.time(), UTC)

    def calm_down(self) -> None:
        """Change nothing and damage nothing any more; the lists keep their order, paging, counts and filters."""
        self.damage = self.absurd = self.wrong_dates = 0.0
        for resource in self.lists.values():
            resource.habits.changes = resource.habits.slowness = 0.0

    def forget_cached_answers(self) -> None:
        """Empty the caches, as they are some time after a run."""
        for resource in self.lists.values():
            resource.cache.clear()

    def answer(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer a request, perhaps wrongly."""
        assert (method, headers, body) == ("GET", None, b"")
        parts = urlsplit(target)
        status, body = self._served(parts.path, dict(parse_qsl(parts.query)))
        date = self._time.time() + (self._rng.choice(SHIFTS) if self._rng.random() < self.wrong_dates else 0)
        given = {"Date": http_date(date + self.date_ahead)}
        if self._rng.random() < self.absurd:
            given |= self._rng.choice(ABSURD)
        if self._damaged[parts.path] >= MAX_IN_A_ROW or self._rng.random() >= self.damage:
            self._damaged[parts.path] = 0
            return status, given, body
        self._damaged[parts.path] += 1
        return self._damage(parts.path, status, given, body)

    def _damage(
        self, path: str, status: int, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        damage = self._rng.choice(DAMAGES)
        if damage == "404" and re.search(r"/\d+\.json$", path) and (self._damaged[path] > 1 or "/orders/" not in path):
            damage = "500"  # two 404 of one record, or one where none is known to pass, mean that it is gone
        if damage == "lost":
            raise requests.exceptions.ConnectionError("broken")
        if damage == "late":
            raise requests.exceptions.ReadTimeout("late")
        if damage in ("maintenance", "empty", "cut"):
            return status, headers, {"maintenance": b"<h1>Back soon</h1>", "empty": b""}.get(damage, body[:-7])
        if damage == "429":
            return 429, headers | {"Retry-After": self._rng.choice(WAITS)}, refusal(429)
        code = int(damage[:3])
        return code, headers, refusal(404) if damage == "404" else b"<h1>%d</h1>" % code

    def _served(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        found = _PATH.fullmatch(path)
        assert found is not None, path
        name = found["list"]
        entity = re.sub(r"/\d+/", "/", name)
        parent, _, child = name.partition("/")
        resource = self._at(name)
        if child and int(child.split("/")[0]) not in self._at(parent).rows:
            return 404, refusal(404)
        items, item = NAMES[entity]
        if found["id"] is None:
            try:
                return 200, resource.body(path, "count" if found["count"] else "list", query, items)
            except AnswerLost:
                raise requests.exceptions.ReadTimeout("slow") from None
        resource.others_work()
        if int(found["id"]) not in resource.rows:
            return 404, refusal(404)
        return 200, b'{"%b": %b}' % (item.encode(), resource.text(int(found["id"]), path))

    def _at(self, name: str) -> Resource:
        """Return a list, with the time that it is."""
        resource = self.lists.get(name) or self.opens(name, Habits(), 0)
        resource.now = self.now
        return resource


def refusal(status: int) -> bytes:
    """Return the shop's error envelope."""
    return b'{"error":{"code":%d,"method":"GET","request":"x","message":"refused"}}' % status
