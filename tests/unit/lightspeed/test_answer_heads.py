"""Status and headers of an answer are read like the standard library reads them."""

import http.client
import io
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed.http_session import Attempt, _attempt, _TimedResponse
from tests.support.clock import FakeClock


class Bytes(socket.socket):
    """A socket that gives bytes."""

    def __init__(self, given: bytes) -> None:
        super().__init__()
        self.given = given

    def makefile(self, *_: Any, **__: Any) -> Any:
        return io.BufferedReader(io.BytesIO(self.given))


def head_of(kind: type[http.client.HTTPResponse], head: bytes) -> object:
    """Return the facts of an answer after its head, or the type of the error."""
    token = _attempt.set(Attempt(FakeClock(), 90, 60))
    try:
        with Bytes(head + b"\r\nbody") as sock:
            response = kind(sock)
            response.begin()
            facts = ("status", "reason", "version", "chunked", "length", "will_close")
            headers = [(name.lower(), value.strip()) for name, value in response.headers.items()]
            return [getattr(response, name) for name in facts], headers, response.read()
    except (http.client.HTTPException, ValueError) as error:
        return type(error)
    finally:
        _attempt.reset(token)


def same(head: bytes) -> object:
    """Compare the facts of both readers, and return them."""
    found = head_of(_TimedResponse, head)

    assert found == head_of(http.client.HTTPResponse, head)
    return found


_OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "head",
    [
        _OK,
        _OK + b"Content-Length: 2\r\n",
        _OK + b"content-length:  2  \r\nX: a\r\nX: b\r\n",
        _OK + b"Content-Length: -2\r\n",
        _OK + b"Content-Length: two\r\n",
        _OK + b"Content-Length: 2\r\nContent-Length: 3\r\n",
        _OK + b"Content-Length: 2\r\nConnection: close\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/2 200 OK\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 304\r\n",
        b"HTTP/1.1 100 Continue\r\nX: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 1000 OK\r\n",
        b"hello\r\n",
        b"",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n",
        _OK + b"X-Name: caf\xe9\r\nEmpty:\r\n",
        _OK + b"X: " + b"a" * 70_000 + b"\r\n",
        _OK + b"X: a\r\n" * 101,
        _OK + b"X: a\r\n" * 99,
        _OK + b"X: a\r\n" + b" folded\r\n" * 101,
    ],
    ids=lambda head: head[:40],
)
def test_a_head_is_read_like_the_standard_library_reads_it(head: bytes) -> None:
    same(head)


def test_a_chunked_body_is_read_to_its_last_chunk() -> None:
    head = _OK + b"Transfer-Encoding: Chunked\r\nContent-Length: 9\r\n\r\n2\r\nab\r\n0\r\n"

    headers = [("transfer-encoding", "Chunked"), ("content-length", "9")]
    assert same(head) == ([200, "OK", 11, True, None, False], headers, b"ab")


def test_a_folded_header_is_one_line() -> None:
    found: Any = head_of(_TimedResponse, _OK + b"X-Long: a\r\n  b\r\n\tc\r\nContent-Length: 2\r\n")

    assert found[1:] == ([("x-long", "a b c"), ("content-length", "2")], b"bo")


def test_a_line_that_is_no_header_hides_none_behind_it() -> None:
    found: Any = head_of(_TimedResponse, _OK + b"no header\r\nContent-Length: 2\r\n")

    assert found[1:] == ([("content-length", "2")], b"bo")


_NAMES = st.sampled_from(["Content-Length", "Connection", "Transfer-Encoding", "Keep-Alive", "X-Other"])
_VALUES = st.one_of(
    st.sampled_from(["0", "2", "close", "keep-alive", "chunked", "identity", ""]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8),
)


@given(
    st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.0 404 No", "HTTP/1.1 304 Not Modified", "HTTP/1.1 503"]),
    st.lists(st.tuples(_NAMES, _VALUES), max_size=4),
)
def test_any_head_is_read_like_the_standard_library_reads_it(status: str, headers: list[tuple[str, str]]) -> None:
    lines = [status, *(f"{name}: {value}" for name, value in headers)]
    body = "\r\n0\r\n" if any(value.lower() == "chunked" for _, value in headers) else ""

    same("".join(f"{line}\r\n" for line in lines).encode() + body.encode())
