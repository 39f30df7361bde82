"""Conditional writes of S3. If two of them meet at one key, S3 refuses one with `ConditionalRequestConflict`."""

from __future__ import annotations

import random
from collections.abc import Callable, Container
from typing import Any

from connector.aws import botocore_errors
from connector.errors import AwsUnavailable

CONFLICT = "ConditionalRequestConflict"
"""The error code of a write that met another one (status 409). S3 asks to try it again."""

MAX_TRIES = 5

_FIRST_PAUSE_SECONDS = 0.05


def conditional_write(
    put: Callable[..., Any],
    refused: Container[str],
    sleep: Callable[[float], None],
    most: int = MAX_TRIES,
    **arguments: Any,
) -> Any:
    """Return the answer of a conditional write, or `None` if S3 refuses it with one of these codes.

    A write that meets another one is tried again after 0.05 s, 0.1 s and so on. Each pause is longer by a random part,
    up to a half, so that two writers do not meet again. The pauses of five tries take 1.2 s at most.

    Args:
        put: Writes the object.
        refused: The codes.
        sleep: Waits a number of seconds.
        most: The number of tries.
        **arguments: The arguments of `put`, with `Key`.

    Raises:
        AwsUnavailable: Other writes of the key met every try.
        ClientError: S3 refuses the write with another code.
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
