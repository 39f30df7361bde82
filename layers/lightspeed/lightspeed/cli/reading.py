"""Read whole lists on the command line: with the whole quota, and in a thread of their own."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Queue
from threading import Thread
from typing import TypeVar

from lightspeed.listing.budget import UNBOUNDED
from lightspeed.transport import Transport

QUOTA_PATIENCE_SECONDS = 330.0
"""The longest wait for the quota: it waits out the window of five minutes, but no longer one."""

_PAGE_AND_COUNT = 2

_Found = TypeVar("_Found")


class WholeQuota:
    """A request budget that uses the whole quota, and waits for the next window if that starts soon."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def wait_for_room(self) -> int:
        """Return how many requests may be sent. If the wait would be too long, they are sent at once and get a 429."""
        quota = self._transport.quota
        wait = 0 if quota is None else quota.wait_seconds(needed=_PAGE_AND_COUNT)
        if not wait:
            return self.left()
        if wait <= QUOTA_PATIENCE_SECONDS:
            self._transport.clock.sleep(wait)
        return _PAGE_AND_COUNT

    def left(self) -> int:
        """Return how many requests the last answers leave room for."""
        quota = self._transport.quota
        return UNBOUNDED if quota is None else quota.room()

    def record_latency(self, seconds: float) -> None:
        """Ignore how long a page took: a command has no time limit."""


def in_background(pages: Iterator[_Found]) -> Iterator[_Found]:
    """Read pages in another thread and yield them here, so that Ctrl-C ends this thread at once."""
    read: Queue[_Found | BaseException | None] = Queue(maxsize=1)

    def fill() -> None:
        try:
            for page in pages:
                read.put(page)
        except BaseException as error:  # raised again in the thread that yields
            read.put(error)
        else:
            read.put(None)

    Thread(target=fill, daemon=True).start()
    while (found := read.get()) is not None:
        if isinstance(found, BaseException):
            raise found
        yield found
