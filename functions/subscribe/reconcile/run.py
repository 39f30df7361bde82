"""Find records that were deleted in the shop: compare the ids of its list with the stored ids, and store tombstones.

An absent row is not a deleted row. These rules make a tombstone true:

1. The run compares only ids that runs stored which started no later than this one. Newer records do not matter.
2. The run stores tombstones only if it has read the whole list and verified it (see `lightspeed.listing.reader`).
3. It asks for each absent id, and only two 404 show a deletion. Before that, the shop must find a listed record by its
   id; otherwise its 404 proves nothing.
4. It stores no tombstones if more than `max_deleted_percent` of the known ids are absent. A person may raise it.

Each deletion gets one tombstone, because the manifests of records and of tombstones are the only source. The index of
ids is made from these manifests and is written last. It may be late, but it never says anything else.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from connector.aws.bucket import PreconditionFailed
from connector.storage_keys import entity_folder
from connector.timestamps import iso_text
from lightspeed.listing.checkpoint import ListCheckpoint, SplitCheckpoint
from lightspeed.listing.id_log import IdLog
from lightspeed.listing.opening import window_end
from lightspeed.listing.proof import UnstableList
from lightspeed.listing.window import Window
from lightspeed.request import parse_time
from subscribe.event import SubscribeRequest
from subscribe.reconcile.checkpoint import ReconcileState
from subscribe.reconcile.existence import ExistenceCheck
from subscribe.reconcile.id_index import Id, IdSet, Index, IndexHead, IndexStore, epoch, lines_of, sort_key
from subscribe.reconcile.id_list import IdList
from subscribe.reconcile.manifests import ManifestLog, add_tombstones
from subscribe.run.budget import Suspend
from subscribe.run.cursor import Checkpoints
from subscribe.run.lock import RunLock
from subscribe.run.result import Decision, Result
from subscribe.run.run import Run, Services
from subscribe.storage.parts import Chunk, FullPart, Part, PartBuffer, compress, manifest_rows

DEFAULT_PERCENT = 10.0
"""The default of `max_deleted_percent`."""

LONGEST_INVOCATION_SECONDS = 900

_AT_ONCE = 200
_MARGIN_SECONDS = 60
_TIME_FOR_A_RUN_SECONDS = 10


class Reconciliation(Run[ReconcileState]):
    """One invocation of a reconcile run. `Run` describes the methods without a docstring, and calls them."""

    _kind = ReconcileState

    def __init__(self, request: SubscribeRequest, run_id: str, services: Services) -> None:
        super().__init__(request, run_id, services)
        bucket = self._bucket
        self._index_store = IndexStore(bucket, request.connection, request.bookmark_name, request.entity)
        default = self._client.transport.connection.language
        self._language = request.languages[0] if request.languages else request.language or default
        self._lock = RunLock(bucket, request.connection, request.bookmark_name, self._run_id)
        self._checkpoints = Checkpoints(bucket, self._run_id)
        self._list = IdList(request, self._language, services, self._budget)
        self._index = Index(IndexHead(request.entity))
        self._index_is_new = False
        self._listed_ids: IdSet | None = None
        self._new_tombstones = bytearray()
        self._reason = ""
        self._parts: list[tuple[str, Part]] = []
        self._tombstones: list[FullPart] = []
        self._has_lock = False

    def invoke(self) -> Result:
        """As `Run.invoke`. A run that fails frees the lock."""
        try:
            return super().invoke()
        except Exception:
            if self._has_lock:
                self._lock.release(self._clock.time())
            raise

    def _prepare(self, entry: dict[str, Any], *, resumed: bool) -> None:
        state = self._state
        if not resumed:
            state.started = entry.get("started") or iso_text(self._now())
        state.window_end = state.window_end or iso_text(window_end(self._client))
        self._list.check()

    def _shares_decision(self) -> bool:
        return True

    def _check_free(self) -> None:
        self._lock.check(self._clock.time())

    def _claim(self) -> None:
        if self._resumed and self._lock.is_taken_over():
            raise PreconditionFailed(self._request.bookmark_name)
        self._lock.acquire(self._clock.time(), self._until())
        self._has_lock = True

    def _position(self) -> object:
        return self._state.position

    def _work(self) -> None:
        self._reason = self._find_deleted()

    def _find_deleted(self) -> str:
        """Do the rest of the run. Return why it cannot find deletions; empty if it can."""
        state, index = self._state, self._load_index()
        started = epoch(state.started)
        if state.known is None:
            state.known = index.count_alive(started)
        if not state.known:
            return f"no record of {self._request.entity} is known to be landed and not deleted, so none can be missed"
        if self._request.ids is not None:
            return self._check_ids(index, self._request.ids, started)
        if not state.listed:
            self._budget.wait_for_room()
            self._read_list()
        reason = state.checkpoint.unverified_reason if state.checkpoint is not None else ""
        return f"the list could not be verified: {reason}" if reason else self._compare(index, started)

    def _read_list(self) -> None:
        """Read the list from its checkpoint to its end."""
        state = self._state
        try:
            self._read_ids()
        except UnstableList:
            state.checkpoint = ListCheckpoint(split=SplitCheckpoint())
            self._read_ids()
        state.listed = True

    def _read_ids(self) -> None:
        state = self._state
        opened = self._list.open(state.checkpoint, parse_time(state.window_end), is_open=state.is_open)
        state.checkpoint, state.is_open = opened.reader.checkpoint, opened.is_open
        state.window_end = iso_text(opened.end)
        with contextlib.closing(opened.reader.pages()) as pages:
            for _ in pages:
                pass  # the reader adds the ids to its checkpoint

    @property
    def _window(self) -> Window | None:
        return self._list.window(parse_time(self._state.window_end))

    def _load_index(self) -> Index:
        self._index = index = self._index_store.load()
        folder = entity_folder(self._request.connection, self._request.entity)
        try:
            self._index_is_new = ManifestLog(self._bucket, folder, index, self._has_time).replay()
        except Suspend:
            self._index_is_new = True
            raise
        return index

    def _has_time(self) -> bool:
        return self._remaining_seconds() > _TIME_FOR_A_RUN_SECONDS

    def _compare(self, index: Index, started: int) -> str:
        """Check every known id that the list lacks. Return why that is not possible; empty if it is."""
        state = self._state
        self._listed_ids = present = IdSet(IdLog(state.checkpoint.ids) if state.checkpoint is not None else ())
        if state.absent is None:
            state.absent = sum(1 for _ in index.missing(present, started))
        refused = self._why_too_many(state.known or 0, state.absent)
        if refused or not state.absent:
            return refused
        check = self._existence(self._window)
        if not self._trusts_404(check, present):
            return "the shop answers 404 for records of its own list, so its 404 says nothing"
        self._check_missing(check, index.missing(present, started))
        return ""

    def _check_ids(self, index: Index, ids: list[Id], started: int) -> str:
        """Check the ids of the request, without a list. Return why that is not possible; empty if it is."""
        known = list(index.known(ids, started))
        self._state.absent = len(known)
        if not known:
            return ""
        check = self._existence(None)
        if not self._trusts_404(check, self._list.first()):
            return "the shop answers 404 for a record of its own list, so its 404 says nothing"
        self._check_missing(check, iter(known))
        return ""

    def _existence(self, listed: Window | None) -> ExistenceCheck:
        endpoint = self._request.endpoint
        return ExistenceCheck(self._client, endpoint, self._language, self._clock, self._budget, listed)

    def _why_too_many(self, known: int, absent: int) -> str:
        given = self._request.max_deleted_percent
        percent = DEFAULT_PERCENT if given is None else given
        if absent * 100 <= known * percent:
            return ""
        share = -(-absent * 1000 // known) / 10
        return (
            f"{absent} of {known} known ids are absent, more than {percent:g} %; if they are meant to be gone, say so "
            f"with max_deleted_percent {share:g}"
        )

    def _trusts_404(self, check: ExistenceCheck, present: IdSet) -> bool:
        """Whether the shop finds a listed record by its id. An empty list counts too: it has no record to ask for."""
        for identity in present.sample():
            if self._state.trusted:
                break
            self._budget.wait_for_room()
            self._state.trusted = check.finds(identity)
        return self._state.trusted or not len(present)

    def _check_missing(self, check: ExistenceCheck, missing: Iterator[tuple[Id, int]]) -> None:
        """Check missing ids after the last one that was checked."""
        state = self._state
        last = state.looked
        left = missing if last is None else (item for item in missing if sort_key(item[0]) > sort_key(last))
        while waiting := list(itertools.islice(left, _AT_ONCE)):
            while waiting:
                room = max(1, self._budget.wait_for_room() // check.requests_each)
                knows_quota = self._client.transport.requests_sent > self._requests_counted  # from the first answer on
                room = room if knows_quota else 1
                group, waiting = waiting[:room], waiting[room:]
                answers = check.ask([identity for identity, _ in group])
                tombstones = [
                    _tombstone(identity, last_seen, answers.gone[identity])
                    for identity, last_seen in group
                    if identity in answers.gone
                ]
                self._new_tombstones += compress(tombstones).member
                state.deleted += len(tombstones)
                state.unclear += answers.unclear
                state.looked = group[-1][0]

    def _before_pause(self) -> None:
        if self._new_tombstones:
            self._state.gone.append(self._checkpoints.save(bytes(self._new_tombstones)))
        if self._index_is_new:
            self._save_index()

    def _lease(self, until: datetime) -> None:
        self._lock.renew(until.timestamp())

    def _decision(self) -> Decision:
        """Store the tombstones as parts, mark the listed ids as seen, and return the result and the manifest."""
        state = self._state
        tombstones = self._load_tombstones() if not self._reason else []
        if tombstones is None:
            self._reason = "the tombstones that were kept are no longer there"
        self._tombstones = tombstones or []
        place = self._place(self._language)
        for number, (part, content) in enumerate(self._tombstones):
            key = place.part("deleted", number, part.sha256)
            self._bucket.put(key, content)
            self._parts.append((key, part))
        state.deleted = state.deleted if self._tombstones else 0
        listed_again = self._index.mark_seen(self._listed_ids, epoch(state.started)) if self._listed_ids else 0
        return Decision(self._complete(place.manifest, self._reason), {place.manifest: self._manifest(listed_again)})

    def _decide(self, entry: dict[str, Any]) -> None:
        self._lock.commit(self._until(), entry)
        self._has_lock = False  # the lock holds the decision now, which `invoke` must not release

    def _recover(self) -> None:
        self._lock.recover()

    def _is_overtaken(self) -> bool:
        return self._lock.is_taken_over()

    def _finalize(self) -> None:
        """Add this run's tombstones to the index, and free the lock."""
        if self._listed_ids is not None or self._parts:
            for _, body in self._tombstones:
                add_tombstones(self._index, body)
            self._save_index()
        self._lock.release(self._clock.time())

    def _load_tombstones(self) -> list[FullPart] | None:
        """Return the tombstones of all invocations as parts, or `None` if an object of an earlier one is gone."""
        buffer, parts = PartBuffer(), []
        for body in (*map(self._checkpoints.read, self._state.gone), bytes(self._new_tombstones)):
            if body is None:
                return None
            parts.append(buffer.add(Chunk(body, sum(1 for _ in lines_of(body)))))
        return [part for part in (*parts, buffer.flush()) if part is not None]

    def _save_index(self) -> None:
        """Write the index. If another run wrote it meanwhile, the next run adds this run's tombstones."""
        with contextlib.suppress(PreconditionFailed):
            self._index_store.save(self._index)

    def _manifest(self, listed_again: int) -> dict[str, Any]:
        state, window = self._state, self._window if self._request.ids is None else None
        checkpoint = state.checkpoint or ListCheckpoint()
        return {
            **self._manifest_head(self._language),
            "window": None if window is None else {"by": window.by, "start": None, "end": state.window_end},
            "records": state.deleted,
            "parts": [],
            "deleted": manifest_rows(self._parts),
            "rejected": [],
            "count": {"before": checkpoint.count_before, "after": checkpoint.count_after},
            "ids": {
                "known": state.known,
                "listed": checkpoint.read,
                "absent": state.absent,
                "deleted": state.deleted,
                "unclear": state.unclear,
                "listed_again": listed_again,
                "without_by_run": self._index.head.without_ids,
            },
            "verified": not self._reason,
            "reason": self._reason or None,
        }

    def _summary(self) -> tuple[int, list[str], None]:
        return self._state.deleted, [key for key, _ in self._parts], None

    def _until(self) -> float:
        """Return when this invocation must be over, with a margin, in epoch seconds."""
        left = min(self._remaining_seconds(), LONGEST_INVOCATION_SECONDS)
        return self._clock.time() + max(0.0, left) + _MARGIN_SECONDS


def _tombstone(identity: Id, last_seen: int, noticed: int) -> bytes:
    return msgspec.json.encode({"id": identity, "last_seen": iso_text(last_seen), "noticed_at": iso_text(noticed)})
