"""The lock of `apply`: one at a time per stack. It names its owner, and expires after ten minutes."""

from __future__ import annotations

import getpass
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from connector.operator.stack import OperationFailed, Stack

KEY = "config/apply.lock"
LASTS = timedelta(minutes=10)
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_GONE = ("NoSuchKey", "404")


@contextmanager
def apply_lock(stack: Stack) -> Iterator[None]:
    """Hold the lock.

    Raises:
        OperationFailed: Somebody else has it.
    """
    s3, bucket = stack.client("s3"), stack.settings.bucket
    now = datetime.fromtimestamp(stack.clock.time(), UTC)
    owner = f"{getpass.getuser()}@{platform.node()}"
    body = json.dumps({"owner": owner, "until": (now + LASTS).isoformat()}).encode()
    etag = _write(s3, bucket, body, _condition(s3, bucket, now))
    try:
        yield
    finally:
        try:
            s3.delete_object(Bucket=bucket, Key=KEY, IfMatch=etag)
        except ClientError as error:
            if error.response["Error"]["Code"] not in (*_TAKEN, *_GONE):
                raise


def _condition(s3: Any, bucket: str, now: datetime) -> dict[str, str]:
    """Return on what the write depends: that there is no lock, or the expired one that was read."""
    try:
        found = s3.get_object(Bucket=bucket, Key=KEY)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return {"IfNoneMatch": "*"}
        raise
    held = json.loads(found["Body"].read())
    if datetime.fromisoformat(held["until"]) > now:
        raise OperationFailed(f"{held['owner']:.100} applies a file now; wait, at the latest until {held['until']}")
    return {"IfMatch": found["ETag"]}


def _write(s3: Any, bucket: str, body: bytes, condition: dict[str, str]) -> str:
    try:
        return str(s3.put_object(Bucket=bucket, Key=KEY, Body=body, **condition)["ETag"])
    except ClientError as error:
        if error.response["Error"]["Code"] in _TAKEN:
            raise OperationFailed("somebody else began to apply a file just now; try again") from error
        raise
