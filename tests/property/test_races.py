"""What else could break the promises: runs that race, old cursors, lost answers, odd clocks, odd objects."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connector.errors import AwsUnavailable, RequestError, RunInProgress
from connector.storage_keys import run_key, subscription_key
from tests.property.bucket import MemoryBucket
from tests.property.world import OPENING, Killed, Points, ShopTime, VirtualTime, World
from tests.shop import Shop

pytestmark = pytest.mark.usefixtures("one_thread")

EVENT: dict[str, Any] = {"entity": "reviews", "mode": "incremental", "parameters": {"query": {"limit": 3}}}
SCARCE = (6, 3000, 12000)
LEASE = 20 * 60


class Scene:
    """A shop with records of the last hour, and a subscription."""

    def __init__(self, quota: tuple[int, int, int] | None = None) -> None:
        self.time = VirtualTime()
        self.clock = ShopTime(self.time)
        self.shop = Shop(orders=0, products=0, clock=self.clock, quota=quota, rate_per_second=None)
        for number in range(23):
            self.shop.store.add("reviews", score=number, at=OPENING - 3000 + 100 * number)
        self.world = World(self.shop, self.time)

    def change(self, how_many: int = 5) -> None:
        """Change some records and let them settle."""
        for record_id in self.shop.store.ids("reviews")[:how_many]:
            self.time.passes(2)
            self.shop.store.update("reviews", record_id, content="changed")
        self.time.passes(10)

    def states(self) -> set[tuple[int, str]]:
        return {(record["id"], record["updatedAt"]) for record in self.shop.store.records("reviews", "nl")}

    def landed(self, language: str = "nl") -> Counter[tuple[int, str]]:
        return Counter((each.id, each.changed) for each in self.world.bucket.landed() if each.language == language)

    def check_once(self, *languages: str) -> None:
        """Check that what is in the shop has landed, and nothing twice."""
        assert self.world.bucket.broken == []
        for language in languages or ("nl",):
            landed = self.landed(language)
            assert set(landed.values()) <= {1}
            assert self.states() <= set(landed)


def points_of(event: dict[str, Any], before: bool) -> int:
    scene = prepared(event, before)
    passed = scene.world.at.passed
    scene.world.run(event, "first")
    return scene.world.at.passed - passed


def prepared(event: dict[str, Any], before: bool) -> Scene:
    scene = Scene()
    if before:
        scene.world.run(event, "before")
        scene.change()
    return scene


def races(event: dict[str, Any], before: bool) -> Iterator[tuple[Scene, int]]:
    for point in range(1, points_of(event, before) + 1):
        scene = prepared(event, before)
        yield scene, scene.world.at.passed + point


@pytest.mark.parametrize("before", [False, True], ids=["without bookmark", "with bookmark"])
@pytest.mark.parametrize("languages", [["nl"], ["nl", "en"]], ids=["one language", "two languages"])
@pytest.mark.parametrize("change", [False, True], ids=["quiet", "changing"])
def test_of_two_runs_that_race_on_one_bookmark_one_counts(before: bool, languages: list[str], change: bool) -> None:
    event = {**EVENT, "languages": languages}
    for scene, point in races(event, before):
        others: list[dict[str, Any]] = []

        def race(scene: Scene = scene, others: list[dict[str, Any]] = others) -> None:
            if change:
                scene.change(3)
            others.append(scene.world.run(event, "second"))

        scene.world.at.meanwhile[point] = race

        first = scene.world.run(event, "first")

        results = [first, *others]
        assert [result["status"] for result in results] == ["complete", "complete"]
        assert sum(not result.get("superseded") for result in results) >= 1
        scene.change(1)
        scene.world.run(event, "last")
        scene.check_once(*languages)


@pytest.mark.parametrize("before", [False, True], ids=["without bookmark", "with bookmark"])
@pytest.mark.parametrize("change", [False, True], ids=["quiet", "changing"])
@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_a_run_that_is_invoked_twice_at_once_lands_once(before: bool, change: bool, mode: str) -> None:
    for scene, point in races(EVENT, before):
        event = {**EVENT, "mode": mode}

        def twin(scene: Scene = scene, event: dict[str, Any] = event) -> None:
            if change:
                scene.change(3)
            scene.world.run(event, "first")

        scene.world.at.meanwhile[point] = twin

        scene.world.run(event, "first")

        assert scene.world.bucket.broken == []
        if mode == "incremental":
            scene.change(1)
            scene.world.run(event, "last")
            scene.check_once()


def test_a_cursor_resumed_after_its_run_is_complete_answers_the_result_and_touches_nothing() -> None:
    scene = Scene(SCARCE)
    first = scene.world.invoke({**EVENT, "run_id": "run"})
    scene.time.passes(first["resume_after_seconds"])
    complete = scene.world.run({**EVENT, "cursor": first["cursor"]}, "run")
    scene.change()
    objects, requests = dict(scene.world.bucket.objects), len(scene.shop.requests)

    again = scene.world.invoke({**EVENT, "run_id": "run", "cursor": first["cursor"]})

    assert again == complete
    assert scene.world.bucket.objects == objects
    assert len(scene.shop.requests) == requests


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_a_cursor_whose_answer_was_lost_is_taken_up_where_the_run_really_is(mode: str) -> None:
    scene = Scene(SCARCE)
    event = {**EVENT, "mode": mode}
    first = scene.world.invoke({**event, "run_id": "run"})
    scene.time.passes(first["resume_after_seconds"])
    lost = scene.world.invoke({**event, "run_id": "run", "cursor": first["cursor"]})
    assert lost["status"] == "partial"
    scene.time.passes(lost["resume_after_seconds"])

    last = scene.world.run({**event, "cursor": first["cursor"]}, "run")

    assert last["records"] == 23
    assert last["requests"] >= lost["requests"]
    scene.check_once()


def test_a_run_whose_lease_is_over_is_given_up_and_says_so_when_it_comes_back() -> None:
    scene = Scene(SCARCE)
    first = scene.world.invoke({**EVENT, "run_id": "slow"})
    with pytest.raises(RunInProgress):
        scene.world.invoke({**EVENT, "run_id": "early"})
    scene.time.passes(first["resume_after_seconds"] + LEASE + 1)
    scene.world.run(EVENT, "other")
    requests = len(scene.shop.requests)

    late = scene.world.invoke({**EVENT, "run_id": "slow", "cursor": first["cursor"]})

    assert late["status"] == "complete"
    assert late["superseded"]
    assert late["manifest"] is None
    assert len(scene.shop.requests) == requests
    scene.check_once()


def test_the_bookmark_does_not_move_back_when_the_shops_clock_does() -> None:
    scene = Scene()
    scene.world.run(EVENT, "first")
    until = scene.world.bookmark("reviews")["until"]
    scene.clock.advance(-45)
    scene.change()

    result = scene.world.run(EVENT, "second")

    assert scene.world.bookmark("reviews")["until"] == until
    assert result["bookmark"] == {"until": until}
    scene.time.passes(120)
    scene.world.run(EVENT, "third")
    scene.check_once()


@pytest.mark.parametrize("seconds", [-7200, -30, 30, 7200])
def test_our_own_clock_may_be_wrong_by_any_amount(seconds: float) -> None:
    # a clock of ours that is set forward by hours looks like a shop's clock that is set back, which may hide changes
    expected = [True, seconds != -7200, True]
    scene = Scene()
    scene.time.jumps(seconds)
    scene.world.run(EVENT, "first")
    scene.change()
    scene.time.jumps(-2 * seconds)
    scene.world.run(EVENT, "second")
    scene.change()
    scene.world.run(EVENT, "third")

    scene.check_once()
    manifests = {manifest["run_id"]: manifest for manifest in scene.world.bucket.manifests()}
    assert [manifests[run]["verified"] for run in ("first", "second", "third")] == expected


def test_an_id_that_is_used_again_is_another_record() -> None:
    scene = Scene()
    scene.world.run(EVENT, "first")
    gone = scene.shop.store.ids("reviews")[0]
    scene.shop.store.delete("reviews", gone)
    scene.time.passes(30)
    scene.shop.store.add("reviews", {"id": gone}, score=1)
    scene.time.passes(30)

    scene.world.run(EVENT, "second")

    scene.check_once()
    assert len([state for state in scene.landed() if state[0] == gone]) == 2


def test_records_that_change_by_thousands_in_the_last_minute_keep_the_cursor_small() -> None:
    scene = Scene((20, 3000, 12000))
    for number in range(6000):
        scene.shop.store.add("reviews", score=1, at=OPENING - 30 + number % 20)
    event = {"entity": "reviews", "mode": "incremental"}

    first = scene.world.invoke({**event, "run_id": "run"})
    scene.time.passes(first["resume_after_seconds"])
    scene.world.run({**event, "cursor": first["cursor"]}, "run")

    assert first["status"] == "partial"
    assert len(first["cursor"]) < 128 * 1024
    objects = scene.world.bucket.objects
    assert len(objects["state/connection=default/reviews.json"]) < 4096
    for key in [key for key in objects if key.startswith("state/passes/")]:
        del objects[key]  # as the bucket's rules do after a month
    scene.change()
    scene.world.run(event, "next")
    scene.check_once()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"bookmark": {"until": 5}}', '{"bookmark": null}'])
def test_a_bookmark_that_cannot_be_read_stops_the_run_before_anything_is_sent_or_written(text: str) -> None:
    scene = Scene()
    key = "state/connection=default/reviews.json"
    scene.world.bucket.objects[key] = text.encode()

    with pytest.raises(Exception, match=r"."):
        scene.world.run(EVENT, "run")

    assert scene.world.bucket.objects == {key: text.encode()}
    assert scene.shop.requests == []


class Forgetful(MemoryBucket):
    """S3 that takes a conditional write, loses its answer, and refuses the same write when it is sent again."""

    def put_object(self, **given: Any) -> dict[str, Any]:
        answer = super().put_object(**given)
        if "IfMatch" in given or "IfNoneMatch" in given:
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": ""}}, "PutObject")
        return answer


@pytest.mark.parametrize("quota", [None, SCARCE])
def test_a_conditional_write_whose_answer_was_lost_has_happened(quota: tuple[int, int, int] | None) -> None:
    scene = Scene(quota)
    scene.world.bucket = Forgetful(scene.world.at)

    for number in range(3):
        result = scene.world.run(EVENT, f"run-{number}")
        assert not result.get("superseded")
        assert result["manifest"] in scene.world.bucket.objects
        scene.change()

    scene.world.run(EVENT, "last")
    scene.check_once()


def test_a_cursor_of_another_request_or_run_is_refused() -> None:
    scene = Scene(SCARCE)
    first = scene.world.invoke({**EVENT, "run_id": "run"})

    for event in ({**EVENT, "run_id": "other"}, {**EVENT, "run_id": "run", "mode": "full"}):
        with pytest.raises(RequestError, match="belongs to"):
            scene.world.invoke({**event, "cursor": first["cursor"]})


def test_max_records_loses_nothing_of_what_it_leaves_out() -> None:
    scene = Scene()
    scene.world.run({**EVENT, "max_records": 7}, "some")
    assert scene.world.bookmark("reviews").get("until") is None

    scene.world.run(EVENT, "all")

    assert scene.states() <= set(scene.landed())


def test_a_process_killed_while_another_run_has_gone_further_harms_nothing() -> None:
    scene = Scene(SCARCE)
    scene.world.invoke({**EVENT, "run_id": "slow"})
    scene.time.passes(3600)
    scene.world.at.kill_at = scene.world.at.passed + 25
    with pytest.raises(Killed):
        scene.world.run(EVENT, "killed")
    scene.time.passes(7200)

    scene.world.run(EVENT, "last")

    scene.check_once()


class NamedPoints(Points):
    """Points at which a test does something by their name.

    Attributes:
        at_name: What is done at the next points of a name, in turn; `None` for nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_name: dict[str, list[Callable[[], object] | None]] = {}

    def __call__(self, name: str) -> None:
        turns = self.at_name.get(name)
        do = turns.pop(0) if turns else None
        if do is not None:
            do()
        super().__call__(name)


@pytest.mark.parametrize("number", [1, 2])
def test_a_copy_that_another_run_overtook_never_undoes_what_a_later_copy_of_its_run_decides(number: int) -> None:
    scene = prepared(EVENT, before=True)
    world, at = scene.world, NamedPoints()
    world.at = at
    world.bucket._at = at
    journal, bookmark = run_key("first"), subscription_key("default", "reviews")

    def die() -> None:
        raise Killed

    def later_copy() -> None:
        at.at_name[f"after put {bookmark}"] = [die]
        with contextlib.suppress(Killed):
            world.run(EVENT, "first")

    at.at_name[f"before get {journal}"] = [lambda: world.run(EVENT, "second")]
    at.at_name[f"before put {journal}"] = [None] * (number - 1) + [later_copy]
    with contextlib.suppress(AwsUnavailable):
        world.run(EVENT, "first")
    at.at_name.clear()

    result = world.run(EVENT, "first")

    counts = any(manifest["run_id"] == "first" for manifest in world.bucket.manifests())
    assert counts == (not result.get("superseded"))
    scene.change(1)
    world.run(EVENT, "last")
    scene.check_once()
