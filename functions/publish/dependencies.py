"""What the publish function holds between invocations."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from connector.clients import AwsClients, ShopClients
from connector.settings import Settings
from connector.transform import S3Library
from lightspeed import Clock, SystemClock

if TYPE_CHECKING:
    from publish.idempotency import Records


class Dependencies:
    """What the function holds between invocations.

    Attributes:
        pauses: By connection, epoch seconds until which its quota is left alone in the background.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None, aws: AwsClients | None = None) -> None:
        """Prepare; nothing is opened yet."""
        self.settings = settings
        self.clock = clock or SystemClock()
        self.aws = aws or AwsClients()
        self.shops = ShopClients(self.aws, settings, self.clock)
        self.pauses: dict[str, float] = {}

    @functools.cached_property
    def library(self) -> S3Library | None:
        """Saved transformers and tables in the bundle's bucket, if there is one."""
        bucket = self.settings.bucket
        return S3Library(self.aws.client("s3"), bucket) if bucket else None

    @functools.cached_property
    def records(self) -> Records:
        """The records of idempotency keys."""
        from publish.idempotency import Records  # noqa: PLC0415 - dear at a cold start, and only needed with a key

        return Records.open(self.settings.idempotency_table, self.aws.client("dynamodb"), self.clock)


@functools.cache
def cached_dependencies(settings: Settings) -> Dependencies:
    """Return what is kept for these settings."""
    return Dependencies(settings)
