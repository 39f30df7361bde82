"""Bounds of one evaluation: time, depth, items, characters. An evaluation that goes over a bound stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

from lightspeed import Clock, SystemClock

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one evaluation: all expressions of a list, applied to one record or one request.

    Attributes:
        seconds: Wall clock.
        depth: Nested expressions and function calls. A call of an expression's own function takes two or more.
        items: Items of all arrays and objects that the evaluation makes, not only of the result.
        characters: Characters of all text that the evaluation makes.
        output_values: Values in the result, members and elements counted.
        output_bytes: Bytes of the result as JSON text.
        output_depth: Nested arrays and objects in the result.
    """

    seconds: float = 1.0
    depth: int = 500
    items: int = 2_000_000
    characters: int = 20_000_000
    output_values: int = 500_000
    output_bytes: int = 5_000_000
    output_depth: int = 200


class LimitExceeded(BaseException):
    """An evaluation went over a bound. No `except Exception` of the library catches it."""


class Escaped(BaseException):
    """Carries an error through the evaluation that the expression did not cause, such as a timeout of S3.

    Attributes:
        cause: The error.
    """

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(cause)


class Meter:
    """Counts what one evaluation uses. Its time begins when the meter is made.

    Attributes:
        limits: The bounds.
        now: Returns the time of the monotonic clock, in seconds.
        deadline: The end of the evaluation's time on that clock.
        interruptible: Whether a timer interrupts a single long operation. `run_with_timer` sets it.
        expression: The expression that is being evaluated, or that failed; `None` before the first one.
        made_characters: The length of all text that the evaluation has made.
    """

    def __init__(self, limits: Limits, clock: Clock | None = None) -> None:
        self.limits = limits
        self.now = (clock or SystemClock()).monotonic
        self.deadline = self.now() + limits.seconds
        self.interruptible = False
        self.expression: Any = None
        self.made_characters = 0
        self._items = 0

    def items(self, number: int) -> None:
        """Count items before they are made.

        Raises:
            LimitExceeded: The evaluation would make too many.
        """
        self._items += number
        if self._items > self.limits.items:
            raise LimitExceeded(f"makes too many items: {self._items:,} where {self.limits.items:,} are allowed")

    def characters(self, number: int) -> None:
        """Count characters of a text before it is made.

        Raises:
            LimitExceeded: The evaluation would make too many.
        """
        self.made_characters += number
        if self.made_characters > self.limits.characters:
            raise LimitExceeded(
                f"makes too much text: {self.made_characters:,} characters where {self.limits.characters:,} are allowed"
            )

    def check_time(self) -> None:
        """Check that the evaluation's time is not over.

        Raises:
            LimitExceeded: It is over.
        """
        if self.now() >= self.deadline:
            limit = self.limits.seconds
            raise LimitExceeded(f"takes longer than {limit:g} s: look for endless recursion or a costly pattern")


_running: Meter | None = None
"""The meter of the evaluation that the timer interrupts; while there is one, the timer runs."""

_TICK_SECONDS = 0.05
"""The timer's interval. The first signal after the deadline may be lost: Python cannot raise in `__del__`."""


def _check_running(_number: int, _frame: FrameType | None) -> None:
    if _running is not None:
        _running.check_time()


def run_with_timer(meter: Meter, work: Callable[[], _Result]) -> _Result:
    """Run work, in the main thread with a timer that interrupts even a single long operation.

    Python runs signal handlers in the main thread only. In another thread only `Meter.check_time` ends the work. So an
    operation that cannot be interrupted must not start there.

    Work inside other work uses its timer. A timer takes longer to start and end than a short evaluation.
    A timer of other code pauses and continues with the rest of its time.

    A context manager would not do: a signal may raise at the entry of any function, also of `__exit__`.
    Here the timer ends with the work, with or without an error.

    Args:
        meter: The deadline. The timer of the operating system has a separate clock.
        work: Work that this meter counts.

    Raises:
        LimitExceeded: The work reached a bound.
    """
    global _running  # noqa: PLW0603 - a process has one interval timer
    if threading.current_thread() is not threading.main_thread():
        return work()
    meter.interruptible = True
    if _running is not None:
        outer, _running = _running, meter
        try:
            return work()
        finally:
            _running = outer
    before = signal.getsignal(signal.SIGALRM)
    if before is not _check_running:
        signal.signal(signal.SIGALRM, _check_running)
    left, interval, began = 0.0, 0.0, meter.now()
    _running = meter
    try:
        left, interval = signal.setitimer(signal.ITIMER_REAL, _TICK_SECONDS, _TICK_SECONDS)
        return work()
    finally:
        _running = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        if callable(before) and before is not _check_running:
            signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (meter.now() - began), 0.001), interval)
