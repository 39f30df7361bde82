"""Bring the index of ids up to date from the manifests of complete runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from connector.aws.bucket import Bucket
from connector.storage_keys import MANIFESTS
from lightspeed.json_text import UNREADABLE, parse_record
from lightspeed.listing.records import parse_id
from subscribe.reconcile.id_index import Id, Index, canonical_id, epoch, lines_of
from subscribe.run.budget import Suspend

_SLACK_SECONDS = 3600
"""How much later than its time a manifest may appear in a listing. The index remembers the newer keys."""

_PLACES = (MANIFESTS, "raw/")
"""Folders of manifests. An earlier version of the connector wrote them beside the parts, in `raw/`."""

_AT_ONCE = 100_000
"""The most ids that are collected before they are added to the index."""

_MAX_WITHOUT_IDS = 100


class _Part(msgspec.Struct):
    """A part of a manifest.

    Attributes:
        started: When the run of its records started, ISO-8601, if the part belongs to a compacted day.
    """

    key: str
    started: str = ""


class _Manifest(msgspec.Struct):
    run_id: str
    started: str
    request: dict[str, Any]
    parts: list[_Part]
    deleted: list[_Part] = []
    replaces: list[str] = []


class _Head(msgspec.Struct):
    id: Id | None = None


class _Tombstone(msgspec.Struct):
    id: Id
    noticed_at: str


_HEAD = msgspec.json.Decoder(_Head, strict=False)
_TOMBSTONE = msgspec.json.Decoder(_Tombstone)


class ManifestLog:
    """Adds runs to an index that the index does not include yet.

    Args:
        folder: The folder of the entity's runs, from `entity_folder`.
        index: The index to bring up to date.
        has_time: Returns whether the invocation has time to add another run.
    """

    def __init__(self, bucket: Bucket, folder: str, index: Index, has_time: Callable[[], bool]) -> None:
        self._bucket = bucket
        self._folder = folder
        self._index = index
        self._has_time = has_time
        self._seen: dict[Id, int] = {}

    def replay(self) -> bool:
        """Add every complete run that the index does not include yet; return whether there was one.

        Raises:
            Suspend: The time is too short for the next run. The index includes the runs before it.
        """
        rows = (row for place in _PLACES for row in self._bucket.objects(place + self._folder))
        objects = [(row["LastModified"].timestamp(), row["Key"]) for row in rows]
        new = sorted((int(written), key) for written, key in objects if self._is_new(written, key))
        for number, (written, key) in enumerate(new):
            if number and not self._has_time():
                self._flush()
                raise Suspend(0)
            self._add_run(key)
            self._include(written, key)
        self._flush()
        return bool(new)

    def _is_new(self, written: float, key: str) -> bool:
        head = self._index.head
        is_manifest = key.startswith(MANIFESTS) or key.endswith("/_manifest.json")
        return is_manifest and written >= head.until - _SLACK_SECONDS and key not in head.recent

    def _include(self, written: int, key: str) -> None:
        head = self._index.head
        head.until = max(head.until, written)
        recent = {**head.recent, key: written}
        head.recent = {k: w for k, w in recent.items() if w >= head.until - _SLACK_SECONDS}

    def _add_run(self, key: str) -> None:
        found = self._bucket.read_json_with_etag(key)
        if found is None:
            return
        manifest = msgspec.convert(found[0], _Manifest)
        started = epoch(manifest.started)
        transformed = manifest.request.get("entity_transformer") is not None
        records, tombstones = manifest.parts, manifest.deleted
        if manifest.request.get("mode") == "reconcile":  # an earlier version listed tombstones among the parts
            records, tombstones = [], [*manifest.parts, *manifest.deleted]
        for part in records:
            body = self._bucket.read_body(part.key)
            if body is not None:
                run_id = "" if manifest.replaces else manifest.run_id  # the replaced manifests were counted
                part_started = epoch(part.started) if part.started else started
                self._add_records(body, run_id, part_started, transformed=transformed)
        for part in tombstones:
            body = self._bucket.read_body(part.key)
            if body is not None:
                add_tombstones(self._index, body)

    def _add_records(self, part: bytes, run_id: str, started: int, *, transformed: bool) -> None:
        without_id = 0
        for line in lines_of(part):
            identity = _id_of(line, transformed=transformed)
            if identity is None:
                without_id += 1
                continue
            self._seen[identity] = max(self._seen.get(identity, 0), started)
            self._flush(_AT_ONCE)
        if without_id and run_id:
            runs = self._index.head.without_ids
            runs[run_id] = runs.get(run_id, 0) + without_id
            for oldest in list(runs)[:-_MAX_WITHOUT_IDS]:
                del runs[oldest]

    def _flush(self, least: int = 0) -> None:
        if len(self._seen) >= least:
            self._index.update(self._seen, {})
            self._seen = {}


def add_tombstones(index: Index, tombstones: bytes | bytearray) -> None:
    """Add tombstones, gzip JSON Lines, to an index."""
    deleted: dict[Id, int] = {}
    for line in lines_of(tombstones):
        tombstone = _TOMBSTONE.decode(line)
        deleted[canonical_id(tombstone.id)] = epoch(tombstone.noticed_at)
        if len(deleted) >= _AT_ONCE:
            index.update({}, deleted)
            deleted = {}
    index.update({}, deleted)


def _id_of(line: bytes, *, transformed: bool) -> Id | None:
    """Return the id of a stored record, or `None` if it has no id of the shop.

    A transformer may write anything as the id. Of transformed records, only whole numbers count as ids of the shop.
    """
    try:
        identity = _HEAD.decode(line).id
    except UNREADABLE:  # half a surrogate pair, maybe in another field
        identity = parse_id(parse_record(line).get("id"))
    if identity is None:
        return None
    identity = canonical_id(identity)
    return None if transformed and isinstance(identity, str) else identity
