"""The base of transports that make their answers themselves."""

from collections.abc import Callable
from typing import TypeVar

from lightspeed import Clock, Response
from lightspeed.clock import SystemClock
from lightspeed.request import Request

_Found = TypeVar("_Found")


class FakeTransport:
    """A transport without retries. A subclass makes the answer in `send`.

    Attributes:
        clock: Measures the time of an answer.
    """

    clock: Clock = SystemClock()

    def send(self, request: Request) -> Response:
        raise NotImplementedError

    def fetch(self, request: Request, unwrap: Callable[[Response], _Found]) -> _Found:
        return unwrap(self.send(request))
