"""The origin of a base URL, and the addresses that no shop has."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:]*:[0-9a-f:.]*", re.ASCII)
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
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

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


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
