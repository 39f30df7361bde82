"""Publish the lines of a JSON Lines file in the bucket: `publish/in/….jsonl[.gz]` → `publish/out/….jsonl[.gz]`.

Three steps, which the state machine `PublishFile` carries out:

- `split` sorts the lines into parts, one per connection and family of entities (`products` and `products/images` are
  one), so that the order of lines is kept wherever it can matter. One part is enough to use up a shop's quota; several
  run side by side.
- `work` publishes a part, segment by segment, and writes the results of each beside it. It returns when its time or
  the shop's quota is used up, and is called again with what it returned. A segment that was killed is done again: its
  creates carry keys, its updates can be repeated.
- `join` writes all results in the order of the lines.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import heapq
import json
import math
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from connector.errors import AwsUnavailable, ConnectorError, OutOfTime, RequestError
from connector.validation import parse_json
from lightspeed import ServerError, TransportError
from publish.batch.batch import Batch
from publish.batch.item import IncomingEvent
from publish.result import Outcome, shown
from publish.triggers.file_store import Workspace

if TYPE_CHECKING:
    from publish.publisher import Publisher

INBOX = "publish/in/"
OUTBOX = "publish/out/"
SEGMENT_LINES = 500
SEGMENT_BYTES = 1_000_000
MOST_PARTS = 40
TRIES = 3
"""How often a line is tried that the shop did not answer, or with 5xx, or for which AWS failed."""

_TRY_AGAIN_SECONDS = 30.0
_LEAST_SECONDS = 20.0
_SAFE_TWICE = ("update", "delete")


def step(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Carry out the step that the event names.

    Raises:
        RequestError: There is no such step, or the file cannot be read.
    """
    steps = {"split": split, "work": work, "join": join}
    name = event.get("file_step")
    if name not in steps:
        raise RequestError([f"file_step must be one of {', '.join(steps)}, not {name!r:.100}"])
    return steps[name](event, publisher)


def split(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Sort the lines of a file into parts.

    Args:
        event: `key` of the file and `execution`, the name of the state machine's execution.
        publisher: What it is part of.

    Returns:
        `parts`, each the event of a `work` step, and `join`, the event of that step. Nothing for a file whose upload
        another execution takes care of already: S3 may tell of an upload twice.

    Raises:
        RequestError: The file is not where such files lie, or cannot be read.
    """
    key, execution = str(event.get("key", "")), str(event.get("execution", ""))
    if not key.startswith(INBOX) or not key.endswith((".jsonl", ".jsonl.gz")):
        raise RequestError([f"key must be {INBOX}….jsonl or {INBOX}….jsonl.gz, not {key!r:.100}"])
    s3, bucket = publisher.deps.aws.client("s3"), publisher.deps.settings.bucket
    try:
        found = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise RequestError([f"{key} cannot be read ({error.response['Error']['Code']})"]) from error
    version = found.get("VersionId") or found["ETag"].strip('"')
    run = hashlib.sha256(f"{key} {version}".encode()).hexdigest()[:16]
    space = Workspace(s3, bucket, run)
    if not space.begin(execution):
        return {"parts": [], "join": None}
    parts = _Parts(space)
    lines = 0
    for number, text in _lines(found["Body"], key):
        parts.add(number, text)
        lines += 1
    whole = {"run": run, "key": key, "version": version}
    begun = {"segment": 0, "tries": 0}
    written = parts.end()
    works = [{"file_step": "work", **whole, "part": part, "segments": n, **begun} for part, n in written]
    joined = {"file_step": "join", **whole, "lines": lines, "parts": [n for _, n in written]}
    return {"parts": works, "join": joined}


def work(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Publish the segments of a part, from `segment` on; return the event with which to go on.

    Returns:
        The event with `status` `complete`, or `partial` and `resume_after_seconds`.
    """
    space = Workspace(publisher.deps.aws.client("s3"), publisher.deps.settings.bucket, event["run"])
    part, segment, tries = event["part"], event["segment"], event["tries"]
    while segment < event["segments"]:
        if publisher.remaining_seconds() < _LEAST_SECONDS:
            return {**event, "segment": segment, "tries": tries, "status": "partial", "resume_after_seconds": 0}
        wait = _segment(event, space, segment, publisher, last_try=tries + 1 >= TRIES)
        if wait is not None:
            seconds, failed = wait
            tries = tries + 1 if failed else tries
            return {**event, "segment": segment, "tries": tries, "status": "partial", "resume_after_seconds": seconds}
        segment, tries = segment + 1, 0
    return {**event, "segment": segment, "status": "complete", "resume_after_seconds": 0, "part": part}


def join(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Write the results of all parts in the order of the lines; return how many there are of each kind."""
    s3, bucket = publisher.deps.aws.client("s3"), publisher.deps.settings.bucket
    space = Workspace(s3, bucket, event["run"])
    out = OUTBOX + str(event["key"]).removeprefix(INBOX)
    counts: dict[str, int] = {}

    def texts() -> Iterator[bytes]:
        parts = [_results_of(space, part, segments) for part, segments in enumerate(event["parts"])]
        for _, result in heapq.merge(*parts, key=lambda found: found[0]):
            counts[result["status"]] = counts.get(result["status"], 0) + 1
            yield json.dumps(result, separators=(",", ":")).encode() + b"\n"

    space.write(out, texts(), packed=out.endswith(".gz"))
    return {"results": out, "lines": event["lines"], "outcomes": counts}


def _segment(
    event: dict[str, Any], space: Workspace, segment: int, publisher: Publisher, *, last_try: bool
) -> tuple[int, bool] | None:
    """Publish what is left of a segment; return how long to wait before going on and whether the shop failed."""
    lines = space.segment(event["part"], segment)
    results = space.results(event["part"], segment)
    left = [(number, text) for number, text in lines if number not in results]
    found = [_entry(event, number, text) for number, text in left]
    alike = event["segments"] - segment
    batch = Batch(publisher, background=True, alike=alike)
    published = iter(batch.run([entry for entry in found if isinstance(entry, IncomingEvent)]))
    outcomes = [next(published) if isinstance(entry, IncomingEvent) else entry for entry in found]
    entries = [entry if isinstance(entry, IncomingEvent) else IncomingEvent(None) for entry in found]
    waits: list[float] = []
    failed = False
    final: list[int] = []
    for position, ((number, _), outcome) in enumerate(zip(left, outcomes, strict=True)):
        wait = _wait_seconds(outcome)
        if wait is None and isinstance(outcome, TransportError | ServerError | AwsUnavailable) and not last_try:
            wait, failed = _TRY_AGAIN_SECONDS, True
        if wait is None:
            results[number] = {"line": number, **shown(outcome)}
            final.append(position)
        else:
            waits.append(wait)
    space.keep_results(event["part"], segment, results)
    facts: list[dict[str, object]] = [{"file": event["key"], "line": left[position][0]} for position in final]
    publisher.tell([entries[position] for position in final], [outcomes[position] for position in final], facts)
    return (math.ceil(max(waits)), failed) if waits else None


def _wait_seconds(outcome: Outcome) -> float | None:
    """Return how long to wait before a line is tried again, or `None` if its outcome is final."""
    if isinstance(outcome, OutOfTime):
        return 0.0
    return getattr(outcome, "retry_after_seconds", None)


def _entry(event: dict[str, Any], number: int, text: str) -> IncomingEvent | RequestError:
    try:
        inside = parse_json(text, exact=True)
    except ValueError as error:
        return RequestError([f"the line must be a JSON object, a publish event: {error}"])
    repeatable = isinstance(inside, dict) and inside.get("action") in _SAFE_TWICE
    return IncomingEvent(inside, key=None if repeatable else f"{event['key']} {event['version']} {number}")


def _results_of(space: Workspace, part: int, segments: int) -> Iterator[tuple[int, dict[str, Any]]]:
    for segment in range(segments):
        results = space.results(part, segment)
        for number, _ in space.segment(part, segment):
            missing = shown(ConnectorError("its worker failed; whether it was published is not known"))
            yield number, results.get(number) or {"line": number, **missing}


def _lines(body: Any, key: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are not empty, with their numbers from 1."""
    try:
        stream = gzip.GzipFile(fileobj=body) if key.endswith(".gz") else body.iter_lines()
        for number, line in enumerate(stream, 1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if text:
                yield number, text
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise RequestError([f"{key} cannot be read: {error}"]) from error


class _Parts:
    """Lines on their way into the segments of their parts."""

    def __init__(self, space: Workspace) -> None:
        self._space = space
        self._numbers: dict[tuple[str, str], int] = {}
        self._open: dict[int, list[tuple[int, str]]] = {}
        self._sizes: dict[int, int] = {}
        self._written: dict[int, int] = {}

    def add(self, number: int, text: str) -> None:
        family = _family(text)
        part = self._numbers.setdefault(family, len(self._numbers) % MOST_PARTS)
        lines = self._open.setdefault(part, [])
        lines.append((number, text))
        self._sizes[part] = self._sizes.get(part, 0) + len(text)
        if len(lines) >= SEGMENT_LINES or self._sizes[part] >= SEGMENT_BYTES:
            self._write(part)

    def end(self) -> list[tuple[int, int]]:
        """Write what is left; return each part and how many segments it has."""
        for part in [part for part, lines in self._open.items() if lines]:
            self._write(part)
        return sorted(self._written.items())

    def _write(self, part: int) -> None:
        segment = self._written.get(part, 0)
        self._space.keep_segment(part, segment, self._open.pop(part))
        self._written[part] = segment + 1
        self._sizes[part] = 0


def _family(text: str) -> tuple[str, str]:
    event: object = None
    with contextlib.suppress(ValueError):
        event = parse_json(text)
    inside = event if isinstance(event, dict) else {}
    return str(inside.get("connection", "default")), str(inside.get("entity", "")).partition("/")[0]
