"""Whether the order of a list is known well enough to trust its pages while rows leave it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import gt, lt

import msgspec

from lightspeed.listing.checkpoint import IdLog, ListCheckpoint
from lightspeed.listing.records import Record
from lightspeed.response import UNREADABLE

ENOUGH_ROWS = 50
"""Ids in one direction that show an order. That many fall so by chance once in 10^64 lists."""

ENOUGH_TURNS = 3
"""How often times of change must rise and fall, so that the list is certainly not sorted by them."""

REPEATED = 200
"""The most rows that came again whose seconds are read once more."""


class UnstableList(Exception):
    """The pages of a list do not add up to the list: its order changes, or its pages or its count are wrong.

    Attributes:
        reason: What showed it.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Times(msgspec.Struct):
    """The times of a record, as the shop wrote them; empty if they are missing or no text."""

    created: str = msgspec.field(default="", name="createdAt")
    updated: str = msgspec.field(default="", name="updatedAt")


def times_of(record: Record) -> Times:
    """Return the times of a record."""
    try:
        return msgspec.json.decode(record.text, type=Times)
    except UNREADABLE:
        return Times()


def turns(records: Sequence[Record]) -> tuple[int, int]:
    """Return how often the time of change rises and falls from one row to the next; rows without a time are skipped."""
    times = [record.changed for record in records if record.changed]
    return sum(map(lt, times, times[1:])), sum(map(gt, times, times[1:]))


def why_order_is_unknown(checkpoint: ListCheckpoint, ids: IdLog, *, by_update: bool) -> str:
    """Return why the list's order may change while rows leave it; empty if it is known not to change.

    Args:
        checkpoint: Of a list that was read to its front.
        ids: All that were read.
        by_update: Whether a changed row leaves the list, so that the times in it do not change.
    """
    if checkpoint.asked_again:
        return "rows left the list while it was read, and pages that were asked for twice may come from a cache"
    if not ids.ordered or len(ids) < ENOUGH_ROWS:
        return "rows left the list while it was read, and its order is not known"
    turned = min(checkpoint.rises, checkpoint.falls) >= ENOUGH_TURNS
    if not turned and not by_update:
        return "rows left the list while it was read, and it may be sorted by time of change"
    if checkpoint.repeated > len(checkpoint.repeated_at):
        return "more rows came again than can be looked at once more"
    return ""
