"""A run of mode full or incremental: read the shop, store its records, and move the bookmark last."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from connector.aws.bucket import PreconditionFailed
from connector.errors import RunInProgress
from connector.storage_keys import Kind
from connector.timestamps import iso_text
from connector.transform import REJECTED_SHARE, TransformError, TransformerSpec, check_rejected, load
from lightspeed.listing.id_log import IdLog
from lightspeed.listing.opening import DIFFERENT_TIMES, SETTLING_LAG, is_closed, shop_time
from lightspeed.listing.proof import UnstableList
from lightspeed.listing.read_operation import check_parameters
from lightspeed.request import parse_time, query_warnings
from subscribe.event import SubscribeRequest
from subscribe.run.result import Decision
from subscribe.run.run import Run, Services
from subscribe.storage.parts import Part, manifest_rows
from subscribe.sync.bookmark import MAX_REMEMBERED, MAX_UNVERIFIED, Bookmark, keep_recent
from subscribe.sync.bookmark_store import BookmarkObject, Bookmarks, Lease, Pending
from subscribe.sync.deduplicator import Deduplicator
from subscribe.sync.next_bookmark import next_bookmark, reads_again
from subscribe.sync.processor import RecordProcessor
from subscribe.sync.read_plan import Read, languages_of, plan_reads, reads_by_creation, shared_places, window_of
from subscribe.sync.reader import Reader
from subscribe.sync.state import SyncState
from subscribe.sync.step import Step
from subscribe.sync.writer import StoredPart, Writer

if TYPE_CHECKING:
    from connector.transform.transformer import Transformers


_SET_BACK = timedelta(minutes=10)
"""How far before its start a run's window may end without a reason: somebody may set the shop's clock back."""


class SyncRun(Run[SyncState]):
    """One invocation of a run of mode full or incremental.

    `Run` describes the constructor and the methods without a docstring, and calls them.
    """

    _kind = SyncState

    def __init__(self, request: SubscribeRequest, run_id: str, services: Services) -> None:
        super().__init__(request, run_id, services)
        self._services = services
        self._bookmarks = Bookmarks(self._bucket, request.connection, request.bookmark_name)
        self._stored = BookmarkObject()
        self._pending: Pending | None = None
        self._reads: list[Read] = []
        self._shared_places: set[str] = set()
        self._expressions: dict[str, list[str]] = {}
        self._first_rejection: TransformError | None = None
        self._is_stopped = False

    @property
    def _incremental(self) -> bool:
        return self._request.mode == "incremental"

    def _prepare(self, entry: dict[str, Any], *, resumed: bool) -> None:
        request, state = self._request, self._state
        bookmark = self._stored.bookmark
        if not resumed:
            self._begin_window(entry.get("started"))
        stored_expressions = entry.get("transformers", {}) if resumed else {}
        deduplicator = Deduplicator(request, state, self._bookmarks.recent(bookmark))
        processor = RecordProcessor(
            request,
            state,
            deduplicator,
            self._transformers(request.entity_transformer, "entity", stored_expressions),
            bookmark.to_json(),
            self._services.gzip_level,
        )
        self._reader = Reader(request, state, self._services, self._budget, deduplicator, processor)
        self._writer = Writer(self._bucket, state, self._place)
        self._reads = plan_reads(
            request,
            self._client.transport.connection.language,
            self._transformers(request.input_transformer, "input", stored_expressions),
            bookmark=bookmark.to_json(),
            now=state.started,
            seed=state.run_id,
        )
        if state.created_start:
            self._reads += reads_by_creation(self._reads)
        if not resumed:
            state.remembers_all = self._incremental and _can_read_again(self._reads)
            if not _can_read_again(self._reads):
                state.leave_unverified("the run reads the children of the same parents twice, so some may come twice")
        self._shared_places = shared_places(self._reads)
        for read in self._reads:
            check_parameters(self._client, request.endpoint, read.parameters, read.language)
        if not resumed and any(map(self._may_lack_moved_records, self._reads)):
            state.leave_unverified(
                "a record that moved from one of the run's lists to another meanwhile may be missing"
            )

    def _may_lack_moved_records(self, read: Read) -> bool:
        """Whether a record of another read may move into this list after the list was read."""
        if read.operation != "list" or read.place not in self._shared_places:
            return False
        _, closed = window_of(self._request, read, self._state.start, self._state.end)
        return not closed

    def _recover(self) -> None:
        if self._incremental:
            self._stored = self._bookmarks.recover()
            self._stored.bookmark.check_entity(self._request.bookmark_name, self._request.entity)

    def _begin_window(self, started: str | None) -> None:
        """Set the window of a new run by the bookmark, else by `since`. The first count may still move its end."""
        now = shop_time(self._client)
        state, bookmark = self._state, self._stored.bookmark
        state.started = started or iso_text(now)
        state.window_end = iso_text(now - SETTLING_LAG)
        state.bookmark_until, state.bookmark_run = bookmark.until, bookmark.run_id
        state.earlier_skew, state.never_updated = bookmark.skew, bookmark.never_updated
        created_start = bookmark.created_start(now)
        state.created_start = iso_text(created_start) if created_start is not None else ""
        if bookmark.start is not None:
            state.window_start = iso_text(bookmark.start)
        elif self._request.since is not None:
            state.window_start = iso_text(parse_time(self._request.since))

    def _transformers(
        self, given: TransformerSpec, name: str, stored_expressions: Mapping[str, list[str]]
    ) -> Transformers | None:
        """Load a transformer and keep its expressions. A resumed run uses the expressions that it began with."""
        loaded = load(stored_expressions.get(name) or given, self._services.library)
        if loaded is not None:
            self._expressions[name] = list(loaded.expressions)
        return loaded

    def _shares_decision(self) -> bool:
        return self._pending is not None

    def _check_free(self) -> None:
        lease = self._foreign_lease
        if lease is not None and parse_time(lease.until) > self._now():
            raise RunInProgress(self._request.bookmark_name, lease.run_id, lease.until)

    def _claim(self) -> None:
        if self._resumed and self._is_overtaken():
            raise PreconditionFailed(self._request.bookmark_name)
        self._check_free()

    @property
    def _foreign_lease(self) -> Lease | None:
        """The lease of another run; `None` if there is none."""
        lease = self._stored.lease
        return lease if lease is not None and lease.run_id != self._state.run_id else None

    def _is_overtaken(self) -> bool:
        """Whether another run has moved the bookmark since this run started, or has a lease."""
        state, bookmark = self._state, self._stored.bookmark
        return self._foreign_lease is not None or not bookmark.is_same(state.bookmark_until, state.bookmark_run)

    def _position(self) -> object:
        return self._state.records

    def _work(self) -> None:
        state = self._state
        while state.position < len(self._reads):
            if state.room(self._request.max_records) == 0:
                self._apply(Step(stopped=True))
                break
            self._budget.wait_for_room()
            read = self._reads[state.position]
            self._read(read)
            self._add_read_ids(read)
            state.checkpoint = None
            state.position += 1
        self._flush()
        self._check_rejected(final=True)

    def _read(self, read: Read) -> None:
        state = self._state
        if read.by_creation and not state.begin_by_creation():
            return
        if state.checkpoint is None and read.operation != "get":
            self._flush()
            state.mark_read()
        try:
            self._read_steps(read)
        except UnstableList:  # read it again in parts, which cannot be unstable
            self._writer.discard()
            state.discard_read()
            self._read_steps(read)

    def _add_read_ids(self, read: Read) -> None:
        """Keep the ids of a read that has ended, if another read may give the same records."""
        state = self._state
        if read.place in self._shared_places:
            ids = (
                [read.record_id]
                if read.operation == "get"
                else IdLog(state.checkpoint.ids if state.checkpoint else b"")
            )
            state.add_read_ids(read.place, ids)

    def _read_steps(self, read: Read) -> None:
        with contextlib.closing(self._reader.steps(read)) as steps:
            for step in steps:
                self._apply(step)
                if step.chunk.records or step.rejected:
                    self._append_parts(self._writer.add(step, read.language))

    def _apply(self, step: Step) -> None:
        self._is_stopped |= step.stopped
        self._first_rejection = self._first_rejection or step.first_rejection
        if step.opening is not None:
            self._state.open(step.opening)
            self._update_skew()
        self._state.apply(step)
        if step.transformed:
            self._check_rejected(final=False)

    def _check_rejected(self, *, final: bool) -> None:
        """Raise `TransformError` if the entity transformer rejected too many records."""
        state, percent = self._state, self._request.max_rejected_percent
        share = REJECTED_SHARE if percent is None else percent / 100
        check_rejected(state.transformed, state.rejected, share=share, first=self._first_rejection, final=final)

    def _flush(self) -> None:
        self._append_parts(self._writer.flush())

    def _append_parts(self, stored: Sequence[StoredPart]) -> None:
        for kind, language, part in stored:
            self._state.parts_of(kind).setdefault(language, []).append(part)

    def _before_pause(self) -> None:
        self._flush()
        self._update_skew()

    def _update_skew(self) -> None:
        self._state.update_skew(self._client.transport.shop_clock.least_skew_seconds)

    def _lease(self, until: datetime) -> None:
        if self._incremental:
            self._bookmarks.lease(self._stored.bookmark, Lease(self._state.run_id, iso_text(until)))

    def _decision(self) -> Decision:
        """Return the result and the manifests. The manifest of the first language, which the result names, is last."""
        self._update_skew()
        self._check_times()
        if self._incremental:
            self._explain_if_final()
        languages = reversed(languages_of(self._reads))
        manifests = {self._place(language).manifest: self._manifest(language) for language in languages}
        if self._incremental and manifests:
            self._pending = Pending(self._next_bookmark())
        single = [read.operation for read in self._reads] == ["get"]
        manifest = next(reversed(manifests), None)
        return Decision(self._complete(manifest, self._state.unverified_reason), manifests, single)

    def _check_times(self) -> None:
        """Leave the run unverified if its window may not have been closed, or ends before the bookmark.

        Later answers may show that the window's end had not passed when the window was opened. Then rows may have
        entered the list while it was read.
        """
        state = self._state
        if not state.opened or self._manifest_window() is None:
            return
        if not is_closed(state.end, parse_time(state.opened), state.skew):
            state.may_have_missed |= not state.is_open
            state.leave_unverified(DIFFERENT_TIMES)
        if state.bookmark_until is None or state.start is None:
            return
        if state.end < state.start - _SET_BACK:
            state.leave_unverified(
                "the shop's time is before the bookmark, so changes may be missing; mode full reads them"
            )
        if self._is_set_back(state.start):  # another reason may promise that the next run reads what is missing
            why = "the shop's clock was set back since the last run, so changes may be missing; mode full reads them"
            state.unverified_reason = "; ".join(filter(None, [state.unverified_reason, why]))

    def _is_set_back(self, start: datetime) -> bool:
        """Whether a change that was made after the last run read may have a time before this run's window.

        The shop's present clock shows which time that was at the earliest. Our clock may also have been set forward.
        """
        opened, skew = self._stored.bookmark.opened, self._state.least_skew
        return bool(opened) and skew is not None and parse_time(opened) + timedelta(seconds=skew) < start

    def _explain_if_final(self) -> None:
        """Add to the reason why the next run will not read this window again, if records may be missing."""
        state = self._state
        if not state.may_have_missed or self._is_stopped or reads_again(self._stored.bookmark, state):
            return
        if state.remembers_all:
            why = f"this was so {MAX_UNVERIFIED + 1} times in a row"
        elif _can_read_again(self._reads):
            why = f"the window has more than {MAX_REMEMBERED:,} records"
        else:
            why = "the run reads the children of the same parents twice"
        state.unverified_reason += f"; {why}, so only mode full reads this window again"

    def _next_bookmark(self) -> Bookmark:
        """Return the bookmark after this run. It stays if `max_records` stopped the run."""
        before, state = self._stored.bookmark, self._state
        if self._is_stopped:
            return before
        after = next_bookmark(before, state)
        recent = keep_recent({**self._bookmarks.recent(before), **state.recent}, after.start, after.created_after)
        return self._bookmarks.with_recent(msgspec.structs.replace(after, entity=self._request.entity), recent)

    def _decide(self, entry: dict[str, Any]) -> None:
        if self._pending is None:
            self._journal.write(entry)
            return
        self._pending = msgspec.structs.replace(self._pending, entry=entry)
        self._bookmarks.commit(self._stored.bookmark, self._pending)

    def _finalize(self) -> None:
        if self._pending is not None:
            self._bookmarks.finalize(self._pending)

    def _manifest(self, language: str) -> dict[str, Any]:
        state, parts = self._state, self._parts("raw", language)
        return {
            **self._manifest_head(language),
            "window": self._manifest_window(),
            "newest_change": state.newest_change or None,
            "records": sum(part.records for _, part in parts),
            "parts": manifest_rows(parts),
            "deleted": [],
            "rejected": manifest_rows(self._parts("rejected", language)),
            "count": {"before": state.count_before, "after": state.count_after},
            "verified": not state.unverified_reason,
            "reason": state.unverified_reason or None,
            "warnings": self._warnings(),
        }

    def _parts(self, kind: Kind, language: str) -> list[tuple[str, Part]]:
        """Return the stored parts of a kind and language with their keys, in order."""
        place, parts = self._place(language), self._state.parts_of(kind).get(language, ())
        return [(place.part(kind, number, part.sha256), part) for number, part in enumerate(parts)]

    def _manifest_window(self) -> dict[str, str | None] | None:
        """Return the window of the first list that has one, as a manifest shows it; `None` if no list has one."""
        for read in self._reads:
            if read.operation != "get":
                window, _ = window_of(self._request, read, self._state.start, self._state.end)
                if window is not None:
                    began = iso_text(window.start) if window.start is not None else None
                    return {"by": window.by, "start": began, "end": iso_text(window.end)}
        return None

    def _journal_facts(self) -> dict[str, Any]:
        return {**super()._journal_facts(), "transformers": self._expressions}

    def _body(self, status: str, *, manifest: str | None) -> dict[str, Any]:
        body = super()._body(status, manifest=manifest)
        warnings = self._warnings()
        if warnings:
            body["warnings"] = warnings
        if self._state.rejected + self._state.odd_rows:
            body["rejected"] = self._state.rejected + self._state.odd_rows
        return body

    def _warnings(self) -> list[str]:
        """Return warnings about the filters of the request, each once."""
        texts = [text for read in self._reads for text in query_warnings(read.endpoint, read.parameters.query)]
        return list(dict.fromkeys(texts))

    def _summary(self) -> tuple[int, list[str], dict[str, str] | None]:
        state = self._state
        objects = [key for language in state.parts for key, _ in self._parts("raw", language)]
        bookmark = self._stored.bookmark if self._pending is None else self._pending.bookmark
        return state.records, objects, bookmark.to_json()


def _can_read_again(reads: list[Read]) -> bool:
    """Whether language and id identify a stored record, so that a later run can read the same window again."""
    parents = [read.language for read in reads if read.operation == "each" and not read.by_creation]
    return len(parents) == len(set(parents))
