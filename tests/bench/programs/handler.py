"""The `subscribe` handler with a direct event, invoked again with its cursor until the run is complete.

It waits as the state machine does. With `UNPACED` the connector's own 20 requests a second are lifted, for a
shop that has no such limit.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from lightspeed.rate_limiter import RateLimiter
from subscribe.app import lambda_handler

_TIMEOUT_SECONDS = 900


class Context:
    """What the handler asks of its context."""

    aws_request_id = "bench"
    function_name = "subscribe"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:subscribe"

    def __init__(self) -> None:
        self._began = time.monotonic()

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of the function's timeout."""
        return int(1000 * (_TIMEOUT_SECONDS - (time.monotonic() - self._began)))


def _no_wait(self: RateLimiter, seconds: float = 0) -> bool:  # noqa: ARG001
    """Let every request through at once."""
    return True


def main() -> None:
    """Read all orders, or what the event in `EVENT` says."""
    if os.environ.get("UNPACED"):
        RateLimiter.wait = _no_wait  # type: ignore[method-assign]
    event: dict[str, Any] = json.loads(os.environ.get("EVENT") or '{"entity": "orders"}')
    result = lambda_handler(event, Context())
    invocations = 1
    while result["status"] == "partial":
        time.sleep(result["resume_after_seconds"])
        result = lambda_handler({**event, "cursor": result["cursor"]}, Context())
        invocations += 1
    kept = {name: result[name] for name in ("records", "requests", "manifest")}
    (Path(os.environ["LANDING"]) / "result.json").write_text(json.dumps({**kept, "invocations": invocations}))


if __name__ == "__main__":
    main()
