"""Reads connections from Secrets Manager and caches them for a minute."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from connector.aws import botocore_errors
from connector.errors import RequestError, UnknownConnection
from lightspeed import Clock, Connection, InvalidConnection, SystemClock
from lightspeed.connection import is_connection_name

if TYPE_CHECKING:
    from botocore.client import BaseClient

MAX_AGE_SECONDS = 60
"""How long a cached secret is used. After a 401 of the shop the client reads it again at once, with `fresh`."""

_GONE = ("ResourceNotFoundException", "InvalidRequestException")
"""Error codes for a secret that does not exist or is marked for deletion."""


class Connections:
    """Reads connections by name.

    Args:
        client: The Secrets Manager client.
        prefix: The start of the names of secrets; the connection's name follows.
        clock: Measures the age of a cached secret.
    """

    def __init__(self, client: BaseClient, prefix: str, clock: Clock | None = None) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock or SystemClock()
        self._cache: dict[str, tuple[float, str | bytes]] = {}

    def get(self, name: str, *, fresh: bool = False) -> Connection:
        """Return the connection of this name.

        Args:
            name: The connection's name.
            fresh: Whether to read the secret again, even if it is cached.

        Raises:
            RequestError: The name has a wrong form.
            UnknownConnection: No secret has this name.
            InvalidConnection: The secret holds no valid connection.
            ClientError: Secrets Manager refuses the call.
        """
        if not is_connection_name(name):
            rule = "it has letters, digits, _ and - only"
            raise RequestError([f"connection must be a name such as default, not {name!r:.100}; {rule}"])
        read_at, text = self._cache.get(name, (0.0, ""))
        if fresh or not text or self._clock.monotonic() - read_at >= MAX_AGE_SECONDS:
            text = self._read(name)
            self._cache[name] = (self._clock.monotonic(), text)
        try:
            settings = json.loads(text if isinstance(text, bytes) else text.encode())
        except (ValueError, RecursionError):
            raise InvalidConnection(name, ["the secret is not JSON"]) from None
        return Connection.from_mapping(settings, name)

    def _read(self, name: str) -> str | bytes:
        secret_id = self._prefix + name
        answer = botocore_errors.answer_unless(_GONE, self._client.get_secret_value, SecretId=secret_id)
        if answer is None:
            raise UnknownConnection(name, secret_id)
        text: str | bytes = answer.get("SecretString") or answer["SecretBinary"]
        return text
