"""`status` of many shops: the number of calls to S3 depends on the subscriptions, not on the runs."""

import bisect
import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connector.aws.bucket import Bucket
from connector.runs.log import CLOSE_LOOK_HOURS, RunLog
from connector.settings import Settings
from connector.status.reader import read_status
from connector.status.subscription import DAYS
from tests.support.clock import MONDAY_SIX, FakeClock

SHOPS, ENTITIES = (
    20,
    ("contacts", "customers", "invoices", "orders", "products", "quotes", "returns", "reviews", "tickets", "variants"),
)
SUBSCRIPTIONS = SHOPS * len(ENTITIES)
NOW = datetime.fromtimestamp(MONDAY_SIX, UTC)
LIST_PAGE = 1_000
_LAST = "\U0010ffff"


class CountedBucket:
    """The calls of an S3 client that the status makes, on objects in memory.

    Attributes:
        calls: How many of each there were.
        read: How many bytes of objects were read.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.read = 0
        self._objects: dict[str, tuple[bytes, datetime]] = {}
        self._keys: list[str] = []
        self._lock = threading.Lock()

    def put(self, key: str, body: object, written: datetime = NOW) -> None:
        self._objects[key] = (json.dumps(body).encode(), written)

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> dict[str, str]:  # noqa: N803, ARG002 - AWS's names
        self._count("put")
        self._objects[Key] = (Body, NOW)
        return {"ETag": ""}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803, ARG002 - AWS's names
        self._count("get")
        if Key not in self._objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        body, written = self._objects[Key]
        with self._lock:
            self.read += len(body)
        return {"Body": io.BytesIO(body), "ETag": "", "LastModified": written}

    def _list(self, *, Bucket: str, Prefix: str, **more: str) -> dict[str, Any]:  # noqa: N803, ARG002
        self._count("list")
        with self._lock:
            if len(self._keys) != len(self._objects):
                self._keys = sorted(self._objects)
        after = more.get("ContinuationToken") or more.get("StartAfter") or ""
        at = bisect.bisect_right(self._keys, after) if after > Prefix else bisect.bisect_left(self._keys, Prefix)
        contents: list[dict[str, Any]] = []
        folders: list[str] = []
        while at < len(self._keys) and self._keys[at].startswith(Prefix):
            key = self._keys[at]
            if len(contents) + len(folders) == LIST_PAGE:
                return {**_listing(contents, folders), "IsTruncated": True, "NextContinuationToken": after}
            name, slash, _ = key[len(Prefix) :].partition(more.get("Delimiter") or "\0")
            if slash:
                folders.append(Prefix + name + slash)
                after = folders[-1] + _LAST
                at = bisect.bisect_left(self._keys, after)
            else:
                contents.append({"Key": key, "LastModified": self._objects[key][1]})
                after, at = key, at + 1
        return {**_listing(contents, folders), "IsTruncated": False}

    def get_paginator(self, name: str) -> "CountedBucket":
        assert name == "list_objects_v2"
        return self

    def paginate(self, **asked: str) -> Iterator[dict[str, Any]]:
        page = self._list(**asked)
        yield page
        while page.get("IsTruncated"):
            page = self._list(**asked, ContinuationToken=page["NextContinuationToken"])
            yield page

    def _count(self, call: str) -> None:
        with self._lock:
            self.calls[call] += 1


def _listing(contents: list[dict[str, Any]], folders: list[str]) -> dict[str, Any]:
    return {"Contents": contents, "CommonPrefixes": [{"Prefix": folder} for folder in folders]}


def stack(runs_each: int) -> CountedBucket:
    """Return a bucket with runs of each subscription, spread over the shown days."""
    bucket, listed = CountedBucket(), []
    apart = timedelta(days=DAYS - 1) / runs_each
    for shop in range(SHOPS):
        for entity in ENTITIES:
            connection = f"shop-{shop}"
            every = {"seconds": 3600, "at": None, "timezone": "UTC", "offset": shop}
            listed.append({"connection": connection, "subscription": entity, "entity": entity, "webhooks": True})
            listed[-1] |= {"enabled": True, "every": every}
            for number in range(runs_each):
                put_run(bucket, connection, entity, NOW - apart * number - timedelta(minutes=20))
    bucket.put("config/subscriptions.json", listed)
    bucket.put("state/status/arrivals.json", {"date": str(NOW.date() - timedelta(days=1)), "reports": {}})
    return bucket


def put_run(bucket: CountedBucket, connection: str, entity: str, started: datetime, language: str = "nl") -> None:
    at, run_id = started.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{connection}-{started:%Y%m%dT%H%M%SZ}"
    manifest = {
        "run_id": run_id,
        "connection": connection,
        "entity": entity,
        "request": {"mode": "incremental", "subscription": entity},
        "started": at,
        "window": {"end": at},
        "records": 1,
        "verified": True,
    }
    place = f"connection={connection}/entity={entity}/lang={language}/date={at[:10]}/{run_id}.json"
    bucket.put(f"manifests/{place}", manifest, started + timedelta(seconds=2))


def looked_at(bucket: CountedBucket, *, sparing: bool = False) -> dict[str, Any]:
    """Return the status, and count its calls."""
    bucket.calls.clear()
    bucket.read = 0
    return read_status(RunLog(Bucket(bucket, "bucket"), FakeClock(), sparing=sparing), Settings())


def check_calls(runs_each: int) -> None:
    """Check how often S3 is asked for the status once the watcher has looked."""
    bucket = stack(runs_each)
    looked_at(bucket, sparing=True)
    found = looked_at(bucket)

    assert [sum(one["records_per_day"]) for one in found["subscriptions"]] == [runs_each] * SUBSCRIPTIONS
    a_day_each_and_the_kept = DAYS + 4
    registrations = SHOPS
    folders, pages_of_today = 1 + SHOPS, SUBSCRIPTIONS
    assert bucket.calls["get"] <= a_day_each_and_the_kept + registrations
    assert bucket.calls["list"] <= folders + pages_of_today
    assert bucket.calls["put"] == 0
    assert bucket.read <= 150_000 + 20 * runs_each * SUBSCRIPTIONS


@pytest.mark.parametrize("runs_each", [1, 15])
def test_the_status_of_two_hundred_subscriptions_takes_less_than_three_hundred_calls(runs_each: int) -> None:
    check_calls(runs_each)


@pytest.mark.soak
def test_a_hundred_thousand_runs_take_no_more_calls() -> None:
    check_calls(100_000 // SUBSCRIPTIONS)


def test_new_runs_and_new_entities_are_seen_at_once_and_cost_a_manifest_and_a_note_each() -> None:
    bucket = stack(1)
    looked_at(bucket, sparing=True)
    looked_at(bucket)
    before = Counter(bucket.calls)
    put_run(bucket, "shop-3", "orders", NOW - timedelta(minutes=1))
    put_run(bucket, "shop-3", "shipments", NOW - timedelta(minutes=1))
    put_run(bucket, "shop-new", "orders", NOW - timedelta(minutes=1))
    found = {(one["connection"], one["name"]): one for one in looked_at(bucket)["subscriptions"]}

    assert sum(found["shop-3", "orders"]["records_per_day"]) == 2
    assert sum(found["shop-3", "shipments"]["records_per_day"]) == 1
    assert sum(found["shop-new", "orders"]["records_per_day"]) == 1
    assert bucket.calls["get"] - before["get"] <= 3 * 2 + 1  # and what is known of the new shop's webhooks
    assert (
        bucket.calls["list"] - before["list"] <= 2 * 2 + 1
    )  # languages and today's runs of each, entities of the shop


def test_a_run_that_took_days_is_found_at_the_next_close_look() -> None:
    bucket = stack(1)
    looked_at(bucket, sparing=True)
    put_run(bucket, "shop-3", "orders", NOW - timedelta(days=4))
    log = RunLog(Bucket(bucket, "bucket"), FakeClock(MONDAY_SIX + CLOSE_LOOK_HOURS * 3600), sparing=True)
    found = {(one["connection"], one["name"]): one for one in read_status(log, Settings())["subscriptions"]}

    assert found["shop-3", "orders"]["records_per_day"][-5:] == [1, 0, 0, 0, 1]
