"""The deletions that a reconcile run finds, and those that it must not find."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connector.errors import RequestError
from lightspeed import (
    AuthenticationError,
    NotFound,
    PermissionDenied,
    ServerError,
    UnknownLanguage,
)
from lightspeed.listing import reader as reading
from tests.unit.subscribe.reconcile_world import World

INDEX = "state/connection=default/reviews.ids.jsonl.gz"
FACTS: Any = {"method": "GET", "path": "/nl/reviews/1.json"}


@pytest.fixture
def world() -> World:
    """A shop of forty records, landed by one full run."""
    world = World()
    world.fill(40)
    world.run("full")
    return world


def test_a_deleted_record_is_noticed_once(world: World) -> None:
    world.delete(7, 8)

    noticed = world.run("reconcile")

    assert world.gone(noticed) == [7, 8]
    assert noticed["records"] == 2
    assert noticed["objects"][0].startswith("deleted/connection=default/entity=reviews/lang=nl/date=2026-11-23/run=")
    assert world.gone(world.run("reconcile")) == []
    assert world.bucket.broken == []


def test_a_tombstone_says_when_the_record_was_last_seen_and_when_it_was_noticed(world: World) -> None:
    world.time.passes(86_400)
    world.run("reconcile")
    world.time.passes(86_400)
    world.delete(7)

    (tombstone,) = world.tombstones(world.run("reconcile"))

    assert list(tombstone) == ["id", "last_seen", "noticed_at"]
    assert tombstone["last_seen"][:10] == "2026-11-24"
    assert tombstone["noticed_at"][:10] == "2026-11-25"


def test_a_quiet_reconcile_costs_its_pages_and_a_count(world: World) -> None:
    world.shop.requests.clear()

    world.run("reconcile")

    assert [request.operation for request in world.shop.requests] == ["count", "list"]
    assert world.shop.requests[1].query["fields"] == "id"


def test_the_manifest_says_what_was_compared(world: World) -> None:
    world.delete(7)
    world.fill(2, start=100)

    manifest = world.manifest(world.run("reconcile"))

    assert manifest["request"] == {"entity": "reviews", "mode": "reconcile"}
    assert manifest["verified"] is True
    assert manifest["reason"] is None
    assert manifest["window"]["by"] == "created_at"
    assert manifest["count"] == {"before": 41, "after": 41}
    assert manifest["ids"] == {
        "known": 40,
        "listed": 41,
        "absent": 1,
        "deleted": 1,
        "unclear": 0,
        "listed_again": 0,
        "without_by_run": {},
    }


def test_records_landed_by_incremental_runs_are_followed_too(world: World) -> None:
    world.run("incremental")
    world.fill(3, start=100)
    world.run("incremental")
    world.delete(101)

    assert world.gone(world.run("reconcile")) == [101]


def test_a_record_that_was_never_landed_cannot_be_missed(world: World) -> None:
    world.fill(1, start=100)
    world.run("reconcile")
    world.delete(100)

    assert world.gone(world.run("reconcile")) == []


def test_an_entity_that_was_never_landed_completes_without_a_request_and_says_so() -> None:
    world = World()
    world.fill(5)

    result = world.run("reconcile")

    assert world.shop.requests == []
    assert (result["objects"], result["requests"], result["verified"]) == ([], 0, False)
    assert result["reason"] == "no record of reviews is known to be landed and not deleted, so none can be missed"
    assert world.manifest(result)["deleted"] == []


def test_a_record_that_is_there_but_not_in_the_list_is_not_deleted(world: World) -> None:
    world.shop.hidden = {7, 8}
    world.delete(9)

    assert world.gone(world.run("reconcile")) == [9]
    assert set(world.shop.gets()) >= {7, 8, 9}

    world.delete(8)
    assert world.gone(world.run("reconcile")) == [8]


@pytest.mark.parametrize("event", [{}, {"ids": [7, 8]}], ids=["whole list", "some ids"])
def test_a_record_that_a_cache_still_gives_is_unclear(world: World, event: Any) -> None:
    world.shop.cache(7)
    world.delete(7, 8)

    result = world.run("reconcile", **event)

    assert world.gone(result) == [8]
    assert world.manifest(result)["ids"]["unclear"] == 1


def test_a_404_from_a_cache_deletes_no_record(world: World) -> None:
    world.shop.cached = {7: None}
    world.delete(8)

    result = world.run("reconcile", ids=[7, 8])

    assert world.gone(result) == [8]
    assert world.manifest(result)["ids"]["unclear"] == 1


@pytest.mark.parametrize(
    "failure",
    [
        ServerError("failed", status=500, **FACTS),
        PermissionDenied("no", status=403, **FACTS),
        NotFound("Gone", status=410, **FACTS),
        NotFound("an error inside a 2xx answer", status=404, http_status=200, **FACTS),
    ],
)
def test_only_a_404_says_that_a_record_is_gone(world: World, failure: Exception) -> None:
    world.shop.failing[7] = failure
    world.delete(7, 8)

    result = world.run("reconcile")

    assert world.gone(result) == [8]
    assert world.manifest(result)["ids"]["unclear"] == 1
    world.shop.failing.clear()
    assert world.gone(world.run("reconcile")) == [7]


@pytest.mark.parametrize(
    "failure",
    [
        UnknownLanguage("Unknown or inactive language", status=404, **FACTS),
        AuthenticationError("denied", status=401, **FACTS),
    ],
)
def test_a_failure_that_says_nothing_of_the_record_ends_the_run(world: World, failure: Exception) -> None:
    world.shop.failing[7] = failure
    world.delete(7)

    with pytest.raises(type(failure)):
        world.run("reconcile", "failing")

    world.shop.failing.clear()
    assert world.gone(world.run("reconcile", "another")) == [7], "a run that failed leaves its turn to others"


def test_a_shop_that_fails_on_every_record_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "THREADS", 2)
    world.delete(7, 8, 9)
    world.shop.failing = {identity: ServerError("failed", status=500, **FACTS) for identity in (7, 8, 9)}

    assert world.invoke({"mode": "reconcile"}, "run")["status"] == "partial"


def test_orders_take_two_looks_some_seconds_apart() -> None:
    world = World("orders")
    world.fill(40)
    world.run("full")
    world.shop.hidden = {7}
    world.shop.passing_404 = {7: 1}
    world.delete(8)
    world.shop.requests.clear()
    slept = world.time.slept

    assert world.gone(world.run("reconcile")) == [8]
    assert world.shop.gets().count(7) == 2
    assert world.shop.gets().count(8) == 2
    assert 1 < world.time.slept - slept <= 2


def test_a_temporary_404_of_a_listed_record_is_never_met(world: World) -> None:
    world.shop.passing_404 = dict.fromkeys(range(1, 40), 100)

    assert world.gone(world.run("reconcile")) == []


def test_a_404_says_nothing_where_listed_records_are_not_found_either(world: World) -> None:
    world.shop.passing_404 = dict.fromkeys(range(1, 41), 100)
    world.delete(7)

    result = world.run("reconcile")

    assert world.gone(result) == []
    assert result["verified"] is False
    assert "its 404 says nothing" in result["reason"]
    world.shop.passing_404 = {}
    assert world.gone(world.run("reconcile")) == [7]


def test_more_than_ten_percent_takes_a_persons_word(world: World) -> None:
    world.delete(1, 2, 3, 4, 5)
    world.shop.requests.clear()

    refused = world.run("reconcile")

    assert world.gone(refused) == []
    assert world.shop.gets() == []
    assert refused["verified"] is False
    assert refused["reason"] == (
        "5 of 40 known ids are absent, more than 10 %; if they are meant to be gone, say so with "
        "max_deleted_percent 12.5"
    )
    assert world.manifest(refused)["reason"] == refused["reason"]
    assert world.gone(world.run("reconcile", max_deleted_percent=12.5)) == [1, 2, 3, 4, 5]
    assert world.gone(world.run("reconcile", max_deleted_percent=100)) == []


def test_ten_percent_are_noticed_and_zero_percent_notices_nothing(world: World) -> None:
    world.delete(1, 2, 3, 4)

    assert world.gone(world.run("reconcile", max_deleted_percent=0)) == []
    assert world.gone(world.run("reconcile")) == [1, 2, 3, 4]


def test_an_emptied_shop_is_noticed_with_a_persons_word(world: World) -> None:
    world.delete(*range(1, 41))

    assert world.gone(world.run("reconcile")) == []
    assert world.gone(world.run("reconcile", max_deleted_percent=100)) == list(range(1, 41))


def test_a_record_landed_again_after_its_tombstone_is_followed_again(world: World) -> None:
    world.delete(7)
    assert world.gone(world.run("reconcile")) == [7]
    world.fill(1, start=7)
    assert world.gone(world.run("reconcile")) == []
    world.run("full")
    world.delete(7)

    assert world.gone(world.run("reconcile")) == [7]


def test_a_record_that_stands_in_the_list_again_stays_deleted_until_it_is_landed(world: World) -> None:
    world.delete(7)
    world.run("reconcile")
    world.fill(1, start=7)

    assert world.manifest(world.run("reconcile"))["ids"]["listed_again"] == 1
    world.delete(7)
    assert world.gone(world.run("reconcile")) == []


def test_a_run_that_started_before_the_tombstone_does_not_bring_a_record_back(world: World) -> None:
    world.fill(600, start=1000)
    slow = world.invoke({"mode": "full", "parameters": {"query": {"limit": 5}}}, "slow", remaining=5.5)
    assert slow["status"] == "partial"
    world.run("full", "fast")
    world.delete(1500, 1501)
    assert world.gone(world.run("reconcile")) == [1500, 1501]
    world.run("full", "slow", cursor=slow["cursor"], parameters={"query": {"limit": 5}})

    assert world.gone(world.run("reconcile")) == []


def test_a_list_that_cannot_be_verified_notices_nothing() -> None:
    world = World("taxes")
    world.fill(30)
    world.run("full")
    world.delete(7)
    world.shop.others = lambda: world.shop.insert(len(world.shop.requests) + 1000)

    result = world.run("reconcile", parameters={"query": {"limit": 5}})

    assert world.gone(result) == []
    assert result["verified"] is False
    assert result["reason"].startswith("the list could not be verified: ")


def test_only_runs_that_are_new_are_read(world: World) -> None:
    world.run("reconcile")
    world.fill(1, start=100)
    new = world.run("full", "new")
    read: list[str] = []
    original = world.bucket.get_object

    def watched(**what: Any) -> Any:
        read.append(what["Key"])
        return original(**what)

    world.bucket.get_object = watched  # type: ignore[method-assign]
    world.run("reconcile")

    assert [key for key in read if key.startswith("raw/")] == new["objects"]


def test_every_language_of_a_run_counts_and_the_list_is_read_in_the_first() -> None:
    world = World("brands")
    world.fill(20)
    world.run("full", languages=["nl", "en"])
    world.delete(7)
    world.shop.requests.clear()

    result = world.run("reconcile", languages=["en", "nl"])

    assert world.gone(result) == [7]
    assert "/lang=en/" in result["manifest"]
    assert {request.path.split("/")[1] for request in world.shop.requests} == {"en"}


def test_runs_whose_transformer_lost_the_ids_are_reported(world: World) -> None:
    world.fill(2, start=100)
    world.run("full", "lossy", entity_transformer='{"score": id}')
    world.run("full", "renamed", entity_transformer='{"id": "R-" & $string(id)}')
    world.run("full", "kept", entity_transformer='{"id": id}')
    world.delete(100)

    result = world.run("reconcile")

    assert world.gone(result) == [100]
    assert world.manifest(result)["ids"]["without_by_run"] == {"lossy": 42, "renamed": 42}


def test_a_part_that_is_no_longer_kept_is_passed_over(world: World) -> None:
    world.fill(1, start=100)
    world.run("full", "newer")
    for key in [key for key in world.bucket.objects if "run=run-1/part" in key]:
        del world.bucket.objects[key]
    world.delete(7)

    assert world.gone(world.run("reconcile")) == [7]


def test_a_subscription_has_an_index_of_its_own_for_one_entity(world: World) -> None:
    world.delete(7)
    assert world.gone(world.run("reconcile", subscription="mine/own")) == [7]
    assert "state/connection=default/mine.own.ids.jsonl.gz" in world.bucket.objects
    world.entity = "brands"

    with pytest.raises(RequestError, match="subscription 'mine/own' is reconciled for reviews; name another one"):
        world.run("reconcile", subscription="mine/own")


def test_tombstones_of_another_subscription_count(world: World) -> None:
    world.delete(7)
    world.run("reconcile", subscription="mine")

    assert world.gone(world.run("reconcile", subscription="other")) == []


def test_checking_a_run_sends_and_writes_nothing(world: World) -> None:
    objects, requests = dict(world.bucket.objects), len(world.shop.requests)

    world.check({"mode": "reconcile"}, "run")

    assert world.bucket.objects == objects
    assert len(world.shop.requests) == requests


def test_the_index_can_be_read_by_people(world: World) -> None:
    world.delete(7)
    world.run("reconcile")

    head, *lines = map(json.loads, world.lines(INDEX))

    assert (head["entity"], head["version"]) == ("reviews", 1)
    assert [line["ids"] for line in lines] == [list(range(1, 7)), [7], list(range(8, 41))]
    assert [sorted(line) for line in lines] == [
        ["ids", "last_seen"],
        ["deleted", "ids", "last_seen"],
        ["ids", "last_seen"],
    ]
