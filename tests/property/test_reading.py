"""Random lists that change between any two requests: what is read without a doubt is complete, each record once."""

from __future__ import annotations

import functools
import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import msgspec
import pytest

import lightspeed.listing.checkpoint
from lightspeed import AnswerLost, Client, Connection, Parameters, Request, Response, get_entity
from lightspeed.listing import reader as reading
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.reader import ListReader
from lightspeed.listing.records import Record, Window
from lightspeed.request import format_time

SEEDS = 800
START = datetime(2026, 11, 23, 6, tzinfo=UTC)
CONNECTION = Connection.from_mapping(
    {"base_url": "http://127.0.0.1:1", "api_key": "key", "api_secret": "secret", "language": "nl"}
)


class ChangingList:
    """A list of the shop as a transport: every request first lets others work in the shop, and takes a second.

    Attributes:
        rate: How likely a change is before each request, and after each change a further one.
        bursts: How likely it is that many rows go at once.
        slowness: How likely a page is too much for the shop, by the row.
    """

    def __init__(
        self,
        rng: random.Random,
        rows: int,
        *,
        rate: float,
        ascending: bool,
        bursts: float = 0.0,
        slowness: float = 0.0,
    ) -> None:
        self.connection = CONNECTION
        self.rng = rng
        self.rate = rate
        self.bursts = bursts
        self.slowness = slowness
        self.ascending = ascending
        self.now = START
        self.next_id = 1
        self.rows: dict[int, tuple[str, str]] = {}
        self.instants: list[frozenset[int]] = []
        self.requests: list[Request] = []
        self.meanwhile: Callable[[], object] = bool
        self._lock = threading.Lock()
        for _ in range(rows):
            created = START - timedelta(seconds=rng.randrange(60, 10_000))
            self.insert(created, created + timedelta(seconds=rng.randrange(0, 50)))

    def insert(self, created: datetime, updated: datetime) -> None:
        self.rows[self.next_id] = (format_time(created), format_time(updated))
        self.next_id += self.rng.randrange(1, 3)

    def others_work(self) -> None:
        if self.rng.random() < self.bursts:
            for chosen in self.rng.sample(list(self.rows), len(self.rows) // 5):
                del self.rows[chosen]
        while self.rng.random() < self.rate:
            if not self.rows or self.rng.random() < 0.3:
                self.insert(self.now, self.now)
                continue
            chosen = self.rng.choice(list(self.rows))
            if self.rng.random() < 0.5:
                self.rows[chosen] = (self.rows[chosen][0], format_time(self.now))
            else:
                del self.rows[chosen]

    def matching(self, query: dict[str, str]) -> list[int]:
        found = list(self.rows)
        for position, name in enumerate(("created_at", "updated_at")):
            low, high = query.get(f"{name}_min", ""), query.get(f"{name}_max", "9")
            found = [identity for identity in found if low <= self.rows[identity][position] <= high]
        found.sort()
        return found if self.ascending else found[::-1]

    def send(self, request: Request) -> Response:
        if request.operation == "count":
            self.meanwhile()
        with self._lock:
            self.others_work()
            self.instants.append(frozenset(self.rows))
            self.now += timedelta(seconds=1)
            self.requests.append(request)
            found = self.matching(dict(request.query))
            if request.operation == "count":
                body: dict[str, object] = {"count": len(found)}
            else:
                limit, page = int(request.query["limit"]), int(request.query["page"])
                if self.rng.random() < self.slowness * limit:
                    raise AnswerLost("no answer in time", timed_out=True, method="GET", path=request.path)
                body = {request.entity: [self.row(i) for i in found[(page - 1) * limit : page * limit]]}
        return Response(200, json.dumps(body).encode(), None, None, "")

    def row(self, identity: int) -> dict[str, object]:
        created, updated = self.rows[identity]
        return {"id": identity, "createdAt": f"{created}+00:00", "updatedAt": f"{updated}+00:00"}


class Turns(Executor):
    """Does what it is given when somebody waits for it, or while the shop counts, in any order: that of the seed."""

    def __init__(self, shop: ChangingList) -> None:
        self.rng = shop.rng
        self.waiting: list[RunLock] = []
        shop.meanwhile = self.some

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> RunLock:
        turn = RunLock(self, functools.partial(fn, *args, **kwargs))
        self.waiting.append(turn)
        return turn

    def some(self) -> None:
        for _ in range(self.rng.choice([0, 0, 1, 4, 20])):
            self.one()

    def one(self) -> None:
        if self.waiting:
            self.waiting.pop(self.rng.randrange(min(8, len(self.waiting)))).take()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - the base's
        assert cancel_futures, "what nobody waits for any more must not be sent"
        self.waiting = []


class RunLock(Future[Any]):
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


Seeded: TypeAlias = tuple[int, random.Random, ChangingList]


class Interrupted(Exception):
    pass


class SometimesClosed:
    """A gate that ends the invocation now and then."""

    def __init__(self, rng: random.Random, chance: float) -> None:
        self.rng = rng
        self.chance = chance

    def room(self) -> int:
        if self.rng.random() < self.chance:
            raise Interrupted
        return self.rng.randrange(1, 40)

    def left(self) -> int:
        return 0 if self.rng.random() < self.chance / 10 else self.rng.randrange(1, 40)

    def took(self, seconds: float) -> None:
        pass


def read(
    shop: ChangingList, entity: str, window: Window | None, chance: float, limit: int
) -> tuple[list[int], ListCheckpoint]:
    """Read the list in as many invocations as the gate makes of it."""
    landed: list[int] = []
    progress = ListCheckpoint()
    ids: Callable[[list[Record]], list[object]] = lambda records: [record.id for record in records]  # noqa: E731
    for _ in range(1000):
        reader = ListReader(
            Client(shop),  # type: ignore[arg-type]
            get_entity(entity),
            Parameters(query={"limit": limit}),
            language="nl",
            window=window,
            closed=window is not None,
            progress=progress,
            digest=ids,
            gate=SometimesClosed(shop.rng, chance),
            batch=shop.rng.choice([1, 2, 5, 16]),
        )
        try:
            reader.begin()
            for page in reader.pages():
                landed += [identity for identity in page if isinstance(identity, int)]
        except (Interrupted, AnswerLost):
            progress = msgspec.json.decode(msgspec.json.encode(progress), type=ListCheckpoint)
            for _ in range(shop.rng.randrange(5)):
                shop.others_work()
            continue
        return landed, reader.progress
    raise AssertionError("the reading never came to its end")


@pytest.fixture(params=["turns", "threads"])
def random_shops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seeded]:
    """Shops whose requests arrive in an order that follows from their seed; fewer whose requests threads send."""
    return _random_shops(monkeypatch, in_turns=request.param == "turns")


def _random_shops(monkeypatch: pytest.MonkeyPatch, *, in_turns: bool) -> Iterator[Seeded]:
    for seed in range(SEEDS if in_turns else SEEDS // 10):
        rng = random.Random(seed)
        rate = rng.choice([0.0, 0.01, 0.05, 0.3, 0.6])
        shop = ChangingList(
            rng,
            rng.randrange(0, rng.choice([160, 160, 160, 600])),
            rate=rate,
            ascending=rng.random() < 0.5,
            bursts=rng.choice([0.0, 0.0, 0.05]),
            slowness=rng.choice([0.0, 0.0, 0.005]),
        )
        monkeypatch.setattr(lightspeed.listing.checkpoint, "TAIL", rng.choice([4000, 4000, 50]))
        if in_turns:
            monkeypatch.setattr(reading, "ThreadPoolExecutor", lambda _, shop=shop: Turns(shop))
        yield seed, rng, shop


@pytest.mark.parametrize("by", ["updated_at", "created_at"])
def test_a_closed_window_is_read_completely_and_once_whatever_changes(by: str, random_shops: Iterator[Seeded]) -> None:
    verified = doubted = 0
    for seed, rng, shop in random_shops:
        start = START - timedelta(seconds=rng.randrange(0, 9000)) if rng.random() < 0.5 else None
        window = Window("updated_at" if by == "updated_at" else "created_at", start, START - timedelta(seconds=5))

        landed, progress = read(shop, "orders", window, rng.choice([0.0, 0.1, 0.3]), rng.randrange(1, 13))

        missing = set(shop.matching(window.query)) - set(landed)
        assert not missing, (seed, missing)
        if progress.doubt:
            assert (lightspeed.listing.checkpoint.TAIL, progress.doubt[:9]) == (50, "more rows"), (seed, progress.doubt)
            doubted += 1
        else:
            assert len(landed) == len(set(landed)), seed
            verified += 1
    assert verified > 10 * doubted


def test_a_list_without_window_is_an_instant_or_says_that_it_is_not(random_shops: Iterator[Seeded]) -> None:
    verified = 0
    for seed, rng, shop in random_shops:
        landed, progress = read(shop, "taxes", None, rng.choice([0.0, 0.1]), rng.randrange(1, 13))

        if not progress.doubt:
            verified += 1
            assert len(landed) == len(set(landed)), seed
            assert frozenset(landed) in shop.instants, seed
    assert verified > 0


def test_a_quiet_list_costs_its_pages_and_one_count_a_batch() -> None:
    rng = random.Random(1)
    shop = ChangingList(rng, 1000, rate=0, ascending=False)
    window = Window("updated_at", None, START - timedelta(seconds=5))
    reader = ListReader(
        Client(shop),  # type: ignore[arg-type]
        get_entity("orders"),
        Parameters(query={"limit": 10}),
        language="nl",
        window=window,
        closed=True,
        progress=ListCheckpoint(),
        digest=len,
    )

    total = sum(reader.pages())

    assert total == 1000
    operations = [request.operation for request in shop.requests]
    assert operations.count("list") == 100
    assert operations.count("count") == 3
