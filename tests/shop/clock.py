"""The shop's clock, which tests can move, so that quota windows and timestamps need no waiting."""

import threading
import time
from datetime import UTC, datetime


class Clock:
    """Tells the shop's time in seconds since 1970 (UTC).

    Args:
        frozen_at: epoch seconds at which the clock is frozen until it is advanced. Without it the clock runs with
            real time plus whatever it was advanced by.
    """

    def __init__(self, frozen_at: float | None = None) -> None:
        self._frozen = frozen_at is not None
        self._offset = 0.0 if frozen_at is None else float(frozen_at)
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the shop's time in epoch seconds."""
        return self._offset if self._frozen else time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward; a negative number moves it back."""
        with self._lock:
            self._offset += seconds


def http_date(epoch: float) -> str:
    """Format epoch seconds as an HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`)."""
    moment = datetime.fromtimestamp(int(epoch), UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[moment.month - 1]
    return f"{day}, {moment.day:02d} {month} {moment.year} {moment:%H:%M:%S} GMT"
