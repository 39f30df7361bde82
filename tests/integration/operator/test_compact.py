"""`compact` changes neither the views nor the index of ids that reconcile runs compare with."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from connector.aws.bucket import Bucket
from connector.operator.main import main
from connector.operator.stack import Stack
from connector.storage_keys import RunPlace, entity_folder
from subscribe.reconcile.id_index import Index, IndexHead
from subscribe.reconcile.manifests import ManifestLog
from tests.integration.operator.conftest import NOW
from tests.support.aws import CloudFormation, FakedClients
from tests.support.clock import FakeClock
from tests.unit.operator.lake import store_run

DAY = "2026-11-01"
COMPACT = RunPlace("default", "orders", "nl", DAY, f"{DAY}-compact").manifest
CURRENT = "SELECT connection, lang, id, json FROM orders_current ORDER BY ALL"
VERSIONS = "SELECT connection, lang, id, json FROM orders ORDER BY ALL"
Rows = list[dict[str, Any]]


class World:
    """A versioned bucket, its clock, and two ways to ask it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.aws, self.clock, self.folder, self.capsys = (
            FakedClients(cloudformation=CloudFormation({"Bucket": "bucket"})),
            FakeClock(),
            folder,
            capsys,
        )
        self.s3 = self.aws.client("s3")
        self.s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket="bucket", Key=key, Body=body)

    def run(self, *words: str) -> int:
        return main([*words, "--stack", "mine"], open_stack=lambda name: Stack(name, self.aws, self.clock))

    def ask(self, query: str) -> Rows:
        self.capsys.readouterr()
        assert self.run("query", query, "--cache", str(self.folder), "--format", "jsonl") == 0
        return [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]

    def index(self) -> list[int | str]:
        """The ids that a reconcile run takes to exist, if it has only the manifests."""
        index = Index(IndexHead("orders"))
        ManifestLog(
            Bucket(self.s3, "bucket", FakeClock()), entity_folder("default", "orders"), index, lambda: True
        ).replay()
        return [number for number, _ in index.known(range(1, 7), 4_000_000_000)]

    def answers(self) -> tuple[Rows, Rows, list[int | str]]:
        return self.ask(CURRENT), self.ask(VERSIONS), self.index()

    def keys(self, prefix: str) -> list[str]:
        return [row["Key"] for row in self.s3.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", ())]


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with mock_aws():
        yield World(tmp_path / "cache", capsys)


def fill(world: World, seed: int) -> None:
    """Store a day of small runs, with equal and unreadable times, tombstones in between, and a run of the next day."""
    chosen = random.Random(seed)
    times = ["2026-10-25T02:30:00+02:00", "2026-10-25T02:10:00+01:00", "2026-11-01T00:00:00Z", None, False, "never"]
    for number in range(12):
        started = f"{DAY}T{number:02}:00:00Z"
        if chosen.random() < 0.25:
            gone = [{"id": chosen.randint(1, 6), "last_seen": started, "noticed_at": f"{DAY}T{number:02}:30:00Z"}]
            store_run(world.put, f"r{number}", started, deleted=gone)
            continue
        ids = chosen.sample(range(1, 7), chosen.randint(0, 3))
        rows = [{"id": one, "updatedAt": chosen.choice(times), "in": number} for one in ids]
        store_run(world.put, f"s{number}", started, rows)
    store_run(world.put, "next", "2026-11-02T00:00:00Z", [{"id": 1, "updatedAt": "2026-11-01T00:00:00Z", "in": "next"}])


@pytest.mark.parametrize("seed", [3])
def test_no_answer_changes(world: World, seed: int) -> None:
    fill(world, seed)
    before = world.answers()
    assert world.run("compact") == 0
    assert COMPACT in world.keys("manifests/")
    assert world.answers() == before

    world.clock.sleep(3601)
    assert world.run("compact") == 0
    assert world.answers() == before
    left = [key for key in world.keys("manifests/") if f"date={DAY}" in key]
    assert [key for key in left if "/s" in key] == []
    named = json.loads(world.s3.get_object(Bucket="bucket", Key=COMPACT)["Body"].read())
    assert sorted(part["key"] for part in named["parts"]) == [k for k in world.keys("raw/") if f"date={DAY}" in k]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 300))
def test_no_answer_changes_in_many_worlds(world: World, seed: int) -> None:
    test_no_answer_changes(world, seed)


def test_changes_of_a_day_become_one_part(world: World) -> None:
    for number in range(24):
        row = {"id": number % 5, "updatedAt": f"{DAY}T{number:02}:00:00Z"}
        store_run(world.put, f"s{number}", f"{DAY}T{number:02}:10:00Z", [row])
    assert world.run("compact", "--entity", "products", "--dry-run") == 0
    assert world.run("compact", "--connection", "outlet", "--dry-run") == 0
    assert world.run("compact", "--date", "2026-11-02", "--dry-run") == 0
    assert world.capsys.readouterr().out.count("nothing to do") == 3
    assert world.run("compact", "--connection", "default", "--entity", "orders", "--date", DAY) == 0

    manifest = json.loads(world.s3.get_object(Bucket="bucket", Key=COMPACT)["Body"].read())
    assert len(manifest["parts"]) == 1
    assert (manifest["records"], len(manifest["replaces"]), len(manifest["runs"])) == (24, 24, 24)
    assert (manifest["verified"], manifest["started"]) == (True, f"{DAY}T00:10:00Z")
    assert manifest["rewritten"] == [
        {"at": "2026-11-23T06:00:00Z", "by": "compact", "reason": "the runs of a day became one"}
    ]
    assert world.capsys.readouterr().out == f"default orders nl {DAY}: 24 runs became one of 1 parts\n"


def test_a_run_of_several_parts_stays_later_than_the_runs_before_it(world: World) -> None:
    store_run(world.put, "a", f"{DAY}T01:00:00Z", [{"id": 1, "in": "a"}])
    made: dict[str, bytes] = {}
    parts = []
    for number in (2, 1):
        key = store_run(made.__setitem__, "b", f"{DAY}T02:00:00Z", [{"id": number, "in": "b"}])
        parts += json.loads(made[key])["parts"]
    for name, body in made.items():
        world.put(name, body)
    store_run(world.put, "b", f"{DAY}T02:00:00Z", parts=parts)
    before = world.answers()

    assert world.run("compact") == 0
    assert COMPACT in world.keys("manifests/")
    assert world.answers() == before
    assert [row["json"] for row in before[0]] == ['{"id": 1, "in": "b"}', '{"id": 2, "in": "b"}']


def test_replaced_objects_stay_for_an_hour_after_the_end_of_a_long_call(world: World) -> None:
    fill(world, 3)

    def wait(params: dict[str, Any], **_: Any) -> None:
        if "part-" in params["Key"]:
            world.clock.advance(1800)

    world.s3.meta.events.register("provide-client-params.s3.PutObject", wait)
    assert world.run("compact") == 0
    world.s3.meta.events.unregister("provide-client-params.s3.PutObject", wait)
    assert world.clock.time() > NOW + 3600
    replaced = world.keys("manifests/")

    assert world.run("compact") == 0
    assert world.keys("manifests/") == replaced


def test_a_call_that_is_killed_anywhere_changes_no_answer(world: World) -> None:
    fill(world, 1)
    before = world.ask(CURRENT)
    calls: list[str] = []

    def killed(at: int) -> Callable[..., None]:
        def count(model: Any, **_: Any) -> None:
            if model.name in ("PutObject", "DeleteObjects"):
                calls.append(model.name)
                if len(calls) == at:
                    raise KeyboardInterrupt

        return count

    # the lock is the first write; four parts, the manifest, and an hour later the deletes follow
    for at in (3, 6, 0, 2, 4):
        calls.clear()
        hook = killed(at)
        world.s3.meta.events.register("before-call.s3", hook)
        assert world.run("compact") == (130 if at else 0)
        world.s3.meta.events.unregister("before-call.s3", hook)
        assert world.ask(CURRENT) == before
        world.clock.sleep(3601)
    for _ in range(2):
        assert world.run("compact") == 0
        world.clock.sleep(3601)
    assert world.ask(CURRENT) == before
    assert [key for key in world.keys("manifests/") if "/s" in key and f"date={DAY}" in key] == []


def test_days_that_are_not_closed_and_runs_of_other_transformers_are_left(world: World) -> None:
    for number, transformer in enumerate([None, "$"]):
        request = {"entity": "orders", "entity_transformer": transformer}
        store_run(world.put, f"s{number}", f"{DAY}T00:00:00Z", [{"id": number}], request=request)
        store_run(world.put, f"t{number}", "2026-11-22T00:00:00Z", [{"id": number}])
    assert world.run("compact") == 0
    assert not [key for key in world.keys("manifests/") if "compact" in key]
    assert world.run("compact", "--date", "2026-11-22") == 2
    assert "2026-11-22 is not closed yet; the last closed day is 2026-11-21" in world.capsys.readouterr().err


def test_days_with_runs_of_one_parent_are_left_because_forget_needs_their_path(world: World) -> None:
    entity = "customers/metafields"
    for day, parents in ((DAY, "7*"), ("2026-11-02", "**")):
        for number, parent in enumerate(parents):
            request = {"entity": entity, "parameters": {"path": {"customer_id": parent}}}
            store_run(world.put, f"s{number}", f"{day}T00:00:00Z", [{"id": number}], entity=entity, request=request)
    assert world.run("compact") == 0
    assert world.capsys.readouterr().out == "default customers/metafields nl 2026-11-02: 2 runs became one of 1 parts\n"


def test_a_run_that_only_has_the_name_of_a_compacted_day_stops_no_other_day(world: World) -> None:
    for day in (DAY, "2026-11-02"):
        for run_id in ("a", "b", f"{DAY}-compact"):
            store_run(world.put, run_id, f"{day}T00:00:00Z", [{"id": 1, "in": run_id}])

    assert world.run("compact") == 0
    assert len(world.keys(f"manifests/connection=default/entity=orders/lang=nl/date={DAY}/")) == 3
    assert "2026-11-02: 3 runs became one" in world.capsys.readouterr().out


def test_a_call_that_finds_nothing_says_so(world: World) -> None:
    assert world.run("compact") == 0

    assert world.capsys.readouterr().out.startswith("nothing to do: no day up to ")


def test_a_dry_run_only_says_what_would_become_one(world: World) -> None:
    fill(world, 2)
    before = world.keys("")
    assert world.run("compact", "--dry-run") == 0
    assert "runs would become one" in world.capsys.readouterr().out
    assert world.keys("") == before
