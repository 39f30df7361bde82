"""The settings of a connection to one shop, checked before anything is sent."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from html import unescape
from types import MappingProxyType
from typing import Any, Literal, cast
from urllib.parse import quote, unquote, urlsplit

from lightspeed.errors import InvalidConnection

CLUSTERS: Mapping[str, str] = MappingProxyType(
    {
        "eu1": "https://api.webshopapp.com",
        "us1": "https://api.shoplightspeed.com",
    }
)
_KEYS = ("cluster", "base_url", "api_key", "api_secret", "language", "webhook_secret", "shop_id", "update_method")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:]*:[0-9a-f:.]*", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
_LONG = 8
"""The shortest secret that is masked in other forms too. A shorter one would mask other words."""

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_CUT_ESCAPE = re.compile(r"[\\&%]#?\w{0,5}\Z", re.ASCII)
_METADATA_HOSTS = (
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
)
_SPELT_LINK_LOCAL = re.compile(r"(?:^|[.-])(?:169[.-]254[.-][0-9]|a9fe[0-9a-f]{4}\.)")
"""A name that spells a link-local address, such as `169-254-169-254.sslip.io`."""

_METADATA_ADDRESSES = ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd20:ce::254")
_METADATA_NETWORK = ipaddress.IPv6Network("fd00:ec2::/32")
"""The network of EC2's services: metadata, credentials of pods, names, time."""

_SHOP_ID = re.compile(r"[0-9]{0,20}")

UpdateMethod = Literal["PUT", "PATCH"]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Connection:
    """The address and credentials of a shop. Its text form never shows key or secrets.

    Attributes:
        origin: Scheme, host and port, without a trailing slash.
        language: The language segment of every path: two small letters. Records are read and written in it.
        webhook_secrets: A webhook may be signed with any of them, so a secret can be rotated.
        shop_id: The shop's number, which incoming webhooks must carry; empty if the connection does not name it.
        update_method: PUT, which the API takes; PATCH only for those who were promised that verb.
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
        hooks = settings.get("webhook_secret")
        secrets: list[Any] = (
            hooks if isinstance(hooks, list) and hooks else [settings.get("api_secret") if hooks is None else hooks]
        )
        if hooks is not None:
            for secret in secrets:
                _check_credential("webhook_secret", secret, errors)
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
            webhook_secrets=tuple(secrets),
            shop_id=str(shop_id),
        )

    def redact(self, text: str) -> str:
        """Return a text from the shop with key and secrets masked.

        Each is masked as it is, percent-encoded, in the other case, in hexadecimal digits, inside base64, and in the
        form of the Authorization header. The first part of a secret at the end of a cut text is masked too. A text with
        a secret in another spelling (HTML or JSON escapes) is masked as a whole.
        """
        if not text:
            return text
        pair = b64encode(f"{self.api_key}:{self.api_secret}".encode()).decode()
        secrets = (pair, self.api_secret, self.api_key, *self.webhook_secrets)
        masked = _masked(text, secrets)
        uncut = _CUT_ESCAPE.sub("", masked)
        plain = unquote(unescape(_ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], uncut)))
        return "***" if plain != uncut and _masked(plain, secrets) != plain else masked

    def in_language(self, language: str) -> Connection:
        """Return the connection with another language of the shop.

        Raises:
            InvalidConnection: The language is not a two-letter code.
        """
        if not _LANGUAGE.fullmatch(language):
            raise InvalidConnection("language", [_wrong_language(language)])
        return replace(self, language=language)


def _masked(text: str, secrets: tuple[str, ...]) -> str:
    """Return a text with secrets masked, also the first part of a secret, at least `_LONG` characters, at its end."""
    spellings, pattern = _hidden(secrets)
    lowered = text.lower()
    begin = max(0, len(text) - max(_cut_length(lowered, spelling) for spelling in spellings))
    if begin == len(text):
        return pattern.sub("***", text)
    whole = (found.start() for found in pattern.finditer(text) if found.end() > begin)
    return pattern.sub("***", text[: min([begin, *whole])]) + "***"


@lru_cache(maxsize=100)
def _hidden(secrets: tuple[str, ...]) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """Return the spellings of secrets, in small letters, and a pattern that finds them; the longest come first."""
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
    return tuple(map(str.lower, longest_first)), re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def _cut_length(text: str, spelling: str) -> int:
    """Return how many characters at the end of a text are the first part of a spelling; both in small letters."""
    index = text.find(spelling[:_LONG], max(0, len(text) - len(spelling) + 1))
    while 0 <= index <= len(text) - _LONG:
        if spelling.startswith(text[index:]):
            return len(text) - index
        index = text.find(spelling[:_LONG], index + 1)
    return 0


def _spellings(secret: str) -> list[str]:
    text = secret.encode()
    found = [secret, quote(secret, safe="")]
    if len(text) >= _LONG:
        found += [text.hex(), *(_in_base64(text, before) for before in range(3))]
    return found


def _in_base64(text: bytes, before: int) -> str:
    """Return the base64 text of some bytes that follow `before` other bytes, without digits that mix both."""
    return b64encode(bytes(before) + text).decode()[-(-before * 4 // 3) : (before + len(text)) * 4 // 3]


def _wrong_language(language: object) -> str:
    return f"must be the shop's two-letter code such as nl, en or us, not {language!r:.100}"


def _check_credential(key: str, value: object, errors: list[str]) -> None:
    if not isinstance(value, str) or not value:
        errors.append(f"{key} is required and may not be empty")
    elif not value.isprintable() or value != value.strip():
        errors.append(f"{key} has white space around it or characters that cannot be printed")


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


def parse_origin(base_url: object) -> str:
    """Return the origin of a base URL: `https://host[:port]`, or plain HTTP for a loopback host.

    Raises:
        ValueError: The URL is wrong. The message says what is right, and never repeats a user or password.
    """
    if not isinstance(base_url, str):
        raise ValueError("must be text such as https://api.webshopapp.com")
    try:
        url = urlsplit(base_url.strip())
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ValueError("has a host or port that cannot be read; a port is a number up to 65535") from None
    if url.username is not None or url.password is not None:
        raise ValueError("may not carry a user or password; those are api_key and api_secret")
    if not _HOST.fullmatch(host) or url.scheme not in ("http", "https"):
        raise ValueError("must start with https:// and name a host, such as https://api.webshopapp.com")
    if url.path.strip("/") or url.query or url.fragment:
        raise ValueError("must be an origin without path, such as https://api.webshopapp.com")
    if url.scheme == "http" and not _is_loopback(host):
        raise ValueError(f"must use https; plain http is for loopback hosts only, not {host:.100}")
    if is_refused_address(host) or (_ENDS_IN_NUMBER.fullmatch(host) and _address(host) is None):
        raise ValueError("may not name a link-local or metadata address, or spell an address in an unusual way")
    shown = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{shown}" + (f":{port}" if port else "")


def is_connection_name(name: str) -> bool:
    """Whether a connection may have this name: up to 200 letters, digits, `_` and `-`."""
    return _NAME.fullmatch(name) is not None


def is_refused_address(host: str) -> bool:
    """Whether a host is a link-local or cloud metadata address, or a well-known name of one. No shop has one.

    Also true for an IPv6 address that carries such an IPv4 address at any place: translators use several places.

    Args:
        host: An address or a name, in small letters.
    """
    address = _address(host)
    if address is None:
        return host.rstrip(".") in _METADATA_HOSTS or _SPELT_LINK_LOCAL.search(host) is not None
    if isinstance(address, ipaddress.IPv4Address):
        return _is_refused(address)
    mapped = address.ipv4_mapped
    if _is_refused(address) or address in _METADATA_NETWORK or (mapped is not None and _is_refused(mapped)):
        return True
    carried = [ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF) for shift in range(0, 97, 16)]
    return any(_is_metadata(one) for one in (*carried, *(address.teredo or ())))


def _is_refused(address: _Address) -> bool:
    return address.is_multicast or address.is_unspecified or _is_metadata(address)


def _is_metadata(address: _Address) -> bool:
    return address.is_link_local or str(address) in _METADATA_ADDRESSES


def _address(host: str) -> _Address | None:
    """Return a host as an address without its zone; `None` for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback
