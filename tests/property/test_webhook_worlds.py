"""Webhooks from a changing shop to the bucket: real receiver, real scheduler and real runs, on one virtual clock.

Webhooks are dropped, doubled, late and in any order, forged ones come between them, and consumers are killed. All the
same, the next poll completes what is stored, every change is stored once, and the report says what happened.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest

from connector.aws.bucket import Bucket
from connector.webhooks.report import Report, make_report
from connector.webhooks.window import LAG_SECONDS, MARGIN_SECONDS, Policy
from tests.property import test_webhooks as queues
from tests.property.world import OPENING, ShopTime, VirtualTime, World
from tests.shop import API_SECRET, Shop
from tests.support.soak import Soak
from webhook.debounce import Run
from webhook.followers import followers
from webhook.receiver import Call, Receiver
from webhook.scheduler import RunScheduler
from webhook.signature import Signers

pytestmark = pytest.mark.usefixtures("one_thread")

POLICY = Policy()
EVENT = {"connection": "default", "entity": "reviews", "mode": "incremental", "subscription": "reviews"}
POLL_SECONDS = 900
RESERVED_QUOTA = 270
"""What a reserve of 10 % leaves of 300 requests in five minutes."""


@dataclass
class Cloud(queues.World):
    """The queue's world, with a shop, a bucket and runs that read.

    Attributes:
        deliveries: Calls that the shop still makes, with the time.
        delivered: Versions of records, id and time, of which a webhook came.
        requests: Requests to the shop by period of five minutes.
    """

    deliveries: list[tuple[float, Call]] = field(default_factory=list)
    delivered: set[tuple[int, float]] = field(default_factory=set)
    requests: Counter[int] = field(default_factory=Counter)
    polls: int = 0

    def __post_init__(self) -> None:
        self.virtual = VirtualTime()
        self.shop = Shop(orders=0, products=0, clock=ShopTime(self.virtual), rate_per_second=None)
        self.reading = World(self.shop, self.virtual)
        self.shop.on_request(lambda _: self.requests.update([int(self.virtual.time() // 300)]))
        self.scheduler = RunScheduler(self, functools.partial(followers, lambda _: None), self, POLICY)
        secret = json.dumps({"api_secret": API_SECRET, "shop_id": "1"})
        self.receiver = Receiver(Signers(lambda _: secret), Storage(self))

    def start(self, run: Run) -> None:
        self.call()
        if run.name not in self.runs:
            result = self.read(run.event, run.name)
            superseded = bool(result.get("superseded"))
            self.runs[run.name] = queues.Execution(run, run.name, self.now, self.virtual.time(), superseded)
        self.call()

    def read(self, event: dict[str, Any], run_id: str) -> dict[str, Any]:
        self.virtual.passes(max(0.0, self.now - self.virtual.time()))
        return self.reading.run(event, run_id)

    def poll(self) -> None:
        self.polls += 1
        self.read(EVENT, f"poll-{self.polls}")

    def change(self) -> None:
        """Change a record in the shop, which reports it, or not, or twice, or late; some reports are forged."""
        store, rng = self.shop.store, self.rng
        self.virtual.passes(max(0.0, self.now - self.virtual.time()))
        identity = rng.choice(store.ids("reviews"))
        if rng.random() < 0.2:
            identity = store.add("reviews", score=rng.randrange(5))
        else:
            store.update("reviews", identity, content=f"changed at {self.now}")
        (row,) = [row for row in store.rows("reviews") if row["id"] == identity]
        body = f'{{"review": {store.text("reviews", identity, self.shop.languages[0])}}}'.encode()
        if rng.random() < 0.1:
            self.deliver(body, str(identity), self.now, secret="forged")
        if rng.random() < 0.1:
            return
        self.delivered.add((identity, float(row["updatedAt"])))
        for _ in range(1 + (rng.random() < 0.1)):
            late = rng.uniform(60, 300) if rng.random() < 0.1 else rng.uniform(0, 2)
            self.deliver(body, str(identity), self.now + late)

    def deliver(self, body: bytes, identity: str, at: float, secret: str = API_SECRET) -> None:
        headers = {
            "x-event": "reviews/updated",
            "x-review-id": identity,
            "x-shop-id": "1",
            "x-request-id": str(self.rng.random()),
            "x-signature": hashlib.md5(body + secret.encode()).hexdigest(),  # noqa: S324 - the shop's own scheme
        }
        call = Call("POST", "default", headers, body.decode(), False, int(at * 1000), "r")
        self.deliveries.append((at, call))

    def pass_until(self, end: float) -> None:
        """Let time pass, from delivery to delivery."""
        self.deliveries.sort(key=lambda one: one[0])
        while self.deliveries and self.deliveries[0][0] <= end:
            at, call = self.deliveries.pop(0)
            self.run_until(max(at, self.now))
            status = self.receiver.answer(call).status
            assert status == (204 if call.headers["x-signature"] == signed(call) else 401)
        self.run_until(end)


def signed(call: Call) -> str:
    return hashlib.md5(call.body.encode() + API_SECRET.encode()).hexdigest()  # noqa: S324 - the shop's own scheme


@dataclass
class Storage:
    """Queue and bucket of the receiver."""

    cloud: Cloud

    def queue(self, message: str) -> None:
        self.cloud.send(message, self.cloud.now)

    def store(self, key: str, body: bytes) -> bool:
        objects = self.cloud.reading.bucket.objects
        new = key not in objects
        objects.setdefault(key, body)
        return new


def lived(seed: int) -> Cloud:
    """Return a world after an hour of changes and a last poll."""
    rng = random.Random(seed)
    cloud = Cloud(rng, rng.choice([0.0, 0.01]))
    for number in range(20):
        cloud.shop.store.add("reviews", score=number % 5, at=OPENING - 90_000 + number)
    cloud.poll()
    next_poll = OPENING + POLL_SECONDS
    while cloud.now < OPENING + 3_600:
        cloud.pass_until(cloud.now + rng.choice([0.0, 1.0, 5.0, 30.0, 200.0]))
        if cloud.now >= next_poll:
            cloud.poll()
            next_poll += POLL_SECONDS
        cloud.change()
    cloud.pass_until(cloud.now + POLL_SECONDS)
    cloud.poll()
    cloud.pass_until(cloud.now + POLL_SECONDS)
    return cloud


def versions(cloud: Cloud) -> list[tuple[int, str, str]]:
    """Return id, time of change and content of every stored record, in order of the runs."""
    objects, found = cloud.reading.bucket.objects, []
    manifests = [json.loads(body) for key, body in objects.items() if key.startswith("manifests/")]
    for manifest in sorted(manifests, key=lambda one: str(one["started"])):
        for part in manifest["parts"]:
            rows = [json.loads(line) for line in gzip.decompress(objects[part["key"]]).splitlines()]
            found += [(row["id"], row["updatedAt"], row["content"]) for row in rows]
    return found


def check(cloud: Cloud) -> tuple[Report, int]:
    """Check what is promised; return the report of the day, and how many changes no webhook reported in truth."""
    stored = versions(cloud)
    assert len({(identity, changed) for identity, changed, _ in stored}) == len(stored)
    latest = {identity: content for identity, changed, content in sorted(stored, key=lambda one: moment(one[1]))}
    assert latest == {row["id"]: row["content"] for row in cloud.shop.store.rows("reviews")}
    runs = sorted(cloud.runs.values(), key=lambda one: one.start)
    for number, (before, after) in enumerate(pairwise(runs), 1):
        assert after.start - before.start >= POLICY.window(number) - MARGIN_SECONDS - LAG_SECONDS - 0.01
    assert max(cloud.requests.values()) <= RESERVED_QUOTA
    report = make_report(Bucket(cloud.reading.bucket, "bucket"), "default", "reviews", "reviews", date(2026, 11, 23))
    today = [one for one in stored if moment(one[1]) >= OPENING - OPENING % 86_400]
    assert report.changes == len(today)
    return report, sum((identity, moment(changed)) not in cloud.delivered for identity, changed, _ in today)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


def within_a_percent(seeds: range) -> None:
    """Check each world, and the report of each."""
    changes = missed = 0
    for seed in seeds:
        try:
            report, truth = check(lived(seed))
            assert abs(report.poll - truth) <= report.changes / 100
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        changes, missed = changes + report.changes, missed + truth
    assert missed > changes / 20


def test_what_is_stored_is_the_shop_and_the_report_is_true() -> None:
    within_a_percent(range(4))


@pytest.mark.soak
def test_what_is_stored_is_the_shop_in_two_thousand_worlds(soak: Soak) -> None:
    soak(within_a_percent, range(4, 2_004))
