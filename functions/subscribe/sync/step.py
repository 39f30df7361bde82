"""What one step of a reading gives; the run takes it into its state."""

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
    """What one step of a reading gives. Members that are left out change nothing.

    Attributes:
        checkpoint: The checkpoint of the list that was begun. Its reader goes on to write progress to it.
        opening: The window that was opened with that list.
        chunk: Records to store.
        rejected: Lines for what could not be transformed or is no record, not compressed yet.
        odd_rows: How many of the rejected lines are rows that are no JSON objects in UTF-8.
        transformed: How many records were given to the entity transformer.
        first_rejection: The first error of the transformer.
        newest_change: The newest time of change among the records, ISO-8601 UTC.
        recent: Time of change by id of the records that the next incremental run will see again.
        forgotten: Language and id of a parent whose nested records may lack some, so that the next run reads it again.
        pending: Parents whose nested records are left to read.
        rows_given: The most rows of a page of nested records.
        counts: The shop's counts when the list was begun and ended.
        never_updated: As in the bookmark.
        may_have_missed: Whether the list could not be proved, so that a record may be missing.
        unverified_reason: Why completeness cannot be shown. The first reason of a run stays.
        stopped: Whether records were left out because `max_records` are stored.
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


NOTHING = Step()
"""A step that changes nothing."""
