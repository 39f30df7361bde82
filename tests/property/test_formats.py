"""What earlier versions of the connector stored still works: bookmarks, states of runs under way, and indexes of ids.

The files in `formats/` were written by those versions, in a world like the one here. Each scene holds the objects of
the bucket, the shop's records, and the cursor of a run under way.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.property.world import ShopTime, VirtualTime, World
from tests.shop import Shop

pytestmark = pytest.mark.usefixtures("one_thread")

FORMATS = {
    path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "formats").glob("*.json"))
}
UNDER_WAY = ("first incremental run under way", "incremental run under way", "full run under way")


class Scene:
    """A bucket as an earlier version left it, and the shop at that time."""

    def __init__(self, version: str, name: str) -> None:
        found = FORMATS[version][name]
        self.event: dict[str, Any] = found["event"]
        self.cursor: str | None = found["cursor"]
        self.time = VirtualTime()
        self.shop = Shop(orders=0, products=0, clock=ShopTime(self.time), rate_per_second=None)
        for identity, created, updated in sorted(found["rows"]):
            self.shop.store.add("reviews", {"id": identity, "createdAt": created, "updatedAt": updated})
        self.time.passes(found["elapsed"] + found["resume_after_seconds"])
        self.world = World(self.shop, self.time)
        self.world.bucket.objects = {key: base64.b64decode(body) for key, body in found["objects"].items()}

    def states(self) -> set[tuple[int, str]]:
        return {(row["id"], row["updatedAt"]) for row in self.shop.store.records("reviews", "nl")}

    def landed(self) -> Counter[tuple[int, str]]:
        """Return what readers find, in the layout of earlier versions too: a manifest beside its parts."""
        objects = self.world.bucket.objects
        manifests = [json.loads(body) for key, body in objects.items() if key.endswith("/_manifest.json")]
        keys = [part["key"] for manifest in manifests for part in manifest["parts"]]
        rows = [json.loads(line) for key in keys for line in gzip.decompress(objects[key]).splitlines()]
        earlier = Counter((row["id"], row["updatedAt"]) for row in rows)
        return earlier + Counter((found.id, found.changed) for found in self.world.bucket.landed())

    def change(self) -> None:
        for identity in self.shop.store.ids("reviews")[:4]:
            self.time.passes(2)
            self.shop.store.update("reviews", identity, content="changed")
        self.time.passes(30)

    def check_once(self) -> None:
        landed = self.landed()
        assert self.states() <= set(landed)
        assert {state: times for state, times in landed.items() if times > 1} == {}


@pytest.mark.parametrize("name", UNDER_WAY)
@pytest.mark.parametrize("version", FORMATS)
def test_a_run_under_way_comes_to_its_end_and_loses_and_doubles_nothing(version: str, name: str) -> None:
    scene = Scene(version, name)

    result = scene.world.run({**scene.event, "cursor": scene.cursor}, "run")

    assert (result["status"], result["verified"]) == ("complete", True)
    scene.check_once()
    if scene.event.get("mode") == "incremental":
        scene.change()
        scene.world.run(scene.event, "next")
        scene.check_once()


def test_a_run_with_a_state_of_version_3_goes_on_where_it_was() -> None:
    scene = Scene("cursor-version-3", "first incremental run under way")
    read_before = len(scene.shop.requests)

    result = scene.world.run({**scene.event, "cursor": scene.cursor}, "run")

    assert result["records"] == 23
    assert len(scene.shop.requests) - read_before < result["requests"]


@pytest.mark.parametrize("version", FORMATS)
def test_another_run_of_the_subscription_takes_over_from_one_that_is_given_up(version: str) -> None:
    scene = Scene(version, "incremental run under way")
    scene.time.passes(3600)

    scene.world.run(scene.event, "other")

    scene.check_once()


@pytest.mark.parametrize("version", FORMATS)
def test_records_that_a_bookmark_remembers_are_not_stored_again(version: str) -> None:
    scene = Scene(version, "recent records")
    scene.time.passes(20)

    assert scene.world.run(scene.event, "next")["records"] == 0
    scene.change()
    assert scene.world.run(scene.event, "last")["records"] == 4
    scene.check_once()


@pytest.mark.parametrize("version", FORMATS)
def test_a_run_that_was_killed_after_it_was_decided_is_finished_by_the_next(version: str) -> None:
    scene = Scene(version, "run killed after it was decided")
    scene.time.passes(60)

    result = scene.world.run(scene.event, "next")

    assert result["records"] == 0
    scene.check_once()


@pytest.mark.parametrize("version", FORMATS)
def test_a_reconcile_run_goes_on_from_the_index_and_notes_no_record_that_is_there(version: str) -> None:
    scene = Scene(version, "index of ids")
    gone = scene.shop.store.ids("reviews")[:2]
    noticed = [row["id"] for row in scene.world.bucket.tombstones()]
    scene.world.run({"entity": "reviews"}, "full-again")
    scene.time.passes(600)
    for identity in gone:
        scene.shop.store.delete("reviews", identity)
    scene.time.passes(600)

    scene.world.run(scene.event, "reconcile-again")

    assert sorted(row["id"] for row in scene.world.bucket.tombstones()) == sorted([*noticed, *gone])
