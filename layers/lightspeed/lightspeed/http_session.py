"""A `requests` session that ends in time, reads no endless answer and reaches no link-local address.

`requests` bounds the time between two bytes, not the whole answer, and decompresses without a limit. Here every read
from the socket asks the deadline of the request first, headers included, and the body is decompressed within a limit.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError
from zlib_ng import zlib_ng

from lightspeed.connection import is_refused_address
from lightspeed.quota import Clock

CONNECT_TIMEOUT_SECONDS = 5.0
_CHUNK_BYTES = 1 << 20
_GZIP = 31
_MOST_MEMBERS = 1000


class BodyTooLarge(Exception):
    """The body has more bytes than the limit, before or after decompression."""


class BodyCut(Exception):
    """The compressed body is damaged, or ends before its end."""


class UnknownEncoding(Exception):
    """The body has a content encoding that was not asked for."""


class Deadline:
    """The time by which the whole answer of one request must be there."""

    def __init__(self, clock: Clock, seconds: float, idle_seconds: float) -> None:
        """Start the time.

        Args:
            clock: The time.
            seconds: For the whole answer, from now on.
            idle_seconds: The longest wait for its next bytes.
        """
        self._clock = clock
        self._end = clock.monotonic() + seconds
        self._idle_seconds = idle_seconds

    def shorten(self, sock: socket.socket) -> None:
        """Let the socket wait until the deadline at most.

        Raises:
            TimeoutError: The deadline has passed.
        """
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the request has passed")
        if left < self._idle_seconds:
            sock.settimeout(left)


_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


class PeerRefused(NewConnectionError):
    """The host name leads to an address that no shop has."""


class _TimedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        deadline = _deadline.get()
        if deadline is not None:
            deadline.shorten(self._sock)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock))


class _PlainConnection(HTTPConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        super().connect()
        _check_peer(self)


class _SecureConnection(HTTPSConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        super().connect()
        _check_peer(self)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _PlainPool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    def __init__(self, **named: Any) -> None:
        self._pools: dict[str, Any] = {}
        super().__init__(**named)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **named)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def get_connection_with_tls_context(self, request: Any, *arguments: Any, **named: Any) -> Any:
        """Look a shop's connections up once; every request of the session gives the same arguments."""
        origin = _origin(request.url)
        if origin not in self._pools:
            self._pools[origin] = super().get_connection_with_tls_context(request, *arguments, **named)
        return self._pools[origin]


class _Session(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        self._settings: dict[str, Any] = {}
        self._reads: dict[Any, requests.PreparedRequest] = {}

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a read as a copy of the shop's first one with another path and query.

        Preparing from nothing costs more than the rest of `requests`.
        """
        auth = request.auth
        if request.method != "GET" or request.data or request.headers or not isinstance(auth, HTTPBasicAuth):
            return super().prepare_request(request)
        origin = _origin(request.url)
        key = (origin, auth.username, auth.password)
        if key not in self._reads:
            self._reads[key] = super().prepare_request(requests.Request("GET", f"{origin}/", auth=auth))
        prepared = self._reads[key].copy()
        path = str(request.url)[len(origin) + 1 :]
        prepared.url = str(prepared.url) + path + (f"?{urlencode(request.params)}" if request.params else "")
        if self.cookies:
            prepared.headers.pop("Cookie", None)
            prepared.prepare_cookies(self.cookies)
        return prepared

    def merge_environment_settings(self, url: Any, *arguments: Any) -> Any:
        """Read proxies and certificates from the environment once per shop, which costs more than a request.

        Every request of the session gives the same arguments.
        """
        origin = _origin(url)
        if origin not in self._settings:
            self._settings[origin] = super().merge_environment_settings(url, *arguments)
        return dict(self._settings[origin])

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return nothing: redirects are never followed, and `requests` fails on a `Location` that is no UTF-8."""


def _origin(url: Any) -> str:
    return "/".join(str(url).split("/", 3)[:3])


def open_session(threads: int) -> requests.Session:
    """Return a session that repeats no request; no connection is made yet.

    Args:
        threads: How many threads will send at once.
    """
    session = _Session()
    adapter = _Adapter(pool_maxsize=threads, max_retries=Retry(0, redirect=0, read=False))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "gzip"})
    return session


def exchange(
    session: requests.Session, method: str, url: str, *, deadline: Deadline, most_bytes: int, **arguments: Any
) -> tuple[requests.Response, bytes]:
    """Send one request; return its answer and the decompressed body. Redirects are not followed.

    Args:
        session: From `open_session`.
        method: The HTTP verb.
        url: Without the query.
        deadline: Of the whole answer.
        most_bytes: Limit of the body, before and after decompression.
        **arguments: Further arguments of `requests`.

    Raises:
        BodyTooLarge: The body is over the limit; the rest of it was not read.
        BodyCut: The compressed body is damaged or ends early.
        UnknownEncoding: The body is compressed in a way that was not asked for.
        requests.RequestException: As `requests` raises it.
        urllib3.exceptions.HTTPError: As `urllib3` raises it while the body is read.
    """
    token = _deadline.set(deadline)
    try:
        with session.request(method, url, allow_redirects=False, stream=True, **arguments) as answer:
            return answer, _body(answer, most_bytes)
    finally:
        _deadline.reset(token)


def _body(answer: requests.Response, most_bytes: int) -> bytes:
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    chunks = _chunks(answer, most_bytes)
    if encoding in ("gzip", "x-gzip"):
        return _gunzip(chunks, most_bytes)
    if encoding not in ("", "identity"):
        raise UnknownEncoding(encoding)
    pieces = list(chunks)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _chunks(answer: requests.Response, most_bytes: int) -> Iterator[bytes]:
    read = 0
    while chunk := answer.raw.read(_CHUNK_BYTES, decode_content=False):
        read += len(chunk)
        if read > most_bytes:
            raise BodyTooLarge
        yield chunk


def _gunzip(chunks: Iterator[bytes], most_bytes: int) -> bytes:
    """Decompress gzip, one member after another; what follows a complete member and is none is ignored."""
    pieces: list[bytes] = []
    decoder, room, members = zlib_ng.decompressobj(_GZIP), most_bytes, 0
    for chunk in chunks:
        rest = chunk
        while rest:
            if decoder.eof:
                if members == _MOST_MEMBERS:
                    raise BodyCut("the compressed body has too many members")
                decoder, members = zlib_ng.decompressobj(_GZIP), members + 1
            try:
                piece = decoder.decompress(rest, room + 1)
            except zlib_ng.error as error:  # type: ignore[misc] # its stub says that the class is an instance
                if members:
                    return b"".join(pieces)
                raise BodyCut(str(error)) from None
            room -= len(piece)
            if room < 0:
                raise BodyTooLarge
            pieces.append(piece)
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if pieces and not decoder.eof:
        raise BodyCut("the compressed body ends early")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _check_peer(connection: HTTPConnection) -> None:
    """Close a connection whose host name leads to a link-local or metadata address; nothing was sent yet.

    Raises:
        PeerRefused: It does. Behind a proxy the address is not known.
    """
    direct = connection.proxy is None and connection.sock is not None
    if direct and is_refused_address(connection.sock.getpeername()[0]):
        connection.close()
        raise PeerRefused(connection, "the host name leads to a link-local address")
