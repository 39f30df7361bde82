"""Entry of the publish function: one event, a batch, messages of the queue, a step of a file, or an HTTP call."""

from __future__ import annotations

import json
from typing import Any

from connector.aws.cold_start import without_garbage_collection

with without_garbage_collection():
    from connector.aws.errors import with_typed_aws_errors
    from connector.observability import with_log_context
    from connector.settings import Settings
    from publish.dependencies import Dependencies, cached_dependencies
    from publish.event import batch_items
    from publish.publisher import Publisher
    from publish.result import leave_out_records

MAX_ANSWER_BYTES = 6_290_000
"""A little less than the 6 MiB that Lambda returns of a direct invocation."""


@with_log_context
@with_typed_aws_errors
def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Publish the events that a trigger delivers.

    Returns:
        The result of one event, or `{"results": […]}` of a batch. SQS gets `{"batchItemFailures": […]}`, the state
        machine the next event of a step, and API Gateway a response.

    Raises:
        LightspeedError: The one event of a direct invocation failed.
        ConnectorError: The same, or a batch or the step of a file is malformed.
    """
    deps = cached_dependencies(Settings.from_env())
    try:
        return handle(event, context, deps)
    finally:
        deps.shops.report_quota()


def handle(event: Any, context: Any, deps: Dependencies) -> dict[str, Any]:
    """Call the code of the trigger, which the keys of the event show."""
    keys = event if isinstance(event, dict) else {}
    if "requestContext" in keys:
        from publish.triggers.http import respond  # noqa: PLC0415 - messages do not pay for HTTP

        return respond(event, context, deps)
    if "Records" in keys or "file_step" in keys:
        try:
            return _in_background(event, Publisher(deps, context, background=True))
        finally:  # other workers get this one's share of the request rate at once
            deps.shops.release()
    publisher = Publisher(deps, context)
    if "items" in keys:
        from publish.batch.batch import publish_batch  # noqa: PLC0415 - a single event does not pay for it

        answer: dict[str, Any] = {"results": publish_batch(batch_items(event), publisher)}
    else:
        answer = publisher.publish(event)
    if len(json.dumps(answer, ensure_ascii=False, default=str).encode()) > MAX_ANSWER_BYTES:
        leave_out_records(answer)
    return answer


def _in_background(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    if "Records" in event:
        from publish.triggers.sqs import consume  # noqa: PLC0415 - files do not pay for messages

        return consume(event, publisher)
    from publish.triggers.file import step  # noqa: PLC0415 - messages do not pay for files

    return step(event, publisher)
