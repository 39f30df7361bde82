"""A list of the shop, a bucket and a clock in one process and without HTTP: cheap enough for hundreds of chains."""

from __future__ import annotations

import gzip
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from connector.aws.bucket import Bucket
from lightspeed import Client, Connection, NotFound, Request, Response, Transport, get_entity
from lightspeed.quota import Quota, QuotaWindow
from lightspeed.request import format_time
from lightspeed.shop_clock import ShopClock
from subscribe.checks import subscribe_request
from subscribe.reconcile.id_index import epoch
from subscribe.reconcile.run import Reconciliation
from subscribe.run.run import Services
from subscribe.sync.run import SyncRun
from tests.property.bucket import MemoryBucket
from tests.property.world import Points, VirtualTime
from tests.support.fake_transport import FakeTransport

CONNECTION = Connection.from_mapping(
    {"base_url": "http://127.0.0.1:1", "api_key": "key", "api_secret": "secret", "language": "nl"}
)
SECONDS_PER_REQUEST = 0.06
FIVE_MINUTES = 300

Json = dict[str, Any]


class DatedBucket(MemoryBucket):
    """A bucket whose listings say when objects were written."""

    def __init__(self, at: Callable[[str], None], time: VirtualTime) -> None:
        super().__init__(at)
        self._time = time
        self._written: dict[str, float] = {}

    def take_over(self, other: DatedBucket) -> None:
        """Hold the objects of another bucket, with the dates and promises that they have there."""
        self.objects, self._written = dict(other.objects), dict(other._written)
        self._promised = dict(other._promised)

    def put_object(self, **what: Any) -> Json:
        there = self.objects.get(what["Key"])
        try:
            return super().put_object(**what)
        finally:
            if self.objects.get(what["Key"]) is not there:
                self._written[what["Key"]] = self._time.time()

    def paginate(self, **asked: Any) -> Iterator[Json]:
        for page in super().paginate(**asked):
            for found in page.get("Contents", ()):
                found["LastModified"] = datetime.fromtimestamp(self._written[found["Key"]], UTC)
            yield page


class ShopList(FakeTransport):
    """One list of the shop, as a transport.

    Attributes:
        rows: When each record was created and updated, by id.
        hidden: Ids that the list leaves out although they are there.
        passing_404: How many more times a record that is there is answered 404, by id.
        failing: What is raised instead of giving a record, by id.
        cached: The old answer, a record or none, to a request for a record without a query, by id.
        others: Called before every answer: somebody else at work in the shop.
        requests: What was sent.
    """

    def __init__(self, entity: str, time: VirtualTime, at: Points, limit: int = 0) -> None:
        self.connection = CONNECTION
        self.clock = time
        self.quota: Quota | None = None
        self.shop_time = time.time
        self.shop_clock = ShopClock()
        self.request_id = ""
        self.requests_sent = 0
        self.rows: dict[int, tuple[str, str]] = {}
        self.hidden: set[int] = set()
        self.passing_404: dict[int, int] = {}
        self.failing: dict[int, Exception] = {}
        self.cached: dict[int, Json | None] = {}
        self.others: Callable[[], None] = lambda: None
        self.requests: list[Request] = []
        self._entity = get_entity(entity)
        self._time = time
        self._at = at
        self._limit = limit
        self._used_in = (0.0, 0)
        self._lock = threading.Lock()

    def insert(self, identity: int) -> None:
        now = self._now()
        self.rows[identity] = (now, now)

    def update(self, identity: int) -> None:
        self.rows[identity] = (self.rows[identity][0], self._now())

    def gets(self) -> list[int]:
        """Return the ids that were asked for one by one, in order."""
        return [_id_of(request) for request in self.requests if request.operation == "get"]

    def send(self, request: Request) -> Response:
        with self._lock:
            self._at(f"before {request.operation} {request.path} {dict(request.query)}")
            self.others()
            self._time.passes(SECONDS_PER_REQUEST)
            self.requests.append(request)
            self.requests_sent += 1
            self.shop_clock.add_date(0.0)
            self._meter()
            body = self._answer(request)
            self._at(f"after {request.operation} {request.path}")
        return Response(200, json.dumps(body).encode(), "")

    def _answer(self, request: Request) -> Json:
        if request.operation == "get":
            return self._record(_id_of(request), request)
        found = [i for i in self._matching(request.query) if i not in self.hidden]
        if request.operation == "count":
            return {"count": len(found)}
        limit, page = int(request.query["limit"]), int(request.query.get("page", 1))
        return {str(self._entity.items): [self._row(i) for i in found[(page - 1) * limit : page * limit]]}

    def _record(self, identity: int, request: Request) -> Json:
        if identity in self.failing:
            raise self.failing[identity]
        passing = self.passing_404.get(identity, 0)
        self.passing_404[identity] = max(0, passing - 1)
        is_cached = identity in self.cached and not request.query
        row = self.cached[identity] if is_cached else self._row(identity) if identity in self.rows else None
        if row is None or passing:
            raise NotFound("Not found", method="GET", path=request.path, status=404)
        return {str(self._entity.item): row}

    def _matching(self, query: Mapping[str, str]) -> list[int]:
        found = list(self.rows)
        for position, name in enumerate(("created_at", "updated_at")):
            low, high = query.get(f"{name}_min", ""), query.get(f"{name}_max", "9")
            found = [identity for identity in found if low <= self.rows[identity][position] <= high]
        return sorted(found, reverse=True)

    def cache(self, *ids: int) -> None:
        """Give these records as they are now to all later requests for them without a query."""
        self.cached |= {identity: self._row(identity) for identity in ids}

    def _row(self, identity: int) -> Json:
        created, updated = self.rows[identity]
        return {"id": identity, "createdAt": f"{created}+00:00", "updatedAt": f"{updated}+00:00"}

    def _meter(self) -> None:
        if self._limit:
            window, passed = divmod(self._time.time(), FIVE_MINUTES)
            used_in, used = self._used_in
            self._used_in = window, used + 1 if used_in == window else 1
            left = self._limit - self._used_in[1]
            assert left >= 0, "more was sent than the quota holds"
            self.quota = Quota((QuotaWindow("5 minutes", self._limit, left, int(FIVE_MINUTES - passed) + 1),))

    def _now(self) -> str:
        return format_time(datetime.fromtimestamp(self._time.time(), UTC))


class World:
    """Runs of one entity on a list, a bucket and a clock."""

    def __init__(self, entity: str = "reviews", *, quota: int = 0) -> None:
        self.entity = entity
        self.quota = quota
        self.time = VirtualTime()
        self.at = Points()
        self.bucket = DatedBucket(self.at, self.time)
        self.shop = ShopList(entity, self.time, self.at, quota)
        self.runs = 0

    def copy(self) -> World:
        """Return a world of the same objects and records at the same time."""
        other = World(self.entity, quota=self.quota)
        other.time.passes(self.time.monotonic())
        other.bucket.take_over(self.bucket)
        other.shop.rows = dict(self.shop.rows)
        return other

    def invoke(self, event: Json, run_id: str, remaining: float = 900.0) -> Json:
        """Carry one invocation, in a process of its own."""
        return self._process(event, run_id, remaining).invoke().body

    def check(self, event: Json, run_id: str) -> None:
        """Check a run without starting it."""
        self._process(event, run_id, 900.0).check()

    def records(self, key: str) -> list[Json]:
        """Return the records of a part."""
        return [json.loads(line) for line in self.lines(key)]

    def lines(self, key: str) -> list[bytes]:
        """Return the lines of a gzip object."""
        return gzip.decompress(self.bucket.objects[key]).splitlines()

    def _landed(self, *, reconciled: bool) -> Iterator[Json]:
        for manifest in self.bucket.manifests():
            if (manifest["request"].get("mode") == "reconcile") is reconciled:
                for part in manifest["deleted" if reconciled else "parts"]:
                    for record in self.records(part["key"]):
                        yield {**record, "started": epoch(manifest["started"])}

    def _process(self, event: Json, run_id: str, remaining: float) -> SyncRun | Reconciliation:
        self.at.revive()
        began = self.time.monotonic()
        request = subscribe_request({"entity": self.entity, **event})
        kind: type[SyncRun | Reconciliation] = Reconciliation if request.mode == "reconcile" else SyncRun
        self.shop.quota = None
        services = Services(
            client=Client(cast(Transport, self.shop)),
            bucket=Bucket(self.bucket, "bucket", self.time),
            clock=self.time,
            remaining_seconds=lambda: began + remaining - self.time.monotonic(),
            reserve_percent=10,
        )
        return kind(request, run_id, services)

    def run(self, mode: str, run_id: str = "", *, remaining: float = 900.0, **event: Any) -> Json:
        """Run to the end, waiting as asked, as the state machine does."""
        self.runs += 1
        run_id = run_id or f"run-{self.runs}"
        cursor: Json = {}
        for _ in range(300):
            result = self.invoke({"mode": mode, **event, **cursor}, run_id, remaining)
            if result["status"] == "complete":
                self.time.passes(10)
                return result
            cursor = {"cursor": result["cursor"]}
            self.time.passes(result["resume_after_seconds"])
        raise AssertionError(f"the run did not come to its end: {result}")

    def fill(self, count: int, start: int = 1) -> None:
        """Add records, created some time ago."""
        for identity in range(start, start + count):
            self.shop.insert(identity)
        self.time.passes(60)

    def delete(self, *ids: int) -> None:
        """Delete records of the shop."""
        for identity in ids:
            del self.shop.rows[identity]

    def tombstones(self, result: Json) -> list[Json]:
        """Return what a run noticed, as a reader finds it."""
        if result["manifest"] is None:
            return []
        manifest = self.manifest(result)
        assert [part["key"] for part in manifest["deleted"]] == result["objects"]
        return [record for part in manifest["deleted"] for record in self.records(part["key"])]

    def noticed(self) -> dict[int, list[int]]:
        """Return when each id was noticed as deleted by any run, in epoch seconds and in order."""
        found: dict[int, list[int]] = defaultdict(list)
        for record in self._landed(reconciled=True):
            found[record["id"]].append(epoch(record["noticed_at"]))
        return {identity: sorted(times) for identity, times in found.items()}

    def landings(self) -> dict[int, list[int]]:
        """Return when the runs started that landed each id, in epoch seconds and in order."""
        found: dict[int, list[int]] = defaultdict(list)
        for record in self._landed(reconciled=False):
            found[record["id"]].append(record["started"])
        return {identity: sorted(times) for identity, times in found.items()}

    def gone(self, result: Json) -> list[int]:
        """Return the ids that a run noticed."""
        return [tombstone["id"] for tombstone in self.tombstones(result)]

    def manifest(self, result: Json) -> Json:
        """Return the manifest of a run."""
        manifest: Json = self.bucket.json(result["manifest"])
        return manifest


def _id_of(request: Request) -> int:
    return int(request.path.rpartition("/")[2].removesuffix(".json"))
