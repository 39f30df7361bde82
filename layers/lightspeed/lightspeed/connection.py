"""The settings of a connection to one shop, checked before anything is sent."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, cast

from lightspeed.errors import InvalidConnection
from lightspeed.origin import parse_origin
from lightspeed.redaction import redacted

CLUSTERS: Mapping[str, str] = MappingProxyType(
    {
        "eu1": "https://api.webshopapp.com",
        "us1": "https://api.shoplightspeed.com",
    }
)
_KEYS = ("cluster", "base_url", "api_key", "api_secret", "language", "webhook_secret", "shop_id", "update_method")
_LANGUAGE = re.compile(r"[a-z]{2}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
_SHOP_ID = re.compile(r"[0-9]{0,20}")

UpdateMethod = Literal["PUT", "PATCH"]


@dataclass(frozen=True, slots=True)
class Connection:
    """The address and credentials of a shop. Its text form never shows key or secrets.

    Attributes:
        origin: Scheme, host and port, without a trailing slash.
        language: The language segment of every path: two small letters. Records are read and written in it.
        webhook_secrets: A webhook may be signed with any of them, so a secret can be rotated.
        shop_id: The shop's number, which incoming webhooks must carry; empty if the connection does not name it.
        update_method: The verb of an update: PUT, or PATCH for users who rely on that verb.
    """

    origin: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    language: str
    update_method: UpdateMethod = "PUT"
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    shop_id: str = ""

    @classmethod
    def from_mapping(cls, settings: object, name: str = "default") -> Connection:
        """Check the settings of a connection and build it.

        Args:
            settings: `cluster` or `base_url`, `api_key`, `api_secret`, `language`; optionally `webhook_secret` (a value
                or a list, defaults to `api_secret`), `shop_id` (text or a whole number) and `update_method`.
            name: The connection's name, for the message.

        Raises:
            InvalidConnection: The settings are wrong. It lists every mistake, and no value of a credential.
        """
        if not isinstance(settings, Mapping):
            raise InvalidConnection(
                name, ["must be a JSON object with cluster or base_url, api_key, api_secret, language"]
            )
        errors = [f"unknown key {key!r:.100}; known are {', '.join(_KEYS)}" for key in settings if key not in _KEYS]
        origin = _origin(settings, errors)
        for key in ("api_key", "api_secret"):
            _check_credential(key, settings.get(key), errors)
        if isinstance(settings.get("api_key"), str) and ":" in settings["api_key"]:
            errors.append("api_key may not contain a colon")
        webhook_secrets = _webhook_secrets(settings, errors)
        shop_id = "" if settings.get("shop_id") is None else settings["shop_id"]
        if isinstance(shop_id, bool) or not _SHOP_ID.fullmatch(str(shop_id)):
            errors.append(f"shop_id must be the shop's number, not {shop_id!r:.100}")
        language = settings.get("language")
        if not (isinstance(language, str) and _LANGUAGE.fullmatch(language)):
            errors.append(f"language {_wrong_language(language)}")
        update_method = settings.get("update_method") or "PUT"
        if update_method not in ("PUT", "PATCH"):
            errors.append(f"update_method must be PUT or PATCH, not {update_method!r:.100}")
        if errors:
            raise InvalidConnection(name, errors)
        return cls(
            origin=origin,
            api_key=settings["api_key"],
            api_secret=settings["api_secret"],
            language=settings["language"],
            update_method=cast("UpdateMethod", update_method),
            webhook_secrets=webhook_secrets,
            shop_id=str(shop_id),
        )

    def redact(self, text: str) -> str:
        """Return a text from the shop with key, secrets and the Authorization header masked."""
        pair = b64encode(f"{self.api_key}:{self.api_secret}".encode()).decode()
        return redacted(text, (pair, self.api_secret, self.api_key, *self.webhook_secrets))

    def in_language(self, language: str) -> Connection:
        """Return the connection with another language of the shop.

        Raises:
            InvalidConnection: The language is not a two-letter code.
        """
        if not _LANGUAGE.fullmatch(language):
            raise InvalidConnection("language", [_wrong_language(language)])
        return replace(self, language=language)


def _wrong_language(language: object) -> str:
    return f"must be the shop's two-letter code such as nl, en or us, not {language!r:.100}"


def _check_credential(key: str, value: object, errors: list[str]) -> None:
    if not isinstance(value, str) or not value:
        errors.append(f"{key} is required and may not be empty")
    elif not value.isprintable() or value != value.strip():
        errors.append(f"{key} has white space around it or characters that cannot be printed")


def _webhook_secrets(settings: Mapping[str, Any], errors: list[str]) -> tuple[str, ...]:
    given = settings.get("webhook_secret")
    if given is None:
        return (settings.get("api_secret", ""),)
    secrets = given if isinstance(given, list) and given else [given]
    for secret in secrets:
        _check_credential("webhook_secret", secret, errors)
    return tuple(secrets)


def _origin(settings: Mapping[str, object], errors: list[str]) -> str:
    cluster, base_url = settings.get("cluster"), settings.get("base_url")
    if (cluster is None) == (base_url is None):
        errors.append("give exactly one of cluster (eu1 or us1) and base_url")
        return ""
    if cluster is not None:
        if not isinstance(cluster, str) or cluster not in CLUSTERS:
            errors.append(f"cluster must be eu1 or us1, not {cluster!r:.100}")
            return ""
        return CLUSTERS[cluster]
    try:
        return parse_origin(base_url)
    except ValueError as error:
        errors.append(f"base_url {error}")
        return ""


def is_connection_name(name: str) -> bool:
    """Whether a connection may have this name: up to 200 letters, digits, `_` and `-`."""
    return _NAME.fullmatch(name) is not None
