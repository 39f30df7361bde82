"""Reports how the changes of a day arrived: by webhook, by schedule or by both, and how late.

A change is a version of a record: its id and `updatedAt`, or `createdAt` if that is missing. It belongs to the day of
its time, UTC, and to the first run that stored it. A webhook reports the version in its body. If the body has no time
of change, it reports the newest change of its record before its arrival. So a change counts as

- `webhook`: a webhook reported it, and a run that webhooks started stored it;
- `both`: a webhook reported it, but another run stored it;
- `poll`: no webhook reported it. The share of these changes is `missed_percent`.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from connector.aws.bucket import Bucket
from connector.concurrency import map_concurrently
from lightspeed.request import parse_time

EARLY_SECONDS = 5.0
"""A webhook may seem to come this much before its change. The shop's times are whole seconds of another clock."""

FEW_CHANGES = 20
"""A day with fewer changes raises no alarm."""

MAX_MISSED_PERCENT = 20.0
"""Above this share of missed changes, the report raises an alarm."""

SUMMARY = "state/status/arrivals.json"
"""The key of the newest reports: their `date`, and `reports` by `<connection>/<subscription>`."""

STARTED_BY_WEBHOOKS = "-webhook-"
"""Part of the run ids of runs that webhooks started."""


class Report(msgspec.Struct, frozen=True):
    """The report of a day and subscription.

    Attributes:
        date: The day, UTC, ISO-8601.
        webhooks: The number of the entity's webhooks of that day.
        changes: The number of changes of that day: the sum of `webhook`, `poll` and `both`.
        late_seconds: Seconds from a change to the manifest of its run: `p50` and `p95`; `None` without changes.
        missed_percent: The share of changes that no webhook reported.
        alarm: What is wrong; empty if nothing is wrong.
    """

    connection: str
    subscription: str
    entity: str
    date: str
    webhooks: int
    changes: int = 0
    webhook: int = 0
    poll: int = 0
    both: int = 0
    late_seconds: dict[str, float] | None = None
    missed_percent: float = 0.0
    alarm: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A stored version of a record. Times are epoch seconds.

    Attributes:
        stored: When the manifest of its run was written.
        by_webhooks: Whether webhooks started its run.
    """

    id: str
    changed: float
    stored: float
    by_webhooks: bool


class ReceivedWebhook(NamedTuple):
    """A stored webhook of a change. Times are epoch seconds.

    Attributes:
        received: When the webhook arrived.
        changed: When the record changed; `None` if the body has no such time.
    """

    id: str
    received: float
    changed: float | None = None


class _Row(msgspec.Struct):
    id: int | str | None = None
    updatedAt: Any = None  # noqa: N815 - the shop's name
    createdAt: Any = None  # noqa: N815


_ROW = msgspec.json.Decoder(_Row, strict=False)
_ENVELOPE = msgspec.json.Decoder(dict[str, _Row], strict=False)
_XML_TIME = re.compile(rb"<(updatedAt|createdAt)>([^<]+)</")


def report_key(connection: str, subscription: str, day: date) -> str:
    """Return the key of the report of a day."""
    return f"state/reports/connection={connection}/date={day}/{subscription.replace('/', '.')}.json"


def make_report(bucket: Bucket, connection: str, subscription: str, entity: str, day: date) -> Report:
    """Compute the report of a day from the stored webhooks and runs; store it and return it.

    It reads those of the next day as well, because changes shortly before midnight may arrive then.
    """
    place = f"connection={connection}/entity={entity.replace('/', '.')}/"
    days = (day, day + timedelta(days=1))
    webhooks = [hook for one in days for hook in _webhooks(bucket, f"events/{place}date={one}/")]
    start = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    changes = (
        change
        for change in _changes(bucket, f"manifests/{place}", days, subscription)
        if start <= change.changed < start + 86_400
    )
    came = sum(hook.received < start + 86_400 for hook in webhooks)
    report = summarize(changes, webhooks, Report(connection, subscription, entity, str(day), came))
    bucket.put_json(report_key(connection, subscription, day), msgspec.to_builtins(report))
    return report


def write_summary(bucket: Bucket, day: date, reports: Iterable[Report]) -> None:
    """Store the reports of all subscriptions in one object, which the status reads."""
    by_name = {f"{report.connection}/{report.subscription}": report for report in reports}
    bucket.put_json(SUMMARY, msgspec.to_builtins({"date": str(day), "reports": by_name}))


def stored_reports(bucket: Bucket, connection: str, day: str) -> list[Report]:
    """Return the stored reports of a connection and day, in order of their subscriptions."""
    folder = f"state/reports/connection={connection}/date={day}/"
    return [msgspec.json.decode(bucket.get(row["Key"]).body, type=Report) for row in bucket.objects(folder)]


def summarize(changes: Iterable[Change], webhooks: Iterable[ReceivedWebhook], empty: Report) -> Report:
    """Return the report of changes.

    Args:
        changes: The stored changes in any order. If two have the same id and time, the one stored first counts.
        webhooks: The received webhooks in any order.
        empty: The report without changes.
    """
    first: dict[tuple[str, float], Change] = {}
    for change in changes:
        known = first.setdefault((change.id, change.changed), change)
        if change.stored < known.stored:
            first[change.id, change.changed] = change
    reported = _reported(first, webhooks)
    counts = {"webhook": 0, "poll": 0, "both": 0}
    for version, change in first.items():
        counts["poll" if version not in reported else "webhook" if change.by_webhooks else "both"] += 1
    total = len(first)
    missed = round(100 * counts["poll"] / total, 1) if total else 0.0
    late = sorted(change.stored - change.changed for change in first.values())
    return msgspec.structs.replace(
        empty,
        changes=total,
        **counts,
        late_seconds={"p50": _percentile(late, 50), "p95": _percentile(late, 95)} if late else None,
        missed_percent=missed,
        alarm=_alarm(total, empty.webhooks, missed),
    )


def _alarm(changes: int, webhooks: int, missed_percent: float) -> str:
    if changes and not webhooks:
        return "no webhook came all day, though records changed"
    if changes >= FEW_CHANGES and missed_percent > MAX_MISSED_PERCENT:
        return f"no webhook reported {missed_percent:g} % of the changes"
    return ""


def _reported(
    changes: Mapping[tuple[str, float], Change], webhooks: Iterable[ReceivedWebhook]
) -> set[tuple[str, float]]:
    """Return id and time of the changes that webhooks reported."""
    times: dict[str, list[float]] = {}
    for identity, changed in sorted(changes):
        times.setdefault(identity, []).append(changed)
    found = set()
    for hook in webhooks:
        if hook.changed is not None:
            found.add((hook.id, hook.changed))
            continue
        known = times.get(hook.id, [])
        at = bisect_right(known, hook.received + EARLY_SECONDS)
        if at:
            found.add((hook.id, known[at - 1]))
    return found


def _webhooks(bucket: Bucket, prefix: str) -> list[ReceivedWebhook]:
    """Return the webhooks under a prefix, without those of deletions."""

    def read(key: str) -> ReceivedWebhook | None:
        event = bucket.read_json(key)
        if event.get("event", "").endswith("/deleted"):
            return None
        return ReceivedWebhook(event["record_id"], parse_time(event["received_at"]).timestamp(), _changed_in(event))

    return [hook for hook in map_concurrently(read, [row["Key"] for row in bucket.objects(prefix)]) if hook is not None]


def _changed_in(event: Mapping[str, Any]) -> float | None:
    """Return the time of change in a webhook's body, JSON or XML; `None` if there is none."""
    text: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        sent = event.get("body", "")
        body = base64.b64decode(sent) if event.get("isBase64Encoded") else sent.encode()
        if body.lstrip().startswith(b"<"):
            times = dict(
                reversed(_XML_TIME.findall(body))
            )  # the record's own times come before those of nested records
            text = (times.get(b"updatedAt") or times.get(b"createdAt") or b"").decode()
        else:
            (row,) = _ENVELOPE.decode(body).values()
            text = row.updatedAt or row.createdAt
        return parse_time(text).timestamp() if isinstance(text, str) else None
    return None


def _changes(bucket: Bucket, prefix: str, days: Iterable[date], subscription: str) -> Iterator[Change]:
    folders = [f"{language}date={day}/" for language in bucket.folders(prefix) for day in days]
    for row in bucket.objects_of(folders):
        manifest = bucket.read_json(row["Key"])
        request, by_webhooks = manifest["request"], STARTED_BY_WEBHOOKS in manifest["run_id"]
        named = request.get("subscription") or request.get("entity")
        if named == subscription and request.get("mode") != "reconcile":
            for part in manifest["parts"]:
                written = row["LastModified"].timestamp()
                yield from _versions(bucket.get(part["key"]).body, written, by_webhooks=by_webhooks)


def _versions(part: bytes, written: float, *, by_webhooks: bool) -> Iterator[Change]:
    for line in gzip.decompress(part).splitlines():
        row = _ROW.decode(line)
        changed = row.updatedAt or row.createdAt
        if row.id is None or not isinstance(changed, str):
            continue
        with contextlib.suppress(ValueError):  # an entity transformer may write times as it likes
            yield Change(str(row.id), parse_time(changed).timestamp(), written, by_webhooks)


def _percentile(values: list[float], percent: int) -> float:
    """Return a percentile by the nearest-rank method, in seconds with one decimal."""
    return round(values[max(0, -(-len(values) * percent // 100) - 1)], 1)
