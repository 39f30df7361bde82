"""What the publish function holds between invocations."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from connector.clients import Aws, Shops
from connector.settings import Settings
from connector.transform import BucketLibrary
from lightspeed import Clock, SystemClock

if TYPE_CHECKING:
    from publish.idempotency import Records


class Wiring:
    """What the function holds between invocations.

    Attributes:
        pauses: By connection, epoch seconds until which its quota is left alone in the background.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None, aws: Aws | None = None) -> None:
        """Prepare; nothing is opened yet."""
        self.settings = settings
        self.clock = clock or SystemClock()
        self.aws = aws or Aws()
        self.shops = Shops(self.aws, settings, self.clock)
        self.pauses: dict[str, float] = {}

    @functools.cached_property
    def library(self) -> BucketLibrary | None:
        """Saved transformers and tables in the bundle's bucket, if there is one."""
        bucket = self.settings.bucket
        return BucketLibrary(self.aws.client("s3"), bucket) if bucket else None

    @functools.cached_property
    def records(self) -> Records:
        """The records of idempotency keys."""
        from publish.idempotency import Records  # noqa: PLC0415 - dear at a cold start, and only needed with a key

        return Records.open(self.settings.idempotency_table, self.aws.client("dynamodb"))


@functools.cache
def wiring(settings: Settings) -> Wiring:
    """Return what is kept for these settings."""
    return Wiring(settings)
