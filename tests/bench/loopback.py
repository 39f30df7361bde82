"""HTTP servers of the bench: threads on 127.0.0.1 with keep-alive, each in a process of its own."""

from __future__ import annotations

import http.server
import json
import socket
from typing import Any


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers in one write, without Nagle's delay."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_expect_100(self) -> bool:
        """Tell the client to go on, at once."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def read_body(self) -> bytes:
        """Return the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send an answer; it ends with its `Content-Length`."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def answer_json(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        """Send JSON."""
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """A thread for each connection; `state` is what its handlers share."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[Handler], state: Any) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.state = state

    def server_bind(self) -> None:
        """Bind without asking a name server for the host's name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over clients that went away: a contestant that dies is part of the figures."""


def serve(handler: type[Handler], state: Any) -> None:
    """Serve until the process is ended; say the port on standard output first."""
    server = Server(handler, state)
    print(server.server_port, flush=True)
    server.serve_forever()
