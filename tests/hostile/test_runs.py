"""Runs of every mode through the handler, in a shop that is hostile: what is verified is right, and no run is stuck.

A seed decides the shop's habits, odd records, damaged answers, absurd headers, faults of S3, kills and how long an
invocation may last. The oracle knows every text that a record ever had.
"""

from __future__ import annotations

import functools
import gzip
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connector.aws.errors import with_typed_aws_errors
from connector.clients import AwsClients, ShopClients
from connector.errors import AwsUnavailable, RunInProgress
from connector.settings import Settings
from lightspeed import Client
from lightspeed.errors import TRANSIENT_ERRORS
from lightspeed.listing.window import LOOKBACK
from lightspeed.request import format_time, parse_time
from subscribe.app import handle
from subscribe.dependencies import Dependencies
from tests.hostile.shop import HostileShop, Resource
from tests.hostile.world import Habits
from tests.property.interleaving import Faults, FaultyBucket
from tests.property.world import BASE_URL, Killed, ShopSession, VirtualTime, World
from tests.shop import API_KEY, API_SECRET
from tests.support.lambda_context import Context
from tests.support.soak import Soak

pytestmark = pytest.mark.usefixtures("one_thread")

SAMPLES = {"full": 30, "incremental": 10, "every parent": 15, "ids": 30, "reconcile": 10}
SOAK = range(100, 2100)
"""Seeds per mode: of the default run, and of the long search."""

MAX_ATTEMPTS = 80
DAY = 86_400
SETTINGS = Settings.from_env({"BUCKET": "bucket", "SECRET_PREFIX": "lightspeed/"})
SECRET = {"base_url": BASE_URL, "api_key": API_KEY, "api_secret": API_SECRET, "language": "nl"}


class Aws(AwsClients):
    """S3 and Secrets Manager in process."""

    def __init__(self, bucket: FaultyBucket) -> None:
        self._bucket = bucket

    def client(self, service: str) -> Any:  # type: ignore[override] # the base keeps its own
        return self._bucket if service == "s3" else self

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803, ARG002 - AWS's names
        return {"SecretString": json.dumps(SECRET)}


class Shops(ShopClients):
    """Clients whose requests stay in the process."""

    def __init__(self, aws: Aws, world: World) -> None:
        super().__init__(aws, SETTINGS, world.time)
        self._world = world

    def open(self, name: str, **given: Any) -> Client:
        client = super().open(name, **given)
        self.transports[name]._session = ShopSession(self._world.shop, self._world)  # type: ignore[assignment]
        return client


class Invocation(Context):
    """An invocation that ends at a time of the virtual clock."""

    def __init__(self, time: VirtualTime, seconds: float) -> None:
        super().__init__()
        self._time = time
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._end - self._time.monotonic()) * 1000))


class HandledWorld(World):
    """A world whose invocations go through the handler, each in a process of its own."""

    def invoke(self, event: Mapping[str, Any], run_id: str = "", remaining: float = 900.0) -> dict[str, Any]:  # noqa: ARG002 - the base's
        self.at.revive()
        deps = Dependencies(SETTINGS)
        aws = Aws(self.bucket)  # type: ignore[arg-type]
        deps.clock, deps.aws, deps.shops = self.time, aws, Shops(aws, self)  # type: ignore[assignment]
        invocation = Invocation(self.time, remaining)
        return with_typed_aws_errors(functools.partial(handle, deps=deps))(dict(event), invocation)


LEFT_TO_THE_NEXT = "records changed while they were read in several languages"
"""The reason of a first run in several languages. The next run reads what it left out."""


class Scene:
    """A hostile shop with one entity, and the service that reads it."""

    def __init__(self, seed: int, entity: str) -> None:
        self.rng = rng = random.Random(f"{entity} {seed}")
        self.time = VirtualTime()
        self.shop = HostileShop(rng, self.time)
        self.shop.date_ahead = (0, 0, 0, 0, 5, 30, 55)[seed % 7]
        self.entity = entity
        self.habits = Habits.drawn(rng)
        self.habits.changes /= 2
        self.habits.fractions = seed % 6 == 4
        self.hidden, self.odd = rng.choice([0.0, 0.0, 0.0, 0.3]), rng.choice([0.0, 0.0, 0.05])
        self.world = HandledWorld(self.shop, self.time, seconds_per_request=lambda: rng.uniform(0.05, 0.6))
        self.faults = Faults(rng)
        self.world.bucket = FaultyBucket(self.world.at, self.faults, self.time.time)
        self.kills = rng.choice([0.0, 0.0, 0.3])
        self.seconds = rng.choice([900, 900, 40, 15, 9])
        self.verdicts: Counter[str] = Counter()
        self.manifests: list[dict[str, Any]] = []
        self.landed: dict[str, Counter[bytes]] = {}
        self.began = self.shop.now

    def open(self, rows: int) -> Resource:
        return self.shop.opens(self.entity, self.habits, rows, never_updated=self.hidden, odd=self.odd)

    def earlier(self) -> str:
        """Return a time of the past, before or after most changes."""
        return format_time(self.shop.now - timedelta(seconds=self.rng.choice([100, 5000, 15_000])))

    def disturb(self) -> None:
        """Let answers, headers, dates and S3 be wrong from now on."""
        rng = self.rng
        self.shop.damage = rng.choice([0.0, 0.05, 0.2])
        self.shop.absurd = rng.choice([0.0, 0.0, 0.05])
        self.shop.wrong_dates = rng.choice([0.0, 0.0, 0.1])
        self.faults.share = rng.choice([0.0, 0.0, 0.05])

    def calm_down(self) -> None:
        self.shop.calm_down()
        self.kills = self.faults.share = 0.0
        self.seconds = 900

    def run(self, event: Mapping[str, Any], run_id: str) -> list[dict[str, Any]]:
        """Carry a run as the state machine does; return its manifests."""
        self.shop.forget_cached_answers()
        self.began = self.shop.now
        asked = {**event, "entity": event.get("entity", self.entity), "run_id": run_id}
        for attempt in range(MAX_ATTEMPTS):
            if attempt == MAX_ATTEMPTS // 2:
                self.calm_down()
            if self.rng.random() < self.kills:
                self.world.at.kill_at = self.world.at.passed + self.rng.randrange(1, 60)
            try:
                result = self.world.invoke(asked, remaining=self.seconds)
            except Killed:
                self.time.passes(5)
                continue
            except RunInProgress:
                self.time.passes(1800)
                continue
            except (*TRANSIENT_ERRORS, AwsUnavailable):
                self.time.passes(30)
                continue
            finally:
                self.world.at.kill_at = 0
            if result["status"] == "complete":
                return self._finished(run_id, result)
            assert 0 <= result["resume_after_seconds"] < DAY
            self.time.passes(result["resume_after_seconds"])
            asked = {**asked, "cursor": result["cursor"]}
        raise AssertionError(f"{run_id} does not end: {result}")

    def _finished(self, run_id: str, result: dict[str, Any]) -> list[dict[str, Any]]:
        bucket = self.world.bucket
        assert bucket.broken == []
        found = [manifest for manifest in bucket.manifests() if manifest["run_id"] == run_id]
        assert all(manifest["verified"] == result["verified"] for manifest in found)
        assert all(manifest["verified"] or manifest["reason"] for manifest in found)
        self.manifests += found
        if result["bookmark"] is not None:
            assert parse_time(result["bookmark"]["until"]) - LOOKBACK <= self.shop.now  # the next window starts there
        return found

    def lines(self, manifest: Mapping[str, Any]) -> list[bytes]:
        """Return what a manifest's parts hold."""
        bodies = [self.world.bucket.objects[part["key"]] for part in manifest["parts"]]
        return [line for body in bodies for line in gzip.decompress(body).splitlines()]

    def ids(self, resource: Resource, manifest: Mapping[str, Any], prefix: bytes = b"{") -> Counter[int]:
        """Return the ids of the records that landed, and check that each is a text that the shop had meanwhile."""
        texts = resource.texts(manifest["language"], self.began)
        found = [b"{" + line.removeprefix(prefix) for line in self.lines(manifest) if line.startswith(prefix)]
        assert all(isinstance(json.loads(line), dict) for line in found)
        assert [line for line in found if line not in texts] == []
        return Counter(texts[line] for line in found)

    def judge(self, resource: Resource, manifest: Mapping[str, Any], instants: int) -> None:
        """Check a run that read a list."""
        language = manifest["language"]
        landed, before = self.ids(resource, manifest), self.landed.setdefault(language, Counter())
        wanted = self.wanted(resource, manifest["window"])
        missing = {
            identity
            for identity in wanted - set(landed)
            if not any(before[text] for text in self.present(resource, identity, language))
        }
        before.update(self.lines(manifest))
        self.verdicts["right" if manifest["verified"] else "unverified"] += 1
        if self.is_honest and not str(manifest["reason"]).startswith(LEFT_TO_THE_NEXT):
            healthy = {identity for identity in missing if identity not in resource.oddities}
            assert healthy == set(), manifest["reason"]
        if not manifest["verified"]:
            return
        assert [identity for identity, times in landed.items() if times > 1] == []
        assert missing == set()
        if manifest["window"] is None:
            assert frozenset(landed) in resource.instants[instants:]

    @property
    def is_honest(self) -> bool:
        """Whether the list is as most are: then odd records and damaged answers lose no other record."""
        habits = self.habits
        honest = (habits.paging, habits.count, habits.edges, habits.changes, habits.slowness)
        return honest == ("honest", "right", "both", 0.0, 0.0) and habits.order in ("id", "-id")

    def present(self, resource: Resource, identity: int, language: str) -> list[bytes]:
        """Return the texts of one record since the run began."""
        return [text for text, found in resource.texts(language, self.began).items() if found == identity]

    def wanted(self, resource: Resource, window: Mapping[str, str] | None) -> set[int]:
        """Return the records that a window holds now."""
        if window is None:
            return set() if self.habits.changes else set(resource.rows)
        low = format_time(parse_time(window["start"])) if window["start"] else ""
        return {identity for identity in resource.rows if selects(resource, identity, window["by"], low, window["end"])}


def selects(resource: Resource, identity: int, by: str, low: str, end: str) -> bool:
    """Return whether a filter with both its edges, or with the list's own, selects a record."""
    time = resource.rows[identity][by == "updated_at"]
    high = format_time(parse_time(end))
    return resource.lies(time, low, high) and low <= time <= high and time != ""


def transformer(scene: Scene) -> dict[str, Any]:
    """Return an entity transformer that changes nothing, now and then; it refuses some of the odd texts."""
    return {"entity_transformer": "$"} if scene.odd == 0 and scene.rng.random() < 0.3 else {}


def query(rng: random.Random) -> dict[str, Any]:
    limit = rng.choice([1, 2, 5, 7, 12, 12, 50, None])
    return {"parameters": {"query": {"limit": limit}}} if limit else {}


def full(seed: int) -> Counter[str]:
    """Every record of a list, in one language or two; sometimes by two readings that overlap."""
    scene = Scene(seed, random.Random(seed).choice(["orders", "products", "taxes"]))
    rng = scene.rng
    resource = scene.open(rng.choice([0, 1, 5, 20, 60]))
    event = {**query(rng), **transformer(scene)}
    if scene.entity != "taxes" and rng.random() < 0.2:
        event.setdefault("parameters", {"query": {}})["query"]["updated_at_min"] = scene.earlier()
    if scene.entity != "orders" and rng.random() < 0.4:
        event["languages"] = ["nl", "en"]
    if scene.entity != "taxes" and seed % 8 == 3:
        event["input_transformer"] = "[{}, {}]"
    scene.disturb()
    instants = len(resource.instants)
    for manifest in scene.run(event, "run"):
        scene.judge(resource, manifest, instants)
    return scene.verdicts


def incremental(seed: int) -> Counter[str]:
    """A subscription over several runs: no change is lost or stored twice if all runs are verified."""
    scene = Scene(seed, random.Random(seed).choice(["orders", "products"]))
    rng = scene.rng
    resource = scene.open(rng.choice([0, 5, 20, 60]))
    event: dict[str, Any] = {"mode": "incremental", **query(rng), **transformer(scene)}
    since = scene.earlier() if rng.random() < 0.2 else ""
    if since:
        event["since"] = since
    if scene.entity == "products" and rng.random() < 0.4:
        event["languages"] = ["nl", "en"]
    for number in range(rng.choice([1, 2, 4])):
        scene.disturb()
        for manifest in scene.run(event, f"run-{number}"):
            scene.judge(resource, manifest, 0)
        for _ in range(rng.choice([0, 1, 6])):
            scene.time.passes(rng.choice([0.3, 2, 20]))
            resource.now = scene.shop.now
            resource.others_work()
        scene.time.passes(rng.choice([1, 30, 1000]))
    scene.calm_down()
    for number, later in enumerate((100, 100, DAY + 100)):
        scene.time.passes(later)
        for manifest in scene.run(event, f"last-{number}"):
            scene.judge(resource, manifest, 0)
    if all(manifest["verified"] for manifest in scene.manifests):
        for language, landed in scene.landed.items():
            assert [text for text, times in landed.items() if times > 1] == []
            followed = [identity for identity, (_, updated) in resource.rows.items() if updated >= since]
            lost = [identity for identity in followed if not landed[resource.text(identity, f"/{language}")]]
            assert lost == []
    return scene.verdicts


def children(seed: int) -> Counter[str]:
    """The nested records of every parent: those that a parent had at one instant."""
    parent, child = random.Random(seed).choice([("orders", "products"), ("products", "images")])
    scene = Scene(seed, parent)
    rng = scene.rng
    scene.habits.changes /= 4
    parents = scene.open(rng.choice([1, 5, 20]))
    habits, most = scene.habits, 8
    if seed % 5 == 4:  # this shop gives fewer nested records on a page than parents
        habits, most = replace(habits, paging="capped", cap=rng.choice([10, 25])), 30
    for identity in list(parents.rows):
        rows = rng.choice([0, 1, 3, most]) if rng.random() < 0.97 else 260
        scene.shop.opens(f"{parent}/{identity}/{child}", habits, rows, odd=scene.odd / 5)
    scene.disturb()
    name = f"{parent[:-1]}_id"
    event = {"entity": f"{parent}/{child}", "parameters": {"path": {name: "*"}}}
    for manifest in scene.run(event, "run"):
        scene.verdicts["right" if manifest["verified"] else "unverified"] += 1
        landed = 0
        for path, resource in scene.shop.lists.items():
            if path == parent:
                continue
            identity = int(path.split("/")[1])
            found = scene.ids(resource, manifest, b'{"%b": %d,' % (name.encode(), identity))
            landed += found.total()
            if manifest["verified"] and selects_parent(parents, identity, manifest["window"]):
                assert [record for record, times in found.items() if times > 1] == []
                assert frozenset(found) in resource.instants, identity
        assert landed == manifest["records"]
    return scene.verdicts


def selects_parent(parents: Resource, identity: int, window: Mapping[str, str]) -> bool:
    """Return whether a parent is there, and in the window that was walked."""
    return identity in parents.rows and selects(parents, identity, window["by"], "", window["end"])


def named(seed: int) -> Counter[str]:
    """Some records by their ids: those that are there, each once."""
    scene = Scene(seed, random.Random(seed).choice(["orders", "products"]))
    rng = scene.rng
    scene.odd = 0.0
    resource = scene.open(rng.choice([1, 5, 40]))
    ids = [*rng.sample(sorted(resource.rows), rng.randint(1, len(resource.rows))), 999_999]
    rng.shuffle(ids)
    event: dict[str, Any] = {"ids": ids, **transformer(scene)}
    if scene.entity == "products" and rng.random() < 0.4:
        event["languages"] = ["nl", "en"]
    scene.disturb()
    for manifest in scene.run(event, "run"):
        scene.verdicts["right" if manifest["verified"] else "unverified"] += 1
        landed = scene.ids(resource, manifest)
        assert set(landed) <= set(ids)
        assert [identity for identity, times in landed.items() if times > 1] == []
        assert set(ids) & set(resource.rows) <= set(landed)
    return scene.verdicts


def reconcile(seed: int) -> Counter[str]:
    """A list against what landed before: a deleted record gets one tombstone, and no other does."""
    scene = Scene(seed, random.Random(seed).choice(["orders", "products"]))
    rng, habits = scene.rng, scene.habits
    scene.hidden = 0.0
    changes, habits.changes = habits.changes, 0.0
    wrong = {name: getattr(habits, name) for name in ("order", "paging", "count", "edges", "slowness")}
    for name, right in (
        ("order", "id"),
        ("paging", "honest"),
        ("count", "right"),
        ("edges", "both"),
        ("slowness", 0.0),
    ):
        setattr(habits, name, right)
    resource = scene.open(rng.choice([5, 30, 60]))
    kills, scene.kills = scene.kills, 0.0
    (first,) = scene.run(query(rng), "full")
    known = {record for record in scene.ids(resource, first) if not resource.hides_id(record)}
    for name, value in wrong.items():
        setattr(habits, name, value)
    habits.changes, scene.kills = changes, kills
    noticed: Counter[int] = Counter()
    for number in range(3):
        scene.time.passes(1000)
        resource.now = scene.shop.now
        for identity in rng.sample(sorted(resource.rows), min(len(resource.rows), rng.choice([0, 1, 4]))):
            resource.delete(identity)
        gone = known - set(resource.rows)
        scene.disturb()
        event = {"mode": "reconcile", "max_deleted_percent": 100, **query(rng)}
        for manifest in scene.run(event, f"reconcile-{number}"):
            scene.verdicts["right" if manifest["verified"] else "unverified"] += 1
            bodies = [gzip.decompress(scene.world.bucket.objects[part["key"]]) for part in manifest["deleted"]]
            found = [json.loads(line)["id"] for body in bodies for line in body.splitlines()]
            noticed.update(found)
            assert set(found) <= known - set(resource.rows)
            if manifest["verified"] and not manifest["ids"]["unclear"]:
                assert gone <= set(noticed)
    assert [identity for identity, times in noticed.items() if times > 1] == []
    return scene.verdicts


MODES: dict[str, Callable[[int], Counter[str]]] = {
    "full": full,
    "incremental": incremental,
    "every parent": children,
    "ids": named,
    "reconcile": reconcile,
}


def search(mode: str, seeds: range) -> Counter[str]:
    """Check worlds; return how many runs were verified."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        try:
            seen += MODES[mode](seed)
        except BaseException as error:
            error.add_note(f"{mode}, seed {seed}")
            raise
    return seen


@pytest.mark.parametrize("mode", MODES)
def test_what_a_run_in_a_hostile_shop_verifies_is_right(mode: str) -> None:
    seen = search(mode, range(SAMPLES[mode]))

    assert seen["right"] > seen.total() / 4


@pytest.mark.soak
@pytest.mark.parametrize("mode", MODES)
def test_what_runs_in_many_hostile_shops_verify_is_right(mode: str, soak: Soak) -> None:
    def share(seeds: range) -> str:
        seen = search(mode, seeds)
        return f"{mode}: {seen['right'] / seen.total():.1%} of {seen.total()} runs verified and right"

    soak(share, SOAK)
