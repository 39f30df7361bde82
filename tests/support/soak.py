"""The seeds of a soak test: its own, or as many as fit into its share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_CHUNK = 100


@dataclass(frozen=True)
class Soak:
    """Runs a check over seeds.

    Attributes:
        seed: The first seed; `None` for the test's own.
        seconds: The time to search; `None` for the test's own number of seeds.
        say: Prints a line.
    """

    seed: int | None
    seconds: float | None
    say: Callable[[str], None]

    def __call__(self, check: Callable[[range], object], usual: range) -> None:
        """Run the check on the test's usual seeds, or on a hundred seeds at a time until the time is over."""
        first = usual.start if self.seed is None else self.seed
        size = len(usual) if self.seconds is None else min(_CHUNK, len(usual))
        end, number = time.monotonic() + (self.seconds or 0), 0
        while number == 0 or time.monotonic() < end:
            found = check(range(first + number, first + number + size))
            number += size
        self.say(f"\n{number} seeds from {first}")
        if isinstance(found, str):
            self.say(found)
