"""The stored runs of a bucket, as files in a folder: a cache that follows the bucket, or a copy of the bucket.

The folder has the keys of the bucket as paths. A part never changes, because its key holds its hash. So the cache
fetches it once. `compact` and `forget` replace manifests. So the cache compares their ETags each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from connector.aws.bucket import Bucket
from connector.concurrency import map_concurrently
from connector.operator.stack import OperationFailed
from connector.storage_keys import MANIFESTS, entity_folder, manifest_place

CACHE_BYTES = 5 * 1024**3
"""The default size of a cache, in bytes."""

_ETAGS = "etags.json"
_ATTEMPTS = 3


class StoredPart(msgspec.Struct, frozen=True):
    """A part that a manifest names.

    Attributes:
        bytes: The size of the object.
        sha256: The hash of the object, hexadecimal.
        run_id: The run that read the records; empty for the manifest's run.
        started: The start of that run; empty for the manifest's run.
    """

    key: str
    bytes: int
    sha256: str
    run_id: str = ""
    started: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """The members of a manifest that readers need.

    Attributes:
        language: The language of the records.
        started: The start of the run, ISO-8601 UTC.
        parts: The parts of records.
        deleted: The parts of tombstones.
        replaces: Keys of manifests that readers leave out, because this one has their records.
        request: The subscribe event.
    """

    run_id: str
    connection: str
    entity: str
    language: str
    started: str
    parts: list[StoredPart]
    deleted: list[StoredPart] = []
    replaces: list[str] = []
    request: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run in one language.

    Attributes:
        key: The manifest's key.
        date: The day of the run's start, UTC.
        manifest: The decoded manifest.
    """

    key: str
    date: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class RunFilter:
    """The runs that a command reads.

    Attributes:
        connections: Names; empty for all.
        since: The first day, `2026-11-23`; empty for all.
        until: The last day; empty for all.
    """

    connections: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

    def covers(self, date: str) -> bool:
        """Whether the command reads the runs that started on this day."""
        return date >= self.since and (not self.until or date <= self.until)


class Folder:
    """Stored runs in a folder that has the keys of the bucket as paths.

    Attributes:
        root: The folder, as an absolute path.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def path(self, key: str) -> Path:
        """Return the file of an object.

        Raises:
            OperationFailed: The key is a path to another folder.
        """
        if ".." in PurePosixPath(key).parts or key.startswith("/"):
            raise OperationFailed(f"a manifest names {key!r:.100}, which is no key of this bucket")
        return self.root / key

    def runs(self, entity: str, run_filter: RunFilter) -> list[Run]:
        """Return the finished runs of an entity, by start."""
        bodies = ((key, self.path(key).read_bytes()) for key in self._manifests(entity, run_filter))
        return [run for run in current_runs(bodies) if run_filter.covers(run.date)]

    def _manifests(self, entity: str, run_filter: RunFilter) -> list[str]:
        """Return the keys of an entity's manifests of every day, in order."""
        folders = [MANIFESTS + entity_folder(name, entity) for name in run_filter.connections or ("*",)]
        paths = (path for folder in folders for path in self.root.glob(f"{folder}lang=*/date=*/*.json"))
        return sorted(path.relative_to(self.root).as_posix() for path in paths)


def current_runs(bodies: Iterable[tuple[str, bytes]]) -> list[Run]:
    """Return the runs of some manifests by start. A manifest that another one replaces is left out.

    Args:
        bodies: Key and content of each manifest.

    Raises:
        OperationFailed: An object is no manifest.
    """
    runs = []
    for key, body in bodies:
        place = manifest_place(key)
        if place is None:
            continue
        try:
            runs.append(Run(key, place.date, msgspec.json.decode(body, type=Manifest)))
        except msgspec.MsgspecError as error:
            raise OperationFailed(f"{key} is no manifest: {error}") from error
    replaced = {key for run in runs for key in run.manifest.replaces}
    return sorted(
        (run for run in runs if run.key not in replaced), key=lambda run: (run.manifest.started, run.manifest.run_id)
    )


def stored_manifests(bucket: Bucket, entity: str, run_filter: RunFilter) -> Iterator[tuple[str, str]]:
    """Yield key and ETag of each manifest of an entity. A filter of days saves requests to S3."""
    connections = run_filter.connections or [folder.partition("=")[2][:-1] for folder in bucket.folders(MANIFESTS)]
    for connection in connections:
        folder = MANIFESTS + entity_folder(connection, entity)
        has_days = bool(run_filter.since or run_filter.until)  # then each language's days are listed by themselves
        for prefix in bucket.folders(folder) if has_days else [folder]:
            for row in bucket.objects(prefix, f"{prefix}date={run_filter.since}" if has_days else ""):
                if not run_filter.covers(_date_of(row["Key"])):
                    break  # keys come in the order of days
                if manifest_place(row["Key"]) is not None:
                    yield row["Key"], row["ETag"]


def _date_of(key: str) -> str:
    return key.partition("/date=")[2].partition("/")[0]


class Cache(Folder):
    """A folder that follows a bucket.

    Args:
        root: The folder; created if it is missing.
        bucket: The bundle's bucket.
        most_bytes: The largest size of the folder. It may be larger if one command reads more.
    """

    def __init__(self, root: Path, bucket: Bucket, most_bytes: int = CACHE_BYTES) -> None:
        root.mkdir(parents=True, exist_ok=True)
        super().__init__(root)
        self._bucket = bucket
        self._most_bytes = most_bytes

    def refresh(self, entities: Iterable[str], run_filter: RunFilter) -> None:
        """Fetch the manifests of some entities, and the parts that they name.

        Raises:
            OperationFailed: A part is missing, or has another hash than its manifest says.
        """
        used: set[Path] = set()
        for entity in entities:
            used |= self._refresh(entity, run_filter)
        for path in used:
            os.utime(path)
        self._evict(used)

    def _refresh(self, entity: str, run_filter: RunFilter) -> set[Path]:
        """Fetch the files of an entity, and return the paths of its parts. `compact` may replace parts meanwhile."""
        for _ in range(_ATTEMPTS):
            self._refresh_manifests(entity, run_filter)
            runs = self.runs(entity, run_filter)
            parts = [part for run in runs for part in (*run.manifest.parts, *run.manifest.deleted)]
            paths = dict(zip((part.key for part in parts), map_concurrently(self._fetch_part, parts), strict=True))
            missing = [key for key, path in paths.items() if path is None]
            if not missing:
                return {path for path in paths.values() if path is not None}
        raise OperationFailed(f"the bucket has no {missing[0]}, which a manifest names")

    def _refresh_manifests(self, entity: str, run_filter: RunFilter) -> None:
        listed = dict(stored_manifests(self._bucket, entity, run_filter))
        before = self._etags()
        known = dict(before)
        wanted = [key for key, etag in listed.items() if known.get(key) != etag or not self.path(key).exists()]
        for key, found in zip(wanted, map_concurrently(self._bucket.read, wanted), strict=True):
            if found is None:
                del listed[key]
            else:
                self._write(key, found.body)
                known[key] = found.etag
        for key in self._manifests(entity, run_filter):
            if run_filter.covers(_date_of(key)) and key not in listed:
                self.path(key).unlink()
                known.pop(key, None)
        if known != before:
            self._write(_ETAGS, json.dumps(known).encode())

    def _etags(self) -> dict[str, str]:
        try:
            known: dict[str, str] = json.loads((self.root / _ETAGS).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return known

    def _fetch_part(self, part: StoredPart) -> Path | None:
        path = self.path(part.key)
        if path.exists() and path.stat().st_size == part.bytes:
            return path
        found = self._bucket.read(part.key)
        if found is None:
            return None
        if hashlib.sha256(found.body).hexdigest() != part.sha256:
            raise OperationFailed(f"{part.key} is not the object that its manifest names: its SHA-256 differs")
        self._write(part.key, found.body)
        return path

    def _write(self, key: str, body: bytes) -> None:
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(body)
        Path(file.name).replace(path)

    def _evict(self, used: set[Path]) -> None:
        """Delete the least recently used parts until the folder is small enough."""
        parts = [(path, path.stat()) for path in self.root.rglob("part-*.jsonl.gz")]
        size = sum(stat.st_size for _, stat in parts)
        for path, stat in sorted(parts, key=lambda item: item[1].st_mtime):
            if size <= self._most_bytes:
                return
            if path not in used:
                path.unlink()
                size -= stat.st_size
