"""Send requests to one shop. `failures.py` turns a failed request into an error.

Retries live here and nowhere else. urllib3's own `Retry` is off: it does not know a cut body, the time that an
invocation has left, our pacing or the number of requests.

A request is sent at most `MAX_ATTEMPTS` times, and never past the time that is left. It is sent again

- for a read, update or delete: after no answer, a cut answer, 500, 502, 503 or 504;
- for a read: after a 404 that is not in the shop's own words, or a body that is no JSON;
- for a read of an entity with `transient_404` (observed on orders), or of a list without a parent: after a 404;
- for every verb: after a request that did not arrive, or a 429 whose wait fits into `patience_seconds`;
- once, with the settings read again: after a 401, or if no connection can be made. The settings may have changed.

A 2xx answer that holds an error counts as that error. The shop may have done a write with such an answer, so the write
is not sent again. Neither is a list after a timeout or a 504: the caller asks for a smaller page instead.
"""

from __future__ import annotations

import math
import random
import re
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from lightspeed import failures
from lightspeed.clock import Clock, SystemClock
from lightspeed.connection import Connection
from lightspeed.errors import (
    AnswerLost,
    ApiError,
    AuthenticationError,
    BrokenResponse,
    LightspeedError,
    NotFound,
    NotSent,
    RateLimited,
    ResponseTooLarge,
    ServerError,
    TransportError,
    UnexpectedResponse,
    UnknownLanguage,
)
from lightspeed.http_session import (
    CONNECT_TIMEOUT_SECONDS,
    Answer,
    Attempt,
    BodyCut,
    BodyTooLarge,
    Session,
    UnknownEncoding,
    exchange,
)
from lightspeed.quota import Quota, parse_header_time
from lightspeed.rate_limiter import RateLimiter
from lightspeed.request import Request
from lightspeed.shop_clock import ShopClock

MAX_ATTEMPTS = 4
"""The first try and three more."""

NOT_FOUND_ATTEMPTS = 3
"""So many answers 404 prove that a record is gone, if a 404 may be temporary."""

READ_TIMEOUT_SECONDS = 60.0
"""The longest wait for the next bytes of an answer."""

ANSWER_SECONDS = 90.0
"""The longest time for a whole answer, its body included."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""The most bytes of a body, before and after decompression: as much as 20,000 orders."""

WRITE_MARGIN_SECONDS = 5.0
"""With less time left, a write is neither started nor repeated: its answer might come too late."""

PACE_PATIENCE_SECONDS = 8.0
"""The longest wait of one request for the limit per second, which other workers may use up."""

PATIENCE_SECONDS = 5.0
"""The longest wait of one request for the quota. Longer waits belong to Step Functions and SQS, where they are free."""

_Found = TypeVar("_Found")

_NO_PLAIN_PROXY: Mapping[str, str] = {"http": ""}
"""Plain HTTP is for loopback only: no proxy of the environment may see such a request and its credentials."""

_JSON = {"Content-Type": "application/json"}
USER_AGENT = "lightspeed-ecom-connector"
_IDEMPOTENT = ("GET", "PUT", "PATCH", "DELETE")
_TRANSIENT_STATUSES = (500, 502, 503, 504)
_BOMS = re.compile(rb"(\s*\xef\xbb\xbf)+")
"""Byte order marks. PHP writes one for each of its source files that begins with one."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete 2xx answer.

    Attributes:
        body: Decompressed, without a byte order mark; empty for 204.
        request_id: The shop's id of the request, or the caller's id if the shop gives none.
    """

    status: int
    body: bytes
    request_id: str


@dataclass(slots=True)
class _Tries:
    patience_seconds: float
    made: int = 1
    not_found: int = 0
    renewed: bool = False


class Transport:
    """A session with one shop. Safe to use from several threads.

    Attributes:
        connection: The settings in use; `renew` replaces them after a 401 or if no connection can be made.
        clock: Time for pacing, waiting and deadlines; the machine's by default.
        quota: The quota by the latest answers; `None` before the first answer that gives it.
        shop_clock: The shop's clock by the `Date` headers of its answers, errors included.
        requests_sent: Requests that were sent so far, retries included.
        rate_limited: How many of them were answered with 429.
        request_id: The caller's id, which every request carries as `X-Request-Id`; empty if there is none.

    Args:
        renew: Reads the settings again; called at most once for a request.
        limiter: Paces requests, also those of other processes. By default, this session is paced alone.
        remaining_seconds: How long the caller may still run; bounds timeouts and retries.
        patience_seconds: The longest wait for 429 answers, over all tries of one request.
        threads: How many threads will send at once.
        max_body_bytes: The most bytes of an answer's body, before and after decompression.
    """

    def __init__(  # noqa: PLR0913 - the shop and the caller's limits
        self,
        connection: Connection,
        *,
        renew: Callable[[], Connection] | None = None,
        clock: Clock | None = None,
        limiter: RateLimiter | None = None,
        remaining_seconds: Callable[[], float] = lambda: math.inf,
        patience_seconds: float = PATIENCE_SECONDS,
        threads: int = 1,
        max_body_bytes: int = MAX_BODY_BYTES,
        request_id: str = "",
    ) -> None:
        self.request_id = request_id
        self.connection = connection
        self.quota: Quota | None = None
        self._quota_at = 0.0
        self.shop_clock = ShopClock()
        self.requests_sent = 0
        self.rate_limited = 0
        self._renew = renew
        self.clock = clock or SystemClock()
        self._limiter = limiter or RateLimiter(self.clock)
        self._remaining_seconds = remaining_seconds
        self._patience_seconds = patience_seconds
        self._max_body_bytes = max_body_bytes
        self._lock = threading.Lock()
        self._session = Session(threads)
        self._session.headers["User-Agent"] = USER_AGENT
        if request_id:
            self._session.headers["X-Request-Id"] = request_id

    def send(self, request: Request) -> Response:
        """Send a request and return its 2xx answer; errors as in `fetch`."""
        return self.fetch(request, lambda response: response)

    def fetch(self, request: Request, unwrap: Callable[[Response], _Found]) -> _Found:
        """Send a request and return what `unwrap` finds in its 2xx answer.

        Args:
            request: The request.
            unwrap: Returns the content of an answer. It raises a `LightspeedError` for an answer that holds an error or
                cannot be read; then the request is sent again if that may help.

        Raises:
            TransportError: No complete answer came, after the tries that are safe.
            ApiError: The shop's error, of the class for its status.
            UnexpectedResponse: A redirect, which is never followed, or an answer that is not this API's.
        """
        tries = _Tries(patience_seconds=self._patience_seconds)
        while True:
            try:
                return unwrap(self._send_once(request))
            except LightspeedError as error:
                wait = self._wait_seconds(error, request, tries)
                least = _least_seconds(request)
                if wait is None:
                    raise
                if tries.made == MAX_ATTEMPTS or wait + least >= self._remaining_seconds():
                    if isinstance(error, NotFound):
                        raise failures.unconfirmed_404(error) from error
                    raise
            tries.made += 1
            if wait:
                self.clock.sleep(wait)

    @property
    def has_time_to_write(self) -> bool:
        """Whether enough time is left to start a write and to wait for its answer."""
        return self._remaining_seconds() >= WRITE_MARGIN_SECONDS

    def _wait_seconds(self, error: LightspeedError, request: Request, tries: _Tries) -> float | None:
        """Return how long to wait before the next try, or `None` if no try may follow."""
        if request.method != "GET" and isinstance(error, ApiError) and error.http_status < 300:
            return None
        if isinstance(error, RateLimited):
            tries.patience_seconds -= error.retry_after_seconds
            return error.retry_after_seconds if tries.patience_seconds >= 0 else None
        if isinstance(error, AuthenticationError | NotSent) and self._renew is not None and not tries.renewed:
            tries.renewed = True
            self.connection = self._renew()
            return 0.0
        if isinstance(error, NotFound):
            tries.not_found += 1
            if tries.not_found == NOT_FOUND_ATTEMPTS:
                return None
        return _backoff_seconds(tries.made) if _is_transient(error, request) else None

    def _update_quota(self, quota: Quota | None) -> None:
        if quota is None:
            return
        with self._lock:
            now = self.clock.monotonic()
            self.quota = quota.after(self.quota, now - self._quota_at)
            self._quota_at = now

    def shop_time(self) -> float:
        """Return the shop's time in epoch seconds, by its latest believed date; ours before the first answer."""
        return self.clock.time() + self.shop_clock.skew_seconds

    def _send_once(self, request: Request) -> Response:
        self._wait_for_pace(request)
        with self._lock:
            self.requests_sent += 1
        connection = self.connection
        facts = failures.Facts(method=request.method, path=request.path)
        answer, body = self._exchange(request, connection, facts)
        date = parse_header_time(answer.headers.get("Date", ""))
        if date is not None:
            self.shop_clock.add_date(date.timestamp() - self.clock.time())
        now = self.shop_time()
        self._update_quota(Quota.from_headers(answer.headers, now))
        if (marks := _BOMS.match(body)) is not None:
            body = body[marks.end() :]
        if answer.status_code == 429:
            with self._lock:
                self.rate_limited += 1
        if 200 <= answer.status_code < 300:
            return Response(
                status=answer.status_code,
                body=body,
                request_id=connection.redact(answer.headers.get("X-Request-Id", ""))[:200] or self.request_id,
            )
        raise failures.status_error(answer.status_code, answer.headers, body, facts, connection, now)

    def _wait_for_pace(self, request: Request) -> None:
        """Wait until the limit per second lets the request through.

        Raises:
            RateLimited: Other workers use up the limit for too long; nothing was sent.
        """
        patience = min(PACE_PATIENCE_SECONDS, self._remaining_seconds() - _least_seconds(request))
        if not self._limiter.wait(patience):
            message = "not sent: other workers use the shop's requests per second"
            wait = PATIENCE_SECONDS + 1
            raise RateLimited(message, method=request.method, path=request.path, retry_after_seconds=wait)

    def _exchange(self, request: Request, connection: Connection, facts: failures.Facts) -> tuple[Answer, bytes]:
        """Send a request once and return its complete answer."""
        left = self._remaining_seconds() - 1
        read_timeout = max(1.0, min(READ_TIMEOUT_SECONDS, left))
        attempt = Attempt(self.clock, max(1.0, min(ANSWER_SECONDS, left)), read_timeout)
        try:
            return exchange(
                self._session,
                request.method,
                connection.origin + request.path,
                attempt=attempt,
                max_bytes=self._max_body_bytes,
                params=request.query or None,
                data=request.body,
                headers=_credentials(connection) | (_JSON if request.body is not None else {}),
                timeout=(CONNECT_TIMEOUT_SECONDS, read_timeout),
                proxies=_NO_PLAIN_PROXY,
            )
        except BodyTooLarge:
            message = f"the answer has more than {self._max_body_bytes:,} bytes"
            failure: LightspeedError = ResponseTooLarge(message, status=200, **facts)
        except UnknownEncoding:
            failure = UnexpectedResponse("the answer is compressed in an unknown way", status=200, **facts)
        except BodyCut:
            failure = AnswerLost("the compressed answer is damaged or cut", **facts)
        except failures.BROKEN as error:
            failure = (
                failures.answer_lost(error, read_timeout, facts)
                if attempt.may_be_sent
                else failures.not_sent(error, connection.origin, facts)
            )
        raise failure  # outside of the handler, because the caught error holds the request with the credentials


def _credentials(connection: Connection) -> dict[str, str]:
    pair = f"{connection.api_key}:{connection.api_secret}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def _is_transient(error: LightspeedError, request: Request) -> bool:
    """Whether the same request may succeed now, and is safe to send again."""
    if isinstance(error, NotSent):
        return True
    if request.operation == "list" and failures.is_page_timeout(error):
        return False
    if isinstance(error, NotFound):
        return request.retry_not_found and error.status == 404 and not isinstance(error, UnknownLanguage)
    if isinstance(error, BrokenResponse):
        return request.method == "GET"
    transient = isinstance(error, TransportError) or (
        isinstance(error, ServerError) and error.status in _TRANSIENT_STATUSES
    )
    return transient and request.method in _IDEMPOTENT


def _least_seconds(request: Request) -> float:
    """Return the time that a request and its answer need at least."""
    return 1.0 if request.method == "GET" else WRITE_MARGIN_SECONDS


def _backoff_seconds(attempt: int) -> float:
    return 0.5 * float(2 ** (attempt - 1)) * (1 + random.random() / 2)  # noqa: S311 - jitter, not a secret
