"""Compute the bookmark after a run. Nothing here reads or writes."""

from __future__ import annotations

import msgspec

from connector.timestamps import iso_text
from lightspeed.listing.opening import SETTLING_LAG, TOLERANCE
from lightspeed.listing.window import LOOKBACK
from lightspeed.request import parse_time
from lightspeed.shop_clock import BELIEVED_SECONDS
from subscribe.sync.bookmark import HIDDEN, MAX_UNVERIFIED, Bookmark
from subscribe.sync.state import SyncState


def reads_again(before: Bookmark, state: SyncState) -> bool:
    """Whether the next run reads this window again: records may be missing, and the stored ones are remembered."""
    return state.may_have_missed and state.remembers_all and before.unverified < MAX_UNVERIFIED


def next_bookmark(before: Bookmark, state: SyncState) -> Bookmark:
    """Return the bookmark after a complete run, without `recent`. It never moves back.

    A run that may have missed records leaves the bookmark where it is, up to `MAX_UNVERIFIED` times in a row. It
    remembers its records, so the next run reads the same window and more, and stores only new records. Then the
    bookmark moves without a proof, because a shop that never gives a provable list must not stop the subscription. If
    the shop's dates stay behind the bookmark for as many runs, the bookmark moves by our clock.

    Args:
        before: The bookmark that the run started from.
        state: The state of the run at its end.
    """
    if reads_again(before, state):
        after = msgspec.structs.replace(before, unverified=before.unverified + 1, never_updated=state.never_updated)
    else:
        after = _advance(before, state)
    skew = round(state.skew) if abs(state.skew) > BELIEVED_SECONDS else 0
    return msgspec.structs.replace(after, run_id=state.run_id, skew=skew, opened=state.opened)


def _advance(before: Bookmark, state: SyncState) -> Bookmark:
    """Return the bookmark at the end of the window. The next window reaches back to `surely_passed`."""
    end, until, sure, unverified = state.end, state.read_up_to, state.surely_passed, 0
    if before.start is not None:
        known = before.start + LOOKBACK
        if until <= known < end:  # by the shop's dates, the run read nothing after the bookmark
            unverified = before.unverified + 1
        if unverified > MAX_UNVERIFIED:
            until = sure = min(end, parse_time(state.opened) - SETTLING_LAG)
            unverified = 0
        until, sure = max(until, known), max(sure, known)
    again = iso_text(sure - LOOKBACK) if until - sure > TOLERANCE else ""
    return Bookmark(
        iso_text(until),
        again_from=again,
        unverified=unverified,
        created_until=_created_until(before, state, iso_text(min(sure, until))),
        never_updated=state.never_updated,
    )


def _created_until(before: Bookmark, state: SyncState, sure: str) -> str:
    """Return the end of what was read by time of creation."""
    if before.until is not None:
        known = before.created_until or before.until
        return max(known, state.created_end)
    if state.never_updated == HIDDEN and state.window_start is not None:
        return state.window_start  # a first run that read by time of change from `since` on
    return sure
