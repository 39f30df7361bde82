"""Look up runs: one by its id, or the newest of all.

It finds finished runs by their manifests, day by day: one request to S3 lists a thousand. It finds running and failed
runs by their executions of Sync. Nothing scans the bucket.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from connector.aws.bucket import Bucket
from connector.aws.executions import find_execution
from connector.chunks import chunks
from connector.concurrency import map_concurrently
from connector.errors import RequestError, UnknownRun
from connector.storage_keys import COMPACT, RUN_ID, run_key
from connector.timestamps import iso_text
from lightspeed import Clock
from lightspeed.request import parse_time

LEASE = timedelta(minutes=20)
"""A run counts as given up this long after its planned continuation. An invocation is shorter."""

MAX_LIMIT = 100
"""The most runs of one page."""

DEFAULT_LIMIT = 20

_FAILED = ("FAILED", "TIMED_OUT", "ABORTED")
STATUSES = ("running", "complete", "failed")
_PARAMETERS = ("connection", "entity", "status", "limit", "after")
_INTERNAL = ("fingerprint", "single", "manifests", "transformers")
_KEY = re.compile(r"\d{4}-\d\d-\d\d_\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ_.{1,80}")
"""The sort key of a run: the day of its start, the time of its last event, and its id."""

_EXECUTIONS_AT_ONCE = 1_000
_EXAMINED = 200
_EXAMINED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of `GET /runs`.

    Attributes:
        connection: Only runs of this connection; empty for all.
        entity: Only runs of this entity; empty for all.
        status: `running`, `complete` or `failed`; empty for all.
        limit: The most runs to return, 1 to 100.
        after: The sort key of the last run of the page before; empty for the first page.
    """

    connection: str = ""
    entity: str = ""
    status: str = ""
    limit: int = DEFAULT_LIMIT
    after: str = ""

    @classmethod
    def from_parameters(cls, given: dict[str, str]) -> Query:
        """Return the query of a call's parameters.

        Raises:
            RequestError: A parameter is unknown, or its value is wrong.
        """
        known = ", ".join(_PARAMETERS)
        errors = [f"unknown parameter {name:.100} (known: {known})" for name in given if name not in _PARAMETERS]
        status, limit, after = given.get("status", ""), given.get("limit", str(DEFAULT_LIMIT)), given.get("after", "")
        if status and status not in STATUSES:
            errors.append(f"status must be {', '.join(STATUSES[:-1])} or {STATUSES[-1]}, not {status!r:.100}")
        if not (limit.isascii() and limit.isdigit() and len(limit) < 9 and 1 <= int(limit) <= MAX_LIMIT):
            errors.append(f"limit must be a whole number from 1 to {MAX_LIMIT}, not {limit!r:.100}")
        if after and not _KEY.fullmatch(after):
            errors.append("after must be the value of the page before")
        if errors:
            raise RequestError(errors)
        return cls(given.get("connection", ""), given.get("entity", ""), status, int(limit), after)


@dataclass(frozen=True, slots=True, order=True)
class _Row:
    """A run before its manifest or journal is read. Rows sort by the day of the start, then by the last event."""

    day: str
    changed: str
    run_id: str
    status: str = field(compare=False)
    manifests: tuple[str, ...] = field(compare=False, default=())
    execution: str = field(compare=False, default="")

    @property
    def key(self) -> str:
        return f"{self.day}_{self.changed}_{self.run_id}"


class Runs:
    """The runs of this bundle.

    Args:
        step_functions: The client of Step Functions; not used without a state machine.
        state_machine_arn: The ARN of Sync; empty without a state machine.
    """

    def __init__(
        self, bucket: Bucket, clock: Clock, *, step_functions: Any = None, state_machine_arn: str = ""
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._step_functions = step_functions
        self._arn = state_machine_arn

    def get(self, run_id: str) -> dict[str, Any]:
        """Return a run's latest result with its status: `running`, `paused`, `complete` or `failed`.

        Raises:
            UnknownRun: The run has neither a result nor an execution of Sync.
        """
        if not RUN_ID.fullmatch(run_id):
            raise UnknownRun(f"unknown run {run_id!r:.100}: a run_id has up to 80 letters, digits and . _ = -")
        entry = self._journal(run_id)
        if entry is not None and self._is_complete(entry):
            return {**_public(entry), "status": "complete"}
        execution = self.execution(run_id)
        if execution is None and entry is None:
            raise UnknownRun(f"unknown run {run_id!r}: no execution has this name, and there is no result of one")
        found = _public(entry or {"run_id": run_id})
        if execution is not None and execution["status"] == "SUCCEEDED":
            return {"status": "complete", **json.loads(execution.get("output") or "{}"), **found}
        if execution is not None and execution["status"] in _FAILED:
            return {
                **found,
                "status": "failed",
                "error": execution.get("error"),
                "cause": execution.get("cause"),
                "failed_at": iso_text(execution["stopDate"]),
            }
        if execution is None and entry is not None and self._is_paused(entry):
            return {**found, "status": "paused", **_how_to_continue(entry)}
        return {**found, "status": "running"}

    def _is_complete(self, entry: dict[str, Any]) -> bool:
        """Return whether the run is complete. One that was killed after it wrote the manifest is complete, too."""
        if entry["status"] == "finishing" and entry.get("manifest"):
            return any(row["Key"] == entry["manifest"] for row in self._bucket.objects(entry["manifest"]))
        return bool(entry["status"] == "complete")

    def _is_paused(self, entry: dict[str, Any]) -> bool:
        """Return whether no invocation works on a run that has no execution of Sync."""
        until = parse_time(entry["noted_at"]) + LEASE
        return entry["status"] == "partial" or self._clock.time() >= until.timestamp()

    def execution(self, run_id: str) -> dict[str, Any] | None:
        """Return the execution of Sync with this name in the form of DescribeExecution; `None` if there is none."""
        return find_execution(self._step_functions, self._arn, run_id) if self._arn else None

    def page(self, query: Query) -> dict[str, Any]:
        """Return one page of runs, newest first.

        The order is that of the day of the start, UTC, then of the end; of the start while a run is under way. The list
        lacks runs that were invoked directly and did not finish; `get` finds them.

        Returns:
            `runs`, and `after`: the parameter of the next page, `None` at the end. A page before the last one may be
            shorter than the limit.
        """
        finished = self._finished(query) if query.status in ("", "complete") else iter(())
        unfinished, floor = self._unfinished(query) if query.status != "complete" else ([], "")
        rows: list[_Row] = []
        for row in heapq.merge(finished, unfinished, reverse=True):
            if row.key < floor or len(rows) > query.limit:
                break
            if all(row.run_id != other.run_id for other in rows):
                rows.append(row)
        more = len(rows) > query.limit
        shown = rows[: query.limit]
        runs = [run for run in map_concurrently(self._describe, shown) if run]
        return {"runs": runs, "after": (shown[-1].key if more else floor) or None}

    def _finished(self, query: Query) -> Iterator[_Row]:
        """Yield finished runs, newest first. It lists a day only when the caller reaches it."""
        last_day = query.after.partition("_")[0]
        days: dict[str, list[str]] = {}
        languages = [folder.key for folder in self._bucket.manifest_folders(query.connection, query.entity)]
        for prefix in self._bucket.folders_of(languages):
            days.setdefault(prefix.rpartition("date=")[2].rstrip("/"), []).append(prefix)
        for day in sorted(days, reverse=True):
            if last_day and day > last_day:
                continue
            for row in sorted(self._finished_on(day, days[day]), reverse=True):
                if not query.after or row.key < query.after:
                    yield row

    def _finished_on(self, day: str, prefixes: Sequence[str]) -> list[_Row]:
        """Return the finished runs that started on a day. A run in several languages has several manifests."""
        objects = self._bucket.objects_of(prefixes)
        compacted = [item["Key"] for item in objects if item["Key"].endswith(f"{COMPACT}.json")]
        manifests = map_concurrently(self._bucket.read_json, compacted)
        replaced = {
            key for manifest in manifests for key in (manifest or {}).get("replaces", ())
        }  # `compact` deletes them later
        runs: dict[str, tuple[str, list[str]]] = {}
        for item in sorted(objects, key=lambda item: str(item["Key"])):
            if item["Key"] in replaced:
                continue
            run_id = item["Key"].rpartition("/")[2].removesuffix(".json")
            changed, keys = runs.setdefault(run_id, ("", []))
            runs[run_id] = (max(changed, iso_text(item["LastModified"])), [*keys, item["Key"]])
        return [_Row(day, changed, run_id, "complete", tuple(keys)) for run_id, (changed, keys) in runs.items()]

    def _unfinished(self, query: Query) -> tuple[list[_Row], str]:
        """Return running and failed runs, newest first, and the key where the search stopped; empty at the end."""
        if not self._arn:
            return [], ""
        statuses = {"running": ("RUNNING",), "failed": _FAILED}.get(query.status, ("RUNNING", *_FAILED))
        rows = sorted((row for status in statuses for row in self._executions(query, status)), reverse=True)
        unfinished: list[_Row] = []
        for some in chunks(rows[:_EXAMINED], _EXAMINED_AT_ONCE):
            for row, run in zip(some, map_concurrently(self._describe, some), strict=True):
                matches = query.connection in ("", run["connection"]) and query.entity in ("", run["entity"])
                if matches and run["status"] != "complete":
                    unfinished.append(row)
                if len(unfinished) > query.limit:
                    return unfinished, row.key
        return unfinished, rows[_EXAMINED - 1].key if len(rows) > _EXAMINED else ""

    def _executions(self, query: Query, status: str) -> Iterator[_Row]:
        """Yield the newest executions with a status that come after the query's key, a few more than needed."""
        pages = self._step_functions.get_paginator("list_executions").paginate(
            stateMachineArn=self._arn, statusFilter=status, PaginationConfig={"PageSize": _EXECUTIONS_AT_ONCE}
        )
        number, day = 0, ""
        for execution in (row for page in pages for row in page["executions"]):
            started = iso_text(execution["startDate"])
            row = _Row(
                started[:10],
                iso_text(execution.get("stopDate") or execution["startDate"]),
                execution["name"],
                "running" if status == "RUNNING" else "failed",
                execution=execution["executionArn"],
            )
            if query.after and row.key >= query.after:
                continue
            if number > _EXAMINED and row.day < day:
                return  # executions come newest first by their start, so the rest is older than all that are examined
            number, day = number + 1, row.day
            yield row

    def _describe(self, row: _Row) -> dict[str, Any]:
        """Return the members of a run in the list; empty if `compact` or `forget` has deleted it meanwhile."""
        if row.manifests:
            manifests = [found for found in map(self._bucket.read_json, row.manifests) if found]
            if not manifests:
                return {}
            first = manifests[0]
            return {
                "run_id": row.run_id,
                "status": "complete",
                "connection": first["connection"],
                "entity": first["entity"],
                "started": first["started"],
                "finished": row.changed,
                "records": sum(manifest["records"] for manifest in manifests),
                "verified": all(manifest["verified"] for manifest in manifests),
                "reason": next((manifest["reason"] for manifest in manifests if manifest.get("reason")), None),
                "warnings": list(
                    dict.fromkeys(text for manifest in manifests for text in manifest.get("warnings", ()))
                ),
                "manifests": list(row.manifests),
            }
        entry = self._journal(row.run_id)
        if entry is None:
            execution = self._step_functions.describe_execution(executionArn=row.execution)
            started = iso_text(execution["startDate"])
            entry = {**json.loads(execution.get("input") or "{}"), "run_id": row.run_id, "started": started}
        run = {
            "run_id": entry.get("run_id", row.run_id),
            "status": "complete" if entry.get("status") == "complete" else row.status,
            "connection": entry.get("connection", "default"),
            "entity": entry.get("entity", ""),
            "started": entry.get("started", row.day),
            "records": entry.get("records", 0),
        }
        return run if row.status == "running" else {**run, "failed_at": row.changed}

    def _journal(self, run_id: str) -> dict[str, Any] | None:
        """Return the latest result of a run, and `noted_at`, the time of its write; `None` if there is none."""
        found = self._bucket.read(run_key(run_id))
        return None if found is None else {**json.loads(found.body), "noted_at": iso_text(found.written or 0.0)}


def _public(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in (*_INTERNAL, "cursor", "noted_at")}


def _how_to_continue(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the time since which a run is paused, and how to continue it."""
    cursor = {"cursor": entry["cursor"]} if entry.get("cursor") else {}
    resume = f"invoke subscribe, or start Sync, with the same event and this {'cursor' if cursor else 'run_id'}"
    return {"paused_since": entry["noted_at"], **cursor, "resume": resume}
