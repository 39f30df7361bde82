"""How a day's changes arrived, counted from the stored objects."""

import base64
import gzip
import json
import random
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest

from connector.aws.bucket import Bucket
from connector.webhooks.report import (
    Change,
    ReceivedWebhook,
    Report,
    make_report,
    report_key,
    stored_reports,
    summarize,
)
from tests.property.bucket import MemoryBucket

DAY = date(2026, 11, 23)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
EMPTY = Report("default", "orders", "orders", "2026-11-23", 5, 0, 0, 0, 0, None, 0.0, "")


class Shelf(Bucket):
    """A bucket in memory; each object says when it was written."""

    def __init__(self) -> None:
        self.memory = MemoryBucket()
        super().__init__(self.memory, "bucket")

    def store(self, key: str, at: float, body: bytes) -> None:
        self.memory.objects[key] = body
        self.memory._written[key] = at

    def store_run(self, run_id: str, at: float, records: list[Any], **request: Any) -> None:
        place = f"connection=default/entity=orders/lang=nl/date={iso(at)[:10]}"
        part = f"raw/{place}/run={run_id}/part-00000-abc.jsonl.gz"
        lines = "\n".join(json.dumps(record) for record in records)
        self.store(part, at, gzip.compress(lines.encode()))
        manifest = {"run_id": run_id, "request": {"entity": "orders", **request}, "parts": [{"key": part}]}
        self.store(f"manifests/{place}/{run_id}.json", at, json.dumps(manifest).encode())

    def store_webhook(self, identity: int, at: float, body: str = "{}", action: str = "updated", **more: Any) -> None:
        key = f"events/connection=default/entity=orders/date={iso(at)[:10]}/{identity}-{at}.json"
        event = {"record_id": str(identity), "received_at": iso(at), "event": f"orders/{action}", "body": body, **more}
        self.store(key, at, json.dumps(event).encode())


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order(identity: int, at: float) -> dict[str, Any]:
    return {"id": identity, "updatedAt": datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")}


def test_changes_are_counted_by_how_they_came() -> None:
    bucket = Shelf()
    noon = MIDNIGHT + 43_200
    bucket.store_webhook(1, noon + 2)
    bucket.store_webhook(3, noon + 400)
    bucket.store_run("20261123T120012-000-webhook-0123", noon + 20, [order(1, noon), order(2, noon + 1)])
    bucket.store_run(
        "scheduled", noon + 300, [order(3, noon + 299), {"no": "id"}, {"id": 9}, {"id": 9, "updatedAt": "?"}]
    )
    bucket.store_run("full", noon + 500, [order(1, noon), order(4, MIDNIGHT - 1)])
    bucket.store_run("gone", noon + 600, [order(5, noon)], mode="reconcile")
    bucket.store_run("other", noon + 600, [order(6, noon)], subscription="open-orders")

    report = make_report(bucket, "default", "orders", "orders", DAY)

    assert (report.webhooks, report.changes, report.webhook, report.both, report.poll) == (2, 3, 1, 1, 1)
    assert report.late_seconds == {"p50": 19.0, "p95": 20.0}
    assert (report.missed_percent, report.alarm) == (33.3, "")
    stored = bucket.read_json("state/reports/connection=default/date=2026-11-23/orders.json")
    assert stored["changes"] == 3
    assert stored_reports(bucket, "default", str(DAY)) == [report]


def test_a_change_shortly_before_midnight_may_be_stored_and_reported_on_the_next_day() -> None:
    bucket = Shelf()
    late = MIDNIGHT + 86_399
    bucket.store_webhook(1, late + 3)
    bucket.store_run("20261124T000012-000-webhook-0123", late + 20, [order(1, late)])

    report = make_report(bucket, "default", "orders", "orders", DAY)

    assert (report.webhooks, report.webhook) == (0, 1)


BODIES = {
    "json": '{"order": {"id": 1, "createdAt": "2026-11-22T00:00:00+00:00", "updatedAt": "2026-11-23T13:00:00+01:00"}}',
    "never updated": '{"order": {"id": 1, "createdAt": "2026-11-23T12:00:00Z", "updatedAt": false}}',
    "xml": "<?xml version='1.0'?>\n<order><id>1</id><updatedAt>2026-11-23T12:00:00+00:00</updatedAt>"
    "<customer><updatedAt>2020-01-01T00:00:00+00:00</updatedAt></customer></order>",
}


@pytest.mark.parametrize("form", BODIES)
@pytest.mark.parametrize("is_base64", [False, True])
def test_a_late_webhook_reports_the_version_in_its_body_and_no_later_one(form: str, is_base64: bool) -> None:
    bucket, noon = Shelf(), MIDNIGHT + 43_200
    body = base64.b64encode(BODIES[form].encode()).decode() if is_base64 else BODIES[form]
    bucket.store_webhook(1, noon + 300, body, isBase64Encoded=is_base64)
    bucket.store_run("scheduled", noon + 50, [order(1, noon)])
    bucket.store_run("next", noon + 200, [order(1, noon + 100)])

    report = make_report(bucket, "default", "orders", "orders", DAY)

    assert (report.both, report.poll) == (1, 1)


TIMELESS = ["", "{", "[]", '{"order": 1}', '{"order": {"updatedAt": "soon"}}', "<order/>", '{"order": ' + "[" * 9_000]


@pytest.mark.parametrize("body", TIMELESS, ids=range(len(TIMELESS)))
def test_a_webhook_whose_body_has_no_time_reports_the_newest_change_before_it(body: str) -> None:
    bucket, noon = Shelf(), MIDNIGHT + 43_200
    bucket.store_webhook(1, noon + 2, body)
    bucket.store_run("scheduled", noon + 50, [order(1, noon)])

    assert make_report(bucket, "default", "orders", "orders", DAY).both == 1


def test_a_webhook_of_a_deletion_reports_no_change() -> None:
    bucket, noon = Shelf(), MIDNIGHT + 43_200
    bucket.store_webhook(1, noon + 2, "", action="deleted")
    bucket.store_run("scheduled", noon + 50, [order(1, noon)])

    assert make_report(bucket, "default", "orders", "orders", DAY).poll == 1


def test_a_day_without_anything_is_a_report_too() -> None:
    report = make_report(Shelf(), "default", "open/orders", "orders", DAY)

    assert (report.changes, report.late_seconds, report.missed_percent, report.alarm) == (0, None, 0.0, "")
    assert report_key("default", "open/orders", DAY).endswith("/date=2026-11-23/open.orders.json")


def test_many_missed_changes_or_no_webhook_at_all_raise_an_alarm() -> None:
    changes = [Change(str(number), MIDNIGHT, MIDNIGHT + 9, by_webhooks=True) for number in range(20)]
    known = [ReceivedWebhook(str(number), MIDNIGHT + 1) for number in range(20)]
    none = Report("default", "orders", "orders", "2026-11-23", 0, 0, 0, 0, 0, None, 0.0, "")

    assert summarize(changes, known[:16], EMPTY).alarm == ""
    assert summarize(changes, known[:15], EMPTY).alarm == "no webhook reported 25 % of the changes"
    assert summarize(changes[:19], [], EMPTY).alarm == ""
    assert summarize(changes[:1], [], none).alarm == "no webhook came all day, though records changed"


def test_the_report_is_within_a_percent_of_the_truth() -> None:
    for seed in range(5):
        rng = random.Random(seed)
        changes, webhooks, reported = [], [], 0
        for identity in range(400):
            times = sorted(MIDNIGHT + rng.randrange(86_000) for _ in range(rng.randrange(1, 6)))
            for at, following in pairwise([*times, MIDNIGHT + 90_000]):
                changes.append(Change(str(identity), at, at + rng.uniform(5, 60), by_webhooks=rng.random() < 0.5))
                if at == following or rng.random() < 0.1:
                    continue  # the shop's times are whole seconds: two changes at once are one
                reported += 1
                delay = rng.uniform(60, 300) if rng.random() < 0.1 else rng.uniform(0, 2)
                webhooks += [ReceivedWebhook(str(identity), at + delay)] * (2 if rng.random() < 0.1 else 1)
        rng.shuffle(webhooks)
        rng.shuffle(changes)
        truth = len({(change.id, change.changed) for change in changes})

        report = summarize(changes, webhooks, EMPTY)

        assert report.changes == truth
        assert abs(report.webhook + report.both - reported) <= truth / 100
