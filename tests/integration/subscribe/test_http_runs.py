"""`GET /runs` and `GET /runs/{run_id}`: the runs, their order, and the calls of S3 that they take."""

import bisect
import datetime
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from connector.aws.bucket import Bucket
from connector.runs.lookup import MAX_LIMIT, Query, Runs
from lightspeed import SystemClock
from tests.integration.subscribe.bundle import Bundle
from tests.integration.subscribe.test_http import Sync, problem, sync

__all__ = ["sync"]


class Listing:
    """S3 as far as it is asked here: sorted keys with their times. It counts requests."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime.datetime]] = {}
        self.requests = 0
        self._sorted: list[str] = []

    def put(self, key: str, body: object, written: str) -> None:
        """Add an object; `written` is ISO-8601."""
        self.objects[key] = (json.dumps(body).encode(), datetime.datetime.fromisoformat(written))

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803, ARG002 - as boto3 names them
        self.requests += 1
        body, written = self.objects[Key]
        return {"Body": io.BytesIO(body), "ETag": "", "LastModified": written}

    def _list(
        self,
        *,
        Bucket: str,  # noqa: N803, ARG002
        Prefix: str,  # noqa: N803
        Delimiter: str = "",  # noqa: N803
        ContinuationToken: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        self.requests += 1
        if len(self._sorted) != len(self.objects):
            self._sorted = sorted(self.objects)
        contents: list[dict[str, Any]] = []
        folders: list[str] = []
        position = bisect.bisect_left(self._sorted, ContinuationToken or Prefix)
        while position < len(self._sorted) and self._sorted[position].startswith(Prefix):
            key = self._sorted[position]
            if len(contents) + len(folders) == 1000:
                return {**_page(contents, folders), "IsTruncated": True, "NextContinuationToken": key}
            name, slash, _ = key.removeprefix(Prefix).partition(Delimiter or "\n")
            if slash:
                folders.append(f"{Prefix}{name}/")
                position = bisect.bisect_left(self._sorted, f"{Prefix}{name}0")  # "0" follows "/"
                continue
            contents.append({"Key": key, "LastModified": self.objects[key][1]})
            position += 1
        return _page(contents, folders)

    def get_paginator(self, name: str) -> "Listing":
        assert name == "list_objects_v2"
        return self

    def paginate(self, **asked: str) -> Iterator[dict[str, Any]]:
        page = self._list(**asked)
        yield page
        while page.get("IsTruncated"):
            page = self._list(**asked, ContinuationToken=page["NextContinuationToken"])
            yield page


def _page(contents: list[dict[str, Any]], folders: list[str]) -> dict[str, Any]:
    return {"Contents": contents, "CommonPrefixes": [{"Prefix": folder} for folder in folders]}


def add_run(s3: Any, entity: str, started: str, finished: str, run_id: str, lang: str = "nl", **more: object) -> None:
    """Store the manifest of a finished run."""
    folder = f"manifests/connection=default/entity={entity.replace('/', '.')}/lang={lang}/date={started[:10]}"
    manifest = {
        "run_id": run_id,
        "connection": "default",
        "entity": entity,
        "started": started,
        "records": 3,
        "verified": True,
        "reason": None,
        **more,
    }
    s3.put(f"{folder}/{run_id}.json", manifest, finished)


def ids(page: dict[str, Any]) -> list[str]:
    return [run["run_id"] for run in page["runs"]]


def walk(runs: Runs, **parameters: str) -> list[str]:
    """Return the ids of every page."""
    found: list[str] = []
    after = ""
    while True:
        page = runs.page(Query.from_parameters({**parameters, **({"after": after} if after else {})}))
        found += ids(page)
        if page["after"] is None:
            return found
        after = page["after"]


@pytest.fixture
def listing() -> Listing:
    s3 = Listing()
    add_run(s3, "orders", "2026-11-22T23:50:00Z", "2026-11-23T00:10:00Z", "night")
    add_run(s3, "orders", "2026-11-23T06:00:00Z", "2026-11-23T06:01:00Z", "b-morning")
    add_run(s3, "products/images", "2026-11-23T06:30:00Z", "2026-11-23T06:31:00Z", "a-images")
    for lang in ("nl", "en"):
        add_run(s3, "products", "2026-11-23T05:00:00Z", "2026-11-23T09:00:00Z", "long", lang)
    return s3


def test_runs_come_newest_first_each_once(listing: Listing) -> None:
    assert walk(Runs(Bucket(listing, "bucket"), SystemClock())) == ["long", "a-images", "b-morning", "night"]


@pytest.mark.parametrize("limit", range(1, 6))
def test_pages_of_any_size_hold_every_run_once(listing: Listing, limit: int) -> None:
    assert walk(Runs(Bucket(listing, "bucket"), SystemClock()), limit=str(limit)) == [
        "long",
        "a-images",
        "b-morning",
        "night",
    ]


def test_runs_are_filtered(listing: Listing) -> None:
    runs = Runs(Bucket(listing, "bucket"), SystemClock())

    assert walk(runs, entity="orders") == ["b-morning", "night"]
    assert walk(runs, entity="products/images") == ["a-images"]
    assert walk(runs, connection="default", entity="products") == ["long"]
    assert walk(runs, connection="other") == walk(runs, entity="product") == walk(runs, status="failed") == []


def test_a_run_in_the_list_says_what_it_read_and_whether_it_is_verified(listing: Listing) -> None:
    add_run(
        listing, "orders", "2026-11-24T01:00:00Z", "2026-11-24T01:00:02Z", "doubt", verified=False, reason="no count"
    )

    doubtful, long = Runs(Bucket(listing, "bucket"), SystemClock()).page(Query(limit=2))["runs"]

    assert (doubtful["verified"], doubtful["reason"], doubtful["records"]) == (False, "no count", 3)
    assert (long["status"], long["records"], long["started"]) == ("complete", 6, "2026-11-23T05:00:00Z")
    assert long["finished"] == "2026-11-23T09:00:00Z"
    assert len(long["manifests"]) == 2


def test_a_page_costs_little_among_a_hundred_thousand_runs() -> None:
    s3 = Listing()
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    for number in range(100_000):  # ten entities, a run of each every 53 minutes, for a year
        started = (start + datetime.timedelta(minutes=5.256 * number)).isoformat()
        add_run(s3, f"entity-{number % 10}", started, started, f"run-{number:06}")
    runs = Runs(Bucket(s3, "bucket"), SystemClock())

    newest = runs.page(Query())
    assert ids(newest) == [f"run-{number:06}" for number in range(99_999, 99_979, -1)]
    everything = s3.requests
    runs.page(Query(connection="default", entity="entity-3"))
    one_entity = s3.requests - everything
    runs.page(Query.from_parameters({"after": newest["after"]}))
    next_page = s3.requests - everything - one_entity

    assert (everything, one_entity, next_page) == (52, 23, 52)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("conection=default", "unknown parameter conection (known: connection, entity, status, limit, after)"),
        ("status=done", "status must be running, complete or failed, not 'done'"),
        ("limit=0", "limit must be a whole number from 1 to 100, not '0'"),
        (f"limit={MAX_LIMIT + 1}", "limit must be a whole number from 1 to 100, not '101'"),
        ("limit=%C2%B2", "limit must be a whole number from 1 to 100, not '²'"),
        ("limit=", "limit must be a whole number from 1 to 100, not ''"),
        ("after=%%%", "after must be the value of the page before"),
        (f"after={'A' * 600}", "after must be the value of the page before"),
    ],
)
def test_a_wrong_parameter_is_400(bundle: Bundle, query: str, message: str) -> None:
    assert problem(bundle.http("GET", f"/runs?{query}"), 400, "malformed-request")["errors"] == [message]


def start(sync: Sync, run_id: str, entity: str = "orders") -> None:
    event = json.dumps({"entity": entity, "connection": "default"})
    sync.client.start_execution(stateMachineArn=sync.arn, name=run_id, input=event)


def test_running_and_failed_runs_are_found_by_their_executions(bundle: Bundle, sync: Sync) -> None:
    for run_id, entity in (("going", "orders"), ("broken", "products"), ("again", "orders")):
        start(sync, run_id, entity)
    sync.abort("broken")
    sync.abort("again")

    running = bundle.http("GET", "/runs?status=running").json
    failed = bundle.http("GET", "/runs?status=failed").json
    every = bundle.http("GET", "/runs").json

    assert [(run["run_id"], run["status"], run["entity"]) for run in running["runs"]] == [
        ("going", "running", "orders")
    ]
    assert sorted(ids(failed)) == ["again", "broken"]
    assert sorted(ids(every)) == ["again", "broken", "going"]
    assert ids(bundle.http("GET", "/runs?status=failed&entity=products").json) == ["broken"]
    assert running["after"] is failed["after"] is every["after"] is None


def test_executions_are_paged_each_once(bundle: Bundle, sync: Sync) -> None:
    for number in range(7):
        start(sync, f"run-{number}")
    found: list[str] = []
    after = ""
    for _ in range(4):
        page = bundle.http("GET", f"/runs?limit=2{after}").json
        found += ids(page)
        after = f"&after={page['after']}"

    assert page["after"] is None
    assert sorted(found) == [f"run-{number}" for number in range(7)]


def test_a_run_that_failed_and_was_then_completed_is_complete(bundle: Bundle, sync: Sync) -> None:
    start(sync, "mended")
    sync.abort("mended")
    bundle.run({"entity": "orders"}, "mended")

    assert bundle.http("GET", "/runs/mended").json["status"] == "complete"
    assert "mended" not in ids(bundle.http("GET", "/runs?status=failed").json)


def test_a_partial_run_that_nothing_continues_is_paused_and_says_how_to_continue(bundle: Bundle) -> None:
    bundle.shop.limits.use(270 - 4)
    event = {"entity": "orders", "parameters": {"query": {"limit": 5}}}
    result = bundle.run(event, "run-1")
    assert result["status"] == "partial"

    found = bundle.http("GET", "/runs/run-1").json

    assert (found["status"], found["records"]) == ("paused", result["records"])
    assert found["paused_since"].endswith("Z")
    assert "with the same event and this cursor" in found["resume"]
    bundle.clock.advance(300)
    assert bundle.run({**event, "cursor": found["cursor"]}, "another")["status"] == "complete"
    assert bundle.http("GET", "/runs/run-1").json["status"] == "complete"


def test_a_run_id_that_is_under_way_for_another_entity_is_409(bundle: Bundle, sync: Sync) -> None:
    start(sync, "taken", "products")
    for headers in ({}, {"prefer": "respond-async"}):
        answer = bundle.http("POST", "/subscribe", {"entity": "orders", "run_id": "taken"}, headers=headers)
        assert problem(answer, 409, "run-conflict")["run_id"] == "taken"


def test_a_run_id_of_a_run_that_was_aborted_is_409_if_nothing_would_run(bundle: Bundle, sync: Sync) -> None:
    start(sync, "stopped")
    sync.abort("stopped")
    call = {"entity": "orders", "run_id": "stopped"}
    answer = bundle.http("POST", "/subscribe", call, headers={"prefer": "respond-async"})
    assert "send the event with another run_id" in problem(answer, 409, "run-conflict")["detail"]


def test_a_run_that_is_under_way_is_202(bundle: Bundle, sync: Sync) -> None:
    start(sync, "going")
    for headers in ({}, {"prefer": "respond-async"}):
        answer = bundle.http("POST", "/subscribe", {"entity": "orders", "run_id": "going"}, headers=headers)
        assert (answer.status, answer.json["status"]) == (202, "running"), answer.text


def note(bundle: Bundle, run_id: str, **changes: object) -> None:
    """Change the note of a run, as if its invocation had been killed there."""
    key = f"state/runs/{run_id}.json"
    bundle.put(key, {**bundle.json(key), **changes})


def test_a_run_that_was_killed_behind_its_manifest_is_complete(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders"}, "run-1")
    note(bundle, "run-1", status="finishing")

    assert bundle.http("GET", "/runs/run-1").json["status"] == "complete"
    bundle.s3.delete_object(Bucket=bundle.bucket, Key=result["manifest"])
    assert bundle.http("GET", "/runs/run-1").json["status"] == "running"


def test_a_run_whose_invocation_was_killed_is_paused_after_its_time(bundle: Bundle) -> None:
    bundle.run({"entity": "orders"}, "run-1")
    note(bundle, "run-1", status="deciding", manifest=None)
    written = bundle.s3.head_object(Bucket=bundle.bucket, Key="state/runs/run-1.json")["LastModified"].timestamp()
    bundle.clock.ahead = written - bundle.clock.now()
    assert bundle.http("GET", "/runs/run-1").json["status"] == "running"

    bundle.clock.ahead += 1200

    found = bundle.http("GET", "/runs/run-1").json
    assert (found["status"], "this run_id" in found["resume"]) == ("paused", True)


def test_an_unknown_filter_is_a_warning_in_the_result_the_manifest_and_the_list_of_runs(bundle: Bundle) -> None:
    warning = "orders has no known filter 'limt', and the shop may ignore it; did you mean limit?"

    result = bundle.invoke({"entity": "orders", "parameters": {"query": {"limt": 5}}})
    (listed,) = bundle.http("GET", "/runs").json["runs"]
    one = bundle.http("GET", f"/runs/{result['run_id']}").json

    found = (result["warnings"], bundle.manifest(result)["warnings"], listed["warnings"], one["warnings"])
    assert found == ([warning],) * 4
