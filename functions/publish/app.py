"""Entry of the publish function: an event, a batch of them, messages of the queue, lines of a file, or an HTTP call."""

from __future__ import annotations

import json
from typing import Any

from connector.aws.cold_start import without_garbage_collection

with without_garbage_collection():
    from connector.aws.errors import raises_typed
    from connector.observability import logged
    from connector.settings import Settings
    from publish.dependencies import Dependencies, cached_dependencies
    from publish.event import batch_items
    from publish.publisher import Publisher
    from publish.result import leave_out_records

MAX_ANSWER_BYTES = 6_290_000
"""The most bytes that Lambda returns of a direct invocation, less a little."""


@logged
@raises_typed
def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Publish what the event holds.

    Returns:
        The result of one event, or `results` of a batch. Triggers get what they need: SQS the messages to deliver
        again, the state machine the next step of its file, and API Gateway a response.

    Raises:
        LightspeedError: One event was sent by a direct invocation, and failed.
        ConnectorError: The same, or a batch or the step of a file is malformed.
    """
    deps = cached_dependencies(Settings.from_env())
    try:
        return handle(event, context, deps)
    finally:
        deps.shops.report_quota()


def handle(event: Any, context: Any, deps: Dependencies) -> dict[str, Any]:
    """Publish what a trigger delivers; the keys of the event show which trigger it is."""
    keys = event if isinstance(event, dict) else {}
    if "requestContext" in keys:
        from publish.triggers.http import respond  # noqa: PLC0415 - messages do not pay for HTTP

        return respond(event, context, deps)
    if "Records" in keys or "file_step" in keys:
        try:
            return _in_background(event, Publisher(deps, context, background=True))
        finally:  # other workers get the share of this one at once, not when it ends
            deps.shops.release()
    publisher = Publisher(deps, context)
    if "items" in keys:
        from publish.batch.batch import publish_batch  # noqa: PLC0415 - a single event does not pay for it

        found: dict[str, Any] = {"results": publish_batch(batch_items(event), publisher)}
    else:
        found = publisher.publish(event)
    if len(json.dumps(found, ensure_ascii=False, default=str).encode()) > MAX_ANSWER_BYTES:
        leave_out_records(found)
    return found


def _in_background(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    if "Records" in event:
        from publish.triggers.sqs import consume  # noqa: PLC0415 - files do not pay for messages

        return consume(event, publisher)
    from publish.triggers.file import step  # noqa: PLC0415 - messages do not pay for files

    return step(event, publisher)
