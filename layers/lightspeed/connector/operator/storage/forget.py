"""`forget`: delete the data of a shop, or of one record, in every version and place.

It takes a record out of a stored run in three steps, so that readers always find a whole run:

1. Write the new part.
2. Write each manifest that names the old part, only over the manifest that was read.
3. Delete every version of the old part and of the old manifest.

After an interruption, call the command again. It finishes an incremental or reconcile run that was killed after it was
decided. It leaves any other run under way, and fails. A run that wrote nothing for two days counts as given up, and
cannot go on afterwards.

Examples:
  python -m connector forget --connection outlet                        everything of a shop
  python -m connector forget --connection default --record customers 7  one record, with what belongs to it
  python -m connector forget --connection default --record orders 12 --dry-run

Stop the schedules and webhooks of the shop first, because a run reads again the records that the shop still has. Name
each record of a person: the customer, and each order, invoice, quote, return, ticket and review. A second call finds
nothing. The command finds records by the shop's id. So it misses a record that a transformer stored without the id.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connector.aws.bucket import json_line
from connector.operator.data.source import cache_folder
from connector.operator.data.views import views_named
from connector.operator.locks import rewrite_lock
from connector.operator.parsers import add_command, connection_name
from connector.operator.stack import CommandError, OperationFailed, Stack
from connector.operator.storage.subject import Subject, attachments, parse_object
from connector.operator.storage.versions import Version, Versions, lines_of, text_of
from connector.status.failure_queues import hidden_messages, receive, release
from connector.storage_keys import HASH_DIGITS, MANIFESTS, RUN_NOTES, entity_folder, run_key
from connector.timestamps import iso_text
from lightspeed import get_entity

_KINDS = {"parts": "raw", "deleted": "deleted", "rejected": "rejected"}
"""The folder of the parts in each member of a manifest."""

_ATTEMPTS = 5
_UNDER_WAY = timedelta(days=2)
"""A run without a manifest may be under way if it wrote something in this time. No run waits for longer than a day."""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "delete the data of a shop or of one record, in every version and place"
    parser = add_command(commands, common, "forget", text, __doc__, _run)
    parser.add_argument("--connection", type=connection_name, required=True, metavar="C", help="the shop's connection")
    parser.add_argument("--record", nargs=2, metavar=("ENTITY", "ID"), help="only this record")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="the cache of `query` (default: ~/.cache)")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be deleted")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    entity, identity = "", ""
    if arguments.record is not None:  # an empty word is a mistake, such as an unset variable, and never the whole shop
        entity, identity = views_named(arguments.record[:1])[0].entity, arguments.record[1]
        if not get_entity(entity).collection:
            raise CommandError(f"{entity} has no records with ids")
        if not identity:
            raise CommandError(f"the id of the record of {entity} is empty")
    subject = Subject(arguments.connection, entity, identity)
    with rewrite_lock(stack) as renew:
        bucket = Versions(stack.client("s3"), stack.output("Bucket"), stack.clock, renew)
        forgetting = Forgetting(stack, bucket, subject, dry_run=arguments.dry_run)
        forgetting.run()
    for name in (stack.name, stack.output("Bucket")):  # `query --bucket` keeps a cache of its own
        for folder in list(cache_folder(arguments.cache, name).glob(f"*/connection={arguments.connection}")):
            forgetting.count("cache", sum(1 for path in folder.rglob("*") if path.is_file()), 0)
            if not arguments.dry_run:
                shutil.rmtree(folder)
    forgetting.report()
    forgetting.check_nothing_in_use()
    return 0


class Forgetting:
    """One call of the command. It counts the objects that it deletes, by place.

    Args:
        subject: The data to delete.
        dry_run: Whether to count only.
    """

    def __init__(self, stack: Stack, bucket: Versions, subject: Subject, *, dry_run: bool) -> None:
        self._stack = stack
        self._bucket = bucket
        self._subject = subject
        self._dry_run = dry_run
        self._deleted: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._under_way: list[str] = []  # objects that a run or a publication may still use, for the message
        self._whole_runs: set[str] = set()  # manifests of runs that read nested records of this record only

    def run(self) -> None:
        """Delete the data in every place except caches.

        Raises:
            OperationFailed: Something writes versions of the data meanwhile.
        """
        connection, entity = self._subject.connection, self._subject.entity
        known: dict[str, Set[str]] = {}
        if entity:
            self._finish_decided_runs()
            known = {name: self._remove_from_runs(name, member) for name, member in self._subject.members.items()}
            self._delete_where(f"events/connection={connection}/entity={entity}/", self._subject.has_webhook)
            self._delete_where(f"state/connection={connection}/", self._subject.has_id_index)
        else:
            self._delete_shop()
        self._remove_from_files()
        self._remove_from_failure_queues()
        self._remove_from_table()
        for name, manifests in known.items():
            self._find_late_runs(name, self._subject.members[name], manifests)

    def check_nothing_in_use(self) -> None:
        """Fail if a run, a file or another command still uses some of the data.

        Raises:
            OperationFailed: It does. The message names up to three objects.
        """
        if self._under_way:
            some = ", ".join(self._under_way[:3])
            raise OperationFailed(f"still in use, and so not deleted: {some}. Call again when nothing uses it")

    def count(self, place: str, objects: int, size: int) -> None:
        """Count deleted objects of a place, and their bytes."""
        if objects:
            self._deleted[place] += objects
            self._bytes[place] += size

    def report(self) -> None:
        """Print the counts, and the places that the command cannot reach."""
        out = sys.stdout
        verb = "would be deleted" if self._dry_run else "deleted"
        for place, count in sorted(self._deleted.items()):
            out.write(f"{place:24} {count:8} {verb}, {self._bytes[place]} bytes\n")
        if not self._deleted and not self._under_way:
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
        """Delete all objects of the connection; manifests first, so that no reader misses a part."""
        connection = self._subject.connection
        run_ids = {
            version.key.rpartition("/")[2].removesuffix(".json")
            for version in self._bucket.under(f"{MANIFESTS}connection={connection}/")
        }
        folders = ("manifests", "raw", "deleted", "rejected", "events", "state", "state/reports")
        prefixes = [f"{folder}/connection={connection}/" for folder in folders]
        for prefix in [*prefixes, f"state/webhooks/connection={connection}.json"]:
            self._delete_where(prefix)
        self._delete_where("state/status/", self._subject.has_status_rows)
        self._delete_where(RUN_NOTES, lambda body: self._is_journal(body, run_ids))
        for run_id in sorted(run_ids):
            self._delete_where(f"state/passes/{run_id}/")

    def _is_journal(self, body: bytes, run_ids: set[str]) -> bool:
        """Whether a journal is of the shop.

        Args:
            body: The journal. An earlier version wrote no connection into it.
            run_ids: The known ids of the shop's runs. The id of the journal's run is added to them.
        """
        journal = parse_object(body)
        run_id, connection = journal.get("run_id"), journal.get("connection")
        if run_id not in run_ids if connection is None else connection != self._subject.connection:
            return False
        run_ids.add(str(run_id))
        return True

    def _delete_where(self, prefix: str, matches: Callable[[bytes], bool] | None = None) -> None:
        """Delete all versions under a prefix, or those with matching content and the delete markers of their keys."""

        def find() -> list[Version]:
            every = list(self._bucket.under(prefix))
            if matches is None:
                return every
            matching = [
                version for version in every if not version.is_marker and matches(self._bucket.body_of(version))
            ]
            keys = {version.key for version in matching}
            return matching + [version for version in every if version.is_marker and version.key in keys]

        versions = find()
        self._delete(versions)
        if versions and not self._dry_run and find():
            raise OperationFailed(f"versions are left under {prefix}: something writes there. Stop it and call again")

    def _delete(self, versions: list[Version]) -> None:
        for version in versions:
            self.count(version.key.partition("/")[0], 1, version.size)
        if not self._dry_run:
            self._bucket.delete(versions)

    def _remove_from_runs(self, entity: str, member: str) -> Set[str]:
        """Take the record out of the runs of an entity, and delete every other version that holds it.

        Two manifests may name the same part: that of a run, and that of its compacted day. So parts are deleted last.

        Returns:
            The keys of the manifests that were read.
        """
        folder = entity_folder(self._subject.connection, entity)
        keys = sorted({version.key for version in self._bucket.under(MANIFESTS + folder)})
        manifests = {key: self._remove_from_run(key, member) for key in keys}
        named = {part["key"] for each in manifests.values() for name in _KINDS for part in each.get(name, ())}
        finished = {*manifests, *(key for each in manifests.values() for key in each.get("replaces", ()))}
        for kind in _KINDS.values():
            versions: list[Version] = []
            for version in self._bucket.under(f"{kind}/{folder}"):
                is_named = version.latest and version.key in named and not self._dry_run
                if version.is_marker or is_named or not self._has_record(version, kind, member):
                    continue
                if _manifest_of(version.key) in finished or self._is_given_up(version):
                    versions += self._bucket.of(version.key)
                elif version.latest:
                    self._under_way.append(version.key)
                else:
                    versions.append(version)
            self._delete(list(dict.fromkeys(versions)))
            for key in () if self._dry_run else {version.key for version in versions}.difference(self._under_way):
                if any(not version.is_marker for version in self._bucket.of(key)):
                    raise OperationFailed(f"versions of {key} are left: something writes them. Call again")
        return manifests.keys()

    def _find_late_runs(self, entity: str, member: str, known: Set[str]) -> None:
        """Note the parts with the record of runs that finished during this call.

        Args:
            entity: The entity of the runs.
            member: The member that holds the record's id.
            known: The keys of the manifests that were read.
        """
        folder = entity_folder(self._subject.connection, entity)
        for key in sorted({item["Key"] for item in self._bucket.objects(MANIFESTS + folder)} - known):
            manifest = self._bucket.read_json(key) or {}
            for name, kind in _KINDS.items():
                for part in manifest.get(name, ()):
                    body = self._bucket.read_body(part["key"]) or b""
                    if self._without(body, kind, member, whole=False) is not None:
                        self._under_way.append(part["key"])

    def _has_record(self, version: Version, kind: str, member: str) -> bool:
        whole = _manifest_of(version.key) in self._whole_runs
        return self._without(self._bucket.body_of(version), kind, member, whole=whole) is not None

    def _finish_decided_runs(self) -> None:
        """Write the manifests of runs that were killed after they were decided, as the next run would.

        The decision of a `full` run is only in its own journal, so the run stays under way.
        """
        for item in list(self._bucket.objects(f"state/connection={self._subject.connection}/")):
            state = parse_object(self._bucket.read_body(item["Key"]) or b"")
            pending = state.get("pending") or state  # a bookmark has `pending`; the lock of reconcile runs has not
            manifests = {**pending.get("manifests", {}), **pending.get("note", {}).get("manifests", {})}
            if not self._dry_run:
                self._bucket.put_manifests(manifests)

    def _is_given_up(self, version: Version) -> bool:
        """Whether the run of a part will never have a manifest. Its state is deleted, so that it cannot go on."""
        since = datetime.fromtimestamp(self._stack.clock.time(), UTC) - _UNDER_WAY
        run_id = _manifest_of(version.key).rpartition("/")[2].removesuffix(".json")
        journal = run_key(run_id)
        stored = self._bucket.read(journal)
        if self._bucket.read(_manifest_of(version.key)) is not None:
            return False  # it finished meanwhile
        if stored is not None and parse_object(stored.body).get("status") == "complete":
            return True
        if version.written > since or (stored is not None and stored.written is not None and stored.written > since):
            return False
        self._delete([*self._bucket.under(f"state/passes/{run_id}/"), *self._bucket.of(journal)])
        return True

    def _remove_from_run(self, key: str, member: str) -> dict[str, Any]:
        """Take the record out of the parts of a run; return the run's manifest then, empty if there is none.

        Raises:
            OperationFailed: The manifest changes again and again.
        """
        for _ in range(_ATTEMPTS):
            found = self._bucket.read(key)
            if found is None:
                return {}
            manifest: dict[str, Any] = json.loads(found.body)
            new = self._rewrite(key, manifest, member)
            if new is None or self._dry_run:
                if any(stamp["by"] == "forget" for stamp in manifest.get("rewritten", ())):
                    self._delete([version for version in self._bucket.of(key) if not version.latest])
                return manifest
            # the next round reads the manifest again, because the answer may be lost
            self._bucket.replace(key, json_line(new), found.etag)
        raise OperationFailed(f"{key} changes again and again; call again later")

    def _rewrite(self, key: str, manifest: dict[str, Any], member: str) -> dict[str, Any] | None:
        """Store the parts of a run without the record; return their manifest, `None` if no part has the record."""
        new = dict(manifest)
        path = manifest["request"].get("parameters", {}).get("path", {})
        whole = member != "id" and self._subject.has_id(path.get(member))  # its rows may lack the parent's id
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
        """Return the lines of a part without those of the record; `None` if no line is of the record.

        Args:
            body: The part.
            kind: The folder of the part.
            member: The member that holds the record's id.
            whole: Whether every line is of the record.
        """
        lines = lines_of(body)
        kept = [line for line in lines if not (whole or self._subject.has_line(line, kind, member))]
        return None if len(kept) == len(lines) else kept

    def _store(self, part: Mapping[str, Any], lines: list[bytes]) -> dict[str, Any]:
        folder, _, name = str(part["key"]).rpartition("/")
        start = f"{folder}/part-{name.split('-')[1].partition('.')[0]}-"
        return {**part, **self._bucket.store_part(lines, lambda sha256: f"{start}{sha256[:HASH_DIGITS]}.jsonl.gz")}

    def _remove_from_files(self) -> None:
        """Delete the published files that name the data, the results of their lines, and the attached files.

        A file under `publish/in/` is not rewritten, because a new version would be published again.
        """
        keys = (version.key for folder in ("in", "out") for version in self._bucket.under(f"publish/{folder}/"))
        for name in sorted({key.split("/", 2)[2] for key in keys}):
            self._remove_from_file(f"publish/in/{name}", f"publish/out/{name}")

    def _remove_from_file(self, file: str, answer: str) -> None:
        results = [row for _, row in self._rows_of(answer)]
        created = {row.get("line") for row in results if self._subject.has_id(row.get("id"))}
        rows = list(self._rows_of(file))
        matching = [row for row in rows if self._subject.has_event(row[1], created_it=row[0] in created)]
        numbers: set[Any] = {number for number, _ in matching}
        if not rows and self._subject.entity:  # without the file, the entity of a result is not known
            numbers = created
        if numbers and not results:
            self._under_way.append(file)
        elif numbers:
            attached = {key for _, event in matching for key in attachments(event)}
            versions = [version for key in (file, answer, *sorted(attached)) for version in self._bucket.of(key)]
            self._remove_results(answer, numbers)
            self._delete(versions)

    def _rows_of(self, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number and object of each line, in every version of an object. Empty lines count, but are left out."""
        for version in self._bucket.of(key):
            if not version.is_marker:
                lines = text_of(self._bucket.body_of(version)).splitlines()
                yield from ((number, parse_object(line)) for number, line in enumerate(lines, 1) if line.strip())

    def _remove_results(self, key: str, numbers: set[Any]) -> None:
        """Write the results of a published file without those of some lines."""
        found = self._bucket.read(key)
        if found is not None and not self._dry_run:
            kept = [line for line in lines_of(found.body) if parse_object(line).get("line") not in numbers]
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
                for failure in [failure for failure in left if self._subject.has_event(failure.event)]:
                    self.count("failure queues", 1, len(failure.message["Body"]))
                    if not self._dry_run:
                        sqs.delete_message(QueueUrl=url, ReceiptHandle=failure.message["ReceiptHandle"])
                        left.remove(failure)
            finally:
                release(sqs, url, left)

    def _remove_from_table(self) -> None:
        dynamodb, table = self._stack.client("dynamodb"), self._stack.output("IdempotencyTable")
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                if self._subject.has_item(item):
                    self.count("idempotency table", 1, sum(len(str(value)) for value in item.values()))
                    if not self._dry_run:
                        dynamodb.delete_item(TableName=table, Key={"id": item["id"]})


def _manifest_of(key: str) -> str:
    """Return the key of the manifest of the run that a part belongs to."""
    folder, _, run_id = key.partition("/")[2].rpartition("/")[0].rpartition("/run=")
    return f"{MANIFESTS}{folder}/{run_id}.json"
