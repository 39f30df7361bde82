"""Turn queued webhooks and ticks into runs, at most one per subscription and window."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from connector.webhooks.window import Policy
from lightspeed import Clock
from webhook.debounce import MAX_IDS, Mark, Run, Status, Webhooks, add_webhooks, advance, is_stale
from webhook.followers import Follower

MAX_TRIES = 20
"""How often a step is tried if another invocation changes the mark meanwhile."""

UNWRITTEN_SECONDS = 15.0
"""The longest time between sending a tick and writing its mark; the function's timeout is shorter."""

AGAIN_SECONDS = 5.0
"""The delay after which a tick comes again if no mark has it yet."""


class MarkChanged(Exception):
    """Another invocation changed the mark during each of `MAX_TRIES` tries."""


class Cloud(Protocol):
    """The stored marks, the executions of `Sync`, and the queue of the trigger."""

    def load(self, key: str) -> tuple[Mark | None, int]:
        """Return a mark and its version; `None` and 0 if there is none."""

    def save(self, key: str, mark: Mark, version: int) -> bool:
        """Write a mark if the stored version is still `version`; return whether it was."""

    def allow(self, key: str, wanted: int, most: int) -> int:
        """Add `wanted` to a counter that allows `most`; return how many of the wanted ones are within the limit."""

    def start(self, run: Run) -> None:
        """Start a run, unless it was started before."""

    def status(self, name: str) -> Status:
        """Return the status of a run."""

    def tick(self, message: str, delay_seconds: float) -> None:
        """Send a message to the queue of the trigger, with a delay."""


class Message(msgspec.Struct):
    """A message of the queue: a webhook, or a tick that comes back to a mark.

    Attributes:
        received: When a webhook came, epoch milliseconds; 0 for a tick.
        tick: The key of the mark; empty for a webhook.
        at: When a tick is due, epoch seconds.
    """

    connection: str = ""
    entity: str = ""
    action: str = ""
    id: str = ""
    received: int = 0
    tick: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class RunScheduler:
    """Debounces webhooks.

    Attributes:
        cloud: Stores marks, starts runs and sends ticks.
        followers: Returns the subscriptions that follow an entity by webhook, from connection and entity.
        policy: How often runs start.
    """

    cloud: Cloud
    followers: Callable[[str, str], Sequence[Follower]]
    clock: Clock
    policy: Policy

    def handle(self, messages: Iterable[str]) -> dict[int, Exception]:
        """Handle a batch; return the errors of messages that must come again, by position."""
        failed: dict[int, Exception] = {}
        groups: dict[tuple[str, str, str], list[tuple[int, Message]]] = {}
        for position, text in enumerate(messages):
            try:
                message = msgspec.json.decode(text, type=Message)
            except msgspec.MsgspecError as error:
                failed[position] = error
                continue
            groups.setdefault((message.tick, message.connection, message.entity), []).append((position, message))
        for (tick, connection, entity), group in groups.items():
            try:
                if tick:
                    for at in {message.at for _, message in group}:
                        self._advance(tick, at)
                else:
                    self._add_webhooks(connection, entity, [message for _, message in group])
            except Exception as error:  # the other groups go on
                failed |= {position: error for position, _ in group}
        return failed

    def _add_webhooks(self, connection: str, entity: str, messages: Sequence[Message]) -> None:
        followers = self.followers(connection, entity)
        for follower in followers:
            by = "id" if follower.by_id and not follower.by_change else "change"
            self._add_to_mark(f"{connection}#{follower.subscription}", messages, event=follower.run_event, by=by)
        deleted = [message for message in messages if message.action == "deleted" and message.id]
        if followers and deleted:
            self._add_deleted(connection, followers[0], deleted)

    def _add_deleted(self, connection: str, follower: Follower, deleted: Sequence[Message]) -> None:
        """Let a run ask for deleted ids, at most `MAX_IDS` per connection and window. `reconcile` finds the others."""
        window = int(self.clock.time() // self.policy.window_seconds)
        wanted = {message.id: message for message in deleted}
        allowed = self.cloud.allow(f"{connection}#{window}", len(wanted), MAX_IDS)
        if allowed and follower.can_be_reconciled:
            key, messages = f"{connection}#{follower.subscription}#deleted", list(wanted.values())[:allowed]
            self._add_to_mark(key, messages, event=follower.reconcile_event, by="existence")

    def _add_to_mark(self, key: str, messages: Sequence[Message], *, event: dict[str, Any], by: Any) -> None:
        """Add webhooks to a mark, and set the event of its runs."""
        times = [message.received / 1000 for message in messages]
        ids = tuple(message.id for message in messages if message.id)
        new = Webhooks(min(times), max(times), ids, every=len(ids) < len(messages))
        for _ in range(MAX_TRIES):
            stored, version = self.cloud.load(key)
            mark = Mark(event=event, by=by) if stored is None else msgspec.structs.replace(stored, event=event, by=by)
            mark, needs_tick = add_webhooks(mark, new, self.clock.time(), self.policy)
            if needs_tick:
                self._send_tick(key, mark.tick_at)
            if mark == stored or self.cloud.save(key, mark, version):
                return
        raise MarkChanged(key)

    def _advance(self, key: str, tick_at: float) -> None:
        for _ in range(MAX_TRIES):
            mark, version = self.cloud.load(key)
            now = self.clock.time()
            if mark is None or is_stale(mark, tick_at, now):
                if now < tick_at + UNWRITTEN_SECONDS:  # the invocation that sent it may not have written the mark yet
                    self.cloud.tick(json.dumps({"tick": key, "at": tick_at}), AGAIN_SECONDS)
                return
            status = self.cloud.status(mark.run.name) if mark.run is not None else "ended"
            advanced, run = advance(mark, status, self.clock.time(), self.policy, key)
            if advanced.tick_at:
                self._send_tick(key, advanced.tick_at)
            if self.cloud.save(key, advanced, version):
                if run is not None:
                    self.cloud.start(run)
                return
        raise MarkChanged(key)

    def _send_tick(self, key: str, at: float) -> None:
        self.cloud.tick(json.dumps({"tick": key, "at": at}), max(0.0, at - self.clock.time()))
