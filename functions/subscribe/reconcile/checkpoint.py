"""The state of a reconcile run between two invocations."""

from __future__ import annotations

import msgspec

from lightspeed.listing.checkpoint import ListCheckpoint
from subscribe.reconcile.id_index import Id
from subscribe.run.cursor import RunState


class ReconcileState(RunState, array_like=True):
    """The progress of a reconcile run.

    Attributes:
        window_end: ISO-8601 UTC by the shop's clock. The list holds no later records.
        checkpoint: The checkpoint of the list; `None` before it began.
        listed: Whether the list was read to its end.
        ids: Not used. States of an earlier version name objects with the ids, which `checkpoint` has too.
        known: How many stored ids were alive; `None` before they are counted.
        absent: How many of them the list lacks; `None` before they are counted.
        trusted: Whether the shop found a listed record by its id.
        looked: The id that was checked last.
        gone: Names of the objects with the tombstones of earlier invocations, in `Checkpoints`.
        deleted: Number of deleted records so far.
        unclear: How many checks showed neither a record nor a deletion.
        is_open: Whether the window may end in the shop's future, so that records may enter the list.
    """

    window_end: str = ""
    checkpoint: ListCheckpoint | None = None
    listed: bool = False
    ids: list[str] = msgspec.field(default_factory=list)
    known: int | None = None
    absent: int | None = None
    trusted: bool = False
    looked: Id | None = None
    gone: list[str] = msgspec.field(default_factory=list)
    deleted: int = 0
    unclear: int = 0
    is_open: bool = False

    @property
    def position(self) -> tuple[object, ...]:
        """A value that changes when the run makes progress."""
        read = self.checkpoint.read if self.checkpoint is not None else None
        return read, self.listed, self.absent, self.looked
