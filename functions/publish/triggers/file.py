"""Publish the lines of a JSON Lines file in the bucket: `publish/in/….jsonl[.gz]` → `publish/out/….jsonl[.gz]`.

The state machine `PublishFile` invokes three steps, by their name in `file_step`:

- `split` sorts the lines into shards, one per connection and family of entities, and cuts each shard into segments.
  `products` and `products/images` are one family. So lines that may concern the same record keep their order.
- `work` publishes a shard, segment by segment, and stores the results of each. If its time or the shop's quota is used
  up, it returns, and the state machine invokes it again with the returned event. A kill, or a second copy of the step,
  may publish a segment twice. That is safe: creates have idempotency keys, and updates are ordered by upload time and
  line.
- `join` merges all results in the order of the lines.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import heapq
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from connector.aws import botocore_errors
from connector.errors import AwsUnavailable, ConnectorError, RequestError
from connector.validation import parse_json
from lightspeed import ServerError, TransportError
from lightspeed.numbers import dumps
from publish.batch.batch import send_all
from publish.batch.lookups import Lookups
from publish.event import IncomingEvent
from publish.notifications import report
from publish.result import Outcome, retry_after_seconds, to_json
from publish.triggers.file_store import Line, Workspace

if TYPE_CHECKING:
    from publish.publisher import Publisher

INBOX = "publish/in/"
OUTBOX = "publish/out/"
SEGMENT_LINES = 500
SEGMENT_CHARACTERS = 1_000_000
"""A segment is full at this many lines or characters. One batch publishes it."""

MAX_SHARDS = 40
"""With more families than this, some share a shard."""

TRIES = 3
"""How often a segment is tried if a line gets no answer or a 5xx from the shop, or a call of AWS fails."""

_TRY_AGAIN_SECONDS = 30.0
_LEAST_SECONDS = 20.0
"""With less time left, the step does not begin another segment."""

_LINE_DIGITS = 9
"""The fractions of the upload time order the lines of a file: line 7 is `7e-9` ms later."""


class _Pause(NamedTuple):
    """The pause before the rest of a segment is published.

    Attributes:
        wait_seconds: When to go on, in seconds from now.
        has_failed: Whether the shop or AWS failed on a line. Then the pause counts as a try.
    """

    wait_seconds: int
    has_failed: bool


def step(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Carry out the step that the event names.

    Raises:
        RequestError: There is no such step, or the file cannot be read.
    """
    steps = {"split": split, "work": publish_shard, "join": join_results}
    name = event.get("file_step")
    if name not in steps:
        raise RequestError([f"file_step must be one of {', '.join(steps)}, not {name!r:.100}"])
    return steps[name](event, publisher)


def split(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Sort the lines of a file into shards.

    Args:
        event: `key` is the key of the file, `execution` the name of the state machine's execution, and `input` the
            execution's input. Its `replaces` names a failed execution to continue.
        publisher: The publisher of this invocation.

    Returns:
        `parts`, the events of the `work` steps, and `join`, the event of the `join` step. In a `work` event, `part` is
        the number of the shard and `segments` the number of its segments. In the `join` event, `parts` lists the number
        of segments by shard. `parts` is empty for a folder. It is also empty if another execution publishes the upload,
        because S3 may announce an upload twice.

    Raises:
        RequestError: The key is not below `publish/in/`, or the file cannot be read.
    """
    key, execution = str(event.get("key", "")), str(event.get("execution", ""))
    nothing: dict[str, Any] = {"parts": [], "join": None}
    if key.startswith(INBOX) and key.endswith("/"):
        return nothing
    if not key.startswith(INBOX) or not key.endswith((".jsonl", ".jsonl.gz")):
        raise RequestError([f"key must be {INBOX}….jsonl or {INBOX}….jsonl.gz, not {key!r:.100}"])
    try:
        upload = publisher.deps.aws.client("s3").get_object(Bucket=publisher.deps.settings.bucket, Key=key)
    except botocore_errors.ClientError as error:
        raise RequestError([f"{key} cannot be read ({error.response['Error']['Code']})"]) from error
    version = upload.get("VersionId") or upload["ETag"].strip('"')
    run = hashlib.sha256(f"{key} {version}".encode()).hexdigest()[:16]
    workspace = _workspace(run, publisher)
    if not workspace.claim(execution, str((event.get("input") or {}).get("replaces", ""))):
        return nothing
    lines, segments = _store_shards(_lines(upload["Body"], key), workspace)
    uploaded = int(upload["LastModified"].timestamp() * 1000)
    file = {"run": run, "key": key, "version": version, "uploaded": uploaded}
    start = {"segment": 0, "tries": 0}
    parts = [{"file_step": "work", **file, "part": part, "segments": n, **start} for part, n in enumerate(segments)]
    return {"parts": parts, "join": {"file_step": "join", **file, "lines": lines, "parts": segments}}


def publish_shard(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Publish the segments of a shard, from `segment` on; return the event to continue with.

    Args:
        event: One of the `parts` of `split`, or the event that this step returned. `tries` counts tries of `segment`.
        publisher: The publisher of this invocation.

    Returns:
        The event with `status` `complete` or `partial`, and `resume_after_seconds`.
    """
    workspace = _workspace(event["run"], publisher)
    tries = event["tries"]
    lookups = Lookups(event["segments"] - event["segment"])
    for segment in range(event["segment"], event["segments"]):
        if publisher.remaining_seconds() < _LEAST_SECONDS:
            pause: _Pause | None = _Pause(0, False)
        else:
            pause = _publish_segment(event, workspace, segment, publisher, lookups, last_try=tries + 1 >= TRIES)
        if pause is not None:
            status = {"status": "partial", "resume_after_seconds": pause.wait_seconds}
            return {**event, "segment": segment, "tries": tries + pause.has_failed, **status}
        tries = 0
    return {**event, "segment": event["segments"], "status": "complete", "resume_after_seconds": 0}


def join_results(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Write the results of all shards in the order of the lines; return their key, and the number of lines by status.

    It writes while it reads, because memory may not hold all results.
    """
    workspace = _workspace(event["run"], publisher)
    out = OUTBOX + str(event["key"]).removeprefix(INBOX)
    counts: Counter[str] = Counter()

    def rows() -> Iterator[bytes]:
        shards = [_results_of(workspace, shard, segments) for shard, segments in enumerate(event["parts"])]
        for _, result in heapq.merge(*shards, key=lambda found: found[0]):
            counts[result["status"]] += 1
            yield dumps(result) + b"\n"

    workspace.write(out, rows(), compress=out.endswith(".gz"))
    return {"results": out, "lines": event["lines"], "outcomes": dict(counts)}


def _workspace(run: str, publisher: Publisher) -> Workspace:
    deps = publisher.deps
    return Workspace(deps.aws.client("s3"), deps.settings.bucket, run, deps.clock)


def _publish_segment(
    event: dict[str, Any], workspace: Workspace, segment: int, publisher: Publisher, lookups: Lookups, *, last_try: bool
) -> _Pause | None:
    """Publish the lines of a segment that have no result yet; return `None` if then all have one."""
    results, etag = workspace.results(event["part"], segment)
    lines = workspace.segment(event["part"], segment)
    incoming = {number: _incoming(event, number, text) for number, text in lines if number not in results}
    outcomes = send_all(list(incoming.values()), publisher, lookups)
    waits: list[float] = []
    failed = False
    final: list[tuple[IncomingEvent, Outcome]] = []
    for (number, line), outcome in zip(incoming.items(), outcomes, strict=True):
        wait = retry_after_seconds(outcome)
        if wait is None and isinstance(outcome, TransportError | ServerError | AwsUnavailable) and not last_try:
            wait, failed = _TRY_AGAIN_SECONDS, True
        if wait is None:
            results[number] = {"line": number, **to_json(outcome)}
            final.append((line, outcome))
        else:
            waits.append(wait)
    if final and not workspace.store_results(event["part"], segment, results, etag):
        return _Pause(1, False)  # another copy of this step has stored results in the meantime
    report(publisher.deps, final)
    return _Pause(math.ceil(max(waits)), failed) if waits else None


def _incoming(event: dict[str, Any], number: int, text: str) -> IncomingEvent:
    uploaded = event.get("uploaded")  # absent if an older release began the execution
    queued_at = None if uploaded is None else uploaded + Decimal(number).scaleb(-_LINE_DIGITS)
    facts = {"file": event["key"], "line": number}
    return IncomingEvent.from_text("line", text, f"{event['key']} {event['version']} {number}", queued_at, facts)


def _results_of(workspace: Workspace, shard: int, segments: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the result of each line of a shard, in order; `failed` for a line without a result."""
    for segment in range(segments):
        results, _ = workspace.results(shard, segment)
        for number, _ in workspace.segment(shard, segment):
            failed = to_json(ConnectorError("its worker failed; whether it was published is not known"))
            yield number, results.get(number) or {"line": number, **failed}


def _store_shards(lines: Iterable[Line], workspace: Workspace) -> tuple[int, list[int]]:
    """Store lines as the segments of their shards; return the number of lines, and of segments by shard."""
    shards: list[_Shard] = []
    numbers: dict[tuple[str, str], int] = {}
    count = 0
    for line in lines:
        number = numbers.setdefault(_family(line[1]), len(numbers) % MAX_SHARDS)
        if number == len(shards):
            shards.append(_Shard(workspace, number))
        shards[number].add(line)
        count += 1
    for shard in shards:
        shard.flush()
    return count, [shard.segments for shard in shards]


def _lines(body: Any, key: str) -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and text of each line that is not empty."""
    try:
        stream = gzip.GzipFile(fileobj=body) if key.endswith(".gz") else body.iter_lines()
        for number, line in enumerate(stream, 1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if text:
                yield number, text
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise RequestError([f"{key} cannot be read: {error}"]) from error


@dataclass
class _Shard:
    """Lines that keep their order; it stores them as segments."""

    workspace: Workspace
    number: int
    segments: int = 0
    lines: list[Line] = field(default_factory=list)
    characters: int = 0

    def add(self, line: Line) -> None:
        self.lines.append(line)
        self.characters += len(line[1])
        if len(self.lines) >= SEGMENT_LINES or self.characters >= SEGMENT_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        if self.lines:
            self.workspace.store_segment(self.number, self.segments, self.lines)
            self.segments, self.lines, self.characters = self.segments + 1, [], 0


def _family(text: str) -> tuple[str, str]:
    """Return the connection of a line and the first part of its entity; defaults if the line is malformed."""
    event: object = None
    with contextlib.suppress(ValueError):
        event = parse_json(text)
    members = event if isinstance(event, dict) else {}
    return str(members.get("connection", "default")), str(members.get("entity", "")).partition("/")[0]
