"""The clients and stores that the publish function keeps between invocations."""

from __future__ import annotations

import functools
from typing import Any

from connector.clients import AwsClients, ShopClients
from connector.errors import SettingsError
from connector.settings import Settings
from connector.transform import S3Library
from lightspeed import Clock, SystemClock


class Dependencies:
    """Clients and stores, each opened on first use.

    Attributes:
        pauses: By connection, the epoch seconds until which no batch of the queue or of a file sends requests.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None, aws: AwsClients | None = None) -> None:
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

    @property
    def table_client_clock(self) -> tuple[str, Any, Clock]:
        """The name of the table, the DynamoDB client and the clock: the arguments of every class that uses the table.

        Raises:
            SettingsError: No table is set.
        """
        table = self.settings.idempotency_table
        if not table:
            raise SettingsError(["IDEMPOTENCY_TABLE is not set, so nothing can be published once only"])
        return table, self.aws.client("dynamodb"), self.clock


@functools.cache
def cached_dependencies(settings: Settings) -> Dependencies:
    """Return the dependencies for these settings."""
    return Dependencies(settings)
