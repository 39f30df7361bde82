"""What a transport of a test is that makes its answers itself."""

from collections.abc import Callable
from typing import TypeVar

from lightspeed import Clock, Response
from lightspeed.clock import SystemClock
from lightspeed.request import Request

_Found = TypeVar("_Found")


class FakeTransport:
    """A transport whose `send` makes the answer; nothing is sent again.

    Attributes:
        clock: Measures how long an answer takes.
    """

    clock: Clock = SystemClock()

    def send(self, request: Request) -> Response:
        raise NotImplementedError

    def fetch(self, request: Request, unwrap: Callable[[Response], _Found]) -> _Found:
        return unwrap(self.send(request))
