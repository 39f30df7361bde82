"""Conditional writes of S3. Two of one key at the same time meet: S3 then writes nothing for one of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Container
from typing import Any

from connector.aws import botocore_errors
from connector.errors import AwsUnavailable

CONFLICT = "ConditionalRequestConflict"
"""The code of that answer (status 409). The write is to be tried again."""

MOST_TRIES = 5

_FIRST_PAUSE_SECONDS = 0.05


def conditional_write(
    put: Callable[..., Any],
    refused: Container[str],
    sleep: Callable[[float], None],
    most: int = MOST_TRIES,
    **arguments: Any,
) -> Any:
    """Return what a conditional write answers, or `None` if it is refused with one of these codes.

    A write that met another one is tried again. The waits are 0.05 s, 0.1 s and so on. Each is longer by up to a half
    at random, so that two writers do not meet again. Five tries wait 1.2 s at most.

    Args:
        put: Writes the object.
        refused: The codes.
        sleep: Waits that many seconds.
        most: How many tries there are.
        **arguments: Of `put`, with `Key`.

    Raises:
        AwsUnavailable: Other writes of the key met every try.
        ClientError: It is refused with another code.
    """
    for number in range(most):
        if number:
            sleep(_FIRST_PAUSE_SECONDS * 2 ** (number - 1) * (1 + random.random() / 2))  # noqa: S311 - no secret
        try:
            return botocore_errors.answer_unless(refused, put, **arguments)
        except botocore_errors.ClientError as error:
            if error.response["Error"]["Code"] != CONFLICT:
                raise
    raise AwsUnavailable(f"S3 answers {CONFLICT} to every write of {arguments['Key']}")
