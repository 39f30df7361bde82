"""What a receiver of webhooks takes: imports, its first call, and calls after it. Prints ms of CPU."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import Any

CALLS = 1_000


def signed_call(number: int) -> dict[str, Any]:
    """Return the event of a signed call; each has a record of its own, and 2 kB."""
    body = f'{{"order":{{"id":{number},"note":"{"x" * 2_000}"}}}}'
    signature = hashlib.md5(f"{body}bench".encode(), usedforsecurity=False).hexdigest()
    return {
        "pathParameters": {"connection": "default"},
        "headers": {"x-signature": signature, "x-event": "orders/updated", "x-order-id": str(number)},
        "requestContext": {"requestId": "r", "timeEpoch": 1_795_413_600_000, "http": {"method": "POST"}},
        "body": body,
        "isBase64Encoded": False,
    }


def main() -> None:
    """Import and receive."""
    events = [signed_call(number) for number in range(1_000_000 * os.getpid(), 1_000_000 * os.getpid() + CALLS + 1)]
    began = time.process_time()
    import webhook.app  # noqa: PLC0415 - what Lambda imports

    imported = time.process_time()
    took = []
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123 - no path of ours
        for event in events:
            before = time.process_time()
            answer = webhook.app.lambda_handler(event, None)
            took.append(1000 * (time.process_time() - before))
            if answer["statusCode"] != 204:
                raise SystemExit(str(answer))
    first, later = took[0], sorted(took[1:])
    imports = 1000 * (imported - began)
    print(imports, imports + first, later[CALLS // 2], later[CALLS * 99 // 100])


if __name__ == "__main__":
    main()
