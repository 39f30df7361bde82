"""The shop on a socket: a thin HTTP/1.1 server over `Shop.handle`.

It uses loopback only, keep-alive, one write per answer and no Nagle delay. So a request takes well under a millisecond.
Only here, delays and slow bodies take real time, unless the shop has another `wait`.
"""

import contextlib
import http.client
import http.server
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from .exchange import Answer, parse_request

if TYPE_CHECKING:
    from .shop import Shop

_PIECES = 10
_LONGEST_LINE = 1024
_LARGEST_BODY = 100_000_000


class ShopServer(http.server.ThreadingHTTPServer):
    """Listens on 127.0.0.1 and answers with the shop.

    Args:
        port: 0 for any free one.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, shop: "Shop") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.shop = shop
        self.port: int = self.server_address[1]
        self.closing = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._handlers: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, name="shop", daemon=True
        )

    def server_bind(self) -> None:
        """Bind without asking a name server for the host's name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def start(self) -> None:
        """Serve in a background thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, cut every open connection and wait for the threads."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            open_sockets, handlers = list(self._sockets), list(self._handlers)
        for connection in open_sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for handler in handlers:
            handler.join()
        self.server_close()

    def pass_seconds(self, seconds: float) -> None:
        """Wait, at most until the shop closes."""
        if self.shop.wait is None:
            self.closing.wait(seconds)
        else:
            self.shop.wait(seconds)

    def process_request(self, request: object, client_address: object) -> None:
        """Handle a connection in a thread that `close` can wait for."""
        assert isinstance(request, socket.socket)
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._lock:
            self._sockets.add(request)
            self._handlers = [handler for handler in self._handlers if handler.is_alive()]
            self._handlers.append(thread)
            thread.start()

    def shutdown_request(self, request: object) -> None:
        """Close a connection."""
        assert isinstance(request, socket.socket)
        with self._lock:
            self._sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print errors, except that a client closed its connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ShopServer

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Answer every verb, known or not; the shop decides which it allows."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        shop = self.server.shop
        body = self._body()
        if body is None:
            self.send_error(400, "The length of the body is wrong")
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = shop.handle(parse_request(self.command, self.path, headers, body, shop.clock.now()))
        wait = answer.delay_seconds + shop.latency_seconds
        if wait:
            self.server.pass_seconds(wait)
        self._send(answer)

    def _body(self) -> bytes | None:
        """Return the request's body, sent whole or in chunks; None if its length is wrong."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = _size(self.headers.get("Content-Length") or "0", 10)
        return None if length is None else self.rfile.read(length)

    def _chunks(self) -> bytes | None:
        chunks: list[bytes] = []
        while True:
            size = _size(self.rfile.readline(_LONGEST_LINE).partition(b";")[0].strip().decode("latin-1"), 16)
            if size is None:
                return None
            if size == 0:
                break
            chunks.append(self.rfile.read(size))
            self.rfile.readline(_LONGEST_LINE)
        while self.rfile.readline(_LONGEST_LINE).strip():
            pass  # trailers
        return b"".join(chunks)

    def _send(self, answer: Answer) -> None:
        if answer.drop:
            self.close_connection = True
            return
        phrase = http.client.responses.get(answer.status, "")
        lines = [f"HTTP/1.1 {answer.status} {phrase}"]
        if answer.status != 204:
            name = "content-length" if self.server.shop.habits.lower_case_headers else "Content-Length"
            lines.append(f"{name}: {len(answer.body)}")
        if answer.headers.get("Connection", answer.headers.get("connection")) == "close":
            self.close_connection = True
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        body = b"" if self.command == "HEAD" else answer.body
        if answer.cut_after is not None:
            self.close_connection = True
            self.wfile.write(head + body[: answer.cut_after])
        elif answer.trickle_seconds:
            self._trickle(head, body, answer.trickle_seconds)
        else:
            self.wfile.write(head + body)

    def _trickle(self, head: bytes, body: bytes, seconds: float) -> None:
        self.wfile.write(head)
        size = max(1, -(-len(body) // _PIECES))
        for start in range(0, len(body), size):
            self.server.pass_seconds(seconds / _PIECES)
            if self.server.closing.is_set():
                self.close_connection = True
                return
            self.wfile.write(body[start : start + size])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `Shop.requests` is the log."""


def _size(text: str, base: int) -> int | None:
    """Return the length of a body in bytes, or None if the header is no number or too large."""
    digits = "0123456789abcdef"[:base]
    if not text or len(text) > 20 or any(letter not in digits for letter in text.lower()):
        return None
    size = int(text, base)
    return size if size <= _LARGEST_BODY else None
