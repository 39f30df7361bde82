"""The clock of the tests, for the connector and for the simulated shop."""

from tests.shop import Clock

MONDAY_SIX = 1_795_413_600
"""2026-11-23 06:00:00 UTC: a new window of the quota begins for five minutes and for the hour, but not for the day."""


class FakeClock(Clock):
    """A clock that only `sleep`, `advance` and `set` move. Several threads may use it.

    Args:
        now: Epoch seconds.
        step: Seconds by which each call of `monotonic` advances the clock.

    Attributes:
        ahead: The seconds by which the connector's clock is ahead of the shop's.
        slept: Every sleep in seconds, in order.
    """

    def __init__(self, now: float = MONDAY_SIX, *, step: float = 0.0) -> None:
        super().__init__(frozen_at=now)
        self._step = step
        self.ahead = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Return seconds for measuring time; see `lightspeed.Clock`."""
        if self._step:
            self.advance(self._step)
        return self.now()

    def time(self) -> float:
        """Return the connector's epoch seconds."""
        return self.now() + self.ahead

    def sleep(self, seconds: float) -> None:
        """Record the sleep and advance by it."""
        self.slept.append(seconds)
        self.advance(seconds)

    def set(self, now: float) -> None:
        """Set the shop's clock to epoch seconds."""
        self.advance(now - self.now())
