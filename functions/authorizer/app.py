"""Identify the caller of the HTTP API by its bearer token.

The authorizer refuses no call. The functions behind the API know the scope of each route, and they answer 401 and 403.
It is a separate function, so it starts quickly and may read only one secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from connector.aws.cold_start import without_garbage_collection
from connector.http.routes import SCOPES
from connector.settings import Settings

MAX_AGE_SECONDS = 30.0
"""Age at which the secret is read again. A withdrawn token is valid for at most this time."""

MIN_AGE_SECONDS = 5.0
"""Age from which an unknown token causes a new read of the secret."""

MAX_TOKEN_CHARACTERS = 128

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # safe in the access log, which is JSON without escapes
_WRONG = "the secret of the API's tokens is wrong:"
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """A valid token.

    Attributes:
        name: Its name in the log; `default` for a secret that is one bare token.
        scopes: Some of `SCOPES`.
        digest: SHA-256 of the token.
    """

    name: str
    scopes: tuple[str, ...]
    digest: bytes


class Tokens:
    """The tokens of the secret, cached for up to `MAX_AGE_SECONDS`.

    Args:
        read: Returns the text of the secret.
        clock: Returns seconds that never run backwards.
    """

    def __init__(self, read: Callable[[], str], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._tokens: tuple[Token, ...] = ()
        self._read_at: float | None = None

    def find(self, offered: str) -> Token | None:
        """Return the token that a caller offers, or `None` if it is not valid.

        Raises:
            ValueError: The secret holds no tokens.
            ClientError: The secret cannot be read.
            BotoCoreError: Secrets Manager cannot be reached.
        """
        if not offered or len(offered) > MAX_TOKEN_CHARACTERS:
            return None
        if self._age() >= MAX_AGE_SECONDS:
            self._refresh()
        token = self._match(offered)
        if token is None and self._age() >= MIN_AGE_SECONDS:
            self._refresh()
            token = self._match(offered)
        return token

    def _age(self) -> float:
        return float("inf") if self._read_at is None else self._clock() - self._read_at

    def _refresh(self) -> None:
        self._tokens = parse_tokens(self._read())
        self._read_at = self._clock()

    def _match(self, offered: str) -> Token | None:
        """Compare with every token in constant time."""
        digest = _digest(offered)
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found


def parse_tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens of a secret.

    Args:
        text: One bare token, which has every scope, or
            `{"tokens": [{"name": "erp", "token": "…", "scopes": ["publish"]}, …]}`.

    Raises:
        ValueError: The text has another form. The message never holds a token.
    """
    text = text.strip()
    if not text.startswith("{"):
        return (Token("default", SCOPES, _digest(text)),) if text else ()
    try:
        tokens = tuple(_token(number, row) for number, row in enumerate(json.loads(text)["tokens"], 1))
    except (KeyError, TypeError, RecursionError, json.JSONDecodeError):
        raise ValueError(f"{_WRONG} it must be one token, or JSON with a list of tokens") from None
    if len({token.name for token in tokens}) < len(tokens):
        raise ValueError(f"{_WRONG} two tokens have the same name")
    return tokens


def _token(number: int, row: Mapping[str, Any]) -> Token:
    name, token, scopes = row["name"], row["token"], row["scopes"]
    right_name = isinstance(name, str) and _NAME.fullmatch(name)
    right_token = isinstance(token, str) and 16 <= len(token.strip()) <= MAX_TOKEN_CHARACTERS
    if not (right_name and right_token and isinstance(scopes, list) and scopes and set(scopes) <= set(SCOPES)):
        raise ValueError(
            f"{_WRONG} token {number} needs a name of up to 64 letters, digits and . _ -, 16 to {MAX_TOKEN_CHARACTERS} "
            f"characters, and scopes, a list of {', '.join(SCOPES)}"
        )
    return Token(name, tuple(scopes), _digest(token.strip()))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


@cache
def tokens() -> Tokens:
    """Return the tokens of the secret that `API_TOKEN_SECRET` names, by name or ARN."""
    secret_id = Settings.from_env(needs=("API_TOKEN_SECRET",)).api_token_secret
    with without_garbage_collection():
        import boto3  # noqa: PLC0415 - the slowest import of a cold start; calls without a token never need it
        from botocore.config import Config  # noqa: PLC0415

        # the HTTP API waits ten seconds for an authorizer
        config = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"})
        client = boto3.client("secretsmanager", config=config)
    return Tokens(lambda: str(client.get_secret_value(SecretId=secret_id)["SecretString"]), time.monotonic)


def _authorization(event: object) -> str:
    headers = event.get("headers") if isinstance(event, Mapping) else None
    given = headers.get("authorization") if isinstance(headers, Mapping) else None
    return given if isinstance(given, str) else ""


def lambda_handler(event: object, context: object) -> dict[str, Any]:  # noqa: ARG001 Lambda calls with both
    """Answer an HTTP API authorizer request, payload format 2.0, with a simple response.

    Args:
        event: Its `headers` have names in lower case; `authorization: Bearer <token>` is the token.
        context: Not used.

    Returns:
        `isAuthorized`, always true, and `context`. That has the name of the `token` and its `scopes`, separated by
        spaces, which are empty without a valid token. Its `error` says why tokens could not be checked.
    """
    scheme, _, offered = _authorization(event).partition(" ")
    token, error = None, ""
    if scheme.lower() == "bearer":
        try:
            token = tokens().find(offered.strip())
        except ValueError as wrong:
            _LOGGER.error("%s", wrong)
            error = "the API's tokens cannot be checked: their secret is wrong"
        except Exception as refused:  # API Gateway answers 500 without a body to an authorizer that raises
            _LOGGER.exception("the secret of the API's tokens cannot be read")
            error = f"the API's tokens cannot be checked: {type(refused).__name__}"
    caller = {"token": token.name if token else "", "scopes": " ".join(token.scopes) if token else "", "error": error}
    return {"isAuthorized": True, "context": caller}
