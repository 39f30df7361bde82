"""Turn an answer outside 2xx, or an error of the HTTP library, into an error of `errors.py`."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from html import unescape
from typing import TypedDict

import requests
import urllib3

from lightspeed.connection import Connection
from lightspeed.errors import (
    AnswerLost,
    ApiError,
    AuthenticationError,
    BrokenResponse,
    InvalidRequest,
    LightspeedError,
    NotFound,
    NotSent,
    PermissionDenied,
    RateLimited,
    ResponseTooLarge,
    ServerError,
    UnexpectedResponse,
    UnknownLanguage,
)
from lightspeed.http_session import PeerRefused
from lightspeed.quota import Quota, parse_header_time, seconds_until
from lightspeed.response import unwrap_error

_TIMEOUTS = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
BROKEN = (
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,  # a length that is no number
)
"""The errors of the HTTP library if no complete answer came."""

_WORDS_BYTES = 20_000
_TAGS = re.compile(rb"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_STATUS_ERRORS: Mapping[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    410: NotFound,
}


class Facts(TypedDict):
    """The facts that every error of a request carries."""

    method: str
    path: str


def is_page_timeout(error: LightspeedError) -> bool:
    """Whether a smaller page may help: after a timeout, a 504 (seen for wide pages) or an answer that is too large."""
    return (
        isinstance(error, ResponseTooLarge)
        or (isinstance(error, AnswerLost) and error.timed_out)
        or (isinstance(error, ServerError) and error.status == 504)
    )


def unconfirmed_404(error: NotFound) -> BrokenResponse:
    """Return the error for a 404 that may be temporary and was not repeated often enough to prove anything."""
    message = f"404, but not often enough to believe it: {error.message}"
    return BrokenResponse(message, method=error.method, path=error.path, status=error.status)


def status_error(
    status: int, headers: Mapping[str, str], body: bytes, facts: Facts, connection: Connection, now: float
) -> LightspeedError:
    """Return the error for an answer outside 2xx; `now` is the shop's time in epoch seconds."""
    if 300 <= status < 400:
        return UnexpectedResponse(
            f"{status} a redirect, which is never followed with credentials", status=status, **facts
        )
    envelope_error = unwrap_error(body)
    message = connection.redact(envelope_error[1]) if envelope_error else redacted_words(body, connection)
    if status == 429:
        return RateLimited(message, retry_after_seconds=retry_after_seconds(headers, now), **facts)
    if status == 404 and envelope_error is None:
        return BrokenResponse(f"404 without the shop's error message, got: {message}", status=status, **facts)
    if status == 404 and _means_language(message.lower(), facts["path"]):
        return UnknownLanguage(message, status=status, **facts)
    return api_error(status, message, facts)


def _means_language(message: str, path: str) -> bool:
    return "inactive language" in message or ("language" in message and "/languages" not in path)


def api_error(status: int, message: str, facts: Facts) -> ApiError:
    """Return the error of the class for a status. A 429 asks to wait a second, since its headers are not known here."""
    if status == 429:
        return RateLimited(message, retry_after_seconds=1, **facts)
    error_type = _STATUS_ERRORS.get(status) or (ServerError if status >= 500 else InvalidRequest)
    return error_type(message, status=status, **facts)


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float:
    """Return how long a 429 asks to wait, in seconds, from 1 to a day.

    `Retry-After` may be seconds, an epoch, an HTTP date or ISO-8601 (clients of this API disagree on its form). Without
    a possible one, the longest reset of the used-up windows counts. If no window is used up, the limit per second was
    exceeded, and the wait is a second.

    Args:
        headers: The answer's headers.
        now: The shop's time in epoch seconds, as far as it is known.
    """
    date = parse_header_time(headers.get("Date", ""))
    given = headers.get("Retry-After", "")
    for moment in (now if date is None else date.timestamp(), now):
        seconds = seconds_until(given, moment)
        if seconds is not None:
            return max(1.0, seconds)
    quota = Quota.from_headers(headers, now)
    return max(1.0, float(quota.wait_seconds() if quota else 1))


def first_words(body: bytes) -> str:
    """Return the first words of a body, without markup, at most 200 characters."""
    text = unescape(_TAGS.sub(b" ", body[:_WORDS_BYTES]).decode(errors="replace"))
    return " ".join(text.split())[:200] or "an empty body"


def redacted_words(body: bytes, connection: Connection) -> str:
    """Return the first words with key and secrets masked, also a secret that the end of the words would cut in two."""
    text = connection.redact(body[: 2 * _WORDS_BYTES].decode(errors="replace"))
    return connection.redact(first_words(text.encode()))


def not_sent(error: Exception, origin: str, facts: Facts) -> NotSent:
    """Return the error for a request that did not reach the shop."""
    reason = _reason(error)
    if isinstance(reason, requests.exceptions.InvalidURL | urllib3.exceptions.LocationValueError):
        return NotSent(f"{origin} is not the address of a host", **facts)
    if isinstance(reason, PeerRefused):
        return NotSent(f"{origin} leads to a link-local address, which no shop has", **facts)
    if isinstance(reason, _TIMEOUTS) and not isinstance(reason, urllib3.exceptions.NewConnectionError):
        return NotSent(f"{origin} did not accept a connection in time", **facts)
    return NotSent(f"could not connect to {origin}: {_plain(reason)}", **facts)


def answer_lost(error: Exception, read_timeout: float, facts: Facts) -> AnswerLost:
    """Return the error for a request that may have reached the shop, but got no complete answer."""
    reason = _reason(error)
    if isinstance(reason, _TIMEOUTS):
        return AnswerLost(f"no complete answer within {read_timeout:.0f} s", timed_out=True, **facts)
    return AnswerLost(f"the connection broke before the answer was complete ({_plain(reason)})", **facts)


def _reason(error: Exception) -> object:
    """Return the cause of an error of the HTTP library, without its wrappers for retries and proxies."""
    cause = error.args[0] if isinstance(error, requests.exceptions.ConnectionError) and error.args else error
    reason = getattr(cause, "reason", cause)
    return reason.original_error if isinstance(reason, urllib3.exceptions.ProxyError) else reason


def _plain(reason: object) -> str:
    for cause in (getattr(reason, "__cause__", None), *getattr(reason, "args", ())):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return type(reason).__name__ if reason is not None else "connection error"
