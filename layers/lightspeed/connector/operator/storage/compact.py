"""`compact`: merge the small runs of each closed day into one run, so that readers open few objects.

One conditional write decides: the manifest of the new run names the manifests that it replaces. From then on, readers
leave those out. A later call deletes the replaced objects, at least an hour after that write. Until then, a query that
began before finds them.

Readers see the same records, with the same order of versions and the same deletions. So a part has the records of
several runs only under three conditions:

- No tombstone was noticed between the starts of these runs.
- No record is in two of these runs with the same time of change.
- A run that has several parts is the first of these runs.

A day with a run of one parent's records stays as it is. The records may lack the parent's id, and then `forget` finds
it only in the run's request.

The part has the start and the id of its last run. Without the third condition, records of earlier runs would get the
id of a run with other parts. These may hold the same records with the same time of change.

Examples:
  python -m connector compact                         every closed day of every entity
  python -m connector compact --connection default --entity orders --date 2026-11-20
  python -m connector compact --dry-run
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.aws.bucket import NONE_YET, PreconditionFailed
from connector.operator.data.lake import Run, RunFilter, StoredPart, current_runs, stored_manifests
from connector.operator.data.views import ISO_8601, EntityViews, views_by_folder, views_named
from connector.operator.locks import rewrite_lock
from connector.operator.parsers import add_command, day
from connector.operator.stack import CommandError, OperationFailed, Stack
from connector.operator.storage.versions import Versions, lines_of
from connector.storage_keys import COMPACT, RunPlace
from connector.timestamps import iso_text
from lightspeed import Clock
from lightspeed.listing.read_operation import ALL_PARENTS
from lightspeed.request import parse_time

CLOSED_DAYS = 2
"""A day is closed after this number of days. Then none of its runs is under way."""

KEPT_SECONDS = 3600
"""How long replaced objects stay for readers that began before."""

PART_BYTES = 64 * 1024 * 1024
"""The most bytes of a part, before compression."""

_LOWEST = float("-inf")

Key = tuple[str, str]
"""The id of a record's parent and its own id, as text."""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "merge the small runs of each closed day into one run"
    parser = add_command(commands, common, "compact", text, __doc__, _run)
    parser.add_argument("--connection", action="append", metavar="C", help="only this connection")
    parser.add_argument("--entity", action="append", default=[], metavar="E", help="only this entity")
    parser.add_argument("--date", type=day, help="only this day, UTC; at least two days ago")
    parser.add_argument("--dry-run", action="store_true", help="only show which runs would be merged")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    now = datetime.fromtimestamp(stack.clock.time(), UTC)
    last = (now - timedelta(days=CLOSED_DAYS)).date().isoformat()
    if arguments.date is not None and arguments.date > last:
        raise CommandError(f"{arguments.date} is not closed yet; the last closed day is {last}")
    first, last = arguments.date or "", arguments.date or last
    known = views_by_folder()
    wanted = views_named(arguments.entity) or known.values()
    with rewrite_lock(stack) as renew:
        versions = Versions(stack.client("s3"), stack.output("Bucket"), stack.clock, renew)
        compaction = Compaction(versions, stack.clock, arguments.dry_run)
        for connection, entity in sorted({(each.connection, each.entity) for each in versions.manifest_folders()}):
            if known.get(entity) in wanted and connection in (arguments.connection or [connection]):
                compaction.compact_entity(connection, known[entity], first, last)
    if not compaction.found:
        print(f"nothing to do: no day up to {last} has several runs that can be merged")
    return 0


@dataclass(slots=True)
class Compaction:
    """One call of the command.

    Attributes:
        dry_run: Whether nothing is written.
        found: Whether there was a day to merge or an object to delete.
    """

    bucket: Versions
    clock: Clock
    dry_run: bool
    found: bool = False

    def compact_entity(self, connection: str, views: EntityViews, first: str, last: str) -> None:
        """Merge the runs of each closed day of an entity, and delete the objects that were replaced an hour ago.

        Args:
            connection: The connection's name.
            views: The entity's views.
            first: The first day, UTC; empty for all up to the last.
            last: The last closed day, UTC.
        """
        keys = [key for key, _ in stored_manifests(self.bucket, views.entity, RunFilter((connection,)))]
        bodies = {key: body for key in keys if (body := self.bucket.read_body(key)) is not None}
        runs = current_runs(bodies.items())
        tombstones = (line for run in runs for part in run.manifest.deleted for line in self._lines(part))
        noticed = sorted(str(json.loads(line)["noticed_at"]) for line in tombstones)
        days: dict[tuple[str, str], list[Run]] = defaultdict(list)
        for run in runs:
            if first <= run.date <= last:
                days[run.manifest.language, run.date].append(run)
        for (language, date), some in sorted(days.items()):
            place = RunPlace(connection, views.entity, language, date, date + COMPACT)
            if place.manifest in bodies:
                self._delete_replaced(json.loads(bodies[place.manifest]), bodies)
            else:
                self._compact_day(place, views, some, noticed, bodies)

    def _compact_day(
        self,
        place: RunPlace,
        views: EntityViews,
        runs: list[Run],
        noticed: list[str],
        bodies: Mapping[str, bytes],
    ) -> None:
        """Write the run of a day, if several of its runs can be merged."""
        runs = [run for run in runs if not run.manifest.deleted]
        transformers = {json.dumps(run.manifest.request.get("entity_transformer")) for run in runs}
        if len(runs) < 2 or len(transformers) > 1 or any(_names_parent(run, views.parents) for run in runs):
            return
        self.found = True
        words = f"{place.connection} {place.entity} {place.language} {place.date}: {len(runs)} runs"
        if self.dry_run:
            sys.stdout.write(f"{words} would become one\n")
            return
        parts = [
            self._store(place, number, part) for number, part in enumerate(_merge(self._read(runs, views), noticed))
        ]
        replaced = [json.loads(bodies[run.key]) for run in runs]
        manifest = {
            "run_id": place.run_id,
            "connection": place.connection,
            "entity": place.entity,
            "language": place.language,
            "request": {
                "entity": place.entity,
                "connection": place.connection,
                "mode": "compact",
                "entity_transformer": replaced[0]["request"].get("entity_transformer"),
            },
            "started": runs[0].manifest.started,
            "window": None,
            "records": sum(part["records"] for part in parts),
            "parts": parts,
            "deleted": [],
            "rejected": [part for run in replaced for part in run.get("rejected", ())],
            "count": {"before": None, "after": None},
            "verified": all(run.get("verified") for run in replaced),
            "reason": next((run["reason"] for run in replaced if run.get("reason")), None),
            "replaces": [run.key for run in runs],
            "runs": [
                {name: run.get(name) for name in ("run_id", "started", "records", "verified")} for run in replaced
            ],
            "rewritten": [
                {"at": iso_text(self.clock.time()), "by": "compact", "reason": "the runs of a day became one"}
            ],
        }
        try:
            self.bucket.put_json(place.manifest, manifest, if_match=NONE_YET)
        except PreconditionFailed as error:
            raise OperationFailed(f"another call has written {place.manifest} meanwhile") from error
        sys.stdout.write(f"{words} became one of {len(parts)} parts\n")

    def _read(self, runs: Sequence[Run], views: EntityViews) -> Iterator[_Part]:
        for run in runs:
            for number, part in enumerate(run.manifest.parts):
                lines = self._lines(part)
                started, run_id = part.started or run.manifest.started, part.run_id or run.manifest.run_id
                has_more = number == 0 and len(run.manifest.parts) > 1
                yield _Part(run_id, started, lines, views.parents, has_more=has_more)

    def _lines(self, part: StoredPart) -> list[bytes]:
        body = self.bucket.read_body(part.key)
        if body is None:
            raise OperationFailed(f"the bucket has no {part.key}, which a manifest names")
        return lines_of(body)

    def _store(self, place: RunPlace, number: int, part: _Part) -> dict[str, Any]:
        stored = self.bucket.store_part(part.lines, lambda sha256: place.part("raw", number, sha256))
        return {**stored, "run_id": part.run_id, "started": part.started}

    def _delete_replaced(self, manifest: dict[str, Any], bodies: dict[str, bytes]) -> None:
        """Delete the objects that a compacted run replaced an hour ago: parts first, then manifests."""
        left = [key for key in manifest.get("replaces", ()) if key in bodies]
        if not left or self.dry_run:
            return
        written = datetime.fromisoformat(manifest["rewritten"][0]["at"]).timestamp()
        if self.clock.time() < written + KEPT_SECONDS:
            return
        self.found = True
        for key in left:
            for part in json.loads(bodies[key])["parts"]:
                self.bucket.delete(self.bucket.of(part["key"]))
            self.bucket.delete(self.bucket.of(key))
        sys.stdout.write(f"{manifest['run_id']} of {manifest['entity']}: {len(left)} replaced runs deleted\n")


class _Part:
    """The records of consecutive runs. It has the id and the start of the last run.

    Args:
        run_id: The run's id.
        started: The run's start, ISO-8601 UTC.
        lines: The records.
        parents: The members that hold a parent's id.
        has_more: Whether it is the first of several parts of the run.
    """

    def __init__(
        self, run_id: str, started: str, lines: list[bytes], parents: Sequence[str], *, has_more: bool
    ) -> None:
        self.run_id = run_id
        self.started = started
        self._began = started  # the start of the first run
        self.lines = lines
        self._has_more = has_more
        self._bytes = sum(map(len, lines))
        self._latest: dict[Key, tuple[float, str]] = {}  # instant and run of each record's newest version
        for line in lines:
            key, instant = _identity(line, parents)
            self._note(key, instant, run_id)

    def can_add(self, more: _Part, noticed: Sequence[str]) -> bool:
        """Whether readers see no difference if the part takes the records of a later run.

        Args:
            more: The records of the later run.
            noticed: The times at which tombstones were noticed, in order.
        """
        if more._has_more or self._bytes + more._bytes > PART_BYTES:
            return False
        if any(self._began <= moment < more.started for moment in noticed):
            return False
        for key in self._latest.keys() & more._latest.keys():
            instant, run_id = self._latest[key]
            if run_id != more.run_id and instant == more._latest[key][0]:
                return False
        return True

    def add(self, more: _Part) -> None:
        """Add the records of a later run."""
        self.run_id, self.started = more.run_id, more.started
        self.lines += more.lines
        self._bytes += more._bytes
        for key, newest in more._latest.items():
            self._note(key, *newest)

    def _note(self, key: Key, instant: float, run_id: str) -> None:
        if key not in self._latest or self._latest[key][0] < instant:
            self._latest[key] = (instant, run_id)


def _names_parent(run: Run, parents: Sequence[str]) -> bool:
    """Whether a run reads the records of one parent, named in its path."""
    path = run.manifest.request.get("parameters", {}).get("path", {})
    return any(path.get(name, ALL_PARENTS) != ALL_PARENTS for name in parents)


def _merge(sources: Iterator[_Part], noticed: Sequence[str]) -> Iterator[_Part]:
    part = next(sources, None)
    while part is not None:
        following = next(sources, None)
        if following is not None and part.can_add(following, noticed):
            part.add(following)
        else:
            yield part
            part = following


def _identity(line: bytes, parents: Sequence[str]) -> tuple[Key, float]:
    """Return the key of a record, and the time that orders its versions, both as the views see them."""
    record = json.loads(line)
    parent = next((str(record[name]) for name in parents if record.get(name) is not None), "")
    updated = record.get("updatedAt")
    is_none = updated is None or updated is False or updated == "" or isinstance(updated, dict | list)
    return (parent, str(record.get("id"))), _instant(record.get("createdAt") if is_none else updated)


def _instant(value: object) -> float:
    """Return epoch seconds. Any time that the views cannot read is the lowest."""
    if not isinstance(value, str) or not re.fullmatch(ISO_8601, value):
        return _LOWEST
    try:
        return parse_time(value).timestamp()
    except ValueError:
        return _LOWEST
