"""How the changes of a day arrived: by webhook, by schedule or by both, and how late.

A change is one version of a record: its id and `updatedAt` (`createdAt` where there is none). It counts on the day of
UTC on which the shop changed the record, from the first run that stored it. A webhook reports the version in its body;
one without a time of change in its body reports the newest change of its record before it. So a change counts as

- `webhook`: a webhook reported it, and a run that webhooks started stored it;
- `both`: a webhook reported it, but another run stored it;
- `poll`: no webhook reported it. The share of these is what webhooks missed.
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
"""How much earlier than its change a webhook may seem to come: the shop's times are whole seconds of another clock."""

FEW_CHANGES = 20
"""A day with fewer changes raises no alarm."""

MOST_MISSED_PERCENT = 20.0
"""Above this share of missed changes, the report raises an alarm."""

SUMMARY = "state/status/arrivals.json"
"""The reports of the day that was reported last: its `date`, and `reports` by connection and subscription."""

STARTED_BY_WEBHOOKS = "-webhook-"
"""In the run ids of runs that webhooks started."""


class Report(msgspec.Struct, frozen=True):
    """The report of a day and subscription.

    Attributes:
        date: The day of UTC, ISO-8601.
        webhooks: Webhooks of the entity that came that day.
        changes: Changes of that day; the sum of the next three.
        late_seconds: From a change to the manifest of the run that stored it, `p50` and `p95`; `None` without changes.
        missed_percent: Share of changes that no webhook reported.
        alarm: Why an operator should look; empty if all is well.
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
    """One version of a record. Times are epoch seconds.

    Attributes:
        stored: When the manifest of the run that stored it was written.
        by_webhooks: Whether webhooks started that run.
    """

    id: str
    changed: float
    stored: float
    by_webhooks: bool


class Heard(NamedTuple):
    """What a webhook says. Times are epoch seconds.

    Attributes:
        id: The record's id.
        received: When it came.
        changed: When the record changed, as its body says; `None` if the body does not say it.
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
    """Compute the report of a day from `events/`, `manifests/` and the parts that they name; store it and return it.

    Runs and webhooks of the next day count as well, for changes shortly before midnight may arrive then.
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
    """Store the reports of all subscriptions in one object, so that the status need not read each."""
    by_name = {f"{report.connection}/{report.subscription}": report for report in reports}
    bucket.put_json(SUMMARY, msgspec.to_builtins({"date": str(day), "reports": by_name}))


def stored_reports(bucket: Bucket, connection: str, day: str) -> list[Report]:
    """Return the stored reports of a connection and day, in order of their subscriptions."""
    folder = f"state/reports/connection={connection}/date={day}/"
    return [msgspec.json.decode(bucket.get(row["Key"]).body, type=Report) for row in bucket.objects(folder)]


def summarize(changes: Iterable[Change], webhooks: Iterable[Heard], empty: Report) -> Report:
    """Return the report of changes.

    Args:
        changes: In any order; of those with the same id and time, the one stored first counts.
        webhooks: What came, in any order.
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
    if changes >= FEW_CHANGES and missed_percent > MOST_MISSED_PERCENT:
        return f"no webhook reported {missed_percent:g} % of the changes"
    return ""


def _reported(changes: Mapping[tuple[str, float], Change], webhooks: Iterable[Heard]) -> set[tuple[str, float]]:
    """Return the changes that a webhook reported: the version that it names, else the newest one before it."""
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


def _webhooks(bucket: Bucket, prefix: str) -> list[Heard]:
    """Return what each webhook says; reads several objects at once. A deletion is no change."""

    def read(key: str) -> Heard | None:
        event = bucket.read_json(key)
        if event.get("event", "").endswith("/deleted"):
            return None
        return Heard(event["record_id"], parse_time(event["received_at"]).timestamp(), _changed_in(event))

    return [hook for hook in map_concurrently(read, [row["Key"] for row in bucket.objects(prefix)]) if hook is not None]


def _changed_in(event: Mapping[str, Any]) -> float | None:
    """Return the time of change of the record in a webhook's body, JSON or XML; `None` if it has none."""
    text: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        sent = event.get("body", "")
        body = base64.b64decode(sent) if event.get("isBase64Encoded") else sent.encode()
        if body.lstrip().startswith(b"<"):
            times = dict(reversed(_XML_TIME.findall(body)))  # the record's own come before those of others in it
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
    """Return the smallest value that at least so many percent of the values do not exceed; seconds, one decimal."""
    return round(values[max(0, -(-len(values) * percent // 100) - 1)], 1)
