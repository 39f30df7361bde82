"""Check a connection with a few reads, and name the setting that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lightspeed.client import Client
from lightspeed.connection import Connection
from lightspeed.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequest,
    LightspeedError,
    NotFound,
    NotSent,
    PermissionDenied,
    RateLimited,
    TransportError,
    UnexpectedResponse,
    UnknownLanguage,
)
from lightspeed.json_text import parse_record
from lightspeed.quota import QuotaWindow
from lightspeed.request import PAGE_LIMIT, Parameters, Request, format_time, parse_time

NOT_UTC = "the shop does not read the times of filters as UTC, so runs by time may miss records or find none"
"""The warning if `ConnectionReport.utc_filters` is `False`."""


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """The facts about a working connection.

    Attributes:
        origin: Scheme, host and port that answered.
        language: The connection's language, which the shop has.
        languages: Codes of the shop's active languages, its default first, the others by letter; `None` if the key may
            not read them.
        permissions: `read` and `write` by group (`content`, `products`, `customers`, `orders`, `settings`, `tracking`);
            `None` if the key may not read them.
        utc_filters: Whether the shop reads the times of filters as UTC, as runs send them; `None` if no order shows it.
        quota: The windows of the last answer, shortest first; empty if it had none.
    """

    origin: str
    language: str
    languages: tuple[str, ...] | None
    permissions: Mapping[str, Mapping[str, bool]] | None
    utc_filters: bool | None
    quota: tuple[QuotaWindow, ...]


def check_connection(client: Client) -> ConnectionReport:
    """Read the key's permissions, the shop's languages, and an order by its own time; every answer carries the quota.

    Raises:
        AuthenticationError: Key or secret are wrong for the shop at this origin.
        UnknownLanguage: The shop does not have the language, or it is not active.
        NotSent: No server can be reached at the origin.
        UnexpectedResponse: A server answers there, but it is not this API.
        LightspeedError: The shop fails, is too slow, or its quota is used up.
    """
    permissions = _permissions(client)
    languages = _languages(client)
    utc_filters = _reads_utc(client)
    connection, quota = client.transport.connection, client.transport.quota
    windows = quota.windows if quota else ()
    return ConnectionReport(connection.origin, connection.language, languages, permissions, utc_filters, windows)


def diagnose(error: LightspeedError, connection: Connection) -> str:
    """Return one sentence that names the wrong setting of the connection after an error of `check_connection`."""
    origin = connection.origin
    if isinstance(error, AuthenticationError):
        return (
            f"wrong credentials: {origin} refuses this API key and secret ({error.status} {error.message}); "
            "they are good only on the cluster where their shop lives"
        )
    if isinstance(error, UnknownLanguage):
        return f"wrong language: the shop has no active language {connection.language!r} ({error.message})"
    if isinstance(error, RateLimited):
        return f"the shop's quota is used up; try again in {error.retry_after_seconds:.0f} s ({error})"
    if isinstance(error, NotSent):
        meaning = f"wrong cluster or base URL, or no network: nothing answers at {origin}"
    elif isinstance(error, UnexpectedResponse):
        meaning = f"wrong cluster or base URL: {origin} answers, but not as a Lightspeed eCom API"
    elif isinstance(error, TransportError):
        meaning = f"{origin} was reached, but gave no complete answer"
    else:
        meaning = "the shop could not be checked"
    return f"{meaning} ({error})"


def _permissions(client: Client) -> dict[str, dict[str, bool]] | None:
    request = client.build("account/permissions", "get")
    try:
        groups = parse_record(client.record(request)).items()
    except PermissionDenied:
        return None
    except UnknownLanguage:
        raise
    except (NotFound, InvalidRequest) as error:
        raise _unexpected(request, f"{error.status} {error.message}", error.status) from error
    permissions = {
        group: {"read": rights["read"] is True, "write": rights["write"] is True}
        for group, rights in groups
        if isinstance(rights, dict) and {"read", "write"} <= set(rights)
    }
    if not permissions:
        raise _unexpected(request, "the answer names no permission", 200)
    return permissions


def _languages(client: Client) -> tuple[str, ...] | None:
    request = client.build("languages", "list", Parameters(query={"limit": PAGE_LIMIT}))
    try:
        rows = [parse_record(record) for record in client.page(request).records]
    except PermissionDenied:
        return None
    active = [row for row in rows if row.get("isActive") and isinstance(row.get("code"), str)]
    return tuple(row["code"] for row in sorted(active, key=lambda row: (not row.get("isDefault"), row["code"])))


def _reads_utc(client: Client) -> bool | None:
    """Whether the shop finds an order by the order's own time of change; `None` without an order that stays unchanged.

    A filter takes times without a zone. Only one other client shows that the shop reads them as UTC.
    """
    try:
        before = _first_change(client)
        if before is None:
            return None
        bounds = dict.fromkeys(("updated_at_min", "updated_at_max"), format_time(before))
        found = client.count(client.build("orders", "count", Parameters(query=bounds))) > 0
        return found or (None if _first_change(client) != before else False)
    except (ApiError, UnexpectedResponse):  # the key may not read orders
        return None


def _first_change(client: Client) -> datetime | None:
    """Return the time of change of the order that the shop lists first; `None` if there is none."""
    rows = client.page(client.build("orders", "list", Parameters(query={"limit": 1}))).records
    try:
        return parse_time(str(parse_record(rows[0]).get("updatedAt"))) if rows else None
    except ValueError:
        return None


def _unexpected(request: Request, message: str, status: int) -> UnexpectedResponse:
    return UnexpectedResponse(message, method=request.method, path=request.path, status=status)
