"""A session that ends in time, reads no endless answer and reaches no link-local address.

`requests` bounds the time between two bytes, not the time of the whole answer, and it decompresses without a limit.
Here, connecting and every read and write check the deadline of the request first. The body is decompressed within a
limit.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import extract_cookies_to_jar, get_cookie_header
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Retry, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from zlib_ng import zlib_ng

from lightspeed.clock import Clock
from lightspeed.connect import AddressRefused, open_socket
from lightspeed.origin import is_refused_address
from lightspeed.request import Body

CONNECT_TIMEOUT_SECONDS = 5.0
_CHUNK_BYTES = 1 << 20
_SEND_BYTES = 1 << 14
"""The size of one TLS record: a socket's timeout bounds one record, not all of them."""

_HEADER_BYTES = 1 << 16
_MAX_HEADERS = 100
_GZIP = 31
_MAX_MEMBERS = 1000


class BodyTooLarge(Exception):
    """The body has more bytes than the limit, before or after decompression."""


class BodyCut(Exception):
    """The compressed body is damaged, or ends before its end."""


class UnknownEncoding(Exception):
    """The body has a content encoding that was not asked for."""


class Attempt:
    """One try of a request, with its deadline.

    Attributes:
        may_be_sent: Whether the shop may have seen the request; `exchange` sets it to false until a connection is made.

    Args:
        seconds: The time for the connection and the whole answer, from now on.
        idle_seconds: The longest wait for the next bytes of the answer.
    """

    def __init__(self, clock: Clock, seconds: float, idle_seconds: float) -> None:
        self.may_be_sent = True
        self._clock = clock
        self._end = clock.monotonic() + seconds
        self._idle_seconds = idle_seconds

    def seconds_left(self) -> float:
        """Return the time until the deadline, more than 0.

        Raises:
            TimeoutError: The deadline has passed.
        """
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the request has passed")
        return left

    def limit_wait(self, sock: socket.socket) -> None:
        """Make the socket wait no longer than until the deadline.

        Raises:
            TimeoutError: The deadline has passed.
        """
        left = self.seconds_left()
        if left < self._idle_seconds:
            sock.settimeout(left)


_attempt: ContextVar[Attempt] = ContextVar("attempt")


class PeerRefused(NewConnectionError):
    """The host name leads to an address that no shop has."""


class _TimedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        _attempt.get().limit_wait(self._sock)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock))

    def begin(self) -> None:
        """Read the status and the headers.

        The base class parses headers like those of an e-mail, which takes a seventh of the CPU time of a small request.
        """
        status, version, reason = 100, "", ""
        while 100 <= status < 200:  # informational answers, such as "continue"
            version, status, reason = self._read_status()  # type: ignore[attr-defined]
            self.headers = self.msg = _read_headers(self.fp)
        if not version.startswith(("HTTP/1.", "HTTP/0.9")):
            raise http.client.UnknownProtocol(version)
        self.version = 10 if version in ("HTTP/1.0", "HTTP/0.9") else 11
        self.code, self.status, self.reason = status, status, reason.strip()
        self.chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = None if self.chunked else _length(self.headers)
        if status in (204, 304):
            self.length = 0
        has_end = self.chunked or self.length is not None
        self.will_close = not has_end or self._check_close()  # type: ignore[attr-defined]


def _read_headers(stream: io.BufferedReader) -> http.client.HTTPMessage:
    """Return the headers of an answer, without lines that are no header.

    Raises:
        http.client.HTTPException: A line is too long, or there are too many lines.
    """
    lines: list[str] = []
    for _ in range(_MAX_HEADERS + 1):
        line = stream.readline(_HEADER_BYTES + 1)
        if line in (b"\r\n", b"\n", b""):
            break
        if len(line) > _HEADER_BYTES:
            raise http.client.LineTooLong("header line")
        text = line.decode("latin-1")
        if text[0] in " \t" and lines:  # a folded header goes on
            lines[-1] += f" {text.strip()}"
        else:
            lines.append(text.strip())
    else:
        raise http.client.HTTPException(f"got more than {_MAX_HEADERS} headers")
    headers = http.client.HTTPMessage()
    for text in lines:
        name, colon, value = text.partition(":")
        if colon:
            headers.set_raw(name, value.lstrip())
    return headers


def _length(headers: http.client.HTTPMessage) -> int | None:
    """Return the bytes of the body, or `None` if the headers do not give them."""
    try:
        length = int(headers.get("Content-Length", ""))
    except ValueError:
        return None
    return length if length >= 0 else None


class _PlainConnection(HTTPConnection):
    response_class = _TimedResponse

    def _new_conn(self) -> socket.socket:
        try:
            return open_socket(
                self._dns_host.strip("[]"),
                self.port,
                connect_seconds=self.timeout or CONNECT_TIMEOUT_SECONDS,
                seconds_left=_attempt.get().seconds_left,
                # a proxy's address says nothing about the shop's
                is_refused=is_refused_address if self.proxy is None else lambda _: False,
                options=self.socket_options or (),
            )
        except AddressRefused as error:
            raise PeerRefused(self, "the host name leads to a link-local address") from error
        except UnicodeError:
            raise LocationParseError(f"{self.host!r}, label empty or too long") from None
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error

    def request(self, *arguments: Any, **named: Any) -> None:
        if self.is_closed:
            self.connect()
        _attempt.get().may_be_sent = True
        super().request(*arguments, **named)

    def send(self, data: Any) -> None:
        attempt, view = _attempt.get(), memoryview(data)
        for start in range(0, len(view), _SEND_BYTES):
            attempt.limit_wait(self.sock)
            super().send(view[start : start + _SEND_BYTES])


class _SecureConnection(_PlainConnection, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _PlainPool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **named)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class Answer(NamedTuple):
    """An answer before its body is read.

    Attributes:
        headers: A mapping that ignores case.
    """

    status_code: int
    headers: Mapping[str, str]
    raw: BaseHTTPResponse


class Session:
    """Sends requests and repeats none. Safe to use from several threads.

    `requests` takes proxies and certificates from the environment, makes the connections and keeps cookies. urllib3
    sends, because `requests` takes twice as long to prepare a request and to wrap its answer.

    Attributes:
        headers: The headers of every request.

    Args:
        threads: How many threads will send at once.
    """

    def __init__(self, threads: int) -> None:
        self.headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "Connection": "keep-alive"}
        self._retries = Retry(0, redirect=0, read=False)
        self._session = requests.Session()
        adapter = _Adapter(pool_maxsize=threads, max_retries=self._retries)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._pools: dict[str, HTTPConnectionPool] = {}

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None,
        data: bytes | Body | None,
        headers: Mapping[str, str],
        timeout: tuple[float, float],
        proxies: Mapping[str, str],
    ) -> Answer:
        """Send a request and return its answer, whatever its status. A redirect is not followed.

        Args:
            method: The HTTP verb.
            url: The URL without the query; its path is percent-encoded.
            params: The query.
            data: The body.
            headers: Headers besides those of the session.
            timeout: Seconds for the connection, and for the next bytes of the answer.
            proxies: Proxies by scheme, in place of the environment's; the same for every request to a host.

        Raises:
            requests.RequestException: The URL, a proxy or a certificate of the environment is wrong.
            urllib3.exceptions.HTTPError: No answer came.
        """
        origin = "/".join(url.split("/", 3)[:3])
        pool = self._pools.get(origin) or self._connect(origin, proxies)
        sent = {**self.headers, **headers}
        if data is not None:
            sent["Content-Length"] = str(len(data))  # without it, urllib3 sends an iterable in chunks
        cookies: Any = self._session.cookies
        if cookies and (cookie := get_cookie_header(cookies, _for_cookies(url, sent))):  # type: ignore[no-untyped-call]
            sent["Cookie"] = cookie
        raw = pool.urlopen(
            method,
            url[len(origin) :] + (f"?{urlencode(params)}" if params else ""),
            body=data,
            headers=sent,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=self._retries,
            timeout=Timeout(connect=timeout[0], read=timeout[1]),
        )
        if "Set-Cookie" in raw.headers:
            extract_cookies_to_jar(cookies, _for_cookies(url, sent), raw)  # type: ignore[no-untyped-call]
        return Answer(raw.status, raw.headers, raw)

    def _connect(self, origin: str, proxies: Mapping[str, str]) -> HTTPConnectionPool:
        """Return the connections to a host. Proxies and certificates are looked up once for each host."""
        request = requests.Request("GET", f"{origin}/").prepare()
        url = str(request.url)
        settings = self._session.merge_environment_settings(url, dict(proxies), None, None, None)
        verify, cert = settings["verify"], settings["cert"]
        adapter: Any = self._session.get_adapter(url)
        pool: HTTPConnectionPool = adapter.get_connection_with_tls_context(
            request, verify, proxies=settings["proxies"], cert=cert
        )
        adapter.cert_verify(pool, url, verify, cert)
        return self._pools.setdefault(origin, pool)


def _for_cookies(url: str, headers: Mapping[str, str]) -> requests.PreparedRequest:
    """Return a request in the form that a cookie jar needs."""
    request = requests.PreparedRequest()
    request.url, request.headers = url, CaseInsensitiveDict(headers)
    return request


def exchange(
    session: Session, method: str, url: str, *, attempt: Attempt, max_bytes: int, **arguments: Any
) -> tuple[Answer, bytes]:
    """Send one request; return its answer and the decompressed body.

    Args:
        session: The session to use.
        method: The HTTP verb.
        url: The URL without the query.
        attempt: The deadline of the whole answer; stores whether the request may have been sent.
        max_bytes: The limit of the body, before and after decompression.
        **arguments: Further arguments of `Session.request`.

    Raises:
        BodyTooLarge: The body is over the limit; the rest of it was not read.
        BodyCut: The compressed body is damaged or ends early.
        UnknownEncoding: The body has a content encoding that was not asked for.
        requests.RequestException: The URL, a proxy or a certificate of the environment is wrong.
        urllib3.exceptions.HTTPError: No answer came, or it broke off.
    """
    token = _attempt.set(attempt)
    attempt.may_be_sent = False
    try:
        answer = session.request(method, url, **arguments)
        try:
            return answer, _body(answer, max_bytes)
        finally:
            answer.raw.close()
            answer.raw.release_conn()
    finally:
        _attempt.reset(token)


def _body(answer: Answer, max_bytes: int) -> bytes:
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    chunks = _chunks(answer, max_bytes)
    if encoding in ("gzip", "x-gzip"):
        return _gunzip(chunks, max_bytes)
    if encoding not in ("", "identity"):
        raise UnknownEncoding(encoding)
    pieces = list(chunks)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _chunks(answer: Answer, max_bytes: int) -> Iterator[bytes]:
    read = 0
    while not answer.raw.closed and (chunk := answer.raw.read(_CHUNK_BYTES, decode_content=False)):
        read += len(chunk)
        if read > max_bytes:
            raise BodyTooLarge
        yield chunk


def _gunzip(chunks: Iterator[bytes], max_bytes: int) -> bytes:
    """Decompress the members of a gzip body. Bytes after a complete member that are no member are ignored."""
    pieces: list[bytes] = []
    decoder, room, members = zlib_ng.decompressobj(_GZIP), max_bytes, 0
    for chunk in chunks:
        rest = chunk
        while rest:
            if decoder.eof:
                if members == _MAX_MEMBERS:
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
