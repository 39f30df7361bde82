"""One invocation of a run: read as much as quota, time and `max_records` allow, land it, say how to go on."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from connector.errors import RequestError, RunInProgress
from connector.transform import transform_record, transformers
from lightspeed import Client, Clock, Parameters, RateLimited, ServerError, TransportError
from lightspeed.envelope import mask_api_key
from lightspeed.parameters import parse_time
from lightspeed.reading import BATCH, ListReader, Progress
from lightspeed.records import Record
from subscribe import cursor
from subscribe.bookmarks import Bookmark, Bookmarks, Lease
from subscribe.bounds import PATIENCE_SECONDS, Bounds, Stop
from subscribe.cursor import RunState
from subscribe.fanout import Children
from subscribe.landing import (
    AlreadyWritten,
    Bucket,
    Chunk,
    PartWriter,
    chunk,
    manifest_key,
    part_key,
    run_key,
    run_prefix,
)
from subscribe.plan import OVERLAP, SETTLE, Read, languages_of, plan_reads, window_of
from subscribe.request import SubscribeRequest

LEASE = timedelta(minutes=20)
"""How long after it should have gone on a run is taken for given up; longer than an invocation can last."""

_SKEW_SECONDS = 2
_PARENTS_AT_ONCE = 40
_HEAD_FIELDS = ("id", "createdAt", "updatedAt")
_TRANSFORMED_BATCH = 8


@dataclass(frozen=True, slots=True)
class Result:
    """What an invocation answers.

    Attributes:
        body: The documented result.
        single: Whether one record was asked for, not a list.
    """

    body: dict[str, Any]
    single: bool = False


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
        self._bounds = Bounds(client.transport, clock, remaining_seconds, reserve_percent)
        self._bookmarks = Bookmarks(bucket, request.connection, request.bookmark_name)
        self._bookmark = Bookmark()
        self._state = RunState(request.run_id or run_id, "")
        self._reads: list[Read] = []
        self._writer: PartWriter | None = None
        self._requests_counted = client.transport.requests_sent

    def check(self) -> None:
        """Plan the run without sending or writing anything.

        Raises:
            RequestError: The cursor or run id is not this request's.
            RunInProgress: Another run of the same subscription is under way.
            TransformError: A transformer failed.
            CatalogueError: The transformed parameters are wrong.
        """
        self._start()

    def invoke(self) -> Result:
        """Read and land until the run is complete or the bounds of this invocation are reached.

        Raises:
            RequestError: The cursor or run id is not this request's; nothing was sent.
            RunInProgress: Another run of the same subscription is under way; nothing was sent.
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
                self._bounds.room()
                self._read(self._reads[self._state.position])
                self._state.progress = None
                self._state.position += 1
            return self._complete()
        except AlreadyWritten:
            return self._superseded()
        except Stop as stop:
            return self._partial(stop.resume_after_seconds)
        except RateLimited as error:
            return self._partial(error.retry_after_seconds)
        except (TransportError, ServerError):
            if self._state.records == landed_before:
                raise
            return self._partial(PATIENCE_SECONDS)

    def _start(self) -> Result | None:
        """Load what the run goes on from and plan it; return its result if it is complete already."""
        request, state = self._request, self._state
        earlier = None
        if request.cursor:
            self._state = state = self._resumed(request.cursor)
        else:
            earlier = self._bucket.read_json(run_key(state.run_id))
        if earlier is not None and self._completed(earlier[0]):
            return Result(_result(earlier[0]), single=bool(earlier[0]["single"]))
        if request.mode == "incremental":
            self._load_bookmark()
        if not request.cursor:
            self._begin_run(earlier[0]["started"] if earlier is not None else None)
        default_language = self._client.transport.connection.language
        self._reads = plan_reads(request, default_language, bookmark=self._bookmark.until, now=state.started)
        for read in self._reads:
            self._check_parameters(read)
        return None

    def _check_parameters(self, read: Read) -> None:
        operation, path = read.operation, read.parameters.path
        if operation == "each":
            operation = "list" if self._request.endpoint.collection else "get"
            path = {**path, self._request.endpoint.parents[0]: 1}
        self._client.build(self._request.entity, operation, replace(read.parameters, path=path), read.language)

    def _resumed(self, text: str) -> RunState:
        state = cursor.decode(text, self._request.fingerprint())
        if self._request.run_id not in (None, state.run_id):
            raise RequestError([f"cursor belongs to run {state.run_id}, not {self._request.run_id}"])
        return state

    def _completed(self, note: dict[str, Any]) -> bool:
        """Whether the run has ended, as its note says; one that was killed in its last steps is finished here."""
        if note["fingerprint"] != self._request.fingerprint():
            raise RequestError([f"run_id {self._state.run_id} was used before for another request"])
        if note["status"] != "finishing":
            return bool(note["status"] == "complete")
        if note["manifest"] is not None and self._bucket.read_json(note["manifest"]) is None:
            return False
        if self._request.mode == "incremental":
            self._bookmarks.load()
        self._bucket.write_json(run_key(self._state.run_id), {**note, "status": "complete"})
        return True

    def _load_bookmark(self) -> None:
        self._bookmark, lease, etag = self._bookmarks.load()
        if self._request.cursor:
            return
        if lease is not None and lease.run_id != self._state.run_id and parse_time(lease.until) > self._shop_time():
            raise RunInProgress(self._request.bookmark_name, lease.run_id, lease.until)
        self._state.etag = etag

    def _begin_run(self, started: str | None) -> None:
        now = self._shop_time()
        state = self._state
        state.started = started or _iso(now)
        state.window_end = _iso(now - SETTLE)
        if self._bookmark.until is not None:
            state.window_start = _iso(parse_time(self._bookmark.until) - OVERLAP)
        elif self._request.since is not None:
            state.window_start = _iso(parse_time(self._request.since))

    def _shop_time(self) -> datetime:
        return datetime.fromtimestamp(self._clock.time() + self._client.transport.skew_seconds, UTC)

    def _read(self, read: Read) -> None:
        parts = self._state.parts.setdefault(read.language, [])
        self._writer = self._writer or PartWriter(self._bucket, self._prefix(read.language), len(parts))
        if read.operation == "get":
            request = self._client.build(self._request.entity, "get", read.parameters, read.language)
            self._land(read.language, self._digest([Record(self._client.record(request), None, None)]))
        elif read.operation == "each":
            self._read_each(read)
        else:
            self._read_list(read)
        following = self._reads[self._state.position + 1 :][:1]
        if not following or following[0].language != read.language:
            self._flush(read.language)

    def _read_list(self, read: Read) -> None:
        reader = self._begin_list(read)
        progress, state = reader.progress, self._state
        with contextlib.closing(reader.pages()) as pages:
            for page in pages:
                self._land(read.language, page if isinstance(page, Chunk) else self._digest(page))
                if self._request.max_records is not None and state.records >= self._request.max_records:
                    progress.doubt = progress.doubt or "stopped after max_records"
                    break
        if progress.count_before is not None:
            state.count_before = (state.count_before or 0) + progress.count_before
            state.count_after = (state.count_after or 0) + (progress.count_after or 0)
        state.doubt = state.doubt or progress.doubt

    def _read_each(self, read: Read) -> None:
        """Read the parents page by page, and of each page's parents the nested records before the next page."""
        reader = self._begin_list(read)
        children = Children(self._client, self._request.endpoint, read.parameters, read.language)
        with contextlib.closing(reader.pages()) as pages:
            self._land_pending(read, children)
            for page in pages:
                parents, recent = self._not_landed_before(page)
                self._state.recent.update(recent)
                self._state.pending = [parent.id for parent in parents if parent.id is not None]
                self._land_pending(read, children)
        self._state.doubt = self._state.doubt or reader.progress.doubt or children.doubt

    def _land_pending(self, read: Read, children: Children) -> None:
        while self._state.pending:
            group = self._state.pending[: min(_PARENTS_AT_ONCE, self._bounds.room())]
            texts = children.of(group)
            self._land(read.language, chunk(self._transformed(texts)))
            self._state.pending = self._state.pending[len(group) :]

    def _begin_list(self, read: Read) -> ListReader[Any]:
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

    def _reader(self, read: Read) -> ListReader[Any]:
        """Return the list's reader; what is only compressed is compressed where it is fetched."""
        request, state = self._request, self._state
        state.progress = state.progress or Progress()
        start = parse_time(state.window_start) if state.window_start else None
        window, closed = window_of(request, read, start, parse_time(state.window_end))
        plain = request.entity_transformer is None and request.max_records is None
        batch = BATCH if plain else _TRANSFORMED_BATCH
        if request.max_records is not None:
            batch = min(batch, -(-request.max_records // state.progress.limit))
        digest: Callable[[list[Record]], Any] = self._digest if plain else list
        parameters = read.parameters
        if read.operation == "each":
            digest, batch, parameters = list, 1, Parameters(query={"fields": _HEAD_FIELDS})
        return ListReader(
            self._client,
            read.endpoint,
            parameters,
            language=read.language,
            window=window,
            closed=closed,
            progress=state.progress,
            digest=digest,
            gate=self._bounds,
            batch=batch,
        )

    def _digest(self, records: list[Record]) -> Chunk:
        """Make of records what is landed of them."""
        records, recent = self._not_landed_before(records)
        texts = [record.text for record in records]
        if self._request.entity == "account":
            texts = [mask_api_key(text) for text in texts]
        return chunk(self._transformed(texts), recent)

    def _not_landed_before(self, records: list[Record]) -> tuple[list[Record], dict[str, str]]:
        """Drop what the run before has landed, and return besides what the next one will see again."""
        if self._request.mode != "incremental":
            return records, {}
        landed = self._bookmark.recent
        recent = {str(r.id): r.changed for r in records if r.changed and parse_time(r.changed) >= self._overlap}
        return [record for record in records if landed.get(str(record.id)) != (record.changed or "")], recent

    def _transformed(self, texts: list[bytes]) -> list[bytes]:
        if self._request.entity_transformer is not None:
            expressions = transformers(self._request.entity_transformer)
            texts = [changed for text in texts for changed in transform_record(expressions, text)]
        most = self._request.max_records
        return texts if most is None else texts[: most - self._state.records]

    @functools.cached_property
    def _overlap(self) -> datetime:
        return parse_time(self._state.window_end) - OVERLAP

    def _land(self, language: str, new: Chunk) -> None:
        part = self._writer.add(new) if self._writer is not None else None
        if part is not None:
            self._state.parts[language].append(part)
        self._state.records += new.records
        self._state.recent.update(new.recent)

    def _flush(self, language: str) -> None:
        part = self._writer.flush() if self._writer is not None else None
        if part is not None:
            self._state.parts[language].append(part)
        self._writer = None

    def _partial(self, resume_after_seconds: float) -> Result:
        state = self._state
        if state.position < len(self._reads):
            self._flush(self._reads[state.position].language)
        if self._request.mode == "incremental":
            until = _iso(self._shop_time() + timedelta(seconds=resume_after_seconds) + LEASE)
            try:
                state.etag = self._bookmarks.hold(self._bookmark, Lease(state.run_id, until), state.etag)
            except AlreadyWritten:
                return self._superseded()
        body = {
            **self._body("partial", manifest=None),
            "cursor": cursor.encode(state, self._request.fingerprint()),
            "resume_after_seconds": round(resume_after_seconds),
        }
        self._note(body)
        return Result(body)

    def _complete(self) -> Result:
        """Write the manifests, that of the first language last, then move the bookmark."""
        languages = languages_of(self._reads)
        keys = {language: manifest_key(self._prefix(language)) for language in languages}
        body = self._body("complete", manifest=keys[languages[0]] if languages else None)
        single = [read.operation for read in self._reads] == ["get"]
        self._note({**body, "status": "finishing"}, single=single)
        after = None
        if self._request.mode == "incremental" and languages:
            after = Bookmark(self._state.window_end, self._state.run_id, self._state.recent)
            etag = self._bookmarks.intend(self._bookmark, after, keys[languages[0]], self._state.etag)
        for language in reversed(languages):
            self._bucket.delete_parts_but(self._prefix(language), self._part_keys(language))
            self._bucket.write_json(keys[language], self._manifest(language), once=language == languages[0])
        if after is not None:
            self._bookmarks.move(after, etag)
        self._note(body, single=single)
        return Result(body, single=single)

    def _superseded(self) -> Result:
        """End a run that another was faster than: it counts for nothing and says so, unless it was the same run."""
        note = self._bucket.read_json(run_key(self._state.run_id))
        if note is not None and self._completed(note[0]):
            return Result(_result(note[0]), single=bool(note[0]["single"]))
        self._bookmark = self._bookmarks.load()[0]
        body = {**self._body("partial", manifest=None), "status": "complete", "superseded": True}
        self._note(body)
        return Result(body)

    def _manifest(self, language: str) -> dict[str, Any]:
        state = self._state
        parts = state.parts.get(language, [])
        keys = self._part_keys(language)
        return {
            "run_id": state.run_id,
            "connection": self._request.connection,
            "entity": self._request.entity,
            "language": language,
            "request": self._request.as_event(),
            "started": state.started,
            "window": self._window_seen(),
            "records": sum(part.records for part in parts),
            "parts": [{"key": k, **msgspec.structs.asdict(part)} for k, part in zip(keys, parts, strict=True)],
            "count": {"before": state.count_before, "after": state.count_after},
            "verified": not state.doubt,
            "reason": state.doubt or None,
        }

    def _window_seen(self) -> dict[str, str | None] | None:
        start = parse_time(self._state.window_start) if self._state.window_start else None
        for read in self._reads:
            if read.operation != "get":
                window, _ = window_of(self._request, read, start, parse_time(self._state.window_end))
                if window is not None:
                    began = _iso(window.start) if window.start is not None else None
                    return {"by": window.by, "start": began, "end": _iso(window.end)}
        return None

    def _body(self, status: str, *, manifest: str | None) -> dict[str, Any]:
        state = self._state
        state.requests += self._client.transport.requests_sent - self._requests_counted
        self._requests_counted = self._client.transport.requests_sent
        until = state.window_end if status == "complete" else self._bookmark.until
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

    def _note(self, body: dict[str, Any], *, single: bool = False) -> None:
        """Keep the run's latest result where it can be looked up by its id."""
        known = {"started": self._state.started, "fingerprint": self._request.fingerprint(), "single": single}
        self._bucket.write_json(run_key(self._state.run_id), {**body, **known})


def _result(note: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in note.items() if k not in ("started", "fingerprint", "single")} | {"status": "complete"}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
