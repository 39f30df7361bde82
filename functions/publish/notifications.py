"""Tell the sender: what became of every event, on an EventBridge bus.

Source `lightspeed.publish`, detail type `succeeded`, `failed` or `unknown`. The detail names the event and its outcome,
not the record: an entry of a bus has a size, and customers' data has no business there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from connector import botocore_errors
from connector.observability import logger
from connector.problem_details import problem
from lightspeed import RateLimited
from publish.result import Outcome

SOURCE = "lightspeed.publish"
_AT_ONCE = 10
_FACTS = ("status", "id", "http_status", "request_id", "ignored", "detail", "check")
_NAMED = ("entity", "connection", "action", "idempotency_key")
_MOST_CHARACTERS = 2000
_MOST_BYTES = 20_000
"""EventBridge takes 256 KB in one call, of up to 10 entries; a usual entry has a few hundred bytes."""


class Results:
    """Outcomes on their way to the bus; one per invocation."""

    def __init__(self, bus: str, client: Callable[[], Any]) -> None:
        """Prepare.

        Args:
            bus: Name or ARN; empty for none.
            client: Returns the client of EventBridge.
        """
        self._bus = bus
        self._client = client
        self._entries: list[dict[str, str]] = []

    def add(self, event: object, outcome: Outcome, **facts: object) -> None:
        """Note an outcome; a dry run is none, nor is waiting for the quota.

        Args:
            event: As it came.
            outcome: What became of it.
            facts: More to tell, such as the id of its message.
        """
        if not self._bus or isinstance(outcome, RateLimited) or (isinstance(event, dict) and event.get("dry_run")):
            return
        named = {name: event[name] for name in _NAMED if name in event} if isinstance(event, dict) else {}
        kind, told = _told(outcome)
        detail = {**named, **facts, **told}
        if isinstance(event, dict) and isinstance(event.get("parameters"), dict):
            detail["path"] = event["parameters"].get("path", {})
        text = json.dumps(detail, ensure_ascii=False, default=str)
        if len(text.encode()) > _MOST_BYTES:  # a caller may put anything into a path or a name
            short = {name: f"{value!s:.100}" for name, value in detail.items()}
            text = json.dumps(short, ensure_ascii=False)
        self._entries.append({"Source": SOURCE, "DetailType": kind, "Detail": text, "EventBusName": self._bus})

    def tell(self) -> None:
        """Put what was noted on the bus; what it does not take is logged, since the shop has acted."""
        entries, self._entries = self._entries, []
        for start in range(0, len(entries), _AT_ONCE):
            self._put(entries[start : start + _AT_ONCE])

    def _put(self, entries: list[dict[str, str]]) -> None:
        left = entries
        error = ""
        for _ in range(2):
            try:
                answers = self._client().put_events(Entries=left)["Entries"]
            except (botocore_errors.ClientError, botocore_errors.BotoCoreError) as refused:
                error = str(refused)
                break
            failed = [(entry, answer) for entry, answer in zip(left, answers, strict=True) if "ErrorCode" in answer]
            left = [entry for entry, _ in failed]
            if not left:
                return
            error = str(failed[0][1].get("ErrorMessage", failed[0][1]["ErrorCode"]))
        for entry in left:
            logger().error("a result could not be put on the bus", extra={"error": error, "result": entry["Detail"]})


def _told(outcome: Outcome) -> tuple[str, Mapping[str, Any]]:
    if isinstance(outcome, dict):
        kind = "unknown" if outcome["status"] == "unknown" else "succeeded"
        return kind, {name: outcome[name] for name in _FACTS if name in outcome}
    error = problem(outcome)[2]
    return "failed", {"status": "failed", "error": {**error, "detail": str(error["detail"])[:_MOST_CHARACTERS]}}
