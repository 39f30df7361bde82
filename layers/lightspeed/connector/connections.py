"""Connections out of Secrets Manager, cached, and read afresh when the shop refuses them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError

from connector.errors import RequestError, UnknownConnection
from lightspeed import Connection, InvalidConnection
from lightspeed.connection import is_connection_name

if TYPE_CHECKING:
    from botocore.client import BaseClient

MAX_AGE_SECONDS = 60
"""How long a connection is used without looking whether its secret has changed."""

_GONE = ("ResourceNotFoundException", "InvalidRequestException")
"""There is no such secret, or it is marked for deletion."""


class Connections:
    """Reads connections by name; one per execution environment."""

    def __init__(self, client: BaseClient, prefix: str) -> None:
        """Prepare; nothing is read yet.

        Args:
            client: Of Secrets Manager.
            prefix: Joined with a connection's name, the name of its secret.
        """
        self._provider = SecretsProvider(boto3_client=client)
        self._prefix = prefix

    def get(self, name: str, *, fresh: bool = False) -> Connection:
        """Return the connection of this name.

        Args:
            name: The connection's name.
            fresh: Read the secret now, whatever is cached.

        Raises:
            RequestError: The name cannot be one.
            UnknownConnection: There is no such secret.
            InvalidConnection: Its content is not a connection.
        """
        if not is_connection_name(name):
            rule = "it has letters, digits, _ and - only"
            raise RequestError([f"connection must be a name such as default, not {name!r:.100}; {rule}"])
        secret_id = self._prefix + name
        try:
            text: Any = self._provider.get(secret_id, max_age=MAX_AGE_SECONDS, force_fetch=fresh)
        except GetParameterError as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, ClientError) and cause.response["Error"]["Code"] in _GONE:
                raise UnknownConnection(name, secret_id) from error
            raise
        try:
            settings = json.loads(text if isinstance(text, bytes) else text.encode())
        except (ValueError, RecursionError):
            raise InvalidConnection(name, ["the secret is not JSON"]) from None
        return Connection.from_mapping(settings, name)
