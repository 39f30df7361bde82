"""A reconcile run over several invocations, and next to others."""

from __future__ import annotations

from typing import Any

import pytest

from connector.errors import RequestError, RunInProgress
from lightspeed import (
    AnswerLost,
    RateLimited,
)
from tests.unit.subscribe.reconcile_world import World

FACTS: Any = {"method": "GET", "path": "/nl/reviews/1.json"}


@pytest.fixture
def world() -> World:
    """A shop of forty records, landed by one full run."""
    world = World()
    world.fill(40)
    world.run("full")
    return world


def test_an_invocation_that_is_repeated_gives_the_same_result(world: World) -> None:
    world.delete(7)
    first = world.run("reconcile", "same")
    world.shop.requests.clear()

    assert world.run("reconcile", "same") == first
    assert world.shop.requests == []


def test_a_second_run_is_refused_while_one_is_under_way(world: World) -> None:
    world.fill(600, start=1000)
    world.run("full")
    world.delete(7)
    query: dict[str, Any] = {"parameters": {"query": {"limit": 20}}}
    first = world.invoke({"mode": "reconcile", **query}, "first", remaining=5.5)
    assert first["status"] == "partial"

    with pytest.raises(RunInProgress) as refused:
        world.invoke({"mode": "reconcile"}, "second")

    assert refused.value.run_id == "first"
    world.time.passes(3600)
    assert world.gone(world.run("reconcile", "second")) == [7]
    resumed = world.run("reconcile", "first", cursor=first["cursor"], **query)
    assert world.gone(resumed) == []


def test_a_resumed_run_whose_turn_was_taken_counts_for_nothing(world: World) -> None:
    world.fill(600, start=1000)
    world.run("full")
    query = {"mode": "reconcile", "parameters": {"query": {"limit": 5}}}
    first = world.invoke(query, "first", remaining=5.5)
    world.time.passes(3600)
    second = world.invoke(query, "second", remaining=5.5)
    assert (first["status"], second["status"]) == ("partial", "partial")

    resumed = world.invoke({**query, "cursor": first["cursor"]}, "first")

    assert resumed["superseded"] is True
    assert (resumed["status"], resumed["manifest"], resumed["objects"]) == ("complete", None, [])


def test_a_run_over_many_invocations_within_the_quota_notices_the_same() -> None:
    world = World(quota=14)
    world.fill(60)
    world.run("full", parameters={"query": {"limit": 2}})
    world.delete(*range(1, 25))

    result = world.run("reconcile", parameters={"query": {"limit": 2}}, max_deleted_percent=50)

    assert world.gone(result) == list(range(1, 25))
    assert result["requests"] > 3 * 14
    assert world.gone(world.run("reconcile")) == []
    assert world.bucket.broken == []


def test_the_cursor_is_small_and_keeps_everything_elsewhere() -> None:
    world = World(quota=14)
    world.fill(3000)
    world.run("full")
    partial = world.invoke({"mode": "reconcile", "parameters": {"query": {"limit": 20}}}, "run")

    assert partial["status"] == "partial"
    assert len(partial["cursor"]) < 200
    assert len([key for key in world.bucket.objects if key.startswith("state/passes/run/")]) == 1


def test_a_record_landed_while_the_run_is_under_way_is_no_concern_of_it() -> None:
    world = World(quota=14)
    world.fill(60)
    world.run("full")
    query: dict[str, Any] = {"parameters": {"query": {"limit": 2}}}
    partial = world.invoke({"mode": "reconcile", **query}, "run")
    world.fill(5, start=100)
    world.time.passes(300)
    world.run("full")
    world.time.passes(300)
    world.shop.requests.clear()

    result = world.run("reconcile", "run", cursor=partial["cursor"], **query)

    assert result["verified"] is True
    assert world.shop.gets() == []


def test_a_manifest_that_turns_up_late_in_listings_is_not_overlooked(world: World) -> None:
    world.fill(1, start=100)
    late = world.run("full", "late")["manifest"]
    world.time.passes(600)
    hidden = world.bucket.objects.pop(late)
    world.run("full", "newer", parameters={"path": {"id": 1}})
    world.run("reconcile")
    world.bucket.objects[late] = hidden
    world.delete(100)

    assert world.gone(world.run("reconcile")) == [100]


def test_a_429_makes_the_run_wait_as_asked(world: World) -> None:
    world.delete(7)
    world.shop.failing[7] = RateLimited("too many", retry_after_seconds=77, **FACTS)

    partial = world.invoke({"mode": "reconcile"}, "run")

    assert (partial["status"], partial["resume_after_seconds"]) == ("partial", 77)
    world.shop.failing.clear()
    resumed = world.run("reconcile", "run", cursor=partial["cursor"])
    assert world.gone(resumed) == [7]


def test_a_shop_that_cannot_be_reached_ends_the_run_if_it_has_not_come_further(world: World) -> None:
    world.delete(7)
    world.shop.failing[7] = AnswerLost("no answer", **FACTS)

    partial = world.invoke({"mode": "reconcile"}, "run")

    assert partial["status"] == "partial"
    with pytest.raises(AnswerLost):
        world.invoke({"mode": "reconcile", "cursor": partial["cursor"]}, "run")


def test_a_cursor_belongs_to_its_request(world: World) -> None:
    world.delete(7)
    world.shop.failing[7] = RateLimited("too many", retry_after_seconds=77, **FACTS)
    cursor = world.invoke({"mode": "reconcile"}, "run")["cursor"]

    with pytest.raises(RequestError, match="cursor belongs to another request"):
        world.invoke({"mode": "reconcile", "max_deleted_percent": 50, "cursor": cursor}, "run")
    with pytest.raises(RequestError, match="cursor is not one that a partial result gave"):
        world.invoke({"mode": "reconcile", "cursor": "nonsense"}, "run")
    with pytest.raises(RequestError, match="cursor belongs to run run, not other"):
        world.invoke({"mode": "reconcile", "cursor": cursor, "run_id": "other"}, "x")
    with pytest.raises(RequestError, match="run_id run was used before for another request"):
        world.invoke({"mode": "reconcile", "max_deleted_percent": 50}, "run")
