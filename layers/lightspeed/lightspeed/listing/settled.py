"""The end of a window: a little behind the shop's own clock, which is known once the shop has answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from lightspeed.client import Client
from lightspeed.listing.reader import ListReader
from lightspeed.quota import Clock

SETTLING_LAG = timedelta(seconds=5)
"""How far behind the shop's clock a window ends. By then every change in the window can be seen."""

SKEW = timedelta(seconds=2)
"""How far the shop's clock may be from ours before a window is moved."""

_COUNTS = 3

_Digest = TypeVar("_Digest")


def shop_time(client: Client, clock: Clock) -> datetime:
    """Return the shop's time as far as it is known: ours, corrected by how far the shop's clock is ahead."""
    return datetime.fromtimestamp(clock.time() + client.transport.skew_seconds, UTC)


def settled_time(client: Client, clock: Clock) -> datetime:
    """Return the end of a window that is opened now, as far as the shop's time is known."""
    return shop_time(client, clock) - SETTLING_LAG


def begin(
    client: Client, clock: Clock, end: datetime, read_to: Callable[[datetime], ListReader[_Digest]]
) -> ListReader[_Digest]:
    """Take the first count of a list. If the shop's clock differs from ours, move the window and count again.

    The window moves to the time of the last answer. So a wrong `Date` in one answer is corrected by the next count.

    Args:
        client: Of the shop.
        clock: Ours.
        end: Where the window ends by what was known before the shop answered.
        read_to: Prepares the reading, from its beginning, of a window with another end.

    Raises:
        LightspeedError: As the client raises it.
    """
    assumed = None
    for _ in range(_COUNTS):
        reader = read_to(end)
        reader.begin()
        skew = timedelta(seconds=client.transport.latest_skew_seconds)
        latest = datetime.fromtimestamp(clock.time(), UTC) + skew - SETTLING_LAG
        if abs(latest - end) <= SKEW or (assumed is not None and abs(skew - assumed) <= SKEW):
            break
        end, assumed = latest, skew
    return reader
