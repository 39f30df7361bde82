"""One invocation of a run: read as much as quota, time and `max_records` allow, land it, say how to go on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from connector.errors import RequestError
from connector.transform import transform_record, transformers
from lightspeed import Client, Clock, RateLimited, ServerError, TransportError
from lightspeed.parameters import parse_time
from lightspeed.reading import ListReader, Progress, Record
from subscribe import cursor
from subscribe.bookmarks import Bookmark, Bookmarks
from subscribe.cursor import RunState
from subscribe.landing import AlreadyWritten, Bucket, PartWriter, manifest_key, part_key, run_key, run_prefix
from subscribe.plan import OVERLAP, SETTLE, Read, languages_of, plan_reads, window_of
from subscribe.request import SubscribeRequest

PATIENCE_SECONDS = 5
"""The longest that an invocation waits for the quota; longer waits belong to the state machine."""

FIRST_RECORDS = 250
"""How many of the records landed by an invocation its result carries."""

_ENDING_SECONDS = 5
_SKEW_SECONDS = 2
_API_KEY = re.compile(rb'("apiKey"\s*:\s*)"(?:[^"\\]|\\.)*"')


@dataclass(slots=True)
class Result:
    """What an invocation answers.

    Attributes:
        body: The documented result.
        first_records: JSON text of the first records landed by this invocation, at most `FIRST_RECORDS`.
        single: Whether one record was asked for, not a list.
    """

    body: dict[str, Any]
    first_records: list[bytes] = field(default_factory=list)
    single: bool = False


class _Stop(Exception):
    """The invocation ends here, the run goes on later."""

    def __init__(self, resume_after_seconds: float) -> None:
        self.resume_after_seconds = resume_after_seconds
        super().__init__(resume_after_seconds)


class Subscription:
    """A run of one request, seen from one invocation."""

    def __init__(
        self,
        request: SubscribeRequest,
        run_id: str,
        *,
        client: Client,
        bucket: Bucket,
        clock: Clock,
        remaining_seconds: Callable[[], float],
        reserve_percent: float,
    ) -> None:
        """Take the request and what it needs; nothing is read or sent yet.

        Args:
            request: Checked.
            run_id: Of the run, unless the request names one or carries a cursor.
            client: Of the request's connection.
            bucket: Where to land.
            clock: For the window's end and short waits.
            remaining_seconds: Time until this invocation must be over.
            reserve_percent: Share of each quota window that is left for others.
        """
        self._request = request
        self._client = client
        self._bucket = bucket
        self._clock = clock
        self._remaining_seconds = remaining_seconds
        self._reserve_percent = reserve_percent
        self._bookmarks = Bookmarks(bucket, request.connection, request.bookmark_name)
        self._bookmark, self._etag = Bookmark(), ""
        self._state = RunState(request.run_id or run_id, "")
        self._reads: list[Read] = []
        self._writer: PartWriter | None = None
        self._first_records: list[bytes] = []
        self._slowest_page_seconds = 0.0
        self._requests_counted = client.transport.requests_sent

    def check(self) -> None:
        """Plan the run without sending or writing anything.

        Raises:
            RequestError: The cursor is not this request's.
            TransformError: A transformer failed.
            CatalogueError: The transformed parameters are wrong.
        """
        self._start()

    def invoke(self) -> Result:
        """Read and land until the run is complete or the bounds of this invocation are reached.

        Raises:
            RequestError: The cursor is not this request's; nothing was sent.
            TransformError: A transformer failed.
            CatalogueError: The transformed parameters are wrong; nothing was sent.
            LightspeedError: As the client raises it. A failure that may pass ends the invocation with a cursor instead
                if this invocation has landed anything.
        """
        finished = self._start()
        if finished is not None:
            return finished
        landed_before = self._state.records
        try:
            while self._state.position < len(self._reads):
                self._check_bounds()
                self._read(self._reads[self._state.position])
                self._state.progress = None
                self._state.position += 1
        except _Stop as stop:
            return self._partial(stop.resume_after_seconds)
        except RateLimited as error:
            return self._partial(error.retry_after_seconds)
        except (TransportError, ServerError):
            if self._state.records == landed_before:
                raise
            return self._partial(PATIENCE_SECONDS)
        return self._complete()

    def _start(self) -> Result | None:
        """Load what the run goes on from and plan it; return its result if it is complete already."""
        request = self._request
        if request.mode == "incremental":
            self._bookmark, self._etag = self._bookmarks.load()
        if request.cursor:
            self._resume(request.cursor)
        else:
            earlier = self._bucket.read_json(run_key(self._state.run_id))
            if earlier is not None and self._was_completed(earlier[0]):
                return Result(_result(earlier[0]))
            self._begin_run(earlier[0]["started"] if earlier is not None else None)
        default_language = self._client.transport.connection.language
        self._reads = plan_reads(request, default_language, bookmark=self._bookmark.until, now=self._state.started)
        for read in self._reads:
            self._client.build(request.entity, read.operation, read.parameters, read.language)
        return None

    def _was_completed(self, record: dict[str, Any]) -> bool:
        if record["status"] == "finishing" and self._bucket.read_json(record["manifest"]) is not None:
            self._bucket.write_json(run_key(self._state.run_id), {**record, "status": "complete"})
            return True
        return bool(record["status"] == "complete")

    def _resume(self, text: str) -> None:
        state = cursor.decode(text, self._request.fingerprint())
        if self._request.run_id not in (None, state.run_id):
            raise RequestError([f"cursor belongs to run {state.run_id}, not {self._request.run_id}"])
        self._state = state
        self._etag = state.etag

    def _begin_run(self, started: str | None) -> None:
        now = self._shop_time()
        state = self._state
        state.started = started or _iso(now)
        state.etag = self._etag
        state.window_end = _iso(now - SETTLE)
        if self._bookmark.until is not None:
            state.window_start = _iso(parse_time(self._bookmark.until) - OVERLAP)
        elif self._request.since is not None:
            state.window_start = _iso(parse_time(self._request.since))

    def _shop_time(self) -> datetime:
        return datetime.fromtimestamp(self._clock.time() + self._client.transport.skew_seconds, UTC)

    def _read(self, read: Read) -> None:
        if read.operation == "get":
            request = self._client.build(self._request.entity, "get", read.parameters, read.language)
            self._land(read.language, [self._client.record(request)])
        else:
            self._read_list(read)
        following = self._reads[self._state.position + 1 :][:1]
        if not following or following[0].language != read.language:
            self._flush(read.language)

    def _read_list(self, read: Read) -> None:
        reader = self._begin_list(read)
        progress, state = reader.progress, self._state
        for records in self._timed(reader.pages()):
            self._land(read.language, [record.text for record in self._not_landed_before(records)])
            if self._request.max_records is not None and state.records >= self._request.max_records:
                progress.doubt = progress.doubt or "stopped after max_records"
                break
            if not progress.done:
                self._check_bounds()
        if progress.count_before is not None:
            state.count_before = (state.count_before or 0) + progress.count_before
            state.count_after = (state.count_after or 0) + (progress.count_after or 0)
        state.doubt = state.doubt or progress.doubt

    def _begin_list(self, read: Read) -> ListReader:
        """Take the first count; if the shop's clock turns out to differ from ours, move the window and count again."""
        state = self._state
        first = state.progress is None and state.position == 0
        reader = self._reader(read)
        reader.begin()
        settled = self._shop_time() - SETTLE
        if first and abs((settled - parse_time(state.window_end)).total_seconds()) > _SKEW_SECONDS:
            state.window_end = _iso(settled)
            state.progress = None
            reader = self._reader(read)
            reader.begin()
        return reader

    def _reader(self, read: Read) -> ListReader:
        state = self._state
        state.progress = state.progress or Progress()
        start = parse_time(state.window_start) if state.window_start else None
        window, closed = window_of(self._request, read, start, parse_time(state.window_end))
        return ListReader(
            self._client,
            self._request.endpoint,
            read.parameters,
            language=read.language,
            window=window,
            closed=closed,
            progress=state.progress,
        )

    def _timed(self, pages: Iterator[list[Record]]) -> Iterator[list[Record]]:
        while True:
            began = self._clock.monotonic()
            page = next(pages, None)
            if page is None:
                return
            self._slowest_page_seconds = max(self._slowest_page_seconds, self._clock.monotonic() - began)
            yield page

    def _not_landed_before(self, records: list[Record]) -> list[Record]:
        """Drop what the run before has landed, and remember what the next one will see again."""
        if self._request.mode != "incremental":
            return records
        overlap = parse_time(self._state.window_end) - OVERLAP
        for record in records:
            if record.id is not None and record.changed is not None and parse_time(record.changed) >= overlap:
                self._state.recent[record.id] = record.changed
        landed = self._bookmark.recent
        return [record for record in records if record.id is None or landed.get(record.id) != record.changed]

    def _land(self, language: str, texts: list[bytes]) -> None:
        if self._request.entity == "account":
            texts = [_API_KEY.sub(rb'\1"********"', text) for text in texts]
        expressions = transformers(self._request.entity_transformer)
        if expressions:
            texts = [changed for text in texts for changed in transform_record(expressions, text)]
        if self._request.max_records is not None:
            texts = texts[: self._request.max_records - self._state.records]
        parts = self._state.parts.setdefault(language, [])
        self._writer = self._writer or PartWriter(self._bucket, self._prefix(language), len(parts))
        part = self._writer.add(texts)
        if part is not None:
            parts.append(part)
        self._state.records += len(texts)
        self._first_records += texts[: FIRST_RECORDS - len(self._first_records)]

    def _flush(self, language: str) -> None:
        part = self._writer.flush() if self._writer is not None else None
        if part is not None:
            self._state.parts[language].append(part)
        self._writer = None

    def _check_bounds(self) -> None:
        """Wait a few seconds for the quota, or end the invocation."""
        quota = self._client.transport.quota
        wait = quota.wait_seconds(self._reserve_percent) if quota is not None else 0
        if wait > PATIENCE_SECONDS:
            raise _Stop(wait)
        if wait:
            self._clock.sleep(wait)
        if self._remaining_seconds() < _ENDING_SECONDS + 2 * self._slowest_page_seconds:
            raise _Stop(0)

    def _partial(self, resume_after_seconds: float) -> Result:
        self._flush(self._reads[self._state.position].language)
        body = {
            **self._body("partial", manifest=None),
            "cursor": cursor.encode(self._state, self._request.fingerprint()),
            "resume_after_seconds": round(resume_after_seconds),
        }
        self._note(body)
        return Result(body, self._first_records)

    def _complete(self) -> Result:
        """Write the manifests, that of the first language last, then move the bookmark."""
        languages = languages_of(self._reads)
        keys = {language: manifest_key(self._prefix(language)) for language in languages}
        body = self._body("complete", manifest=keys[languages[0]] if languages else None)
        self._note({**body, "status": "finishing"})
        after = self._bookmark_after()
        try:
            if after is not None:
                self._etag = self._bookmarks.intend(self._bookmark, after, keys[languages[0]], self._etag)
            for language in reversed(languages):
                self._write_manifest(keys[language], language)
            if after is not None:
                self._bookmarks.move(after, self._etag)
        except AlreadyWritten:
            body["superseded"] = True
            body["bookmark"] = {"until": self._bookmarks.load()[0].until}
        self._note(body)
        return Result(body, self._first_records, single=[read.operation for read in self._reads] == ["get"])

    def _write_manifest(self, key: str, language: str) -> None:
        state, request = self._state, self._request
        prefix = self._prefix(language)
        keys = self._part_keys(language)
        self._bucket.delete_parts_but(prefix, keys)
        parts = state.parts.get(language, [])
        manifest = {
            "run_id": state.run_id,
            "connection": request.connection,
            "entity": request.entity,
            "language": language,
            "request": request.as_event(),
            "started": state.started,
            "window": self._window_seen(),
            "records": sum(part.records for part in parts),
            "parts": [{"key": k, **msgspec.structs.asdict(part)} for k, part in zip(keys, parts, strict=True)],
            "count": {"before": state.count_before, "after": state.count_after},
            "verified": not state.doubt,
            "reason": state.doubt or None,
        }
        try:
            self._bucket.write_json(key, manifest, once=True)
        except AlreadyWritten:
            found = self._bucket.read_json(key)
            if found is None or found[0]["run_id"] != state.run_id:
                raise

    def _window_seen(self) -> dict[str, str | None] | None:
        listed = [read for read in self._reads if read.operation == "list"]
        start = parse_time(self._state.window_start) if self._state.window_start else None
        windows = [window_of(self._request, r, start, parse_time(self._state.window_end))[0] for r in listed[:1]]
        if not windows or windows[0] is None:
            return None
        window = windows[0]
        return {"by": window.by, "start": _iso(window.start) if window.start else None, "end": _iso(window.end)}

    def _bookmark_after(self) -> Bookmark | None:
        if self._request.mode != "incremental":
            return None
        return Bookmark(self._state.window_end, self._state.run_id, self._state.recent)

    def _body(self, status: str, *, manifest: str | None) -> dict[str, Any]:
        state = self._state
        state.requests += self._client.transport.requests_sent - self._requests_counted
        self._requests_counted = self._client.transport.requests_sent
        until = state.window_end if status == "complete" and manifest else self._bookmark.until
        incremental = self._request.mode == "incremental"
        return {
            "run_id": state.run_id,
            "connection": self._request.connection,
            "entity": self._request.entity,
            "status": status,
            "records": state.records,
            "objects": [key for language in state.parts for key in self._part_keys(language)],
            "manifest": manifest,
            "requests": state.requests,
            "bookmark": {"until": until} if incremental and until else None,
        }

    def _part_keys(self, language: str) -> list[str]:
        prefix = self._prefix(language)
        return [part_key(prefix, number) for number in range(len(self._state.parts.get(language, [])))]

    def _prefix(self, language: str) -> str:
        request, state = self._request, self._state
        return run_prefix(request.connection, request.entity, language, state.started[:10], state.run_id)

    def _note(self, body: dict[str, Any]) -> None:
        """Keep the run's latest result where it can be looked up by its id."""
        self._bucket.write_json(run_key(self._state.run_id), {**body, "started": self._state.started})


def _result(record: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in record.items() if key != "started"}, "status": "complete"}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
