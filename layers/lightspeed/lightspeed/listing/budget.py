"""What a reading asks before it sends: how far it may go now."""

from __future__ import annotations

from typing import Protocol

UNBOUNDED = 1 << 30
"""Room where nothing bounds a reading."""


class RequestBudget(Protocol):
    """Decides how far a reading may go now."""

    def room(self) -> int:
        """Return how many requests may be sent now, at least 1; raise whatever ends the invocation if none may."""
        ...

    def left(self) -> int:
        """Return how many requests the last answers leave room for, 0 if none; asked before each page of a batch."""
        ...

    def record_latency(self, seconds: float) -> None:
        """Record how long a page took."""
        ...


class UnlimitedBudget:
    """A budget without a bound."""

    def room(self) -> int:
        """Return more than any reading needs."""
        return UNBOUNDED

    def left(self) -> int:
        """Return more than any reading needs."""
        return UNBOUNDED

    def record_latency(self, seconds: float) -> None:
        """Record how long a page took."""
