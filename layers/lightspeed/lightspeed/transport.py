"""Send requests to one shop. `failures.py` says what a failed one means.

Retries live here and nowhere else. urllib3's own `Retry` is switched off: it does not see a cut body, the time that an
invocation has left, our pacing or the number of requests.

A request is sent at most `ATTEMPTS` times, and never past the time that is left:

- reads, updates and deletes: after no answer, a cut answer, 500, 502, 503, 504;
- reads: after a 404 that is not in the shop's own words, and a body that is no JSON;
- every verb: after a request that did not arrive, and a 429 whose wait fits into `patience_seconds`;
- once, with settings read again: after a 401, and when no connection can be made, since the settings may have changed;
- reads of an entity with `transient_404` (observed on orders), and lists that hang on no record: after a 404.

A 2xx answer that holds an error counts as that error. A write with such an answer may be done and is not sent again.

A list that timed out or answered 504 is not sent again: the caller asks for a smaller page instead.
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
from lightspeed.quota import Clock, Quota, RateLimiter, SystemClock, parse_header_time
from lightspeed.request import Request
from lightspeed.shop_clock import ShopClock

ATTEMPTS = 4
"""The first try and three more."""

NOT_FOUND_ATTEMPTS = 3
"""A 404 that may pass is asked again twice; then the record is gone. Fewer prove nothing."""

READ_TIMEOUT_SECONDS = 60.0
"""The longest wait for the next bytes of an answer."""

ANSWER_SECONDS = 90.0
"""The longest time for a whole answer, its body included."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""The most bytes of a body, before and after decompression: 20,000 times an order."""

WRITE_MARGIN_SECONDS = 5.0
"""A write is neither started nor repeated with less time left: its answer could not be waited for."""

PACE_PATIENCE_SECONDS = 8.0
"""The longest that one request waits for its turn in the requests per second, which other workers may use up."""

PATIENCE_SECONDS = 5.0
"""The longest that one request waits for the quota; longer waits belong to Step Functions and SQS, where they are free.
"""

_Found = TypeVar("_Found")

_NO_PLAIN_PROXY: Mapping[str, str] = {"http": ""}
"""Plain HTTP is for loopback only: a proxy of the environment must not see such a request or its credentials."""

_JSON = {"Content-Type": "application/json"}
USER_AGENT = "lightspeed-ecom-connector"
_IDEMPOTENT = ("GET", "PUT", "PATCH", "DELETE")
_PASSING_SERVER_ERRORS = (500, 502, 503, 504)
_BOMS = re.compile(rb"(\s*\xef\xbb\xbf)+")
"""PHP writes one for each of its files that begins so."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete 2xx answer.

    Attributes:
        body: Decompressed, without a byte order mark; empty for 204.
        request_id: The shop's id of the request; the caller's where the shop gives none.
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
        connection: The settings in use; replaced by `renew` after a 401.
        clock: Time for pacing, waiting and deadlines.
        quota: What the last answer said of the quota, or `None`.
        shop_clock: What the `Date` headers say of the shop's clock. Errors count as answers.
        requests_sent: Requests that were sent so far, retries included.
        rate_limited: How many of them were answered with 429.
        request_id: The caller's id, which every request carries; empty if there is none.
    """

    def __init__(  # noqa: PLR0913 - a shop, and what a caller has in place of the machine's own
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
        """Prepare a session; nothing is opened yet.

        Args:
            connection: The shop's address and credentials.
            renew: Reads the settings again; called once, after a 401 or when no connection can be made.
            clock: Time for pacing, waiting and deadlines.
            limiter: Paces requests, also those of other processes; without one, this session is paced alone.
            remaining_seconds: How long the caller may still run; bounds timeouts and retries.
            patience_seconds: The longest wait for a 429, in seconds, over all tries of one request.
            threads: How many threads will send at once.
            max_body_bytes: The most bytes of an answer's body, before and after decompression.
            request_id: The caller's id, which every request carries as `X-Request-Id`; empty sends none.
        """
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
        """Send a request and return what its 2xx answer holds.

        Args:
            request: What is sent.
            unwrap: Returns what an answer holds. It raises a `LightspeedError` for an answer that holds an error or
                cannot be read, and the request is sent again where that may help.

        Raises:
            TransportError: No complete answer came, after the tries that are safe.
            ApiError: The shop's error, of the class that its status means.
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
                if tries.made == ATTEMPTS or wait + least >= self._remaining_seconds():
                    if isinstance(error, NotFound):
                        raise failures.unproved(error) from error
                    raise
            tries.made += 1
            if wait:
                self.clock.sleep(wait)

    @property
    def has_time_to_write(self) -> bool:
        """Whether enough time is left to start a write and to wait for its answer."""
        return self._remaining_seconds() >= WRITE_MARGIN_SECONDS

    def _wait_seconds(self, error: LightspeedError, request: Request, tries: _Tries) -> float | None:
        """Return how long to wait before the next try, or `None` if there may be none."""
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
        return _backoff_seconds(tries.made) if _passing(error, request) else None

    def _update_quota(self, quota: Quota | None) -> None:
        if quota is None:
            return
        with self._lock:
            now = self.clock.monotonic()
            self.quota = quota.after(self.quota, now - self._quota_at)
            self._quota_at = now

    @property
    def skew_seconds(self) -> float:
        """How far the shop's clock is ahead of ours, as far as it is believed; 0 before the first answer."""
        return self.shop_clock.skew_seconds

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
        now = self.clock.time() + self.skew_seconds
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
        """Wait for the requests per second.

        Raises:
            RateLimited: Other workers use them for too long; nothing was sent.
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
                most_bytes=self._max_body_bytes,
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
        raise failure  # outside of the handler: the caught error holds the request, and so the credentials


def _credentials(connection: Connection) -> dict[str, str]:
    pair = f"{connection.api_key}:{connection.api_secret}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def _passing(error: LightspeedError, request: Request) -> bool:
    if isinstance(error, NotSent):
        return True
    if request.operation == "list" and failures.is_page_timeout(error):
        return False
    if isinstance(error, NotFound):
        return request.retry_not_found and error.status == 404 and not isinstance(error, UnknownLanguage)
    if isinstance(error, BrokenResponse):
        return request.method == "GET"
    passing = isinstance(error, TransportError) or (
        isinstance(error, ServerError) and error.status in _PASSING_SERVER_ERRORS
    )
    return passing and request.method in _IDEMPOTENT


def _least_seconds(request: Request) -> float:
    """Return how much time must be left for a request and its answer."""
    return 1.0 if request.method == "GET" else WRITE_MARGIN_SECONDS


def _backoff_seconds(attempt: int) -> float:
    return 0.5 * float(2 ** (attempt - 1)) * (1 + random.random() / 2)  # noqa: S311 - jitter, not a secret
