"""Send requests to one shop and classify what comes back; the only module that opens a connection to it.

Retries live here and nowhere else. urllib3's own `Retry` is switched off: it cannot see a body that is cut while it is
read, nor the time an invocation has left, nor our pacing, nor does it count what it sends.

What is tried again, at most `ATTEMPTS` times in all and never past the time that is left:

- reads, updates and deletes: no answer, a cut answer, 500, 502, 503, 504;
- every verb: a request that surely did not arrive, and a 429 whose wait fits into `patience_seconds`;
- a 401 once, and a shop that cannot be reached, with settings read afresh: they may have been changed;
- not a list that timed out or answered 504: whoever reads it asks for a smaller page instead;
- one record of a row that says so: a 404 (observed on orders, where it may pass).
"""

from __future__ import annotations

import math
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import TypedDict

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from lightspeed import response as envelope
from lightspeed.connection import Connection
from lightspeed.errors import (
    AnswerLost,
    ApiError,
    AuthenticationError,
    InvalidRequest,
    LightspeedError,
    NotFound,
    NotSent,
    PermissionDenied,
    RateLimited,
    ServerError,
    TransportError,
    UnexpectedResponse,
    UnknownLanguage,
)
from lightspeed.quota import Clock, Quota, RateLimiter, SystemClock
from lightspeed.request import Request

ATTEMPTS = 4
"""The first try and three more."""

NOT_FOUND_ATTEMPTS = 3
"""A 404 that may pass is asked again twice; then the record is gone."""

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 60.0
PATIENCE_SECONDS = 5.0
"""The longest that one request waits for the quota; longer waits belong to whoever can wait for nothing."""

_NO_PLAIN_PROXY: Mapping[str, str] = {"http": ""}
"""Plain HTTP is for loopback only: a proxy of the environment may not see such a request, nor its credentials."""

USER_AGENT = "lightspeed-ecom-connector"
_IDEMPOTENT = ("GET", "PUT", "PATCH", "DELETE")
_NOT_CONNECTED = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ProxyError,
    urllib3.exceptions.SSLError,
)
_PASSING_SERVER_ERRORS = (500, 502, 503, 504)
_TAGS = re.compile(rb"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_STATUS_ERRORS: Mapping[int, type[ApiError]] = {401: AuthenticationError, 403: PermissionDenied, 404: NotFound}


class Facts(TypedDict):
    """What every error of a request carries."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Response:
    """A complete 2xx answer.

    Attributes:
        body: After content decoding; empty for 204.
        quota: What the answer said of the quota, if anything.
        date: The shop's own time, whole seconds UTC, if it gave one.
        request_id: The shop's id of the request, or empty.
    """

    status: int
    body: bytes
    quota: Quota | None
    date: datetime | None
    request_id: str


@dataclass(slots=True)
class _Tries:
    patience_seconds: float
    made: int = 1
    renewed: bool = False


class Transport:
    """A session with one shop. Safe to use from several threads.

    Attributes:
        connection: The settings in use; replaced by `renew` after a 401.
        quota: What the last answer said of the quota, or `None`.
        skew_seconds: How far the shop's clock is ahead of ours, as of the last answer; 0 before the first.
        requests_sent: Requests that were sent so far, retries included.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        renew: Callable[[], Connection] | None = None,
        clock: Clock | None = None,
        remaining_seconds: Callable[[], float] = lambda: math.inf,
        patience_seconds: float = PATIENCE_SECONDS,
        threads: int = 1,
    ) -> None:
        """Prepare a session; nothing is opened yet.

        Args:
            connection: Where the shop is and how to enter it.
            renew: Called once, after a 401 or where no connection is made, for settings read afresh.
            clock: Time for pacing and waiting.
            remaining_seconds: How long the caller may still run; bounds timeouts and retries.
            patience_seconds: The longest wait for a 429, in seconds, over all tries of one request.
            threads: How many threads will send at once.
        """
        self.connection = connection
        self.quota: Quota | None = None
        self._quota_heard = 0.0
        self.skew_seconds = 0.0
        self.requests_sent = 0
        self._renew = renew
        self._clock = clock or SystemClock()
        self._pacer = RateLimiter(self._clock)
        self._remaining_seconds = remaining_seconds
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=threads, max_retries=urllib3.Retry(0, redirect=0, read=False))
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._session.headers.update({"Accept": "application/json", "User-Agent": USER_AGENT})

    def send(self, request: Request) -> Response:
        """Send a request and return its 2xx answer.

        Raises:
            TransportError: No complete answer, after the tries that are safe.
            ApiError: The shop's error, of the class that its status means.
            UnexpectedResponse: A redirect, which is never followed.
        """
        tries = _Tries(patience_seconds=self._patience_seconds)
        while True:
            try:
                return self._send_once(request)
            except LightspeedError as error:
                wait = self._wait_seconds(error, request, tries)
                if wait is None or tries.made == ATTEMPTS or wait + 1 >= self._remaining_seconds():
                    raise
            tries.made += 1
            if wait:
                self._clock.sleep(wait)

    def _wait_seconds(self, error: LightspeedError, request: Request, tries: _Tries) -> float | None:
        """Return how long to wait before the next try, or `None` if there may be none."""
        if isinstance(error, RateLimited):
            tries.patience_seconds -= error.retry_after_seconds
            return error.retry_after_seconds if tries.patience_seconds >= 0 else None
        if isinstance(error, AuthenticationError | NotSent) and self._renew is not None and not tries.renewed:
            tries.renewed = True
            self.connection = self._renew()
            return 0.0
        if isinstance(error, NotFound) and tries.made >= NOT_FOUND_ATTEMPTS:
            return None
        return _backoff_seconds(tries.made) if _passing(error, request) else None

    def _update_quota(self, quota: Quota | None) -> None:
        if quota is None:
            return
        with self._lock:
            now = self._clock.monotonic()
            self.quota = quota.after(self.quota, now - self._quota_heard)
            self._quota_heard = now

    def _send_once(self, request: Request) -> Response:
        self._pacer.wait()
        with self._lock:
            self.requests_sent += 1
        facts: Facts = {"method": request.method, "path": request.path}
        read_timeout = max(1.0, min(READ_TIMEOUT_SECONDS, self._remaining_seconds() - 1))
        credentials = HTTPBasicAuth(self.connection.api_key.encode(), self.connection.api_secret.encode())
        try:
            with self._session.request(
                request.method,
                self.connection.origin + request.path,
                params=request.query or None,
                data=request.body,
                headers={"Content-Type": "application/json"} if request.body is not None else None,
                auth=credentials,
                timeout=(CONNECT_TIMEOUT_SECONDS, read_timeout),
                proxies=dict(_NO_PLAIN_PROXY),
                allow_redirects=False,
                stream=True,
            ) as answer:
                body: bytes = answer.raw.read(decode_content=True)
        except requests.exceptions.ConnectTimeout as error:
            raise NotSent(f"{self.connection.origin} did not accept a connection in time", **facts) from error
        except (requests.exceptions.InvalidURL, urllib3.exceptions.LocationValueError) as error:
            raise NotSent(f"{self.connection.origin} is not the address of a host", **facts) from error
        except requests.exceptions.ConnectionError as error:
            raise _connection_error(error, self.connection.origin, facts) from error
        except (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise AnswerLost(f"no answer within {read_timeout:.0f} s", timed_out=True, **facts) from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise AnswerLost(f"the answer was cut ({type(error).__name__})", **facts) from error
        self._update_quota(Quota.from_headers(answer.headers))
        date = _date(answer.headers.get("Date"))
        if date is not None:
            self.skew_seconds = date.timestamp() - self._clock.time()
        if 200 <= answer.status_code < 300:
            return Response(
                status=answer.status_code,
                body=body,
                quota=self.quota,
                date=date,
                request_id=answer.headers.get("X-Request-Id", ""),
            )
        raise _error(answer.status_code, answer.headers, body, facts, self.connection)


def is_page_timeout(error: LightspeedError) -> bool:
    """Whether the shop was too slow for what was asked: a time-out or 504 (seen for wide pages; fewer rows help)."""
    return (isinstance(error, AnswerLost) and error.timed_out) or (
        isinstance(error, ServerError) and error.status == 504
    )


def _passing(error: LightspeedError, request: Request) -> bool:
    if isinstance(error, NotSent):
        return True
    if request.operation == "list" and is_page_timeout(error):
        return False
    if isinstance(error, NotFound):
        return request.retry_not_found and not isinstance(error, UnknownLanguage)
    passing = isinstance(error, TransportError) or (
        isinstance(error, ServerError) and error.status in _PASSING_SERVER_ERRORS
    )
    return passing and request.method in _IDEMPOTENT


def _backoff_seconds(attempt: int) -> float:
    return 0.5 * float(2 ** (attempt - 1)) * (1 + random.random() / 2)  # noqa: S311 - jitter, not a secret


def _connection_error(error: requests.exceptions.ConnectionError, origin: str, facts: Facts) -> NotSent | AnswerLost:
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(reason, _NOT_CONNECTED):
        return NotSent(f"could not connect to {origin}: {_plain(reason)}", **facts)
    if isinstance(reason, urllib3.exceptions.ReadTimeoutError):
        return AnswerLost("no answer in time", timed_out=True, **facts)
    return AnswerLost(f"the connection broke before the answer was complete ({_plain(reason)})", **facts)


def _plain(reason: object) -> str:
    cause = getattr(reason, "__cause__", None)
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(reason).__name__ if reason is not None else "connection error"


def _error(
    status: int, headers: Mapping[str, str], body: bytes, facts: Facts, connection: Connection
) -> LightspeedError:
    """Return the error that an answer outside 2xx means."""
    if 300 <= status < 400:
        return UnexpectedResponse(
            f"{status} a redirect, which is never followed with credentials", status=status, **facts
        )
    envelope_error = envelope.error_message(body)
    message = connection.redact(envelope_error[1]) if envelope_error else redacted_words(body, connection)
    if status == 429:
        return RateLimited(message, retry_after_seconds=retry_after_seconds(headers), **facts)
    if status == 404 and envelope_error and _means_language(message.lower(), facts["path"]):
        return UnknownLanguage(message, status=status, **facts)
    return api_error(status, message, facts)


def _means_language(message: str, path: str) -> bool:
    return "inactive language" in message or ("language" in message and "/languages" not in path)


def api_error(status: int, message: str, facts: Facts) -> ApiError:
    """Return the error of the class that a status means, without headers to tell how long a 429 asks to wait."""
    if status == 429:
        return RateLimited(message, retry_after_seconds=1, **facts)
    error_type = _STATUS_ERRORS.get(status) or (ServerError if status >= 500 else InvalidRequest)
    return error_type(message, status=status, **facts)


def retry_after_seconds(headers: Mapping[str, str]) -> float:
    """Return how long a 429 asks to wait, in seconds, at least 1.

    `Retry-After` is read as seconds or as an HTTP date (clients of this API disagree on its form); without it the
    longest reset among the windows that are used up counts, and with room in every window it is the limit per second.
    """
    given = headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdigit():
        return max(1.0, float(given))
    until, now = _date(given), _date(headers.get("Date"))
    if until and now:
        return max(1.0, (until - now).total_seconds())
    quota = Quota.from_headers(headers)
    return max(1.0, float(quota.wait_seconds() if quota else 1))


def first_words(body: bytes) -> str:
    """Return the first words of a body that is not the error envelope, without markup, at most 200 characters."""
    text = unescape(_TAGS.sub(b" ", body[:20_000]).decode(errors="replace"))
    return " ".join(text.split())[:200] or "an empty body"


def redacted_words(body: bytes, connection: Connection) -> str:
    """Return the first words with key and secrets masked, also one that the end of the words would cut in two."""
    return connection.redact(first_words(connection.redact(body.decode(errors="replace")).encode()))


def _date(header: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(header) if header else None
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date is not None and date.tzinfo is None else date
