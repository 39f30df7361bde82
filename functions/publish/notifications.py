"""Report the outcome of each event: a line of the log, a metric for `unknown`, and an entry on an EventBridge bus.

The entry has source `lightspeed.publish` and detail type `succeeded`, `failed` or `unknown`. It names the event and its
outcome, not the record: an entry has a size limit, and a bus is no place for customers' data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from connector.aws.errors import aws_error_types
from connector.chunks import chunks
from connector.observability import emit_metrics, logger
from connector.validation import QUOTED_CHARACTERS, invalid_reason
from publish.event import IncomingEvent
from publish.result import Outcome, Result, is_postponed, to_json

if TYPE_CHECKING:
    from publish.dependencies import Dependencies

SOURCE = "lightspeed.publish"
_ENTRIES_PER_CALL = 10
_FACTS = ("status", "id", "http_status", "request_id", "ignored", "detail", "check", "error")
_NAMED = ("entity", "connection", "action", "idempotency_key")
_MAX_BYTES = 20_000
"""EventBridge takes 256 KB in one call, of up to 10 entries; a usual entry has a few hundred bytes."""


def report(deps: Dependencies, outcomes: Iterable[tuple[IncomingEvent, Outcome]]) -> None:
    """Write the outcomes of events to the log, the metrics and the bus.

    The bus gets no entry for a dry run, or for a postponed event (see `is_postponed`).
    """
    settings = deps.settings
    entries: list[dict[str, str]] = []
    for arrived, outcome in outcomes:
        event = arrived.event if isinstance(arrived.event, dict) and not invalid_reason(arrived.event) else {}
        defaults = {"connection": "default", "entity": "", "action": ""}
        named = {name: str(event.get(name, default))[:QUOTED_CHARACTERS] for name, default in defaults.items()}
        result = to_json(outcome)
        logger().info("publish", extra={**named, **arrived.facts, "status": result["status"], "id": result.get("id")})
        if result["status"] == "unknown":
            emit_metrics(settings.metrics_namespace, {"stack": settings.stack_name}, named, UnknownWrites=1)
        if settings.results_bus and not is_postponed(outcome) and not event.get("dry_run"):
            entries.append(_entry(settings.results_bus, event, result, arrived.facts))
    for group in chunks(entries, _ENTRIES_PER_CALL):
        _put(deps.aws.client("events"), group)


def _entry(bus: str, event: Mapping[str, Any], result: Result, facts: Mapping[str, object]) -> dict[str, str]:
    kind = result["status"] if result["status"] in ("failed", "unknown") else "succeeded"
    detail = {name: event[name] for name in _NAMED if name in event} | dict(facts)
    detail |= {name: result[name] for name in _FACTS if name in result}
    if isinstance(event.get("parameters"), dict):
        detail["path"] = event["parameters"].get("path", {})
    text = json.dumps(detail, ensure_ascii=False, default=str)
    if len(text.encode()) > _MAX_BYTES:  # a caller may put anything into a path or a name
        text = json.dumps({name: f"{value!s:.100}" for name, value in detail.items()}, ensure_ascii=False)
    return {"Source": SOURCE, "DetailType": kind, "Detail": text, "EventBusName": bus}


def _put(client: Any, entries: Sequence[dict[str, str]]) -> None:
    """Put entries on the bus, refused ones twice; log the rest, because the shop has acted."""
    left = entries
    error = ""
    for _ in range(2):
        try:
            answers = client.put_events(Entries=left)["Entries"]
        except aws_error_types() as refused:
            error = str(refused)
            break
        failed = [(entry, answer) for entry, answer in zip(left, answers, strict=True) if "ErrorCode" in answer]
        left = [entry for entry, _ in failed]
        if not left:
            return
        error = str(failed[0][1].get("ErrorMessage", failed[0][1]["ErrorCode"]))
    for entry in left:
        logger().error("a result could not be put on the bus", extra={"error": error, "result": entry["Detail"]})
