"""The state of a reconcile run between two invocations."""

from __future__ import annotations

import msgspec

from lightspeed.listing.checkpoint import ListCheckpoint
from subscribe.reconcile.id_index import Id
from subscribe.run.cursor import RunState


class ReconcileState(RunState, array_like=True):
    """How far a reconcile run has come.

    Attributes:
        window_end: ISO-8601 UTC by the shop's clock; what was created later is not looked at.
        checkpoint: The checkpoint of the list; `None` before it began.
        listed: Whether the list was read to its end.
        ids: Not used; a state of an earlier version names objects with the ids, which `checkpoint` has too.
        known: How many ids were alive when the run looked, or `None` before that.
        absent: How many of them are not in the list, or `None` before that.
        trusted: Whether the shop found a listed record by its id.
        looked: The id looked at last.
        gone: What earlier invocations keep in the bucket of records that are gone.
        deleted: How many are gone so far.
        unclear: How many checks showed neither.
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
        """What differs once the run has come further."""
        read = self.checkpoint.read if self.checkpoint is not None else None
        return read, self.listed, self.absent, self.looked
