"""What one evaluation may use: time, depth, items, characters. An evaluation that uses more is stopped at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

from lightspeed import Clock, SystemClock

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one evaluation: all expressions of a list, applied to one record or one request.

    Attributes:
        seconds: Wall clock.
        depth: Depth of nested expressions and function calls; a call of a user's function takes two or more.
        items: Items of all arrays and objects that are made on the way, not only of the result.
        characters: Characters of all text that is made on the way.
        output_values: Values in the result, members and elements counted.
        output_bytes: Bytes of the result as JSON text.
        output_depth: Depth of arrays and objects inside each other in the result.
    """

    seconds: float = 1.0
    depth: int = 500
    items: int = 2_000_000
    characters: int = 20_000_000
    output_values: int = 500_000
    output_bytes: int = 5_000_000
    output_depth: int = 200


class LimitExceeded(BaseException):
    """An evaluation went over its bounds; no `except Exception` on its way may keep it."""


class Escaped(BaseException):
    """Carries an error that the expression did not cause, such as a timeout of S3, through the evaluation."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(cause)


class Meter:
    """Counts what an evaluation uses.

    Attributes:
        limits: What it may use.
        now: Returns the time of the monotonic clock, in seconds.
        deadline: On that clock.
        interruptible: Whether a timer can interrupt a single long operation; only in the main thread.
        expression: The one that is being evaluated.
        made_characters: The length of all text that was made so far.
    """

    def __init__(self, limits: Limits, clock: Clock, *, interruptible: bool) -> None:
        self.limits = limits
        self.now = clock.monotonic
        self.deadline = self.now() + limits.seconds
        self.interruptible = interruptible
        self.expression = ""
        self._items = 0
        self.made_characters = 0

    def items(self, number: int) -> None:
        """Count items that are about to be made.

        Raises:
            LimitExceeded: They are too many.
        """
        self._items += number
        if self._items > self.limits.items:
            raise LimitExceeded(f"makes too many items: {self._items:,} where {self.limits.items:,} are allowed")

    def characters(self, number: int) -> None:
        """Count characters of text that is about to be made.

        Raises:
            LimitExceeded: They are too many.
        """
        self.made_characters += number
        if self.made_characters > self.limits.characters:
            raise LimitExceeded(
                f"makes too much text: {self.made_characters:,} characters where {self.limits.characters:,} are allowed"
            )

    def check_time(self) -> None:
        """Look at the clock.

        Raises:
            LimitExceeded: Time is up.
        """
        if self.now() > self.deadline:
            raise self.late()

    def late(self) -> LimitExceeded:
        """Return what is raised when time is up."""
        return LimitExceeded(
            f"takes longer than {self.limits.seconds:g} s: look for endless recursion or a costly pattern"
        )


_running: Meter | None = None
"""The evaluation that the timer is armed for."""

_AGAIN_SECONDS = 0.05
"""A signal that is lost in a place where Python cannot raise is followed by another one."""


def _expire(_number: int, _frame: FrameType | None) -> None:
    if _running is not None and _running.now() >= _running.deadline:
        raise _running.late()


def metered(limits: Limits, work: Callable[[Meter], _Found], clock: Clock | None = None) -> _Found:
    """Run work with a meter, and in the main thread a timer that interrupts even a single long operation.

    Python runs signal handlers in the main thread only. Elsewhere the clock is looked at between steps, so an operation
    that cannot be interrupted must not start there: see `Meter.interruptible`. A timer of other code is stopped
    meanwhile and started again for the rest of its time.

    This is a function and no context manager. A signal may raise at the entry of any function, also of `__exit__`.
    Here the timer is off as soon as the work ends, with or without an error.

    Args:
        limits: The bounds.
        work: What is bounded.
        clock: The clock of the deadline. The timer of the operating system has a separate clock.

    Raises:
        LimitExceeded: Time is up, or another bound is reached.
    """
    global _running  # noqa: PLW0603 - there is one interval timer in a process, so there is one of these
    clock = clock or SystemClock()
    if threading.current_thread() is not threading.main_thread() or _running is not None:
        return work(Meter(limits, clock, interruptible=False))
    before = signal.getsignal(signal.SIGALRM)
    if before is not _expire:
        signal.signal(signal.SIGALRM, _expire)
    meter = Meter(limits, clock, interruptible=True)
    left, interval = 0.0, 0.0
    _running = meter
    try:
        left, interval = signal.setitimer(signal.ITIMER_REAL, limits.seconds, _AGAIN_SECONDS)
        return work(meter)
    finally:
        _running = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        if callable(before) and before is not _expire:
            signal.signal(signal.SIGALRM, before)
        if left:
            used = meter.now() - (meter.deadline - limits.seconds)
            signal.setitimer(signal.ITIMER_REAL, max(left - used, 0.001), interval)
