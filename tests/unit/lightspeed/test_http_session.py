"""A session sends the same requests as `requests`."""

import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import requests

from lightspeed.clock import SystemClock
from lightspeed.http_session import Attempt, Session, exchange

HEADERS = {"Authorization": "Basic a2V5OnNlY3JldA=="}
Seen = list[tuple[str, str, dict[str, str], bytes]]


class Recorder(BaseHTTPRequestHandler):
    """Notes requests, and gives a cookie that only `/nl/orders` gets."""

    protocol_version = "HTTP/1.1"
    seen: Seen

    def answer(self) -> None:
        """Answer with nothing."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.send_header("Set-Cookie", "node=7; Path=/nl/orders")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the base class's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def recorded() -> Iterator[tuple[str, Seen]]:
    seen: Seen = []
    handler = type("Handler", (Recorder,), {"seen": seen})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
        server.shutdown()


def send(session: Session, method: str, url: str, query: dict[str, str] | None, body: bytes | None) -> None:
    attempt = Attempt(SystemClock(), 60, 60)
    arguments: dict[str, Any] = {"params": query, "data": body, "timeout": (5, 5), "proxies": {"http": ""}}
    answer, _ = exchange(session, method, url, attempt=attempt, max_bytes=1000, headers=HEADERS, **arguments)
    assert answer.status_code == 200
    assert attempt.may_be_sent


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "/nl/orders.json", {"page": "3", "created_at_max": "2026-11-23 06:00:00"}, None),
        ("GET", "/nl/orders.json", None, None),
        ("GET", "/nl/a%20b/%C3%A9/x~y.json", {"q": "\u00e9&=+/ %", "none": "", "x": "~-_."}, None),
        ("POST", "/nl/orders.json", None, b'{"order":{}}'),
        ("POST", "/nl/orders/7/credit.json", None, None),
        ("PUT", "/nl/orders/7.json", None, b"{}"),
    ],
)
def test_a_session_sends_what_requests_sends(
    recorded: tuple[str, Seen], method: str, path: str, query: dict[str, str] | None, body: bytes | None
) -> None:
    origin, seen = recorded
    session = Session(1)
    headers: dict[str, Any] = {**session.headers, **HEADERS, "User-Agent": None}
    requests.request(method, origin + path, params=query, data=body, headers=headers, timeout=5)

    send(session, method, origin + path, query, body)

    wanted, sent = seen
    wanted[2].pop("user-agent", None)
    sent[2].pop("user-agent", None)
    assert sent == wanted


def test_a_cookie_goes_back_to_where_it_came_from(recorded: tuple[str, Seen]) -> None:
    origin, seen = recorded
    session = Session(1)

    for path in ("/nl/orders/7.json", "/nl/orders/8.json", "/nl/products/9.json"):
        send(session, "GET", origin + path, None, None)

    assert [headers.get("cookie") for _, _, headers, _ in seen] == [None, "node=7", None]
