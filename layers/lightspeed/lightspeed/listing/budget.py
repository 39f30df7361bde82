"""How many requests a reading may send now."""

from __future__ import annotations

from typing import Protocol

UNBOUNDED = 1 << 30
"""The room of a reading without a bound."""


class RequestBudget(Protocol):
    """Decides how many requests a reading may send now."""

    def wait_for_room(self) -> int:
        """Return how many requests may be sent, at least 1.

        May wait for the shop's quota. Raises an exception if the invocation must end instead.
        """
        ...

    def left(self) -> int:
        """Return how many requests the last answers leave room for, 0 if none. Each page of a batch asks this first."""
        ...

    def record_latency(self, seconds: float) -> None:
        """Record how long a page took."""
        ...


class UnlimitedBudget:
    """A budget without a bound."""

    def wait_for_room(self) -> int:
        """Return `UNBOUNDED`."""
        return UNBOUNDED

    def left(self) -> int:
        """Return `UNBOUNDED`."""
        return UNBOUNDED

    def record_latency(self, seconds: float) -> None:
        """Ignore how long a page took."""
