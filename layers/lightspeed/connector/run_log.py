"""The finished runs of a stack, read from their manifests, a day at a time.

What was read of the manifests is kept in one object per day, so the next call reads only new ones. Nothing scans the
bucket.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from connector.bucket_reader import BucketReader, each
from connector.storage_keys import MANIFESTS, manifest_place
from connector.timestamps import iso_text
from lightspeed import Clock

LATEST = "state/status/latest.json"
"""The last run of each subscription, which may be older than the days that are shown."""

FOLDERS = "state/status/folders.json"
"""The folders of manifests that were found at the last close look."""

CLOSE_LOOK_HOURS = 3
"""A sparing reader looks closely once in so many hours, and first after midnight."""

_OPEN_DAYS = 2


class RunRow(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a manifest. Times are ISO-8601 UTC.

    Attributes:
        until: The end of the window that was read.
        newest: The newest time of change among its records; empty if they have none.
    """

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
    newest: str = ""

    @property
    def seconds(self) -> float:
        """How long the run took, waits included."""
        return (datetime.fromisoformat(self.finished) - datetime.fromisoformat(self.started)).total_seconds()


class RunLog:
    """Reads the finished runs of a stack."""

    def __init__(self, bucket: BucketReader, clock: Clock, *, sparing: bool = False) -> None:
        """Take the bundle's bucket; nothing is read yet.

        Args:
            bucket: The bundle's bucket.
            clock: The time.
            sparing: Whether new folders, and runs that started yesterday, are looked for only every few hours. Listing
                is what the watcher pays for.
        """
        self._bucket = bucket
        self._clock = clock
        self._sparing = sparing

    def runs(self, days: Sequence[date]) -> list[RunRow]:
        """Return the finished runs that started on these days of UTC; the last two may still change."""
        if not days:
            return []
        kept = each(self._stored, days)
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        folders, is_fresh = self._folders(now)
        open_days = _OPEN_DAYS if is_fresh else 1
        rows: list[RunRow] = []
        for day, known in zip(days, kept, strict=True):
            if day > now.date() - timedelta(days=open_days) or known is None:
                known = self._read_day(day, folders, known or {})  # noqa: PLW2901 - the day as it is now
            rows += known.values()
        return rows

    def latest(self, rows: Sequence[RunRow]) -> dict[str, dict[str, RunRow]]:
        """Return the `last` run of each subscription, its last `verified` one and its `newest` record's.

        They are kept, so they may be older than the given rows. Keys are connection and subscription with a slash.
        """
        body = self._bucket.read(LATEST)
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
            if row.newest and ("newest" not in of_one or of_one["newest"].newest <= row.newest):
                of_one["newest"] = row
        if found != known:
            self._bucket.write(LATEST, msgspec.json.encode(found))
        return found

    def _stored(self, day: date) -> dict[str, RunRow] | None:
        body = self._bucket.read(_day_key(day))
        try:
            return None if body is None else msgspec.json.decode(gzip.decompress(body), type=dict[str, RunRow])
        except (ValueError, OSError):
            return None  # of an earlier form: it is read again

    def _read_day(self, day: date, folders: Sequence[str], known: dict[str, RunRow]) -> dict[str, RunRow]:
        """Read the manifests of a day that are not known yet, and keep them.

        A manifest that replaces others is left out while those are known: they say more of the runs.
        """
        prefixes = [f"{folder}date={day}/" for folder in folders]
        objects = {row["Key"]: row for rows in each(self._bucket.objects, prefixes) for row in rows}
        new = [row for key, row in objects.items() if key not in known and manifest_place(key) is not None]
        found = {key: row for key, row in known.items() if key in objects}
        for item, manifest in zip(new, each(self._manifest, new), strict=True):
            replaced = manifest.get("replaces", ())
            of_before = {key: known[key] for key in replaced if key in known}
            found |= of_before
            if manifest and not of_before and not any(key in objects for key in replaced):
                found[item["Key"]] = _row(manifest, item)
        if found != known or not known:
            self._bucket.write(_day_key(day), gzip.compress(msgspec.json.encode(found), mtime=0))
        return found

    def _manifest(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return a manifest; empty if it was removed meanwhile."""
        found: dict[str, Any] = self._bucket.json(item["Key"]) or {}
        return found

    def _folders(self, now: datetime) -> tuple[list[str], bool]:
        """Return the prefixes of every connection, entity and language, and whether they were listed just now."""
        look = f"{now:%Y-%m-%d} {now.hour // CLOSE_LOOK_HOURS}"
        if self._sparing:
            kept = self._bucket.json(FOLDERS) or {}
            if kept.get("look") == look:
                return list(kept["folders"]), False
        folders = [MANIFESTS]
        for _ in range(3):
            folders = [child for children in each(self._bucket.children, folders) for child in children]
        if self._sparing:
            self._bucket.write(FOLDERS, json.dumps({"look": look, "folders": folders}).encode())
        return folders, True


def _day_key(day: date) -> str:
    return f"state/status/date={day}.json.gz"


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
        str(manifest.get("newest_change") or ""),
    )
