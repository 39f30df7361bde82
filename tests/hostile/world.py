"""A list as a transport: seeded, in one process, without sockets; every habit of it is a choice of the seed."""

from __future__ import annotations

import functools
import json
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from lightspeed import AnswerLost, Client, Connection, Parameters, Request, Response, get_entity
from lightspeed.listing.checkpoint import ListCheckpoint, SplitCheckpoint
from lightspeed.listing.proof import UnstableList
from lightspeed.listing.reader import ListReader
from lightspeed.listing.records import Record
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.split import SplitReader
from lightspeed.listing.window import Window
from lightspeed.request import format_time
from tests.support.fake_transport import FakeTransport

START = datetime(2026, 11, 23, 6, tzinfo=UTC)
END = START - timedelta(seconds=5)
CONNECTION = Connection.from_mapping(
    {"base_url": "http://127.0.0.1:1", "api_key": "key", "api_secret": "secret", "language": "nl"}
)
ORDERS = ("id", "-id", "created", "-created", "updated", "-updated", "created-ties", "updated-ties", "random")
PAGINGS = ("honest", "ignored", "cached", "repeated", "capped", "cached-count", "short", "shifted")
EDGES = ("both", "first", "last", "none")
SHOWN = len("2026-11-23 06:00:00")
"""How much of a time a record shows."""

COUNTS = ("right", "zero", "low", "high", "constant", "one-less", "wild")


@dataclass
class Habits:
    """How a shop behaves.

    Attributes:
        order: Of the list: by a time with ties by id, by a time with ties at random, or at random for each request.
        paging: What the shop does with `page` and `limit`. A `short` page has fewer rows. A `shifted` one begins a row
            early or late.
        count: What it counts.
        changes: How likely a change is before each request, and after each change a further one.
        deletes: Share of the changes that are deletes.
        slowness: How likely a page is too much for the shop, by the row.
        ties: How many seconds the times of the rows are spread over; few seconds make many ties.
        edges: Which of its two edges a filter by time includes; `ignored` for a shop without such a filter.
        fractions: Whether filters see fractions of a second that records do not show.
    """

    order: str = "id"
    paging: str = "honest"
    count: str = "right"
    changes: float = 0.0
    deletes: float = 0.4
    slowness: float = 0.0
    ties: int = 10_000
    cap: int = 4
    edges: str = "both"
    fractions: bool = False

    @classmethod
    def drawn(cls, rng: random.Random) -> Habits:
        """Return the habits of a random shop; most have one bad habit, some have several."""
        habits = cls(order=rng.choice(ORDERS))
        habits.changes = rng.choice([0.0, 0.0, 0.02, 0.1, 0.4, 0.6])
        habits.deletes = rng.choice([0.1, 0.5, 0.9])
        habits.ties = rng.choice([1, 10, 200, 10_000, 10_000])
        habits.slowness = rng.choice([0.0, 0.0, 0.01])
        if rng.random() < 0.4:
            habits.paging = rng.choice(PAGINGS)
            habits.cap = rng.randrange(1, 12)
        if rng.random() < 0.25 and habits.paging not in ("capped", "short", "shifted"):
            habits.count = rng.choice(COUNTS)
        habits.edges = rng.choice([*["both"] * 5, *EDGES])
        return habits


@dataclass
class HostileList(FakeTransport):
    """A list of the shop as a transport; every request first lets others work in the shop, and takes a second.

    Attributes:
        rows: Times of creation and change by id.
        instants: The ids that the whole shop held at each request.
    """

    rng: random.Random
    habits: Habits
    rows: dict[int, tuple[str, str]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    instants: list[frozenset[int]] = field(default_factory=list)
    now: datetime = START
    next_id: int = 1
    connection: Connection = CONNECTION
    meanwhile: Callable[[], object] = bool
    lock: threading.Lock = field(default_factory=threading.Lock)
    cache: dict[object, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, rng: random.Random, habits: Habits, rows: int) -> HostileList:
        """Return a list with so many rows in the past."""
        shop = cls(rng, habits)
        base = START - timedelta(seconds=20_000)
        seconds = sorted(rng.randrange(habits.ties) for _ in range(rows))
        for second in seconds:
            created = base + timedelta(seconds=second)
            shop.insert(created, created + timedelta(seconds=rng.choice([0, rng.randrange(habits.ties)])))
        return shop

    def insert(self, created: datetime, updated: datetime) -> None:
        """Add a row."""
        self.rows[self.next_id] = (self.stamp(created), self.stamp(updated))
        self.next_id += self.rng.randrange(1, 3)

    def others_work(self) -> None:
        """Change some rows."""
        while self.rng.random() < self.habits.changes:
            if not self.rows or self.rng.random() < 0.2:
                self.insert(self.now, self.now)
                continue
            chosen = self.rng.choice(list(self.rows))
            if self.rng.random() < self.habits.deletes:
                self.delete(chosen)
            else:
                self.update(chosen)

    def delete(self, identity: int) -> None:
        """Delete a row."""
        del self.rows[identity]

    def update(self, identity: int) -> None:
        """Change a row now."""
        self.rows[identity] = (self.rows[identity][0], self.stamp(self.now))

    def stamp(self, moment: datetime) -> str:
        """Return a time as filters see it; some have half a second more that records do not show."""
        more = self.habits.fractions and (moment.second + self.next_id) % 2
        return format_time(moment) + ".5" * more

    def matching(self, query: Mapping[str, str]) -> list[int]:
        """Return the ids that filters select, in the list's order."""
        found = list(self.rows)
        for position, name in enumerate(("created_at", "updated_at")):
            low, high = query.get(f"{name}_min", ""), query.get(f"{name}_max", "9")
            found = [identity for identity in found if self.lies(self.rows[identity][position], low, high)]
        return self.sorted(found)

    def lies(self, time: str, low: str, high: str) -> bool:
        """Whether a filter with these two times selects a time."""
        if self.habits.edges == "ignored":
            return True
        first, last = self.habits.edges in ("both", "first"), self.habits.edges in ("both", "last")
        return (low <= time if first else low < time) and (time <= high if last else time < high)

    def sorted(self, found: list[int]) -> list[int]:
        """Return ids in the list's order."""
        order = self.habits.order
        if order == "random" or order.endswith("ties"):
            self.rng.shuffle(found)
        else:
            found.sort()
        if "created" in order:
            found.sort(key=lambda identity: self.rows[identity][0])
        elif "updated" in order:
            found.sort(key=lambda identity: self.rows[identity][1])
        return found[::-1] if order.startswith("-") else found

    def send(self, request: Request) -> Response:
        """Answer a count or a page."""
        if request.operation == "count":
            self.meanwhile()
        with self.lock:
            return self.answer(request)

    def answer(self, request: Request) -> Response:
        """Answer one request after the other."""
        self.requests.append(request)
        return Response(200, self.body(request.path, request.operation, request.query, request.entity), "")

    def body(self, path: str, operation: str, query: Mapping[str, str], items: str) -> bytes:
        """Return the body of a count, or of a page whose rows are called `items`."""
        self.others_work()
        self.instants.append(frozenset(self.rows))
        self.now += timedelta(seconds=1)
        key = (path, operation, *sorted(query.items()))
        kept = "cached" if operation == "list" else "cached-count"
        if self.habits.paging == kept and key in self.cache and self.rng.random() < 0.7:
            return self.cache[key]
        found = self.matching(query)
        if operation == "count":
            text = b'{"count": %d}' % self.counted(len(found))
        else:
            if self.rng.random() < self.habits.slowness * int(query["limit"]):
                raise AnswerLost("no answer in time", timed_out=True, method="GET", path=path)
            rows = [self.text(identity, path) for identity in self.page(found, query)]
            text = b'{"%b": [%b]}' % (items.encode(), b",".join(rows))
        self.cache[key] = text
        return text

    def page(self, found: list[int], query: Mapping[str, str]) -> list[int]:
        """Return the ids of a page."""
        limit, page, paging = int(query["limit"]), int(query.get("page", 1)), self.habits.paging
        if paging == "ignored":
            page = 1
        if paging == "repeated" and page > 1 and self.rng.random() < 0.3:
            page -= 1
        if paging == "capped":
            limit = min(limit, self.habits.cap)
        begin = (page - 1) * limit + (self.habits.cap % 2 * 2 - 1 if paging == "shifted" and page > 1 else 0)
        rows = found[max(0, begin) : begin + limit]
        return rows[: self.rng.randint(max(1, limit // 2), limit)] if paging == "short" else rows

    def counted(self, count: int) -> int:
        """Return what the shop counts."""
        wrong = {"zero": 0, "low": count * 4 // 5, "high": count * 3 + 7, "constant": 20, "one-less": max(0, count - 1)}
        if self.habits.count == "wild":
            return self.rng.randrange(0, count + 20)
        return wrong.get(self.habits.count, count)

    def text(self, identity: int, path: str) -> bytes:  # noqa: ARG002 - a shop's path names the language
        """Return a record."""
        created, updated = (time[:SHOWN] for time in self.rows[identity])
        row = {"id": identity, "createdAt": f"{created}+00:00", "updatedAt": f"{updated}+00:00"}
        return json.dumps(row).encode()


class Turns(Executor):
    """Does what it is given when its result is wanted, or while the shop counts, in any order: that of the seed."""

    def __init__(self, shop: HostileList) -> None:
        self.rng = shop.rng
        self.waiting: list[Turn] = []
        shop.meanwhile = self.some

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Turn:
        turn = Turn(self, functools.partial(fn, *args, **kwargs))
        self.waiting.append(turn)
        return turn

    def some(self) -> None:
        for _ in range(self.rng.choice([0, 0, 1, 4, 20])):
            self.one()

    def one(self) -> None:
        if self.waiting:
            self.waiting.pop(self.rng.randrange(min(8, len(self.waiting)))).take()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - the base's
        assert cancel_futures, "what is not wanted any more must not be sent"
        self.waiting = []


class Turn(Future[Any]):
    """What `Turns` was given."""

    def __init__(self, turns: Turns, work: Callable[[], object]) -> None:
        super().__init__()
        self.turns = turns
        self.work = work

    def take(self) -> None:
        if not self.set_running_or_notify_cancel():
            return
        try:
            self.set_result(self.work())
        except Exception as error:
            self.set_exception(error)

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - the base's
        while not self.done():
            self.turns.one()
        return super().result()


class Interrupted(Exception):
    """The invocation ends here."""


class SometimesClosed:
    """A budget that ends the invocation now and then."""

    def __init__(self, rng: random.Random, chance: float) -> None:
        self.rng = rng
        self.chance = chance

    def wait_for_room(self) -> int:
        if self.rng.random() < self.chance:
            raise Interrupted
        return self.rng.randrange(1, 40)

    def left(self) -> int:
        return 0 if self.rng.random() < self.chance / 10 else self.rng.randrange(1, 40)

    def record_latency(self, seconds: float) -> None:
        pass


@dataclass
class Landed:
    """What a reading gave.

    Attributes:
        ids: In the order in which they came.
        reason: Why it is not verified, or empty.
        split: Whether the list was read again in parts.
    """

    ids: list[int]
    reason: str
    split: bool


def ids_of(records: list[Record]) -> list[int]:
    """Return the ids of records."""
    return [record.id for record in records if isinstance(record.id, int)]


def read(
    shop: HostileList,
    window: Window | None,
    *,
    chance: float = 0.0,
    limit: int = 250,
    batch: int = 64,
    threads: bool = False,
) -> Landed:
    """Read a list as a run does: over several invocations, and again in parts if it is unstable."""
    landed: list[int] = []
    checkpoint = ListCheckpoint()
    for _ in range(100_000):
        try:
            for page in _pages(shop, window, checkpoint, chance, limit, batch, threads):
                landed += page
        except UnstableList:
            landed, checkpoint = [], ListCheckpoint(split=SplitCheckpoint())
        except (Interrupted, AnswerLost):
            checkpoint = msgspec.json.decode(msgspec.json.encode(checkpoint), type=ListCheckpoint)
            for _ in range(shop.rng.randrange(5)):
                shop.others_work()
        else:
            return Landed(landed, checkpoint.unverified_reason, checkpoint.split is not None)
    raise AssertionError("the reading never came to its end")


def _pages(
    shop: HostileList,
    window: Window | None,
    checkpoint: ListCheckpoint,
    chance: float,
    limit: int,
    batch: int,
    threads: bool,
) -> Any:
    client: Any = Client(shop)  # type: ignore[arg-type]
    parameters, budget = Parameters(query={"limit": limit}), SometimesClosed(shop.rng, chance)
    endpoint = get_entity("orders" if window is not None else "taxes")
    shop_list = ShopList(client, endpoint, parameters, "nl", window)
    if checkpoint.split is not None and window is not None:
        yield from SplitReader(shop_list, checkpoint=checkpoint, process=ids_of, budget=budget).pages()
        return
    reader = ListReader(
        shop_list,
        stable=window is not None,
        checkpoint=checkpoint,
        process=ids_of,
        budget=budget,
        max_pages=batch,
        recoverable=True,
        executor=None if threads else lambda: Turns(shop),
    )
    reader.begin()
    yield from reader.pages()
