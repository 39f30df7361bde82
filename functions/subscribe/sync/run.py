"""One invocation of a run: read as much as quota, time and `max_records` allow, land it, say how to go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from connector.errors import RequestError, RunInProgress
from connector.transform import Library, Transformers, TransformerSpec, load
from lightspeed import Client, Clock, RateLimited
from lightspeed.errors import MAY_PASS
from lightspeed.listing.settled import SETTLING_LAG, shop_time
from lightspeed.request import parse_time
from subscribe.event import SubscribeRequest
from subscribe.run import cursor
from subscribe.run.budget import PATIENCE_SECONDS, Bounds, Suspend
from subscribe.run.cursor import RunState
from subscribe.storage.bucket import Bucket, Part, PreconditionFailed, manifest_key, run_key
from subscribe.sync.bookmark import Bookmark, Bookmarks, Lease
from subscribe.sync.processor import RecordProcessor
from subscribe.sync.read_plan import LOOKBACK, Read, languages_of, plan_reads, window_of
from subscribe.sync.reader import Reads, iso
from subscribe.sync.writer import Writer

LEASE = timedelta(minutes=20)
"""How long after it should have gone on a run is taken for given up; longer than an invocation can last."""

NOTED = ("started", "fingerprint", "single", "manifests", "transformers")
"""What a run's note holds besides its result."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an invocation answers.

    Attributes:
        body: The documented result.
        single: Whether one record was asked for, not a list.
    """

    body: dict[str, Any]
    single: bool = False


class SyncRun:
    """A run of one request, seen from one invocation."""

    def __init__(  # noqa: PLR0913 - a request and everything that a run touches
        self,
        request: SubscribeRequest,
        run_id: str,
        *,
        client: Client,
        bucket: Bucket,
        clock: Clock,
        remaining_seconds: Callable[[], float],
        reserve_percent: float,
        library: Library | None = None,
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
            library: Where saved transformers and tables come from.
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
        self._library = library
        self._saved: dict[str, list[str]] = {}
        self._writer = Writer(bucket, request, self._state)
        self._digest = RecordProcessor(request, self._state, {}, None, None)
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
            self._read_all()
            return self._complete()
        except PreconditionFailed:
            return self._superseded()
        except Suspend as stop:
            return self._partial(stop.resume_after_seconds)
        except RateLimited as error:
            return self._partial(error.retry_after_seconds)
        except MAY_PASS:
            if self._state.records == landed_before:
                raise
            return self._partial(PATIENCE_SECONDS)

    def _read_all(self) -> None:
        reads = Reads(
            self._request,
            self._state,
            client=self._client,
            clock=self._clock,
            bounds=self._bounds,
            digest=self._digest,
            writer=self._writer,
        )
        while self._state.position < len(self._reads):
            if self._digest.room() == 0:
                self._digest.stop()
                break
            self._bounds.room()
            reads.read(self._reads[self._state.position])
            self._state.progress = None
            self._state.position += 1
        self._writer.flush()
        self._digest.check_rejected(final=True)

    def _start(self) -> Result | None:
        """Load what the run goes on from and plan it; return its result if it is complete already."""
        request, state = self._request, self._state
        if request.cursor:
            self._state = state = self._resumed(request.cursor)
        earlier = self._bucket.read_json(run_key(state.run_id))
        note = earlier[0] if earlier is not None else {}
        if note and self._completed(note):
            return Result(_result(note), single=bool(note["single"]))
        if request.cursor and note:
            self._state = state = self._furthest(note)
        if request.mode == "incremental" and not self._load_bookmark():
            return self._superseded()
        if not request.cursor:
            self._begin_run(note.get("started"))
        saved = note.get("transformers", {}) if request.cursor else {}
        seen = {"until": self._bookmark.until} if self._bookmark.until is not None else None
        records = self._transformers(request.entity_transformer, "entity", saved)
        self._writer = Writer(self._bucket, request, state)
        self._digest = RecordProcessor(request, state, self._bookmark.recent, records, seen)
        self._reads = plan_reads(
            request,
            self._client.transport.connection.language,
            self._transformers(request.input_transformer, "input", saved),
            bookmark=seen,
            now=state.started,
            seed=state.run_id,
        )
        for read in self._reads:
            check_parameters(self._client, request, read)
        return None

    def _transformers(self, given: TransformerSpec, name: str, saved: Mapping[str, list[str]]) -> Transformers | None:
        """Load a transformer; a resumed run keeps the saved expressions that it began with."""
        loaded = load(saved.get(name) or given, self._library)
        if loaded is not None:
            self._saved[name] = list(loaded.expressions)
        return loaded

    def _resumed(self, text: str) -> RunState:
        state = cursor.decode(text, self._request.fingerprint())
        if self._request.run_id not in (None, state.run_id):
            raise RequestError([f"cursor belongs to run {state.run_id}, not {self._request.run_id}"])
        return state

    def _furthest(self, note: dict[str, Any]) -> RunState:
        """Return the state to go on from: the cursor's, or the noted one if its answer was lost on the way."""
        noted = self._resumed(note["cursor"]) if note.get("cursor") else self._state
        return noted if noted.requests > self._state.requests else self._state

    def _completed(self, note: dict[str, Any]) -> bool:
        """Whether the run has ended, as its note says; one that was killed in its last steps is finished here."""
        if note["fingerprint"] != self._request.fingerprint():
            raise RequestError([f"run_id {self._state.run_id} was used before for another request"])
        if note["status"] != "finishing":
            return bool(note["status"] == "complete")
        if self._request.mode == "incremental":
            self._bookmarks.load()
        self._bucket.write_manifests(note["manifests"])
        if note["manifest"] is not None and self._bucket.read_json(note["manifest"]) is None:
            return False
        self._bucket.write_json(run_key(self._state.run_id), {**note, "status": "complete", "manifests": {}})
        return True

    def _load_bookmark(self) -> bool:
        """Load what the run goes on from; return whether the bookmark is still where a resumed run left it."""
        found = self._bookmarks.load()
        self._bookmark, lease = found.bookmark, found.lease
        if found.bookmark.run_id == self._state.run_id:
            return False
        own = lease is not None and lease.run_id == self._state.run_id
        if self._request.cursor and not own:
            return found.etag == self._state.etag
        if lease is not None and not own and parse_time(lease.until) > self._now():
            raise RunInProgress(self._request.bookmark_name, lease.run_id, lease.until)
        self._state.etag = found.etag
        return True

    def _begin_run(self, started: str | None) -> None:
        now = shop_time(self._client, self._clock)
        state = self._state
        state.started = started or iso(now)
        state.window_end = iso(now - SETTLING_LAG)
        if self._bookmark.until is not None:
            state.window_start = iso(parse_time(self._bookmark.until) - LOOKBACK)
        elif self._request.since is not None:
            state.window_start = iso(parse_time(self._request.since))

    def _now(self) -> datetime:
        """Return our own time, which leases go by: the shop's may be far off, and is not known before it answers."""
        return datetime.fromtimestamp(self._clock.time(), UTC)

    def _partial(self, resume_after_seconds: float) -> Result:
        state = self._state
        try:
            self._writer.flush()
            if self._request.mode == "incremental":
                until = iso(self._now() + timedelta(seconds=resume_after_seconds) + LEASE)
                state.etag = self._bookmarks.hold(self._bookmark, Lease(state.run_id, until), state.etag)
        except PreconditionFailed:
            return self._superseded()
        body = {
            **self._body("partial", manifest=None),
            "cursor": cursor.encode(state, self._request.fingerprint()),
            "resume_after_seconds": round(resume_after_seconds),
        }
        self._note(body)
        return Result(body)

    def _complete(self) -> Result:
        """Decide the run, write the manifests, that of the first language last, then move the bookmark."""
        languages = languages_of(self._reads)
        keys = {language: manifest_key(self._writer.prefix(language)) for language in languages}
        manifests = {keys[language]: self._manifest(language) for language in reversed(languages)}
        follows, before = self._request.mode == "incremental" and bool(languages), self._bookmark
        if follows:
            self._bookmark = self._moved()
        body = self._body("complete", manifest=keys[languages[0]] if languages else None)
        single = [read.operation for read in self._reads] == ["get"] and self._request.ids is None
        self._note({**body, "status": "finishing"}, single=single, manifests={} if follows else manifests)
        etag = self._bookmarks.decide(before, self._bookmark, manifests, self._state.etag) if follows else ""
        self._writer.drop_leftovers(languages)
        self._bucket.write_manifests(manifests)
        if follows:
            self._bookmarks.move(self._bookmark, etag)
        self._note(body, single=single)
        return Result(body, single=single)

    def _moved(self) -> Bookmark:
        """Return where the bookmark moves: never back, and not at all past what `max_records` left to the next run."""
        before, state = self._bookmark, self._state
        if self._digest.stopped:
            return before
        if before.until is not None and parse_time(before.until) > parse_time(state.window_end):
            return Bookmark(before.until, state.run_id, {**before.recent, **state.recent})
        return Bookmark(state.window_end, state.run_id, state.recent)

    def _superseded(self) -> Result:
        """End a run that another was faster than: it counts for nothing and says so, unless it was the same run."""
        note = self._bucket.read_json(run_key(self._state.run_id))
        if note is not None and self._completed(note[0]):
            return Result(_result(note[0]), single=bool(note[0]["single"]))
        self._bookmark = self._bookmarks.load().bookmark
        body = {**self._body("partial", manifest=None), "status": "complete", "superseded": True}
        self._note(body)
        return Result(body)

    def _manifest(self, language: str) -> dict[str, Any]:
        state, parts = self._state, self._writer.parts(language)
        manifest = {
            "run_id": state.run_id,
            "connection": self._request.connection,
            "entity": self._request.entity,
            "language": language,
            "request": self._request.as_event(),
            "started": state.started,
            "window": self._window_seen(),
            "records": sum(part.records for _, part in parts),
            "parts": _listed(parts),
            "count": {"before": state.count_before, "after": state.count_after},
            "verified": not state.doubt,
            "reason": state.doubt or None,
        }
        rejected = self._writer.rejected(language)
        return {**manifest, "rejected": _listed(rejected)} if rejected else manifest

    def _window_seen(self) -> dict[str, str | None] | None:
        start = parse_time(self._state.window_start) if self._state.window_start else None
        for read in self._reads:
            if read.operation != "get":
                window, _ = window_of(self._request, read, start, parse_time(self._state.window_end))
                if window is not None:
                    began = iso(window.start) if window.start is not None else None
                    return {"by": window.by, "start": began, "end": iso(window.end)}
        return None

    def _body(self, status: str, *, manifest: str | None) -> dict[str, Any]:
        state = self._state
        state.requests += self._client.transport.requests_sent - self._requests_counted
        self._requests_counted = self._client.transport.requests_sent
        until = self._bookmark.until
        incremental = self._request.mode == "incremental"
        body = {
            "run_id": state.run_id,
            "connection": self._request.connection,
            "entity": self._request.entity,
            "status": status,
            "records": state.records,
            "objects": [key for language in state.parts for key, _ in self._writer.parts(language)],
            "manifest": manifest,
            "requests": state.requests,
            "bookmark": {"until": until} if incremental and until else None,
        }
        rejected = state.rejected + state.odd_rows
        return {**body, "rejected": rejected} if rejected else body

    def _note(
        self, body: dict[str, Any], *, single: bool = False, manifests: Mapping[str, object] | None = None
    ) -> None:
        """Keep the run's latest result where it can be looked up by its id, with manifests that are still to write."""
        known = {
            "started": self._state.started,
            "fingerprint": self._request.fingerprint(),
            "single": single,
            "manifests": manifests or {},
            "transformers": self._saved,
        }
        self._bucket.write_json(run_key(self._state.run_id), {**body, **known})


def _result(note: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in note.items() if k not in NOTED} | {"status": "complete"}


def _listed(parts: list[tuple[str, Part]]) -> list[dict[str, Any]]:
    return [{"key": key, **msgspec.structs.asdict(part)} for key, part in parts]


def check_parameters(client: Client, request: SubscribeRequest, read: Read) -> None:
    """Build a request of a reading, so that wrong parameters are refused before anything is sent.

    Raises:
        CatalogueError: They are wrong.
    """
    operation, path = read.operation, read.parameters.path
    if operation == "each":
        operation = "list" if request.endpoint.collection else "get"
        path = {**path, request.endpoint.parents[0]: 1}
    client.build(request.entity, operation, replace(read.parameters, path=path), read.language)
