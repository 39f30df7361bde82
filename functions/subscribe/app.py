"""Entry of the subscribe function: an event of a schedule or of the state machine, or a call of the HTTP API."""

from __future__ import annotations

from typing import Any

from connector.aws.cold_start import without_garbage_collection

with without_garbage_collection():
    from connector.aws.errors import with_typed_aws_errors
    from connector.observability import with_log_context
    from connector.settings import Settings
    from subscribe.checks import subscribe_request
    from subscribe.dependencies import Dependencies, cached_dependencies


@with_log_context
@with_typed_aws_errors
def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer a subscribe event with its result, or an HTTP call with its response.

    Raises:
        LightspeedError: The client's error, for a direct invocation. An HTTP call gets a problem as its response.
        ConnectorError: The same, if the event, a transformer, the connection or the environment is wrong. After
            `AwsUnavailable`, `Sync` tries again.
    """
    deps = cached_dependencies(Settings.from_env(needs=("BUCKET",)))
    try:
        return handle(event, context, deps)
    finally:
        deps.shops.report_quota()


def handle(event: Any, context: Any, deps: Dependencies) -> dict[str, Any]:
    """Answer one invocation."""
    if isinstance(event, dict) and "requestContext" in event:
        from subscribe.http import respond  # noqa: PLC0415 - schedules do not pay for HTTP

        return respond(event, context, deps)
    request = subscribe_request(event)

    def remaining_seconds() -> float:
        return float(context.get_remaining_time_in_millis() / 1000)

    if request.estimate:
        return deps.estimate(request, context.aws_request_id, remaining_seconds)
    return deps.run(request, context.aws_request_id, remaining_seconds, background=True).body
