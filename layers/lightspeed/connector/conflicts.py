"""S3's answer to two conditional writes of one key at the same time: for one of them it wrote nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

CONFLICT = "ConditionalRequestConflict"
"""The code of that answer (status 409). The write is to be tried again."""

MOST_TRIES = 5

_FIRST_PAUSE_SECONDS = 0.05


def tries(sleep: Callable[[float], None], most: int = MOST_TRIES) -> Iterator[int]:
    """Yield the number of each try, from 0, and wait before every further one.

    The waits are 0.05 s, 0.1 s and so on. Each is longer by up to a half at random, so that two writers do not meet
    again. Five tries wait 1.2 s at most.

    Args:
        sleep: Waits that many seconds.
        most: How many tries there are.
    """
    for number in range(most):
        if number:
            sleep(_FIRST_PAUSE_SECONDS * 2 ** (number - 1) * (1 + random.random() / 2))  # noqa: S311 - no secret
        yield number
