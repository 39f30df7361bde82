"""Open a window: its end is a little behind the shop's clock, which is known once the shop has answered.

A window is closed if its end has passed for the shop. Then no record can enter it. A wrong date must not decide this:

1. A date that is more than a minute ahead of our clock needs three answers that agree on it. None may agree with our
   clock. A date that is more than a minute behind our clock needs two answers. If they do not agree, our clock decides.
2. If they agree, the shop is asked for a record between both times, because records carry the shop's own time. Such a
   record shows that the later time is right. Without one, the window ends by the earlier time. If the shop cannot be
   asked, its dates count. A date that is only some seconds ahead is checked too: a proxy's clock may be ahead of the
   shop's.
3. A window that may end in the shop's future is open. The reader treats it as a list that rows may enter. The same
   holds for every window of a shop whose answers have no date.

A bookmark goes by the earliest time that the answers of the whole run give, whatever the window's end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from lightspeed.client import Client
from lightspeed.listing.reader import ListReader
from lightspeed.listing.records import RecordParser, times_of
from lightspeed.listing.window import Window
from lightspeed.shop_clock import BELIEVED_SECONDS, ShopClock

SETTLING_LAG = timedelta(seconds=5)
"""How far a window's end lies behind the shop's clock. By then the shop shows every change in the window."""

SKEW = timedelta(seconds=2)
"""How far the shop's clock may differ from ours without moving the window."""

TOLERANCE = timedelta(seconds=BELIEVED_SECONDS)
"""How far a window's end may be beyond the smallest believed time. The next window reaches back as far."""

MAX_COUNTS = 4
"""The most first counts of a list. If their dates do not agree, one more count follows, by our clock."""

DIFFERENT_TIMES = (
    "the shop's answers give different times, so records may have entered the list while it was read; "
    "the next run reads again from the earliest of them"
)
"""The reason why a run is not verified if its window may not have been closed."""

_ALMOST_A_SECOND = timedelta(seconds=1) - timedelta.resolution
_NEAR_COUNTS = 3
"""From this count on, an end within `TOLERANCE` of the latest date is near enough."""

_AGREEING_AHEAD, _AGREEING_BEHIND = 3, 2
"""Answers that must agree on a date that is ahead of our clock, or behind it."""

_Processed = TypeVar("_Processed")


class Opening(NamedTuple, Generic[_Processed]):
    """A window that was opened.

    Attributes:
        reader: The reader of its list; the first count is taken.
        opened: The time by our clock when the window was opened.
        closed: Whether the end has passed for the shop, as far as is known.
    """

    reader: ListReader[_Processed]
    end: datetime
    opened: datetime
    closed: bool


def shop_time(client: Client) -> datetime:
    """Return the shop's time as far as it is known."""
    return datetime.fromtimestamp(client.transport.shop_time(), UTC)


def window_end(client: Client) -> datetime:
    """Return the end of a window that opens now, as far as the shop's time is known."""
    return shop_time(client) - SETTLING_LAG


def visible_until(opened: datetime, skew_seconds: float) -> datetime:
    """Return the time up to which the shop showed every change when a window was opened.

    Args:
        opened: The time by our clock then.
        skew_seconds: How far the shop's clock was ahead of ours.
    """
    return opened + timedelta(seconds=skew_seconds) - SETTLING_LAG


def is_closed(end: datetime, opened: datetime, skew_seconds: float) -> bool:
    """Whether a window's end had passed for the shop when the window was opened.

    Args:
        end: The window's end.
        opened: The time by our clock then.
        skew_seconds: The smallest believed skew of the shop's clock.
    """
    return end - visible_until(opened, skew_seconds) <= TOLERANCE


def read_up_to(end: datetime, opened: datetime, skew_seconds: float) -> datetime:
    """Return the time up to which a list is surely read: its window's end, or earlier if the end had not passed yet.

    Args:
        end: The window's end.
        opened: The time by our clock when the window was opened.
        skew_seconds: The smallest believed skew of the shop's clock in the whole run.
    """
    return end if is_closed(end, opened, skew_seconds) else visible_until(opened, skew_seconds)


def open_window(
    client: Client, end: datetime, read_to: Callable[[datetime, bool], ListReader[_Processed]]
) -> Opening[_Processed]:
    """Take the first count of a list. If the shop's clock differs from ours, move the window and count again.

    Args:
        client: The shop's client. Its transport's clock is our clock.
        end: The window's end, as far as the shop's time is known so far.
        read_to: Returns a new reader of the window up to an end. Its second argument says whether the window is closed.

    Raises:
        LightspeedError: A request failed.
    """
    shop = client.transport.shop_clock
    skews: list[float] = []
    is_confirmed = False  # whether a date some seconds ahead was checked and counts
    for count in range(1, MAX_COUNTS + 1):
        dates = shop.dates
        opening = _open_to(end, client, read_to)
        dated = shop.dates > dates
        skew = shop.latest_skew_seconds if dated else shop.skew_seconds
        latest = visible_until(opening.opened, skew)
        fits = abs(latest - end) <= SKEW or (bool(skews) and abs(skew - skews[-1]) <= SKEW.total_seconds())
        if dated:
            skews.append(skew)
        is_ahead = skew > BELIEVED_SECONDS
        ours = visible_until(opening.opened, 0.0)
        if abs(skew) <= BELIEVED_SECONDS:  # both clocks agree
            if skew > SKEW.total_seconds() and not is_confirmed:
                if _is_ours_right(opening, ours, latest + SETTLING_LAG, is_ahead=True):
                    return opening if end <= ours else _open_to(ours, client, read_to)
                is_confirmed = True
            if fits or (count >= _NEAR_COUNTS and abs(latest - end) <= TOLERANCE):
                return opening if shop.dates else _open_to(_end_by_our_clock(client), client, read_to, dated=False)
        elif is_ahead and _least_skew(shop) <= BELIEVED_SECONDS:
            break  # another answer agrees with our clock
        elif fits and _agreeing(skew, skews) >= (_AGREEING_AHEAD if is_ahead else _AGREEING_BEHIND):
            if _is_ours_right(opening, ours, end, is_ahead=is_ahead):
                break
            return opening
        end = latest
    return _open_to(_end_by_our_clock(client), client, read_to)


def _open_to(
    end: datetime, client: Client, read_to: Callable[[datetime, bool], ListReader[_Processed]], *, dated: bool = True
) -> Opening[_Processed]:
    """Open a window up to an end, and take the first count; without a dated answer, the window counts as open."""
    closed = dated and is_closed(end, _now(client), _least_skew(client.transport.shop_clock))
    reader = read_to(end, closed)
    reader.begin()
    return Opening(reader, end, _now(client), closed)


def _is_ours_right(opening: Opening[_Processed], ours: datetime, end: datetime, *, is_ahead: bool) -> bool:
    """Whether the records of a list show that our clock is right, and not the dates of the shop.

    Args:
        opening: The opened window of the list.
        ours: The window's end by our clock.
        end: The window's end by the shop's dates.
        is_ahead: Whether these dates are ahead of our clock.
    """
    if is_ahead:
        return _has_record_between(opening.reader, ours + SKEW, end) is False
    return bool(_has_record_between(opening.reader, end + TOLERANCE, ours))


def _has_record_between(reader: ListReader[_Processed], earlier: datetime, later: datetime) -> bool | None:
    """Whether a list has a record between two ends of its window; `None` if the shop cannot be asked for it.

    The record's own time must lie there: a count may be wrong, and the shop may ignore the filter.
    """
    shop_list = reader.shop_list
    window = shop_list.window
    if window is None:
        return None
    start = (earlier + SETTLING_LAG + _ALMOST_A_SECOND).replace(microsecond=0)  # filters take whole seconds
    if start >= later:
        return False  # no whole second lies between, so no record can show that the later end is right
    asked = Window(window.by, start if window.start is None else max(window.start, start), later)
    if asked.start is None or asked.start >= later:
        return None
    texts = [times_of(record) for record in RecordParser().read(shop_list.heads_only.page(1, 1, asked.query))]
    times = [text.updated if window.by == "updated_at" else text.created for text in texts]
    return any(asked.contains_all([time]) for time in times)


def _agreeing(skew: float, skews: list[float]) -> int:
    return sum(abs(skew - other) <= BELIEVED_SECONDS for other in skews)


def _end_by_our_clock(client: Client) -> datetime:
    """Return the end of a window by our clock, or by the shop's dates if they are up to a minute behind it."""
    least = _least_skew(client.transport.shop_clock)
    return visible_until(_now(client), min(0.0, least) if least >= -BELIEVED_SECONDS else 0.0)


def _least_skew(shop: ShopClock) -> float:
    return shop.least_skew_seconds or 0.0


def _now(client: Client) -> datetime:
    return datetime.fromtimestamp(client.transport.clock.time(), UTC)
