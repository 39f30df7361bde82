"""Whether everything works: what `status` and `GET /status` show.

Finished runs are found by their manifests, a day at a time. What was read of the manifests is kept in one object per
day, so the next status reads only new ones. Nothing scans the bucket.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from connector import botocore_errors
from connector.cadence import DAY, Cadence
from connector.failure_queues import Failure, Queue, causes
from connector.storage_keys import MANIFESTS, manifest_place
from connector.timestamps import iso_text
from lightspeed import Clock
from lightspeed.request import parse_time

VERSION = 1
"""Of the JSON form. It changes when a key gets another meaning or goes."""

DAYS = 14
"""Days of UTC that the charts show, today included."""

SUBSCRIPTIONS = "config/subscriptions.json"
LATEST = "state/status/latest.json"
"""The last run of each subscription, which may be older than the days that are shown."""

LEVELS = ("red", "warning", "good", "paused")
"""From what needs action to what needs none."""

THREADS = 32
_OPEN_DAYS = 2
_SPREAD_SECONDS = 15 * 60
_MISSING = ("NoSuchKey", "404")
_QUIET_DAYS = 3
_BUSY_DAYS = 5

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


class RunRow(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a manifest. Times are ISO-8601 UTC."""

    connection: str
    entity: str
    subscription: str
    mode: str
    run_id: str
    started: str
    finished: str
    until: str
    records: int
    rejected: int
    verified: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ShopState:
    """What a shop answered.

    Attributes:
        windows: Of its quota: name, limit, remaining and seconds to its reset.
        error: Why it did not; empty if it did.
    """

    windows: tuple[Mapping[str, Any], ...] = ()
    error: str = ""


class StatusReader:
    """Collects the status of a stack."""

    def __init__(
        self,
        s3: Any,
        bucket: str,
        clock: Clock,
        *,
        stack: str = "",
        reserve_percent: float = 10.0,
        most_rejected_percent: float = 10.0,
    ) -> None:
        """Take the client of S3 and the bundle's bucket; nothing is read yet."""
        self._s3 = s3
        self._bucket = bucket
        self._clock = clock
        self._stack = stack
        self._reserve = reserve_percent
        self._most_rejected = most_rejected_percent
        self._latest: dict[str, dict[str, RunRow]] = {}

    def read(
        self,
        *,
        failures: Sequence[Failure] = (),
        is_paused: Callable[[str, str], bool] | None = None,
        ask_shop: Callable[[str], ShopState] | None = None,
    ) -> dict[str, Any]:
        """Return the status as JSON-able data, worst first.

        Args:
            failures: What the failure queues hold.
            is_paused: Whether the schedule of a connection and subscription is paused; `None` if that is not known.
            ask_shop: Asks a shop for its quota. It returns in time whatever the shop does.
        """
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        today = now.date()
        days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
        rows = self.runs(days)
        listed = self._json(SUBSCRIPTIONS) or []
        self._latest = self._remember(rows)
        subscriptions = [
            self._subscription(key, entry, runs, days, now, failures, is_paused)
            for key, entry, runs in _grouped(listed, rows)
        ]
        connections = sorted({one["connection"] for one in subscriptions})
        shops = self._shops(connections, ask_shop)
        yesterday = today - timedelta(days=1)
        arrivals = [one for found in self._all(lambda c: self._reports(c, yesterday), connections) for one in found]
        queues = [_queue(queue, cause, group) for (queue, cause), group in causes(failures).items()]
        actions = sorted(
            [*_actions(subscriptions, shops, queues, arrivals)], key=lambda one: LEVELS.index(one["level"])
        )
        levels = [one["level"] for one in (*subscriptions, *shops, *actions)]
        return {
            "version": VERSION,
            "stack": self._stack,
            "at": iso_text(now.timestamp()),
            "level": min((one for one in levels if one != "paused"), key=LEVELS.index, default="good"),
            "days": [str(day) for day in days],
            "actions": actions,
            "subscriptions": sorted(
                subscriptions,
                key=lambda one: (
                    LEVELS.index(one["level"]),
                    -(one["lag_seconds"] or 0),
                    one["connection"],
                    one["name"],
                ),
            ),
            "shops": sorted(shops, key=lambda one: (LEVELS.index(one["level"]), one["connection"])),
            "failures": queues,
            "arrivals": arrivals,
        }

    # runs

    def runs(self, days: Sequence[date]) -> list[RunRow]:
        """Return the finished runs that started on these days of UTC; the last two may still change."""
        kept = self._all(self._kept, days)
        folders = self._folders() if days else []
        open_after = datetime.fromtimestamp(self._clock.time(), UTC).date() - timedelta(days=_OPEN_DAYS)
        rows: list[RunRow] = []
        for day, known in zip(days, kept, strict=True):
            if day > open_after or known is None:
                known = self._read_day(day, folders, known or {})  # noqa: PLW2901 - the day as it is now
            rows += known.values()
        return rows

    def _read_day(self, day: date, folders: Sequence[str], known: dict[str, RunRow]) -> dict[str, RunRow]:
        """Read the manifests of a day that are not known yet, and keep them.

        A manifest that replaces others is left out while those are known: they say more of the runs.
        """
        prefixes = [f"{folder}date={day}/" for folder in folders]
        objects = {row["Key"]: row for rows in self._all(self._objects, prefixes) for row in rows}
        new = [row for key, row in objects.items() if key not in known and manifest_place(key) is not None]
        found = {key: row for key, row in known.items() if key in objects}
        for item, manifest in zip(new, self._all(self._manifest, new), strict=True):
            replaced = manifest.get("replaces", ())
            of_before = {key: known[key] for key in replaced if key in known}
            found |= of_before
            if manifest and not of_before and not any(key in objects for key in replaced):
                found[item["Key"]] = _row(manifest, item)
        if found != known or not known:
            body = gzip.compress(msgspec.json.encode(found), mtime=0)
            self._s3.put_object(Bucket=self._bucket, Key=_day_key(day), Body=body)
        return found

    def _remember(self, rows: Sequence[RunRow]) -> dict[str, dict[str, RunRow]]:
        """Return the last run of each subscription, and its last verified one, however long ago they were."""
        body = self._read(LATEST)
        try:
            known = msgspec.json.decode(body, type=dict[str, dict[str, RunRow]]) if body is not None else {}
        except ValueError:
            known = {}  # of an earlier form
        found = {key: dict(value) for key, value in known.items()}
        for row in rows:
            if row.mode == "reconcile":
                continue
            of_one = found.setdefault(f"{row.connection}/{row.subscription}", {})
            if "last" not in of_one or of_one["last"].started <= row.started:
                of_one["last"] = row
            if row.verified and ("verified" not in of_one or of_one["verified"].until <= row.until):
                of_one["verified"] = row
        if found != known:
            self._s3.put_object(Bucket=self._bucket, Key=LATEST, Body=msgspec.json.encode(found))
        return found

    def _kept(self, day: date) -> dict[str, RunRow] | None:
        body = self._read(_day_key(day))
        try:
            return None if body is None else msgspec.json.decode(gzip.decompress(body), type=dict[str, RunRow])
        except (ValueError, OSError):
            return None  # of an earlier form: it is read again

    def _manifest(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return a manifest; empty if it was removed meanwhile."""
        found: dict[str, Any] = self._json(item["Key"]) or {}
        return found

    def _folders(self) -> list[str]:
        """Return the prefixes of every connection, entity and language."""
        folders = [MANIFESTS]
        for _ in range(3):
            folders = [child for children in self._all(self._children, folders) for child in children]
        return folders

    # one subscription

    def _subscription(
        self,
        key: tuple[str, str],
        entry: Mapping[str, Any] | None,
        runs: Sequence[RunRow],
        days: Sequence[date],
        now: datetime,
        failures: Sequence[Failure],
        is_paused: Callable[[str, str], bool] | None,
    ) -> dict[str, Any]:
        connection, name = key
        reads = sorted((run for run in runs if run.mode != "reconcile"), key=lambda run: run.finished)
        latest = self._latest.get("/".join(key), {})
        last, verified = latest.get("last"), latest.get("verified")
        cadence = _cadence(entry, "every")
        allowed = _allowed(cadence, reads)
        lag = None if verified is None else (now - parse_time(verified.until)).total_seconds()
        by_day: dict[str, list[RunRow]] = {str(day): [] for day in days}
        for run in reads:
            by_day.get(run.started[:10], []).append(run)
        rests = bool(entry and not entry.get("enabled", True)) or (is_paused is not None and is_paused(*key))
        own = [one for one in failures if one.queue == "runs" and (one.connection, one.subscription) == key]
        found = {
            "connection": connection,
            "name": name,
            "entity": entry["entity"] if entry else last.entity if last else name,
            "paused": rests,
            "webhooks": bool(entry and entry.get("webhooks")),
            "last_run": None if last is None else _shown(last),
            "last_verified_at": None if verified is None else verified.finished,
            "lag_seconds": None if lag is None else round(lag),
            "allowed_lag_seconds": allowed,
            "records_per_day": [sum(run.records for run in of_day) for of_day in by_day.values()],
            "runs": [
                {"day": day, "runs": len(of_day), "unverified": sum(not run.verified for run in of_day)}
                for day, of_day in by_day.items()
            ],
            "next_run_at": _next(cadence, now, last, is_paused=rests),
            "failed": len(own),
            "deleted": sum(run.records for run in runs if run.mode == "reconcile"),
        }
        level, why, command = self._judged(found, last, own, cadence)
        return {**found, "level": level, "why": why, "command": command}

    def _judged(
        self, found: Mapping[str, Any], last: RunRow | None, own: Sequence[Failure], cadence: Cadence | None
    ) -> tuple[str, str, str]:
        """Return how bad it is, why, and the command that helps."""
        if own:
            cause, detail = own[0].cause, f": {own[0].detail}" if own[0].detail else ""
            return "red", f"{len(own)} failed: {cause}{detail}", f"python -m connector redrive --cause {cause}"
        if found["paused"]:
            return "paused", "paused", ""
        if last is None:
            return "warning", "no run has finished yet", ""
        level, why = self._state(found, last, cadence)
        look = f"python -m connector runs --connection {found['connection']} --entity {found['entity']}"
        return level, why, look if level != "good" else ""

    def _state(self, found: Mapping[str, Any], last: RunRow, cadence: Cadence | None) -> tuple[str, str]:
        lag, allowed = found["lag_seconds"], found["allowed_lag_seconds"]
        read = last.records + last.rejected
        late = lag is not None and allowed is not None and lag > allowed
        checks = (
            (late, "red", f"{duration(lag or 0)} behind, {duration(allowed or 0)} are allowed"),
            (lag is None and allowed is not None, "red", f"no verified run in {DAYS} days: {last.reason}"),
            (not last.verified, "warning", f"the last run is not verified: {last.reason}"),
            (
                bool(read) and last.rejected * 100 > read * self._most_rejected / 2,
                "warning",
                f"{last.rejected:,} of {read:,} records were rejected",
            ),
            (
                cadence is not None and _fell_silent(found["records_per_day"]),
                "warning",
                f"no record for {_QUIET_DAYS} days, after changes on most days before",
            ),
        )
        return next(((level, why) for is_so, level, why in checks if is_so), ("good", ""))

    # shops and webhooks

    def _shops(self, connections: Sequence[str], ask: Callable[[str], ShopState] | None) -> list[dict[str, Any]]:
        states = self._all(ask, connections) if ask is not None else [ShopState()] * len(connections)
        hooks = self._all(lambda name: self._json(f"state/webhooks/connection={name}.json") or {}, connections)
        return [
            self._shop(name, state, registered)
            for name, state, registered in zip(connections, states, hooks, strict=True)
        ]

    def _shop(self, name: str, state: ShopState, registered: Mapping[str, Any]) -> dict[str, Any]:
        off = [*registered.get("off", ()), *registered.get("missing", ())]
        short = [one for one in state.windows if one["remaining"] < one["limit"] * self._reserve / 100]
        found = {
            "connection": name,
            "quota": [{**one, "used": one["limit"] - one["remaining"]} for one in state.windows],
            "webhooks_off": off,
        }
        if state.error:
            again = f"python -m connector connect {name} --rotate"
            return {**found, "level": "red", "why": state.error, "command": again}
        if off:
            why = f"webhooks are missing or switched off: {', '.join(off)}"
            return {**found, "level": "red", "why": why, "command": str(registered.get("command") or "")}
        if short:
            why = f"the {short[0]['name']} quota is used up to its reserve of {self._reserve:g} %"
            return {**found, "level": "warning", "why": why, "command": ""}
        return {**found, "level": "good", "why": "", "command": ""}

    def _reports(self, connection: str, day: date) -> list[dict[str, Any]]:
        """Return how the changes of a day arrived, per subscription."""
        found = [
            json.loads(self._read(row["Key"]) or b"{}")
            for row in self._objects(f"state/reports/connection={connection}/date={day}/")
        ]
        keys = ("connection", "subscription", "date", "changes", "webhook", "poll", "both", "late_seconds", "alarm")
        return [{key: one.get(key) for key in keys} for one in found if one]

    # the bucket

    def _json(self, key: str) -> Any:
        body = self._read(key)
        return None if body is None else json.loads(body)

    def _read(self, key: str) -> bytes | None:
        try:
            body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except botocore_errors.ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return body

    def _children(self, prefix: str) -> list[str]:
        pages = self._pages(prefix, Delimiter="/")
        return [row["Prefix"] for page in pages for row in page.get("CommonPrefixes", ())]

    def _objects(self, prefix: str) -> list[dict[str, Any]]:
        return [row for page in self._pages(prefix) for row in page.get("Contents", ())]

    def _pages(self, prefix: str, **more: str) -> Iterable[dict[str, Any]]:
        asked = {"Bucket": self._bucket, "Prefix": prefix, **more}
        page = self._s3.list_objects_v2(**asked)
        yield page
        while page.get("IsTruncated"):
            page = self._s3.list_objects_v2(**asked, ContinuationToken=page["NextContinuationToken"])
            yield page

    @staticmethod
    def _all(call: Callable[[_Item], _Found], items: Sequence[_Item]) -> list[_Found]:
        if len(items) <= 1:
            return [call(item) for item in items]
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(call, items))


def duration(seconds: float) -> str:
    """Return a length of time in words, such as `2 h 5 min`."""
    whole = max(0, round(seconds))
    days, hours, minutes = whole // DAY, whole % DAY // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{whole} s"


def _day_key(day: date) -> str:
    return f"state/status/date={day}.json.gz"


def _grouped(
    listed: Sequence[Mapping[str, Any]], rows: Sequence[RunRow]
) -> list[tuple[tuple[str, str], Mapping[str, Any] | None, list[RunRow]]]:
    """Return every subscription that is listed or had a run, with its runs."""
    entries = {(str(one["connection"]), str(one["subscription"])): one for one in listed}
    groups: dict[tuple[str, str], list[RunRow]] = {key: [] for key in entries}
    for row in rows:
        groups.setdefault((row.connection, row.subscription), []).append(row)
    return [(key, entries.get(key), groups[key]) for key in sorted(groups)]


def _cadence(entry: Mapping[str, Any] | None, key: str) -> Cadence | None:
    found = (entry or {}).get(key)
    return None if found is None else msgspec.convert(found, Cadence)


def _allowed(cadence: Cadence | None, runs: Sequence[RunRow]) -> int | None:
    """Return how far behind a subscription may be: two intervals and its longest run."""
    if cadence is None:
        return None
    longest = max((_instant(run.finished) - _instant(run.started) for run in runs), default=timedelta()).total_seconds()
    spread = _SPREAD_SECONDS if cadence.seconds >= DAY else 0
    return round(2 * cadence.seconds + longest + spread)


def _instant(text: str) -> datetime:
    """Return a time that this module or a manifest wrote; the quick way, for there may be many."""
    return datetime.fromisoformat(text)


def _next(cadence: Cadence | None, now: datetime, last: RunRow | None, *, is_paused: bool) -> str | None:
    if cadence is None or is_paused:
        return None
    return iso_text(cadence.next_after(now, None if last is None else parse_time(last.started)).timestamp())


def _fell_silent(per_day: Sequence[int]) -> bool:
    """Return whether records came on most days of a week, and then none for three whole days."""
    before, quiet = per_day[-8 - _QUIET_DAYS : -1 - _QUIET_DAYS], per_day[-1 - _QUIET_DAYS : -1]
    return sum(count > 0 for count in before) >= _BUSY_DAYS and not any(quiet) and not per_day[-1]


def _row(manifest: Mapping[str, Any], item: Mapping[str, Any]) -> RunRow:
    """Return what is kept of a manifest. One that was written again does not say when its run ended."""
    request = manifest.get("request") or {}
    entity, started = str(manifest["entity"]), str(manifest["started"])
    return RunRow(
        str(manifest["connection"]),
        entity,
        str(request.get("subscription") or entity),
        str(request.get("mode") or "full"),
        str(manifest["run_id"]),
        started,
        started if manifest.get("rewritten") else iso_text(item["LastModified"].timestamp()),
        str((manifest.get("window") or {}).get("end") or started),
        int(manifest["records"]),
        sum(int(part["records"]) for part in manifest.get("rejected", ())),
        bool(manifest["verified"]),
        str(manifest.get("reason") or ""),
    )


def _shown(run: RunRow) -> dict[str, Any]:
    keys = ("run_id", "started", "finished", "records", "rejected", "verified", "reason", "mode")
    return {key: getattr(run, key) for key in keys}


def _queue(queue: Queue, cause: str, group: Sequence[Failure]) -> dict[str, Any]:
    return {
        "queue": queue,
        "cause": cause,
        "messages": len(group),
        "oldest_at": iso_text(min(one.sent for one in group)),
        "of": sorted({one.subscription or one.connection for one in group} - {""})[:5],
        "detail": next((one.detail for one in group if one.detail), "")[:300],
        "command": f"python -m connector redrive --queue {queue} --cause {cause}",
    }


def _actions(
    subscriptions: Sequence[Mapping[str, Any]],
    shops: Sequence[Mapping[str, Any]],
    queues: Sequence[Mapping[str, Any]],
    arrivals: Sequence[Mapping[str, Any]],
) -> Iterable[dict[str, str]]:
    """Yield what a person should look at."""
    for one in queues:
        why = f"{one['messages']} failed: {one['cause']}{': ' + one['detail'] if one['detail'] else ''}"
        yield {"level": "red", "what": f"failure queue {one['queue']}", "why": why, "command": one["command"]}
    for one in subscriptions:
        if one["level"] in ("red", "warning") and not one["failed"]:
            what = f"{one['connection']}.{one['name']}"
            yield {"level": one["level"], "what": what, "why": one["why"], "command": one["command"]}
    for one in shops:
        if one["level"] in ("red", "warning"):
            what = f"shop {one['connection']}"
            yield {"level": one["level"], "what": what, "why": one["why"], "command": one["command"]}
    for one in arrivals:
        if one["alarm"]:
            command = f"python -m connector webhooks plan --connection {one['connection']}"
            what = f"{one['connection']}.{one['subscription']}"
            yield {"level": "warning", "what": what, "why": str(one["alarm"]), "command": command}
