"""One step of a read. The run applies it to its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from connector.transform import TransformError
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.opening import Opening
from subscribe.storage.parts import Chunk

STOPPED = "stopped after max_records"

_NOTHING = Chunk(b"", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The changes of one step to the state of the run. Members that are left out change nothing.

    Attributes:
        checkpoint: The checkpoint of a list that was begun. The list's reader writes its progress to it.
        opening: The window that was opened with that list.
        chunk: Records to store.
        rejected: Lines to store for rejected records and for rows that are no records; not compressed yet.
        odd_rows: How many of the rejected lines are rows that are no JSON objects in UTF-8.
        transformed: How many records the entity transformer got.
        first_rejection: The first error of the transformer.
        newest_change: The newest time of change among the records, ISO-8601 UTC.
        recent: Times of change of the records that the next incremental run will see again, by language and id.
        forgotten: Language and id of a parent with possibly missing nested records. The next run reads it again.
        pending: Parents with nested records that are left to read.
        rows_given: The most rows of a page of nested records.
        counts: The shop's counts at the beginning and the end of the list.
        never_updated: As in the bookmark.
        may_have_missed: Whether a record of the list may be missing, because the list could not be proved.
        unverified_reason: Why completeness cannot be shown. The first reason of a run stays.
        stopped: Whether the step left out records because `max_records` are stored.
    """

    checkpoint: ListCheckpoint | None = None
    opening: Opening[Any] | None = None
    chunk: Chunk = _NOTHING
    rejected: list[bytes] = field(default_factory=list)
    odd_rows: int = 0
    transformed: int = 0
    first_rejection: TransformError | None = None
    newest_change: str = ""
    recent: dict[str, str] = field(default_factory=dict)
    forgotten: str = ""
    pending: list[int | str] | None = None
    rows_given: int = 0
    counts: tuple[int, int] | None = None
    never_updated: str = ""
    may_have_missed: bool = False
    unverified_reason: str = ""
    stopped: bool = False


EMPTY_STEP = Step()
"""A step that changes nothing."""
