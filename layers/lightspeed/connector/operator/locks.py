"""The locks of a stack: at most one command holds each of them.

`apply` and `webhooks apply` share a lock, because two at once would register a webhook twice. `forget` and `compact`
share the other one. A lock is an object that names its owner and its end.
"""

from __future__ import annotations

import getpass
import platform
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from connector.aws.botocore_errors import answer_unless
from connector.aws.bucket import NONE_YET, PreconditionFailed
from connector.operator.stack import OperationFailed, Stack

APPLY_KEY = "config/apply.lock"
APPLY_LASTS = timedelta(minutes=10)
"""How long the lock of `apply` holds. A killed command blocks others until its end."""

REWRITE_KEY = "config/rewrite.lock"
REWRITE_LASTS = timedelta(hours=1)
"""How long the lock of `forget` and `compact` holds, unless the command renews it."""

_NOT_OURS = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "404")


@contextmanager
def apply_lock(stack: Stack) -> Iterator[Callable[[str], None]]:
    """Hold the lock of `apply` for at most ten minutes. The errors are those of `held_lock`.

    Yields:
        A function that prints a change that was made. It ends the command if Ctrl-C came during the change.
    """
    with held_lock(stack, APPLY_KEY, APPLY_LASTS, "runs apply"), interrupted_between_calls() as interrupted:

        def made(change: str) -> None:
            print(change)
            if interrupted:
                print("interrupted; run the command again to make the other changes")
                raise KeyboardInterrupt

        yield made


def rewrite_lock(stack: Stack) -> AbstractContextManager[Callable[[], None]]:
    """Hold the lock of `forget` and `compact`. What it yields and raises is that of `held_lock`."""
    return held_lock(stack, REWRITE_KEY, REWRITE_LASTS, "rewrites stored runs")


@contextmanager
def held_lock(stack: Stack, key: str, lasts: timedelta, doing: str) -> Iterator[Callable[[], None]]:
    """Hold a lock.

    Yields:
        A function that renews the lock once half of its time is over. It raises `OperationFailed` if another process
        holds the lock by then.

    Args:
        stack: The stack whose bucket has the lock.
        key: The lock's key.
        lasts: How long the lock holds.
        doing: What its owner does, for messages.

    Raises:
        OperationFailed: Another process holds the lock.
        AwsUnavailable: Other writes of the lock met every try.
    """
    owner = f"{getpass.getuser()}@{platform.node()}"
    held, expired = stack.bucket.read_json_with_etag(key) or ({}, NONE_YET)
    now = datetime.fromtimestamp(stack.clock.time(), UTC)
    if held and datetime.fromisoformat(held["until"]) > now:
        raise OperationFailed(f"{held['owner']:.100} {doing} now; wait, at the latest until {held['until']}")

    def write(over: str) -> tuple[str, datetime]:
        until = datetime.fromtimestamp(stack.clock.time(), UTC) + lasts
        lock = {"owner": owner, "until": until.isoformat(), "token": uuid4().hex}  # unique: the answer may be lost
        try:
            return stack.bucket.put_json(key, lock, if_match=over), until - lasts / 2
        except PreconditionFailed as error:
            raise OperationFailed(f"another process {doing} now; try again") from error

    etag, renewed_at = write(expired)

    def renew() -> None:
        nonlocal etag, renewed_at
        if datetime.fromtimestamp(stack.clock.time(), UTC) >= renewed_at:
            etag, renewed_at = write(etag)

    try:
        yield renew
    finally:
        answer_unless(_NOT_OURS, stack.client("s3").delete_object, Bucket=stack.settings.bucket, Key=key, IfMatch=etag)


@contextmanager
def interrupted_between_calls() -> Iterator[list[int]]:
    """Let the first Ctrl-C finish the call under way; the second one ends the command at once."""
    seen: list[int] = []

    def note(number: int, frame: Any) -> None:
        if seen:
            signal.default_int_handler(number, frame)
        seen.append(number)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # only the main thread may handle signals
        yield seen
        return
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
