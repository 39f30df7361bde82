"""The clients that the subscribe function keeps between invocations, and the runs that use them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from connector.aws.bucket import Bucket
from connector.clients import AwsClients, ShopClients
from connector.observability import emit_metrics, logger
from connector.settings import Settings
from connector.transform import S3Library
from lightspeed import SystemClock
from subscribe.event import SubscribeRequest
from subscribe.run.result import Result
from subscribe.run.run import Services
from subscribe.sync.run import SyncRun

if TYPE_CHECKING:
    from subscribe.reconcile.run import Reconciliation

_LOGGED = ("run_id", "connection", "entity", "status", "records", "requests", "manifest")


class Dependencies:
    """Clients and stores, each opened on first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.aws = AwsClients()
        self.shops = ShopClients(self.aws, settings, self.clock)

    @functools.cached_property
    def bucket(self) -> Bucket:
        """The bundle's bucket."""
        return Bucket(self.aws.client("s3"), self.settings.bucket, self.clock)

    @functools.cached_property
    def library(self) -> S3Library:
        """Saved transformers and tables in the bundle's bucket."""
        return S3Library(self.aws.client("s3"), self.settings.bucket)

    def _services(
        self, request: SubscribeRequest, remaining_seconds: Callable[[], float], *, background: bool = False
    ) -> Services:
        """Return the clients and settings of one invocation. It reads the connection's secret."""
        client = self.shops.open(
            request.connection, fresh=True, background=background, remaining_seconds=remaining_seconds
        )
        return Services(
            client=client,
            bucket=self.bucket,
            clock=self.clock,
            remaining_seconds=remaining_seconds,
            reserve_percent=self.settings.quota_reserve_percent,
            library=self.library,
            gzip_level=self.settings.gzip_level,
        )

    def build_run(
        self,
        request: SubscribeRequest,
        run_id: str,
        remaining_seconds: Callable[[], float],
        *,
        background: bool = False,
    ) -> SyncRun | Reconciliation:
        """Return the run that a request asks for.

        Args:
            request: The request.
            run_id: The run's id.
            remaining_seconds: Returns how long the invocation may still run.
            background: Whether no caller waits. The calls of other workers then go first.
        """
        services = self._services(request, remaining_seconds, background=background)
        if request.mode == "reconcile":
            from subscribe.reconcile.run import Reconciliation  # noqa: PLC0415 - other modes do not pay for it

            return Reconciliation(request, run_id, services)
        return SyncRun(request, run_id, services)

    def estimate(
        self, request: SubscribeRequest, run_id: str, remaining_seconds: Callable[[], float]
    ) -> dict[str, Any]:
        """Return the estimate of a run."""
        from subscribe.estimate import preview  # noqa: PLC0415 - runs do not pay for it

        return preview(request, request.run_id or run_id, self._services(request, remaining_seconds))

    def run(
        self,
        request: SubscribeRequest,
        run_id: str,
        remaining_seconds: Callable[[], float],
        *,
        background: bool = False,
    ) -> Result:
        """Carry out and log one invocation of a run; the arguments are those of `build_run`."""
        try:
            result = self.build_run(request, run_id, remaining_seconds, background=background).invoke()
        finally:
            self.shops.release()
        body = result.body
        logger().info("subscribe", extra={key: body[key] for key in _LOGGED})
        if self.settings.subscription_metrics and body["status"] == "complete":
            name = request.subscription or request.entity
            dimensions = {"stack": self.settings.stack_name, "connection": request.connection, "subscription": name}
            counts = {"Records": body["records"], "Requests": body["requests"]}
            emit_metrics(self.settings.metrics_namespace, dimensions, {}, **counts)
        return result


@functools.cache
def cached_dependencies(settings: Settings) -> Dependencies:
    """Return the dependencies for these settings."""
    return Dependencies(settings)
