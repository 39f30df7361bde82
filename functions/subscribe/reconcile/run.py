"""Notice what was deleted in the shop: compare the ids of its list with the ids landed so far, and land tombstones.

An absent row is not a deleted row. What makes a tombstone true:

1. Only ids are compared that were landed by runs which started no later than this one: whatever was created since is
   no concern of it.
2. The list is read whole and verified (see `lightspeed.listing.reader`); otherwise nothing is noticed.
3. Each id that is absent from it is asked for, and only a 404 counts; and first of all the shop has to find a record
   by id that does stand in the list, or else its 404 says nothing.
4. No more than `max_deleted_percent` of the ids are noticed without a person's word.

What makes it once: the manifest of the run is the only word that counts. The index of ids is brought up to date from
manifests, of tombstones as well as of records, so it may lag behind but never says anything else; it moves last. A run
holds its turn from start to end, and a run that was killed after its manifest is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from connector.errors import RequestError, RunInProgress
from lightspeed import Client, Clock, RateLimited
from lightspeed.errors import MAY_PASS
from lightspeed.listing.checkpoint import ListCheckpoint
from subscribe.event import SubscribeRequest
from subscribe.reconcile.checkpoint import Kept, ReconcileState, RunLock, decode, encode
from subscribe.reconcile.existence import ExistenceCheck
from subscribe.reconcile.id_index import Head, Id, Ids, Index, StoredIndex, epoch, iso, lines_of, order
from subscribe.reconcile.id_list import Listing
from subscribe.reconcile.manifests import ManifestLog, entity_prefix
from subscribe.reconcile.rules import DEFAULT_PERCENT
from subscribe.run.budget import PATIENCE_SECONDS, Bounds, Suspend
from subscribe.storage.bucket import (
    PART_BYTES,
    Bucket,
    PreconditionFailed,
    chunk,
    manifest_key,
    run_key,
    run_prefix,
    tombstones_key,
)
from subscribe.sync.run import LEASE, Result

LONGEST_INVOCATION_SECONDS = 900

_AT_ONCE = 200
_MINUTE_SECONDS = 60
_TIME_FOR_A_RUN_SECONDS = 10


class Reconciliation:
    """A reconcile run of one request, seen from one invocation."""

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
        """Take the request and what it needs, as `SyncRun` does; nothing is read or sent yet."""
        self._request = request
        self._client = client
        self._bucket = bucket
        self._clock = clock
        self._remaining_seconds = remaining_seconds
        self._bounds = Bounds(client.transport, clock, remaining_seconds, reserve_percent)
        self._stored = StoredIndex(bucket, request.connection, request.bookmark_name, request.entity)
        self._state = ReconcileState(request.run_id or run_id, "")
        default = client.transport.connection.language
        self._language = request.languages[0] if request.languages else request.language or default
        self._index = Index(Head(request.entity))
        self._index_is_new = False
        self._compared: Ids | None = None
        self._gone = bytearray()
        self._requests_counted = client.transport.requests_sent

    def check(self) -> None:
        """Check the run without sending or writing anything.

        Raises:
            RequestError: The cursor, the run id or the subscription is not this request's.
            RunInProgress: Another reconcile run of the subscription is under way.
        """
        if self._start() is None:
            self._turn.look(self._clock.time())

    def invoke(self) -> Result:
        """Read and compare until the run is complete or the bounds of this invocation are reached.

        Raises:
            RequestError: The cursor, the run id or the subscription is not this request's; nothing was sent.
            RunInProgress: Another reconcile run of the subscription is under way; nothing was sent.
            LightspeedError: As the client raises it. A failure that may pass ends the invocation with a cursor instead
                if this invocation has come any further.
        """
        finished = self._start()
        if finished is not None:
            return finished
        try:
            self._turn.take(self._clock.time(), self._until())
        except RunInProgress:
            if not self._request.cursor:
                raise
            return self._superseded()
        try:
            return self._bounded()
        except PreconditionFailed:
            return self._superseded()
        except Exception:
            self._turn.release(self._clock.time())
            raise

    def _bounded(self) -> Result:
        before = self._state.position
        try:
            return self._complete(self._work())
        except Suspend as stop:
            return self._partial(stop.resume_after_seconds)
        except RateLimited as error:
            return self._partial(error.retry_after_seconds)
        except MAY_PASS:
            if self._state.position == before:
                raise
            return self._partial(PATIENCE_SECONDS)

    def _start(self) -> Result | None:
        """Load what the run goes on from; return its result if it is complete already."""
        request = self._request
        if request.cursor:
            self._state = decode(request.cursor, request.fingerprint())
            if request.run_id not in (None, self._state.run_id):
                raise RequestError([f"cursor belongs to run {self._state.run_id}, not {request.run_id}"])
        state = self._state
        self._turn = RunLock(self._bucket, request.connection, request.bookmark_name, state.run_id)
        self._kept = Kept(self._bucket, state.run_id)
        found = self._bucket.read_json(run_key(state.run_id))
        finished = None if found is None else self._finished(found[0])
        if finished is not None:
            return finished
        if not state.started:
            state.started = found[0]["started"] if found is not None else iso(int(self._clock.time()))
        self._list = Listing(request, state, self._language, self._client, self._clock, self._bounds)
        self._list.check()
        return None

    def _finished(self, note: dict[str, Any]) -> Result | None:
        """Return the run's result if it has ended; one that was killed after its manifest is finished here."""
        if note["fingerprint"] != self._request.fingerprint():
            raise RequestError([f"run_id {self._state.run_id} was used before for another request"])
        if note["status"] == "finishing" and self._bucket.read(note["manifest"]) is not None:
            note = {**note, "status": "complete"}
            self._bucket.write_json(run_key(self._state.run_id), note)
        if note["status"] != "complete":
            return None
        return Result({key: value for key, value in note.items() if key not in ("started", "fingerprint", "single")})

    def _work(self) -> str:
        """Do what is left, and return why nothing could be noticed, or nothing."""
        state, index = self._state, self._brought_up_to_date()
        started = epoch(state.started)
        if state.known is None:
            state.known = index.alive(started)
        if not state.known:
            return f"no record of {self._request.entity} is known to be landed and not deleted, so none can be missed"
        if self._request.ids is not None:
            return self._ask(index, self._request.ids, started)
        if not state.listed:
            self._bounds.room()
            self._list.read()
        doubt = state.progress.doubt if state.progress is not None else ""
        return f"the list could not be verified: {doubt}" if doubt else self._compare(index, started)

    def _brought_up_to_date(self) -> Index:
        self._index = index = self._stored.load()
        prefix = entity_prefix(self._request.connection, self._request.entity)
        try:
            self._index_is_new = ManifestLog(self._bucket, prefix, index, self._has_time).take_in()
        except Suspend:
            self._index_is_new = True
            raise
        return index

    def _has_time(self) -> bool:
        return self._remaining_seconds() > _TIME_FOR_A_RUN_SECONDS

    def _compare(self, index: Index, started: int) -> str:
        """Look at every id that is absent, and return why nothing could be noticed, or nothing."""
        state, present = self._state, self._list.present(self._kept)
        if present is None:
            return "the ids that were read are no longer there"
        self._compared = present
        if state.absent is None:
            state.absent = sum(1 for _ in index.missing(present, started))
        refused = self._refused(state.known or 0, state.absent)
        if refused or not state.absent:
            return refused
        looks = ExistenceCheck(self._client, self._request.endpoint, self._language, self._clock, self._bounds)
        if not self._trusted(looks, present):
            return "the shop does not give by their id records that stand in its list, so its 404 says nothing"
        self._look(looks, index.missing(present, started))
        return ""

    def _ask(self, index: Index, ids: list[Id], started: int) -> str:
        """Ask for some ids alone, without a list; return why nothing could be noticed, or nothing."""
        known = list(index.known(ids, started))
        self._state.absent = len(known)
        if not known:
            return ""
        looks = ExistenceCheck(self._client, self._request.endpoint, self._language, self._clock, self._bounds)
        if not self._trusted(looks, self._list.first()):
            return "the shop does not give by its id a record that stands in its list, so its 404 says nothing"
        self._look(looks, iter(known))
        return ""

    def _refused(self, known: int, absent: int) -> str:
        given = self._request.max_deleted_percent
        percent = DEFAULT_PERCENT if given is None else given
        if absent * 100 <= known * percent:
            return ""
        share = -(-absent * 1000 // known) / 10
        return (
            f"{absent} of {known} known ids are absent, more than {percent:g} %; if they are meant to be gone, say so "
            f"with max_deleted_percent {share:g}"
        )

    def _trusted(self, looks: ExistenceCheck, present: Ids) -> bool:
        """Whether the shop finds a record by its id that stands in its list; an empty list has none to ask for."""
        for identity in present.some():
            if self._state.trusted:
                break
            self._bounds.room()
            seen = looks.at([identity])
            self._state.trusted = not seen.gone and not seen.unclear
        return self._state.trusted or not len(present)

    def _look(self, looks: ExistenceCheck, missing: Iterator[tuple[Id, int]]) -> None:
        """Look at what is missing, from the id on that was looked at last; the first answer tells the quota."""
        state = self._state
        looked = state.looked
        left = missing if looked is None else (item for item in missing if order(item[0]) > order(looked))
        while waiting := list(itertools.islice(left, _AT_ONCE)):
            while waiting:
                room = max(1, self._bounds.room() // looks.requests_each)
                room = room if self._client.transport.requests_sent > self._requests_counted else 1
                group, waiting = waiting[:room], waiting[room:]
                seen = looks.at([identity for identity, _ in group])
                tombstones = [
                    _tombstone(identity, last_seen, seen.gone[identity])
                    for identity, last_seen in group
                    if identity in seen.gone
                ]
                self._gone += chunk(tombstones).member
                state.deleted += len(tombstones)
                state.unclear += seen.unclear
                state.looked = group[-1][0]

    def _partial(self, resume_after_seconds: float) -> Result:
        state = self._state
        self._list.keep(self._kept)
        if self._gone:
            state.gone.append(self._kept.keep(bytes(self._gone)))
        if self._index_is_new:
            self._save_index()
        self._turn.keep(self._until(resume_after_seconds))
        body = {
            **self._body("partial", None, []),
            "cursor": encode(state, self._request.fingerprint()),
            "resume_after_seconds": round(resume_after_seconds),
        }
        self._note(body)
        return Result(body)

    def _complete(self, reason: str) -> Result:
        """Land the tombstones, write the manifest, and only then move the index."""
        state, prefix = self._state, self._prefix()
        parts = self._parts() if not reason else []
        if parts is None:
            reason, parts = "the tombstones that were noted are no longer there", []
        key = manifest_key(prefix)
        keys = [tombstones_key(prefix, number) for number in range(len(parts))]
        self._turn.keep(self._until(), manifest=key)
        if self._bucket.read(key) is not None:
            raise PreconditionFailed(key)
        state.deleted = state.deleted if parts else 0
        again = self._index.saw(self._compared, epoch(state.started)) if self._compared else 0
        body = {**self._body("complete", key, keys), "verified": not reason, "reason": reason or None}
        self._note({**body, "status": "finishing"})
        for part_key, part in zip(keys, parts, strict=True):
            self._bucket.write_part(part_key, part)
        self._bucket.delete_parts_but(prefix, keys, kind="deleted")
        self._bucket.write_json(key, self._manifest(dict(zip(keys, parts, strict=True)), reason, again), once=True)
        for part in parts:
            ManifestLog(self._bucket, prefix, self._index, self._has_time).note_deleted(part)
        self._save_index()
        self._turn.release(self._clock.time())
        self._note(body)
        return Result(body)

    def _parts(self) -> list[bytes] | None:
        """Return the tombstones as parts, or `None` if some that were kept are gone."""
        bodies = [self._kept.read(name) for name in self._state.gone] + [bytes(self._gone)]
        parts: list[bytes] = []
        for body in bodies:
            if body is None:
                return None
            if parts and len(parts[-1]) + len(body) <= PART_BYTES:
                parts[-1] += body
            elif body:
                parts.append(body)
        return parts

    def _save_index(self) -> None:
        """Write the index; where somebody else did meanwhile, the next run takes in what is missing."""
        with contextlib.suppress(PreconditionFailed):
            self._stored.save(self._index)

    def _superseded(self) -> Result:
        """End a run that another took the place of: it counts for nothing and says so, unless it was the same run."""
        note = self._bucket.read_json(run_key(self._state.run_id))
        finished = None if note is None else self._finished(note[0])
        if finished is not None:
            return finished
        self._state.deleted = 0
        body = {**self._body("complete", None, []), "superseded": True}
        self._note(body)
        return Result(body)

    def _manifest(self, parts: dict[str, bytes], reason: str, again: int) -> dict[str, Any]:
        state, window = self._state, self._list.window if self._request.ids is None else None
        progress = state.progress or ListCheckpoint()
        return {
            "run_id": state.run_id,
            "connection": self._request.connection,
            "entity": self._request.entity,
            "language": self._language,
            "request": self._request.as_event(),
            "started": state.started,
            "window": None if window is None else {"by": window.by, "start": None, "end": state.window_end},
            "records": state.deleted,
            "parts": [
                {
                    "key": key,
                    "records": sum(1 for _ in lines_of(part)),
                    "bytes": len(part),
                    "sha256": hashlib.sha256(part).hexdigest(),
                }
                for key, part in parts.items()
            ],
            "count": {"before": progress.count_before, "after": progress.count_after},
            "ids": {
                "known": state.known,
                "listed": progress.read,
                "absent": state.absent,
                "deleted": state.deleted,
                "unclear": state.unclear,
                "listed_again": again,
                "without_by_run": self._index.head.without_ids,
            },
            "verified": not reason,
            "reason": reason or None,
        }

    def _body(self, status: str, manifest: str | None, objects: list[str]) -> dict[str, Any]:
        state, sent = self._state, self._client.transport.requests_sent
        state.requests += sent - self._requests_counted
        self._requests_counted = sent
        return {
            "run_id": state.run_id,
            "connection": self._request.connection,
            "entity": self._request.entity,
            "status": status,
            "records": state.deleted,
            "objects": objects,
            "manifest": manifest,
            "requests": state.requests,
            "bookmark": None,
        }

    def _prefix(self) -> str:
        request, state = self._request, self._state
        return run_prefix(request.connection, request.entity, self._language, state.started[:10], state.run_id)

    def _note(self, body: dict[str, Any]) -> None:
        """Keep the run's latest result where it can be looked up by its id."""
        known = {"started": self._state.started, "fingerprint": self._request.fingerprint(), "single": False}
        self._bucket.write_json(run_key(self._state.run_id), {**body, **known})

    def _until(self, pause_seconds: float | None = None) -> float:
        """Return until when the turn is held: for this invocation, or the pause and the next one; epoch seconds."""
        if pause_seconds is not None:
            return self._clock.time() + pause_seconds + LEASE.total_seconds()
        left = min(self._remaining_seconds(), LONGEST_INVOCATION_SECONDS)
        return self._clock.time() + max(0.0, left) + _MINUTE_SECONDS


def _tombstone(identity: Id, last_seen: int, noticed: int) -> bytes:
    return msgspec.json.encode({"id": identity, "last_seen": iso(last_seen), "noticed_at": iso(noticed)})
