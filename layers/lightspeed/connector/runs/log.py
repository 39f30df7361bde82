"""The finished runs of a stack, read from their manifests, a day at a time.

What was read of the manifests is kept in one object per day, so the next call reads only new ones. Nothing scans the
bucket.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from connector.aws.bucket import Bucket
from connector.concurrency import map_concurrently
from connector.storage_keys import MANIFESTS, manifest_place, run_key
from connector.timestamps import iso_text
from lightspeed import Clock

LATEST = "state/status/latest.json"
"""The last run of each subscription, which may be older than the days that are shown."""

FOLDERS = "state/status/folders.json"
"""The folders of manifests that were found at the last close look."""

CLOSE_LOOK_HOURS = 3
"""The watcher looks closely once in so many hours, and first after midnight."""

CLOSE_LOOK_DAYS = 7
"""A close look lists so many days, today included. It finds runs that took longer than a day."""

_LANGUAGE = "/lang="


class RunRow(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a manifest. Times are ISO-8601 UTC.

    Attributes:
        until: The end of the window that was read.
        newest: The newest time of change among its records; empty if they have none.
        requests: How many requests to the shop it took; 0 if that is not known. A run in several languages says it in
            each of its rows.
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
    requests: int = 0

    @property
    def seconds(self) -> float:
        """How long the run took, waits included."""
        return (datetime.fromisoformat(self.finished) - datetime.fromisoformat(self.started)).total_seconds()


class RunLog:
    """Reads the finished runs of a stack.

    Attributes:
        bucket: The bundle's bucket.
        clock: The time.
    """

    def __init__(self, bucket: Bucket, clock: Clock, *, sparing: bool = False) -> None:
        """Take the bundle's bucket; nothing is read yet.

        Args:
            bucket: The bundle's bucket.
            clock: The time.
            sparing: Whether this is the watcher. It lists all folders and the last days at a close look, and in between
                today's runs in the folders that it keeps. Listing is what it pays for. Another reader looks closely
                only if the watcher did not. It lists new connections and entities always, and yesterday at night.
        """
        self.bucket = bucket
        self.clock = clock
        self._sparing = sparing

    def runs(self, days: Sequence[date]) -> list[RunRow]:
        """Return the finished runs that started on these days of UTC; the last ones may still change."""
        if not days:
            return []
        kept = map_concurrently(self._stored, days)
        now = datetime.fromtimestamp(self.clock.time(), UTC)
        folders, is_close = self._folders(now)
        is_night = now.hour < CLOSE_LOOK_HOURS and not self._sparing
        open_days = CLOSE_LOOK_DAYS if is_close else 2 if is_night else 1
        first_open = now.date() - timedelta(days=open_days - 1)
        listed = self._listed(
            [day for day, known in zip(days, kept, strict=True) if known is None or day >= first_open], folders
        )
        rows: list[RunRow] = []
        for day, known in zip(days, kept, strict=True):
            is_recent = day >= now.date() - timedelta(days=1)
            found = self._read_day(day, listed[day], known or {}, count_requests=is_recent) if day in listed else known
            rows += (found or {}).values()
        return rows

    def _listed(self, days: Sequence[date], folders: Sequence[str]) -> dict[date, dict[str, dict[str, Any]]]:
        """Return the manifests of days, by key. Each folder costs a list of S3, from the first of these days on."""
        by_day: dict[date, dict[str, dict[str, Any]]] = {day: {} for day in days}
        of_text = {str(day): found for day, found in by_day.items()}
        for row in self.bucket.objects_of(folders, f"date={min(days)}/") if days else ():
            place = manifest_place(row["Key"])
            if place is not None and place.date in of_text:
                of_text[place.date][row["Key"]] = row
        return by_day

    def latest(self, rows: Sequence[RunRow]) -> dict[str, dict[str, RunRow]]:
        """Return the `last` run of each subscription, its last `verified` one and its `newest` record's.

        They are kept, so they may be older than the given rows. Keys are connection and subscription with a slash.
        """
        body = self.bucket.read_body(LATEST)
        try:
            known = msgspec.json.decode(body, type=dict[str, dict[str, RunRow]]) if body is not None else {}
        except ValueError:
            known = {}  # of an earlier form
        found = {key: dict(value) for key, value in known.items()}
        for row in rows:
            if row.mode == "reconcile":
                continue
            of_one = found.setdefault(f"{row.connection}/{row.subscription}", {})
            ranks = (("last", True, "started"), ("verified", row.verified, "until"), ("newest", row.newest, "newest"))
            for key, takes_part, time in ranks:
                if takes_part and (key not in of_one or getattr(of_one[key], time) <= getattr(row, time)):
                    of_one[key] = row
        if found != known:
            self.bucket.put(LATEST, msgspec.json.encode(found), "application/json")
        return found

    def _stored(self, day: date) -> dict[str, RunRow] | None:
        body = self.bucket.read_body(_day_key(day))
        try:
            return None if body is None else msgspec.json.decode(gzip.decompress(body), type=dict[str, RunRow])
        except (ValueError, OSError):
            return None  # of an earlier form: it is read again

    def _read_day(
        self,
        day: date,
        objects: Mapping[str, dict[str, Any]],
        known: dict[str, RunRow],
        *,
        count_requests: bool = False,
    ) -> dict[str, RunRow]:
        """Read the manifests of a day that are not known yet, and keep them.

        A manifest that replaces others is left out while those are known: they say more of the runs.

        Args:
            day: The day of UTC.
            objects: Its manifests as S3 lists them, by key.
            known: What is kept of them, by key.
            count_requests: Whether to ask the run's journal for its requests as well. Quota windows last at most a day.
        """
        new = [row for key, row in objects.items() if key not in known]
        counts = map_concurrently(self._requests, new) if count_requests else [0] * len(new)
        found = {key: row for key, row in known.items() if key in objects}
        manifests = map_concurrently(
            lambda item: self.bucket.read_json(item["Key"]) or {}, new
        )  # empty if it was removed meanwhile
        for item, requests, manifest in zip(new, counts, manifests, strict=True):
            replaced = manifest.get("replaces", ())
            of_before = {key: known[key] for key in replaced if key in known}
            found |= of_before
            if manifest and not of_before and not any(key in objects for key in replaced):
                found[item["Key"]] = _row(manifest, item, requests)
        if found != known or not known:
            self.bucket.put(_day_key(day), gzip.compress(msgspec.json.encode(found), mtime=0))
        return found

    def _requests(self, item: Mapping[str, Any]) -> int:
        """Return how many requests a run took, from its journal; 0 if there is none any more."""
        place = manifest_place(item["Key"])
        entry = None if place is None else self.bucket.read_json(run_key(place.run_id))
        return int((entry or {}).get("requests") or 0)

    def _folders(self, now: datetime) -> tuple[list[str], bool]:
        """Return the prefixes of every connection, entity and language, and whether this is a close look."""
        look = f"{now:%Y-%m-%d} {now.hour // CLOSE_LOOK_HOURS}"
        kept = self.bucket.read_json(FOLDERS) or {}
        is_close = kept.get("look") != look
        if self._sparing and not is_close:
            return list(kept["folders"]), False
        entities = self.bucket.folders_of(self.bucket.folders_of([MANIFESTS]))
        known: dict[str, list[str]] = {}
        for folder in () if is_close else kept["folders"]:
            known.setdefault(folder.partition(_LANGUAGE)[0] + "/", []).append(folder)
        folders = self.bucket.folders_of([entity for entity in entities if entity not in known])
        folders += [folder for entity in entities for folder in known.get(entity, ())]
        if self._sparing:
            self.bucket.put_json(FOLDERS, {"look": look, "folders": folders})
        return folders, is_close


def _day_key(day: date) -> str:
    return f"state/status/date={day}.json.gz"


def _row(manifest: Mapping[str, Any], item: Mapping[str, Any], requests: int) -> RunRow:
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
        requests,
    )
