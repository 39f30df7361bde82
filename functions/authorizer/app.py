"""Decide whether a request to the HTTP API carries the bearer token.

Separate from the functions behind the API, so that it starts in a moment and may read one secret and nothing else.
"""

import hmac
import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

MAX_AGE_SECONDS = 300.0
"""Age at which the token is read again even if requests keep matching it: a withdrawn token ends here."""

MIN_AGE_SECONDS = 5.0
"""A mismatch reads the token again, since it may have been rotated, but not sooner: guessing costs no calls."""


class Token:
    """The token that requests must carry, read when needed and kept for some minutes.

    Attributes:
        read: Returns the token of this moment; surrounding white space does not count. `matches` lets its errors pass.
        clock: Seconds that never run backwards.
    """

    def __init__(self, read: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        self.read = read
        self.clock = clock
        self._value = b""
        self._read_at: float | None = None

    def matches(self, offered: str) -> bool:
        """Compare in constant time. An empty token, offered or kept, matches nothing."""
        if self._age() >= MAX_AGE_SECONDS:
            self._refresh()
        if self._equals(offered):
            return True
        if self._age() < MIN_AGE_SECONDS:
            return False
        self._refresh()
        return self._equals(offered)

    def _age(self) -> float:
        return float("inf") if self._read_at is None else self.clock() - self._read_at

    def _refresh(self) -> None:
        self._value = self.read().strip().encode()
        self._read_at = self.clock()

    def _equals(self, offered: str) -> bool:
        return bool(self._value) and hmac.compare_digest(self._value, offered.encode())


@cache
def token() -> Token:
    """The token behind `API_TOKEN_SECRET`, the name or ARN of a secret. Nothing is read yet."""
    secret_id = os.environ["API_TOKEN_SECRET"]
    # the HTTP API waits ten seconds for an authorizer
    config = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"})
    client = boto3.client("secretsmanager", config=config)
    return Token(lambda: str(client.get_secret_value(SecretId=secret_id)["SecretString"]))


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, bool]:  # noqa: ARG001 Lambda calls with both
    """Answer an HTTP API authorizer request, payload format 2.0, with a simple response.

    Args:
        event: Carries `headers` with names in lower case; `authorization: Bearer <token>` is looked at.
        context: Lambda's, not used.

    Returns:
        `{"isAuthorized": bool}`; `false` is answered to the caller as 403.
    """
    scheme, _, offered = event.get("headers", {}).get("authorization", "").partition(" ")
    return {"isAuthorized": scheme.lower() == "bearer" and token().matches(offered.strip())}
