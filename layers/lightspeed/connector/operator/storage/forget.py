"""`forget`: delete the data of a shop, or of one record, in every version and place.

A record leaves a stored run in three steps, so that readers always find a whole run:

1. The new part is written.
2. Each manifest that names the old part is written, only over the manifest that was read.
3. Every version of the old part and of the old manifest is deleted.

A command that is interrupted is run again. A run that is decided but was killed is finished first. A run under way is
left, and the command fails. One that wrote nothing for two days counts as given up: it cannot go on afterwards.

Examples:
  python -m connector forget --connection outlet                        everything of a shop
  python -m connector forget --connection default --record customers 7  one record, with what belongs to it
  python -m connector forget --connection default --record orders 12 --dry-run

Stop the schedules and webhooks of the shop first: a run reads again what the shop still has. Name each record of a
person: the customer, and each order, invoice, quote, return, ticket and review. A second call finds nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connector.aws.bucket import json_line
from connector.operator.data.source import cache_folder
from connector.operator.data.views import views_named
from connector.operator.locks import rewrite_lock
from connector.operator.parsers import add_command, connection_name
from connector.operator.stack import CommandError, OperationFailed, Stack
from connector.operator.storage.versions import Version, Versions, lines_of, text_of
from connector.status.failure_queues import hidden_messages, receive, release
from connector.storage_keys import HASH_DIGITS, MANIFESTS, RUN_NOTES, entity_folder, run_key
from connector.timestamps import iso_text
from lightspeed import CATALOGUE, get_entity

_KINDS = {"parts": "raw", "deleted": "deleted", "rejected": "rejected"}
"""The folder of the parts that each member of a manifest lists."""

_ATTEMPTS = 5
_UNDER_WAY = timedelta(days=2)
"""A run without a manifest may be under way if it wrote something since then: no run waits for longer than a day."""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "delete the data of a shop or of one record, in every version and place"
    parser = add_command(commands, common, "forget", text, __doc__, _run)
    parser.add_argument("--connection", type=connection_name, required=True, metavar="C", help="the shop's connection")
    parser.add_argument("--record", nargs=2, metavar=("ENTITY", "ID"), help="only this record")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="the cache of `query` (default: ~/.cache)")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be deleted")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    entity, identity = arguments.record or ("", "")
    if entity:
        entity = views_named([entity])[0].entity
        if not get_entity(entity).collection:
            raise CommandError(f"{entity} has no records with ids")
    forgetting = Forgetting(stack, arguments.connection, entity, identity, dry_run=arguments.dry_run)
    with rewrite_lock(stack):
        forgetting.run()
    for name in (stack.name, stack.output("Bucket")):  # `query --bucket` keeps a cache of its own
        for folder in list(cache_folder(arguments.cache, name).glob(f"*/connection={arguments.connection}")):
            forgetting.note("cache", sum(1 for path in folder.rglob("*") if path.is_file()), 0)
            if not arguments.dry_run:
                shutil.rmtree(folder)
    forgetting.report()
    return 0


class Forgetting:
    """One call of the command; it counts what it deletes."""

    def __init__(self, stack: Stack, connection: str, entity: str, identity: str, *, dry_run: bool) -> None:
        """Take what is forgotten, and where.

        Args:
            stack: The stack.
            connection: The shop.
            entity: The record's entity; empty for all of the shop.
            identity: The record's id, as text.
            dry_run: Whether nothing is deleted.
        """
        self._stack = stack
        self._connection = connection
        self._entity = entity
        self._id = identity
        nested = {name: row.parents for name, row in CATALOGUE.items() if name.startswith(f"{entity}/")}
        children = {name: parents[0] for name, parents in nested.items() if parents}
        # by entity, the member that holds the record's id: its own, and that of what belongs to it
        self._members = {entity: "id", **children} if entity else {}
        self._dry_run = dry_run
        self._bucket = Versions(stack.client("s3"), stack.output("Bucket"), stack.clock)
        self._deleted: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._under_way: list[str] = []  # keys of what a run or a publication may still use
        self._whole_runs: set[str] = set()  # manifests of runs that read only what belongs to the record

    def run(self) -> None:
        """Delete, and look again.

        Raises:
            OperationFailed: A version is left, or a run or a file under way still has the data.
        """
        if self._entity:
            self._finish_decided_runs()
            for entity, member in self._members.items():
                self._remove_from_runs(entity, member)
            self._delete_where(f"events/connection={self._connection}/entity={self._entity}/", self._is_webhook)
            self._delete_where(f"state/connection={self._connection}/", self._is_index_with_id)
        else:
            self._delete_shop()
        self._remove_from_files()
        self._remove_from_failure_queues()
        self._remove_from_table()
        if self._under_way:
            some = ", ".join(self._under_way[:3])
            raise OperationFailed(f"still under way, so nothing of it was deleted: {some}. Call again after its end")

    def note(self, place: str, count: int, size: int) -> None:
        """Count what is deleted in a place."""
        if count:
            self._deleted[place] += count
            self._bytes[place] += size

    def report(self) -> None:
        """Write what was deleted, and what cannot be reached."""
        out = sys.stdout
        verb = "would be deleted" if self._dry_run else "deleted"
        for place, count in sorted(self._deleted.items()):
            out.write(f"{place:24} {count:8} {verb}, {self._bytes[place]} bytes\n")
        if not self._deleted:
            out.write("nothing found\n")
        now = datetime.fromtimestamp(self._stack.clock.time(), UTC)
        for what, days in (
            ("inputs of executions in Step Functions", 90),
            ("log lines (parameter LogRetentionDays; at most)", 365),
            ("messages in queues that are not failure queues", 14),
            ("workspaces of published files", 14),
            ("ids that runs keep between invocations", 30),
            ("idempotency records that an earlier version wrote", 15),
            ("results of queries in Athena", 1),
        ):
            out.write(f"not reached: {what}, until {(now + timedelta(days=days)).date().isoformat()}\n")
        out.write("not reached: the shop itself, copies that others made, the connection's secret\n")

    def _delete_shop(self) -> None:
        """Delete everything under the connection's folders; manifests first, so that no reader misses a part."""
        connection = self._connection
        run_ids = {
            version.key.rpartition("/")[2].removesuffix(".json")
            for version in self._bucket.under(f"{MANIFESTS}connection={connection}/")
        }
        folders = ("manifests", "raw", "deleted", "rejected", "events", "state", "state/reports")
        prefixes = [f"{folder}/connection={connection}/" for folder in folders]
        for prefix in [*prefixes, f"state/webhooks/connection={connection}.json"]:
            self._delete_where(prefix)
        self._delete_where("state/status/", self._is_kept_of_manifests)
        self._delete_where(RUN_NOTES, lambda body: self._is_run_note(body, run_ids))
        for run_id in sorted(run_ids):
            self._delete_where(f"state/passes/{run_id}/")

    def _is_kept_of_manifests(self, body: bytes) -> bool:
        """Whether it is what the status keeps of the connection's manifests; the next status reads them again."""
        marks = (f"{MANIFESTS}connection={self._connection}/", f'"{self._connection}/')
        return any(mark.encode() in line for line in lines_of(body) for mark in marks)

    def _is_run_note(self, body: bytes, run_ids: set[str]) -> bool:
        """Whether a journal entry is of the shop. Its run id is added: a run without a manifest is known by it only.

        Args:
            body: The entry. One of an earlier version names no connection.
            run_ids: The ids of the shop's runs so far.
        """
        note = _object(body)
        owner = note.get("connection")
        found = note.get("run_id") in run_ids if owner is None else owner == self._connection
        if found:
            run_ids.add(str(note.get("run_id")))
        return found

    def _delete_where(self, prefix: str, matches: Callable[[bytes], bool] | None = None) -> None:
        """Delete all versions under a prefix, or those whose content matches, and the delete markers of their keys."""

        def found() -> list[Version]:
            every = list(self._bucket.under(prefix))
            if matches is None:
                return every
            matching = [one for one in every if not one.is_marker and matches(self._bucket.body_of(one))]
            keys = {one.key for one in matching}
            return matching + [one for one in every if one.is_marker and one.key in keys]

        versions = found()
        self._delete(versions)
        if versions and not self._dry_run and found():
            raise OperationFailed(f"versions are left under {prefix}: something writes there. Stop it and call again")

    def _delete(self, versions: list[Version]) -> None:
        for version in versions:
            self.note(version.key.partition("/")[0], 1, version.size)
        if not self._dry_run:
            self._bucket.delete(versions)

    def _remove_from_runs(self, entity: str, member: str) -> None:
        """Take a record out of the runs of an entity, and delete every other version that holds it.

        Two manifests may name one part: that of a run, and that of the compacted day. So parts are deleted last.
        """
        folder = entity_folder(self._connection, entity)
        keys = sorted({version.key for version in self._bucket.under(MANIFESTS + folder)})
        manifests = {key: self._remove_from_run(key, member) for key in keys}
        named = {part["key"] for one in manifests.values() for name in _KINDS for part in one.get(name, ())}
        finished = {*manifests, *(key for one in manifests.values() for key in one.get("replaces", ()))}
        for kind in _KINDS.values():
            left: list[Version] = []
            for version in self._bucket.under(f"{kind}/{folder}"):
                is_named = version.latest and version.key in named and not self._dry_run
                if version.is_marker or is_named or not self._has_record(version, kind, member):
                    continue
                is_finished = _manifest_of(version.key) in finished
                if is_finished or not version.latest or self._is_given_up(version):
                    left += self._bucket.of(version.key)
                else:
                    self._under_way.append(version.key)
            self._delete(list(dict.fromkeys(left)))
            again = [] if self._dry_run else [key for key in {one.key for one in left} if self._bucket.of(key)]
            if again:
                raise OperationFailed(f"versions of {again[0]} are left: something writes them. Call again")

    def _has_record(self, version: Version, kind: str, member: str) -> bool:
        whole = _manifest_of(version.key) in self._whole_runs
        return self._without(self._bucket.body_of(version), kind, member, whole=whole) is not None

    def _finish_decided_runs(self) -> None:
        """Write the manifests of runs that were killed after they were decided; the next run would write them."""
        for row in list(self._bucket.objects(f"state/connection={self._connection}/")):
            state = _object(self._bucket.read_body(row["Key"]) or b"")
            pending = state.get("pending") or state  # of a bookmark, or of the lock of reconcile runs
            manifests = {**pending.get("manifests", {}), **pending.get("note", {}).get("manifests", {})}
            if not self._dry_run:
                self._bucket.put_manifests(manifests)

    def _is_given_up(self, version: Version) -> bool:
        """Whether a part is of a run that will never have a manifest. What that run would go on from is deleted."""
        since = datetime.fromtimestamp(self._stack.clock.time(), UTC) - _UNDER_WAY
        run_id = _manifest_of(version.key).rpartition("/")[2].removesuffix(".json")
        journal = run_key(run_id)
        note = self._bucket.read(journal)
        if note is not None and _object(note.body).get("status") == "complete":
            return True
        if version.written > since or (note is not None and note.written is not None and note.written > since):
            return False
        self._delete([*self._bucket.under(f"state/passes/{run_id}/"), *self._bucket.of(journal)])
        return True

    def _remove_from_run(self, key: str, member: str) -> dict[str, Any]:
        """Take the record out of the parts of one run; return the manifest that names them, empty if there is none.

        Raises:
            OperationFailed: The manifest changes again and again.
        """
        for _ in range(_ATTEMPTS):
            found = self._bucket.read(key)
            if found is None:
                return {}
            manifest: dict[str, Any] = json.loads(found.body)
            new = self._rewritten(key, manifest, member)
            if new is None or self._dry_run:
                if any(stamp["by"] == "forget" for stamp in manifest.get("rewritten", ())):
                    self._delete([version for version in self._bucket.of(key) if not version.latest])
                return manifest
            self._bucket.replace(key, json_line(new), found.etag)  # and read it again: its answer may be lost
        raise OperationFailed(f"{key} changes again and again; call again later")

    def _rewritten(self, key: str, manifest: dict[str, Any], member: str) -> dict[str, Any] | None:
        """Store the parts of a run without the record; return the manifest that names them, `None` if none has it."""
        new = dict(manifest)
        path = manifest["request"].get("parameters", {}).get("path", {})
        whole = member != "id" and self._has_id(path.get(member))  # its rows may lack the parent's id
        if whole:
            self._whole_runs.add(key)
        for name, kind in _KINDS.items():
            kept = []
            for part in manifest.get(name, ()):
                found = self._bucket.read(part["key"])
                lines = None if found is None else self._without(found.body, kind, member, whole=whole)
                if lines is None:
                    kept.append(part)
                elif lines and not self._dry_run:
                    kept.append(self._store(part, lines))
            new[name] = kept
        if all(new[name] == manifest.get(name, []) for name in _KINDS):
            return None
        at = iso_text(self._stack.clock.time())
        stamp = {"at": at, "by": "forget", "reason": "a record was deleted on request"}
        new["rewritten"] = [*manifest.get("rewritten", ()), stamp]
        return new

    def _without(self, body: bytes, kind: str, member: str, *, whole: bool) -> list[bytes] | None:
        """Return the lines of a part without those of the record, or `None` if none is of it.

        Args:
            body: The part.
            kind: The folder of its kind.
            member: The member that holds the record's id.
            whole: Whether every line belongs to the record.
        """
        lines = lines_of(body)
        kept = [line for line in lines if not (whole or _is_of(line, kind, member, self._id))]
        return None if len(kept) == len(lines) else kept

    def _store(self, part: Mapping[str, Any], lines: list[bytes]) -> dict[str, Any]:
        folder, _, name = str(part["key"]).rpartition("/")
        start = f"{folder}/part-{name.split('-')[1].partition('.')[0]}-"
        return {**part, **self._bucket.store_part(lines, lambda sha256: f"{start}{sha256[:HASH_DIGITS]}.jsonl.gz")}

    def _is_webhook(self, body: bytes) -> bool:
        return self._has_id(_object(body).get("record_id"))

    def _has_id(self, value: object) -> bool:
        return str(value) == self._id

    def _is_index_with_id(self, body: bytes) -> bool:
        """Whether a state object is an index of ids with this one; the next reconcile run builds it again."""
        head, *lines = [_object(line) for line in lines_of(body)] or [{}]
        is_own = head.get("entity") == self._entity
        return is_own and any(self._has_id(one) for line in lines for one in line.get("ids", ()))

    def _remove_from_files(self) -> None:
        """Delete files that name the data, take their results out of the answers, and delete what they attached.

        A file under `publish/in/` is not rewritten, because a new version would be published again.
        """
        keys = (one.key for folder in ("in", "out") for one in self._bucket.under(f"publish/{folder}/"))
        for name in sorted({key.split("/", 2)[2] for key in keys}):
            self._remove_from_file(f"publish/in/{name}", f"publish/out/{name}")

    def _remove_from_file(self, given: str, answer: str) -> None:
        results = [row for _, row in self._rows_of(answer)]
        of_record = {row.get("line") for row in results if self._has_id(row.get("id"))}
        events = list(self._rows_of(given))
        gone = [(number, event) for number, event in events if self._has_event(event, is_of=number in of_record)]
        numbers: set[Any] = {number for number, _ in gone}
        if not events and self._entity:  # the entity of a result is not known where its input is gone
            numbers = of_record
        if numbers and not results:
            self._under_way.append(given)
        elif numbers:
            attached = {key for _, event in gone for key in _attachments(event)}
            old = [version for key in (given, answer, *sorted(attached)) for version in self._bucket.of(key)]
            self._take_out(answer, numbers)
            self._delete(old)

    def _rows_of(self, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the rows of JSON Lines with their numbers from 1, in every version of an object. Each line counts."""
        for one in self._bucket.of(key):
            if not one.is_marker:
                lines = text_of(self._bucket.body_of(one)).splitlines()
                yield from ((number, _object(line)) for number, line in enumerate(lines, 1) if line.strip())

    def _has_event(self, event: Mapping[str, Any], *, is_of: bool = False) -> bool:
        """Whether a publish or subscribe event, or a webhook, is about what is forgotten.

        It names the record, or one that belongs to it: each of these entities has a member that holds the id. The id of
        a record that it created is in its result only.

        Args:
            event: The event, or a batch of events.
            is_of: Whether the event's result has the id.
        """
        items = event.get("items")
        if isinstance(items, list):
            return any(isinstance(one, Mapping) and self._has_event(one) for one in items)
        if event.get("connection", "default") != self._connection:
            return False
        if not self._entity:
            return True
        entity, parameters = event.get("entity"), event.get("parameters")
        path = parameters.get("path") if isinstance(parameters, Mapping) else None
        if isinstance(path, Mapping) and self._has_id(path.get(self._members.get(str(entity)))):
            return True
        return entity == self._entity and (is_of or self._has_id(event.get("id")))

    def _take_out(self, key: str, numbers: set[Any]) -> None:
        """Write a published file's answer without the results of some lines."""
        found = self._bucket.read(key)
        if found is not None and not self._dry_run:
            kept = [line for line in lines_of(found.body) if _object(line).get("line") not in numbers]
            body = b"".join(kept)
            if body:
                self._bucket.put(key, gzip.compress(body, mtime=0) if key.endswith(".gz") else body)

    def _remove_from_failure_queues(self) -> None:
        sqs = self._stack.client("sqs")
        for queue, url in self._stack.failure_queues().items():
            if hidden_messages(sqs, url):
                self._under_way.append(f"messages of the failure queue of {queue}, which another command holds")
            left = receive(sqs, queue, url, most=None)
            try:
                for one in [one for one in left if self._has_event(one.event)]:
                    self.note("failure queues", 1, len(one.message["Body"]))
                    if not self._dry_run:
                        sqs.delete_message(QueueUrl=url, ReceiptHandle=one.message["ReceiptHandle"])
                        left.remove(one)
            finally:
                release(sqs, url, left)

    def _remove_from_table(self) -> None:
        dynamodb, table = self._stack.client("dynamodb"), self._stack.output("IdempotencyTable")
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                if self._has_item(item):
                    self.note("idempotency table", 1, sum(len(str(value)) for value in item.values()))
                    if not self._dry_run:
                        dynamodb.delete_item(TableName=table, Key={"id": item["id"]})

    def _has_item(self, item: Mapping[str, Any]) -> bool:
        connection, entity, path = ([*item.get("subject", {}).get("S", "").split(" ", 2), "", "", ""])[:3]
        event = {"connection": connection, "entity": entity, "parameters": {"path": _object(path)}}
        result = _object(item.get("data", {}).get("S", ""))
        return self._has_event(event, is_of=self._has_id(result.get("id")))


def _manifest_of(key: str) -> str:
    """Return the key of the manifest of the run that a part belongs to."""
    folder, _, run_id = key.partition("/")[2].rpartition("/")[0].rpartition("/run=")
    return f"{MANIFESTS}{folder}/{run_id}.json"


def _is_of(line: bytes, kind: str, member: str, identity: str) -> bool:
    row = _object(line)
    if kind == "rejected":
        record = row.get("record")
        row = _object(record if isinstance(record, str) else json.dumps(record))
        if not row and isinstance(record, str):
            return identity in record  # no JSON object: rather one line too many than one too few
    return member in row and str(row[member]) == identity


def _attachments(value: object) -> Iterator[str]:
    """Yield the keys of the files that an event attaches."""
    if isinstance(value, Mapping):
        for name, inside in value.items():
            if name == "s3_key" and isinstance(inside, str) and inside.startswith("publish/files/"):
                yield inside
            else:
                yield from _attachments(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _attachments(inside)


def _object(text: str | bytes) -> dict[str, Any]:
    """Return a JSON object; an empty one for any other text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
