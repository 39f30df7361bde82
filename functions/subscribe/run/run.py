"""One invocation of a run of any mode: start, work, then pause or end.

A subclass supplies the work of its mode, and the object in which the run is decided. This class owns the order of the
writes:

1. A run that pauses stores its state, then its journal, then its lease.
2. One conditional write decides a run. After it come the manifests, the journal, and last the bookmark or the index of
   ids.
3. If a conditional write fails, a copy of the run or another run was faster. This copy then writes nothing that readers
   see. It answers with the decided result, or with the latest journal entry of the other copy. If another run was
   faster, the result says so (`superseded`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic
from uuid import uuid4

from connector.aws.bucket import Bucket, PreconditionFailed
from connector.errors import AwsUnavailable, RequestError
from connector.runs.lookup import LEASE
from connector.settings import GZIP_LEVEL
from connector.storage_keys import RunPlace
from connector.timestamps import iso_text
from lightspeed import Client, Clock, RateLimited
from lightspeed.errors import TRANSIENT_ERRORS
from lightspeed.quota import LONGEST_WAIT_SECONDS
from lightspeed.request import parse_time
from subscribe.event import SubscribeRequest
from subscribe.run.budget import PATIENCE_SECONDS, InvocationBudget, Suspend
from subscribe.run.cursor import State, StateStore, parse_cursor
from subscribe.run.journal import Journal, finish, result_of
from subscribe.run.result import Decision, Result

if TYPE_CHECKING:
    from connector.transform import Library

DECIDING = "deciding"
"""The journal's status just before the run is decided in an object that it shares with other runs."""


@dataclass(frozen=True, slots=True)
class Services:
    """The clients and settings of one invocation.

    Attributes:
        client: The client of the request's connection.
        clock: The clock for the window's end and for short waits.
        remaining_seconds: Returns the time until this invocation must be over.
        reserve_percent: Share of each quota window that stays free for others.
        library: Saved transformers and tables; `None` for none.
        gzip_level: The compression level of parts, 1 to 9.
    """

    client: Client
    bucket: Bucket
    clock: Clock
    remaining_seconds: Callable[[], float]
    reserve_percent: float
    library: Library | None = None
    gzip_level: int = GZIP_LEVEL


class Run(ABC, Generic[State]):
    """One invocation of a run.

    Args:
        request: A checked event.
        run_id: The run's id, unless the request names one or has a cursor.

    Raises:
        RequestError: The cursor of the request is malformed.
    """

    _kind: type[State]
    """The type of the mode's state."""

    def __init__(self, request: SubscribeRequest, run_id: str, services: Services) -> None:
        self._request = request
        self._run_id = request.run_id or run_id
        if request.cursor:
            self._run_id = parse_cursor(request.cursor).run_id
        self._client, self._bucket, self._clock = services.client, services.bucket, services.clock
        self._remaining_seconds = services.remaining_seconds
        transport = self._client.transport
        self._budget = InvocationBudget(transport, services.remaining_seconds, services.reserve_percent)
        self._journal = Journal(self._bucket, self._run_id, request.fingerprint())
        self._states = StateStore(self._bucket, self._kind, request.fingerprint())
        self._state = self._kind(self._run_id)
        self._resumed = False
        self._requests_counted = transport.requests_sent

    def check(self) -> None:
        """Plan the run without a request to the shop and without a write.

        Raises:
            RequestError: The cursor or run id belongs to another request.
            RunInProgress: Another run of the same subscription is under way.
            TransformError: A transformer failed.
            CatalogueError: The transformed parameters are wrong.
        """
        if self._start() is None:
            self._check_free()

    def invoke(self) -> Result:
        """Read and store until the run is complete or the budget of this invocation is used up.

        Raises:
            RequestError: The cursor or run id belongs to another request; nothing was sent.
            RunInProgress: Another run of the same subscription is under way; nothing was sent.
            TransformError: A transformer failed.
            CatalogueError: The transformed parameters are wrong; nothing was sent.
            LightspeedError: As the client raises it. After some progress, a failure that may pass is no error: the
                result is partial and has a cursor.
            AwsUnavailable: AWS is in trouble; the same event may be sent again.
        """
        try:
            finished = self._start()
            if finished is not None:
                return finished
            self._claim()
            return self._work_within_budget()
        except PreconditionFailed:
            return self._resolve_conflict()

    def _start(self) -> Result | None:
        """Load the state and prepare the run; return its result if it is decided already."""
        request = self._request
        if request.cursor and request.run_id not in (None, self._run_id):
            raise RequestError([f"cursor belongs to run {self._run_id}, not {request.run_id}"])
        state = self._states.load(request.cursor) if request.cursor else None
        self._recover()
        finished = self._journal.finished()
        if finished is not None:
            return finished
        entry = self._journal.entry
        latest = entry.get("cursor")
        if latest is not None and latest != request.cursor:
            state = self._states.load(latest) or state  # another copy of the run has gone on since
        self._resumed = state is not None
        self._state = state or self._state
        self._prepare(entry, resumed=self._resumed)
        return None

    def _work_within_budget(self) -> Result:
        before = self._position()
        try:
            self._work()
        except Suspend as suspended:
            return self._pause(suspended.resume_after_seconds)
        except RateLimited as error:
            return self._pause(error.retry_after_seconds)
        except TRANSIENT_ERRORS:
            if self._position() == before:
                raise
            return self._pause(PATIENCE_SECONDS)
        return self._end()

    def _end(self) -> Result:
        decision = self._decision()
        entry = self._journal.entry_of(decision, **self._journal_facts())
        if self._shares_decision():
            cursor = {key: self._journal.entry[key] for key in ("cursor",) if key in self._journal.entry}
            self._journal.write({**entry, **cursor, "status": DECIDING, "manifests": {}, "copy": uuid4().hex})
        self._decide(entry)
        finish(self._bucket, entry)
        self._finalize()
        return Result(decision.body, decision.single)

    def _pause(self, resume_after_seconds: float) -> Result:
        self._before_pause()
        resume_after_seconds = min(resume_after_seconds, LONGEST_WAIT_SECONDS - LEASE.total_seconds())
        body = self._body("partial", manifest=None)
        body["cursor"] = self._states.save(self._run_id, self._state)
        body["resume_after_seconds"] = math.ceil(resume_after_seconds)
        self._journal.write(self._journal.entry_of(Decision(body, {}), "partial", **self._journal_facts()))
        self._lease(self._now() + timedelta(seconds=resume_after_seconds) + LEASE)
        return Result(body)

    def _resolve_conflict(self) -> Result:
        """Return the result after a conditional write failed.

        If another run was faster, this run ends in its journal. The journal is written over the entry that was read
        last, so no copy of the run can be decided later.
        """
        self._recover()
        finished = self._journal.finished()
        if finished is not None:
            return finished
        if self._is_overtaken() and not self._is_being_decided():
            reason = "another run of the subscription was faster, so this run does not count"
            body = {**self._complete(None, reason), "objects": [], "superseded": True}
            try:
                self._journal.write(self._journal.entry_of(Decision(body, {}), "complete", **self._journal_facts()))
            except PreconditionFailed as error:
                message = f"another copy of run {self._run_id} goes on; send the same event again"
                raise AwsUnavailable(message) from error
            return Result(body)
        if self._journal.entry.get("status") == "partial":
            return result_of(self._journal.entry)
        raise AwsUnavailable(f"the state of run {self._run_id} changed during a write; send the same event again")

    def _is_being_decided(self) -> bool:
        """Whether another copy of the run may be deciding it at this moment."""
        entry = self._journal.entry
        by_another = entry.get("status") == DECIDING and not self._journal.is_own
        return by_another and self._now() < parse_time(entry["noted_at"]) + LEASE

    def _journal_facts(self) -> dict[str, Any]:
        """Return the members of a journal entry beside the result."""
        return {"started": self._state.started, "noted_at": iso_text(self._now())}

    def _body(self, status: str, *, manifest: str | None) -> dict[str, Any]:
        """Return the members of a result that every mode has, and count the run's requests up to here."""
        state, sent = self._state, self._client.transport.requests_sent
        state.requests += sent - self._requests_counted
        self._requests_counted = sent
        records, objects, bookmark = self._summary()
        return {
            "run_id": self._run_id,
            "connection": self._request.connection,
            "entity": self._request.entity,
            "status": status,
            "records": records,
            "objects": objects,
            "manifest": manifest,
            "requests": state.requests,
            "bookmark": bookmark,
        }

    def _complete(self, manifest: str | None, unverified_reason: str) -> dict[str, Any]:
        """Return the result of a complete run; without a reason, it is verified."""
        body = {**self._body("complete", manifest=manifest), "verified": not unverified_reason}
        return {**body, "reason": unverified_reason} if unverified_reason else body

    def _place(self, language: str) -> RunPlace:
        """Return the place of the run's objects in a language."""
        request, state = self._request, self._state
        return RunPlace(request.connection, request.entity, language, state.started[:10], state.run_id)

    def _manifest_head(self, language: str) -> dict[str, Any]:
        """Return the first members of a manifest: the run and its request."""
        return {
            "run_id": self._run_id,
            "request_id": self._client.transport.request_id,
            "connection": self._request.connection,
            "entity": self._request.entity,
            "language": language,
            "request": self._request.as_event(),
            "started": self._state.started,
        }

    def _now(self) -> datetime:
        """Return our own time. Leases use it, because the shop's time may be far off or not known yet."""
        return datetime.fromtimestamp(self._clock.time(), UTC)

    @abstractmethod
    def _prepare(self, entry: dict[str, Any], *, resumed: bool) -> None:
        """Plan the run from its journal entry and its state, without a request to the shop and without a write."""

    @abstractmethod
    def _shares_decision(self) -> bool:
        """Whether the run is decided in an object that it shares with other runs, and not in its journal.

        Then the run writes its journal first, to exclude its other copies. The shared object excludes other runs.
        """

    @abstractmethod
    def _check_free(self) -> None:
        """Raise `RunInProgress` if another run of the subscription is under way."""

    @abstractmethod
    def _claim(self) -> None:
        """Exclude other runs of the subscription, before the first request to the shop.

        Raises:
            RunInProgress: Another run is under way.
            PreconditionFailed: Another run has taken this run's place.
        """

    @abstractmethod
    def _position(self) -> object:
        """Return a value that changes when the run makes progress."""

    @abstractmethod
    def _work(self) -> None:
        """Do the rest of the run, or as much as the budget allows.

        Raises:
            Suspend: The budget is used up.
        """

    @abstractmethod
    def _before_pause(self) -> None:
        """Store what the invocation still has in memory, so that the state is whole."""

    @abstractmethod
    def _decision(self) -> Decision:
        """Return the result and the manifests of the complete run."""

    @abstractmethod
    def _decide(self, entry: dict[str, Any]) -> None:
        """Decide the run by one conditional write, which stores its entry."""

    @abstractmethod
    def _recover(self) -> None:
        """Finish the subscription's run that was killed after it was decided, if there is one."""

    @abstractmethod
    def _is_overtaken(self) -> bool:
        """Whether another run of the subscription has taken this run's place."""

    @abstractmethod
    def _lease(self, until: datetime) -> None:
        """Store that the run goes on later, at the latest at `until`."""

    @abstractmethod
    def _finalize(self) -> None:
        """Make the last writes of a decided run: the bookmark, or the index of ids and the lock."""

    @abstractmethod
    def _summary(self) -> tuple[int, list[str], dict[str, str] | None]:
        """Return the number of records stored so far, the keys of their parts in order, and the bookmark."""
