"""Requests, answers, and the refusals that become error envelopes."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote


@dataclass
class Request:
    """One request as the shop received it.

    Attributes:
        path: as sent, with language and suffix (`/nl/orders.json`), without the query.
        query: the last value of each parameter.
        headers: names in lower case.
        status: the status of the answer; None while the request is handled, and for a connection dropped before.
        at: the shop's time of arrival, epoch seconds.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float = 0.0
    status: int | None = None

    @property
    def json(self) -> Any:
        """The body decoded; raises ValueError where it is not JSON."""
        return json.loads(self.body)


def parse_request(method: str, target: str, headers: dict[str, str], body: bytes, at: float) -> Request:
    """Build a request from the parts of an HTTP message; `target` is the path with its query."""
    path, _, text = target.partition("#")[0].partition("?")
    query = dict(parse_qsl(text, keep_blank_values=True)) if text else {}
    return Request(method, unquote(path) if "%" in path else path, query, headers, body, at)


@dataclass
class Answer:
    """An answer, and the way of its delivery.

    Attributes:
        headers: sent as they are, after `Content-Length`.
        drop: close the connection without sending anything.
        cut_after: send only so many bytes of the body, then close; `Content-Length` still names them all.
        delay_seconds: wait before the first byte.
        trickle_seconds: spread the body over so many seconds.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    cut_after: int | None = None
    delay_seconds: float = 0.0
    trickle_seconds: float = 0.0


class RefusedError(Exception):
    """The shop refuses the request. The answer is the error envelope with this status and message."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


class ConnectionDropped(ConnectionError):
    """`Shop.answer` raises it if a client on a socket would get no complete answer before the connection closes."""


def dumps(value: Any) -> str:
    """Encode as the shop does: compact, and with non-ASCII characters escaped."""
    return json.dumps(value, separators=(",", ":"))


_ACTIONS = {"POST": "CREATE", "PUT": "UPDATE"}


def error_answer(request: Request, status: int, message: str) -> Answer:
    """Build the error envelope that every refusal comes in; `method` of a write is its action, not the verb."""
    method = _ACTIONS.get(request.method, request.method)
    error = {"code": status, "method": method, "request": request.path, "message": message}
    return json_answer(status, dumps({"error": error}))


def json_answer(status: int, text: str) -> Answer:
    """Build an answer from JSON text."""
    return Answer(status, text.encode(), {"Content-Type": "application/json; charset=utf-8"})
