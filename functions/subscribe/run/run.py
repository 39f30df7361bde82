"""One invocation of a run, whatever its mode: begin, work, then pause, commit or lose.

The mode supplies the work and the way in which the run is decided. This class owns the order of the writes:

1. A run that pauses keeps its state, then its journal, then its lease.
2. A run that ends is decided by one conditional write. Only then its manifests are written, then its journal, and last
   what the mode moves: the bookmark or the index of ids.
3. A copy that finds its condition broken never writes anything that readers see. It answers with the result that was
   decided, or with what the other copy wrote to the journal. If another run was faster, it says so.
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
from subscribe.run.cursor import State, StateStore, pointer_of
from subscribe.run.journal import Journal, finish, result_of
from subscribe.run.result import Decision, Result

if TYPE_CHECKING:
    from connector.transform import Library

DECIDING = "deciding"
"""Status of a journal whose run is about to be decided in an object that it shares with other runs."""


@dataclass(frozen=True, slots=True)
class Services:
    """What one invocation of a run works with.

    Attributes:
        client: The client of the request's connection.
        bucket: The bundle's bucket.
        clock: The clock for the window's end and for short waits.
        remaining_seconds: Returns the time until this invocation must be over.
        reserve_percent: Share of each quota window that stays free for others.
        library: Saved transformers and tables; `None` for none.
        gzip_level: How much parts are compressed, 1 to 9.
    """

    client: Client
    bucket: Bucket
    clock: Clock
    remaining_seconds: Callable[[], float]
    reserve_percent: float
    library: Library | None = None
    gzip_level: int = GZIP_LEVEL


class Run(ABC, Generic[State]):
    """A run of one request, seen from one invocation."""

    _kind: type[State]
    """The type of the mode's state."""

    def __init__(self, request: SubscribeRequest, run_id: str, services: Services) -> None:
        """Take the request and what it needs; nothing is read or sent yet.

        Args:
            request: A checked event.
            run_id: The run's id, unless the request names one or has a cursor.
            services: What the run works with.

        Raises:
            RequestError: The cursor is none.
        """
        self._request = request
        self._run_id = request.run_id or run_id
        if request.cursor:
            self._run_id = pointer_of(request.cursor).run_id
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
        """Plan the run without sending or writing anything.

        Raises:
            RequestError: The cursor or run id is not this request's.
            RunInProgress: Another run of the same subscription is under way.
            TransformError: A transformer failed.
            CatalogueError: The transformed parameters are wrong.
        """
        if self._begin() is None:
            self._check_free()

    def invoke(self) -> Result:
        """Read and store until the run is complete or the budget of this invocation is used up.

        Raises:
            RequestError: The cursor or run id is not this request's; nothing was sent.
            RunInProgress: Another run of the same subscription is under way; nothing was sent.
            TransformError: A transformer failed.
            CatalogueError: The transformed parameters are wrong; nothing was sent.
            LightspeedError: As the client raises it. A failure that may pass ends the invocation with a cursor instead
                if this invocation has made progress.
            AwsUnavailable: AWS is in trouble; the same event may be sent again.
        """
        try:
            finished = self._begin()
            if finished is not None:
                return finished
            self._claim()
            return self._bounded()
        except PreconditionFailed:
            return self._lost()

    def _begin(self) -> Result | None:
        """Load what the run goes on from and prepare it; return its result if it is decided already."""
        request = self._request
        if request.cursor and request.run_id not in (None, self._run_id):
            raise RequestError([f"cursor belongs to run {self._run_id}, not {request.run_id}"])
        given = self._states.load(request.cursor) if request.cursor else None
        self._recover()
        finished = self._journal.finished()
        if finished is not None:
            return finished
        entry = self._journal.entry
        latest = entry.get("cursor")
        if latest is not None and latest != request.cursor:
            given = self._states.load(latest) or given  # copies write the journal in turn, so it has the latest state
        self._resumed = given is not None
        self._state = given or self._state
        self._prepare(entry, resumed=self._resumed)
        return None

    def _bounded(self) -> Result:
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
        decision = self._decision()
        entry = self._journal.entry_of(decision, **self._facts())
        if self._is_shared():
            goes_on = {key: self._journal.entry[key] for key in ("cursor",) if key in self._journal.entry}
            self._journal.decide({**entry, **goes_on, "status": DECIDING, "manifests": {}, "copy": uuid4().hex})
        self._decide(entry)
        finish(self._bucket, entry)
        self._settle()
        return Result(decision.body, decision.single)

    def _pause(self, resume_after_seconds: float) -> Result:
        self._keep()
        resume_after_seconds = min(resume_after_seconds, LONGEST_WAIT_SECONDS - LEASE.total_seconds())
        body = self._body("partial", manifest=None)
        body["cursor"] = self._states.save(self._run_id, self._state)
        body["resume_after_seconds"] = math.ceil(resume_after_seconds)
        self._journal.decide(self._journal.entry_of(Decision(body, {}), "partial", **self._facts()))
        self._hold(self._now() + timedelta(seconds=resume_after_seconds) + LEASE)
        return Result(body)

    def _lost(self) -> Result:
        """Answer for a copy that was not the fastest.

        An overtaken run ends in its journal, over the entry that was read. So no copy of it can be decided later.
        """
        self._recover()
        finished = self._journal.finished()
        if finished is not None:
            return finished
        if self._is_overtaken() and not self._is_being_decided():
            reason = "another run of the subscription was faster, so this run does not count"
            body = {**self._complete(None, reason), "objects": [], "superseded": True}
            try:
                self._journal.decide(self._journal.entry_of(Decision(body, {}), "complete", **self._facts()))
            except PreconditionFailed as error:
                message = f"another copy of run {self._run_id} goes on; send the same event again"
                raise AwsUnavailable(message) from error
            return Result(body)
        if self._journal.entry.get("status") == "partial":
            return result_of(self._journal.entry)
        raise AwsUnavailable(f"the state of run {self._run_id} changed during a write; send the same event again")

    def _is_being_decided(self) -> bool:
        """Whether another copy, which started later, may decide the run at this moment."""
        entry = self._journal.entry
        is_others = entry.get("status") == DECIDING and not self._journal.is_own
        return is_others and self._now() < parse_time(entry["noted_at"]) + LEASE

    def _facts(self) -> dict[str, Any]:
        """Return what the journal holds in addition to the result."""
        return {"started": self._state.started, "noted_at": iso_text(self._now())}

    def _body(self, status: str, *, manifest: str | None) -> dict[str, Any]:
        """Return the part of a result that every mode has; the run's requests are counted up to here."""
        state, sent = self._state, self._client.transport.requests_sent
        state.requests += sent - self._requests_counted
        self._requests_counted = sent
        records, objects, bookmark = self._shown()
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
        """Return the result of a complete run; it is verified unless there is a reason."""
        body = {**self._body("complete", manifest=manifest), "verified": not unverified_reason}
        return {**body, "reason": unverified_reason} if unverified_reason else body

    def _place(self, language: str) -> RunPlace:
        """Return where the run's objects in a language are."""
        request, state = self._request, self._state
        return RunPlace(request.connection, request.entity, language, state.started[:10], state.run_id)

    def _origin(self, language: str) -> dict[str, Any]:
        """Return the first members of a manifest: which run it is of, and what that run was asked for."""
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
        """Return our own time. Leases go by it, because the shop's time may be far off or not known yet."""
        return datetime.fromtimestamp(self._clock.time(), UTC)

    @abstractmethod
    def _prepare(self, entry: dict[str, Any], *, resumed: bool) -> None:
        """Plan the run from its journal and its state, which is new unless resumed. Nothing is sent or written."""

    @abstractmethod
    def _is_shared(self) -> bool:
        """Whether the run is decided in an object that it shares with other runs, and not in its journal.

        Then the journal says so first: it excludes other copies of the run, and the shared object other runs.
        """

    @abstractmethod
    def _check_free(self) -> None:
        """Raise `RunInProgress` if another run of the subscription is under way."""

    @abstractmethod
    def _claim(self) -> None:
        """Take what only one run may have, before anything is sent.

        Raises:
            RunInProgress: Another run has it.
            PreconditionFailed: This run had it, and another run took it.
        """

    @abstractmethod
    def _position(self) -> object:
        """Return what differs once the run has made progress."""

    @abstractmethod
    def _work(self) -> None:
        """Do what is left of the run, or as much as the budget allows."""

    @abstractmethod
    def _keep(self) -> None:
        """Store what the invocation still has in memory, so that the state is whole."""

    @abstractmethod
    def _decision(self) -> Decision:
        """Return how the run ends."""

    @abstractmethod
    def _decide(self, entry: dict[str, Any]) -> None:
        """Decide the run by one conditional write, which holds its entry."""

    @abstractmethod
    def _recover(self) -> None:
        """Finish the run of the subscription that was killed after it was decided, if there is one."""

    @abstractmethod
    def _is_overtaken(self) -> bool:
        """Whether another run of the subscription has taken this run's place."""

    @abstractmethod
    def _hold(self, until: datetime) -> None:
        """Say that the run goes on later."""

    @abstractmethod
    def _settle(self) -> None:
        """Move what the mode moves last."""

    @abstractmethod
    def _shown(self) -> tuple[int, list[str], dict[str, str] | None]:
        """Return how many records the run has stored, the keys of their parts in order, and the bookmark to show."""
