"""Verify that a webhook comes from the shop of its connection.

The shop signs only the raw body, with md5 (api-facts: `X-Signature` is the hex md5 of body and secret). So somebody can
repeat a captured call with other headers, and the content of a webhook is never more than a hint.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

CONNECTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""The form of a connection's name."""

MAX_AGE_SECONDS = 300.0
"""Age at which a secret is read again."""

MIN_AGE_SECONDS = 5.0
"""Age from which a wrong signature causes a new read, as the secret may be rotated. Guesses before that cause none."""

MAX_CACHED = 1_000
"""The most connections in the cache, known or not, so that a flood of invented names does not fill the memory."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The signer of a connection's webhooks.

    Attributes:
        secrets: Any of them may sign; none if there is no such connection.
        shop_id: The only valid `X-Shop-Id`; empty if the connection does not name it.
        cluster: The only valid `X-Cluster-Id`; empty if the connection does not name it.
    """

    secrets: tuple[str, ...] = ()
    shop_id: str = ""
    cluster: str = ""

    @classmethod
    def from_secret(cls, text: str | None) -> Signer:
        """Return the signer in the JSON text of a connection's secret; one without secrets if the text is malformed.

        Args:
            text: `None` if there is no such secret.
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

    def has_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the signature belongs to one of the secrets, and shop and cluster are right.

        Args:
            headers: Headers with names in lower case.
            body: The body, as sent.
        """
        offered = headers.get("x-signature", "").strip().lower().encode()
        expected = [hashlib.md5(body + secret.encode()).hexdigest().encode() for secret in self.secrets]  # noqa: S324
        signed = any([hmac.compare_digest(digest, offered) for digest in expected])  # noqa: C419 - in constant time
        wanted = {"x-shop-id": self.shop_id, "x-cluster-id": self.cluster}
        return signed and all(headers.get(name, "").strip() == value for name, value in wanted.items() if value)


class Signers:
    """The signers of connections, cached for up to `MAX_AGE_SECONDS`.

    Args:
        read: Returns the text of a connection's secret, or `None` if there is none.
    """

    def __init__(self, read: Callable[[str], str | None]) -> None:
        self._read = read
        self._cache: dict[str, tuple[float, Signer]] = {}

    def verify(self, connection: str, headers: Mapping[str, str], body: bytes, now: float) -> tuple[bool, Signer]:
        """Return whether a webhook is genuine, and the signer of its connection.

        Args:
            connection: The connection in the path.
            headers: Headers with names in lower case.
            body: The body, as sent.
            now: Epoch seconds.
        """
        if not CONNECTION_NAME.fullmatch(connection):
            return False, Signer()
        read_at, signer = self._cache.get(connection, (float("-inf"), Signer()))
        if now - read_at >= MAX_AGE_SECONDS:
            read_at, signer = self._refresh(connection, now)
        if signer.has_signed(headers, body):
            return True, signer
        if now - read_at >= MIN_AGE_SECONDS:
            _, signer = self._refresh(connection, now)
        return signer.has_signed(headers, body), signer

    def _refresh(self, connection: str, now: float) -> tuple[float, Signer]:
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        found = self._cache[connection] = now, Signer.from_secret(self._read(connection))
        return found
