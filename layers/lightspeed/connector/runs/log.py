"""The finished runs of a stack, read from their manifests day by day.

A row of each manifest is kept in one object per day, so the next call reads new manifests only. Nothing scans the
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
"""The last runs of each subscription. They may be older than the days that the status shows."""

FOLDERS = "state/status/folders.json"
"""The folders of manifests that the last close look found."""

CLOSE_LOOK_HOURS = 3
"""The watcher takes a close look once in this number of hours, the first one after midnight."""

CLOSE_LOOK_DAYS = 7
"""A close look lists this number of days, today included. So it finds runs that took longer than a day."""

_LANGUAGE = "/lang="


class RunRow(msgspec.Struct, frozen=True, array_like=True):
    """The kept row of a manifest: a run in one language. Times are ISO-8601 UTC.

    Attributes:
        until: The end of the run's window.
        newest: The newest time of change among its records; empty if they have none.
        requests: The requests to the shop of the whole run, in all its languages; 0 if they are not known.
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
        """The duration of the run, with its waits."""
        return (datetime.fromisoformat(self.finished) - datetime.fromisoformat(self.started)).total_seconds()


class RunLog:
    """Reads the finished runs of a stack.

    The watcher calls it 96 times a day, and lists cost money. So the watcher lists all folders and the last days at a
    close look only. In between, it lists today's runs in the folders that it keeps. Any other reader lists new
    connections and entities each time, and yesterday's runs at night. It takes a close look only if the watcher did
    not.

    Args:
        sparing: Whether the reader is the watcher.
    """

    def __init__(self, bucket: Bucket, clock: Clock, *, sparing: bool = False) -> None:
        self.bucket = bucket
        self.clock = clock
        self._sparing = sparing

    def runs(self, days: Sequence[date]) -> list[RunRow]:
        """Return the finished runs that started on these days, UTC. The last days may get more runs."""
        if not days:
            return []
        rows = dict(zip(days, map_concurrently(self._kept_rows, days), strict=True))
        now = datetime.fromtimestamp(self.clock.time(), UTC)
        today, yesterday = now.date(), now.date() - timedelta(days=1)
        folders, is_close = self._folders(now)
        is_night = now.hour < CLOSE_LOOK_HOURS and not self._sparing
        first_open = today - timedelta(days=CLOSE_LOOK_DAYS - 1) if is_close else yesterday if is_night else today
        to_list = [day for day, kept in rows.items() if kept is None or day >= first_open]
        for day, manifests in self._list_manifests(to_list, folders).items():
            rows[day] = self._read_day(day, manifests, rows[day] or {}, count_requests=day >= yesterday)
        return [row for of_day in rows.values() for row in (of_day or {}).values()]

    def _list_manifests(self, days: Sequence[date], folders: Sequence[str]) -> dict[date, dict[str, dict[str, Any]]]:
        """Return the manifests of each day by key. Each folder costs one list of S3, from the first day on."""
        by_date: dict[str, dict[str, dict[str, Any]]] = {str(day): {} for day in days}
        for item in self.bucket.objects_of(folders, f"date={min(days)}/") if days else ():
            place = manifest_place(item["Key"])
            if place is not None and place.date in by_date:
                by_date[place.date][item["Key"]] = item
        return {day: by_date[str(day)] for day in days}

    def latest(self, rows: Sequence[RunRow]) -> dict[str, dict[str, RunRow]]:
        """Return three runs of each subscription: the `last`, the last `verified`, and that of its `newest` record.

        They come from the given rows and from the rows of earlier calls. The key is `<connection>/<subscription>`.
        """
        body = self.bucket.read_body(LATEST)
        try:
            known = msgspec.json.decode(body, type=dict[str, dict[str, RunRow]]) if body is not None else {}
        except ValueError:
            known = {}  # an earlier version wrote another form
        latest = {key: dict(value) for key, value in known.items()}
        for row in rows:
            if row.mode == "reconcile":
                continue
            of_subscription = latest.setdefault(f"{row.connection}/{row.subscription}", {})
            ranks = (("last", True, "started"), ("verified", row.verified, "until"), ("newest", row.newest, "newest"))
            for rank, counts, time in ranks:
                best = of_subscription.get(rank)
                if counts and (best is None or getattr(best, time) <= getattr(row, time)):
                    of_subscription[rank] = row
        if latest != known:
            self.bucket.put(LATEST, msgspec.json.encode(latest), "application/json")
        return latest

    def _kept_rows(self, day: date) -> dict[str, RunRow] | None:
        """Return the kept rows of a day by the key of their manifest; `None` if no call has read the day."""
        body = self.bucket.read_body(_day_key(day))
        try:
            return None if body is None else msgspec.json.decode(gzip.decompress(body), type=dict[str, RunRow])
        except (ValueError, OSError):
            return None  # an earlier version wrote another form: the manifests are read again

    def _read_day(
        self,
        day: date,
        objects: Mapping[str, dict[str, Any]],
        known: dict[str, RunRow],
        *,
        count_requests: bool = False,
    ) -> dict[str, RunRow]:
        """Read the new manifests of a day, and keep their rows.

        The rows of manifests that `compact` replaced stay in place of its manifest, because they tell more of the runs.

        Args:
            day: The day, UTC.
            objects: The day's manifests by key, in the form of S3's list.
            known: The kept rows by key.
            count_requests: Whether to read the requests from the journals of the runs.
        """
        new = [item for key, item in objects.items() if key not in known]
        counts = map_concurrently(self._requests, new) if count_requests else [0] * len(new)
        rows = {key: row for key, row in known.items() if key in objects}
        # a manifest that was removed meanwhile is empty
        manifests = map_concurrently(lambda item: self.bucket.read_json(item["Key"]) or {}, new)
        for item, requests, manifest in zip(new, counts, manifests, strict=True):
            replaced = manifest.get("replaces", ())
            kept = {key: known[key] for key in replaced if key in known}
            rows |= kept
            if manifest and not kept and not any(key in objects for key in replaced):
                rows[item["Key"]] = _row(manifest, item, requests)
        if rows != known or not known:
            self.bucket.put(_day_key(day), gzip.compress(msgspec.json.encode(rows), mtime=0))
        return rows

    def _requests(self, item: Mapping[str, Any]) -> int:
        """Return the requests of a run from its journal; 0 if the journal has expired."""
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
    """Return the row of a manifest. The end of a run is not known if `forget` or `compact` wrote its manifest."""
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
