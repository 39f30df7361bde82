"""A simulated Lightspeed eCom shop: a real HTTP server on loopback, written from what is known about the API.

It is a test double that may also be served by itself (`python -m tests.shop`). It shares no code with the client that
it tests: routes, paging, envelopes and errors are its own, so that a mistake in one shows up against the other.
"""

from .clock import Clock
from .exchange import ConnectionDropped, Request
from .faults import Fault
from .habits import Habits
from .shop import API_KEY, API_SECRET, Shop

__all__ = ["API_KEY", "API_SECRET", "Clock", "ConnectionDropped", "Fault", "Habits", "Request", "Shop"]
