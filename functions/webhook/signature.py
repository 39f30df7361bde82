"""Verifies that a webhook comes from the shop of its connection.

The shop signs the raw body only, with md5 (api-facts: `X-Signature` is the hex md5 of body and secret). So a captured
call can be repeated with other headers, and what a webhook says is never more than a hint.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

CONNECTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""What a connection may be called."""

MAX_AGE_SECONDS = 300.0
"""Age at which a secret is read again."""

MIN_AGE_SECONDS = 5.0
"""A mismatch reads the secret again, since it may be rotated, but not sooner: guessing costs no calls."""

MOST_CACHED = 1_000
"""Connections that are remembered, known and unknown ones; a flood of invented names fills no memory."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who may sign the webhooks of a connection.

    Attributes:
        secrets: Any of them may sign; none if there is no such connection.
        shop_id: What `X-Shop-Id` must be; empty if the connection does not name it.
        cluster: What `X-Cluster-Id` must be; empty if the connection does not name it.
    """

    secrets: tuple[str, ...] = ()
    shop_id: str = ""
    cluster: str = ""

    @classmethod
    def from_secret(cls, text: str | None) -> Signer:
        """Return the signer that a connection's secret names.

        Args:
            text: JSON, as the secret holds it; `None` if there is no such secret.
        """
        try:
            settings = json.loads(text or "null")
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(settings, dict):
            return cls()
        given = settings.get("webhook_secret") or settings.get("api_secret")
        secrets = given if isinstance(given, list) else [given]
        shop_id, cluster = settings.get("shop_id"), settings.get("cluster")
        return cls(
            tuple(secret for secret in secrets if isinstance(secret, str) and secret),
            "" if shop_id is None else str(shop_id),
            "" if cluster is None else str(cluster),
        )

    def made(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether a webhook is of this signer: any of the secrets signed it, and shop and cluster are right.

        Args:
            headers: With names in lower case.
            body: The body, as sent.
        """
        offered = headers.get("x-signature", "").strip().lower().encode()
        expected = [hashlib.md5(body + secret.encode()).hexdigest().encode() for secret in self.secrets]  # noqa: S324
        signed = any([hmac.compare_digest(one, offered) for one in expected])  # noqa: C419 - in constant time
        wanted = {"x-shop-id": self.shop_id, "x-cluster-id": self.cluster}
        return signed and all(headers.get(name, "").strip() == value for name, value in wanted.items() if value)


class Signers:
    """The signers by connection, read when needed and kept for some minutes."""

    def __init__(self, read: Callable[[str], str | None]) -> None:
        """Take what reads a connection's secret; nothing is read yet.

        Args:
            read: Returns the text of the secret of a connection, `None` if there is none.
        """
        self._read = read
        self._cache: dict[str, tuple[float, Signer]] = {}

    def verify(self, connection: str, headers: Mapping[str, str], body: bytes, now: float) -> tuple[bool, Signer]:
        """Return whether a webhook is genuine, and who would have had to sign it.

        Args:
            connection: From the path.
            headers: With names in lower case.
            body: The body, as sent.
            now: Epoch seconds.
        """
        if not CONNECTION_NAME.fullmatch(connection):
            return False, Signer()
        read_at, signer = self._cache.get(connection, (float("-inf"), Signer()))
        if now - read_at >= MAX_AGE_SECONDS:
            read_at, signer = self._refresh(connection, now)
        if signer.made(headers, body):
            return True, signer
        if now - read_at >= MIN_AGE_SECONDS:
            _, signer = self._refresh(connection, now)
        return signer.made(headers, body), signer

    def _refresh(self, connection: str, now: float) -> tuple[float, Signer]:
        if len(self._cache) >= MOST_CACHED:
            self._cache.clear()
        found = self._cache[connection] = now, Signer.from_secret(self._read(connection))
        return found
