"""A simulated Lightspeed eCom shop: a real HTTP server on loopback, written from the known facts about the API.

`python -m tests.shop` serves it alone. It shares no code with the client: it has its own routes, paging, envelopes and
errors. So a mistake in one of the two fails a test.
"""

from .clock import Clock
from .exchange import ConnectionDropped, Request
from .faults import Fault
from .habits import Habits
from .shop import API_KEY, API_SECRET, Shop

__all__ = ["API_KEY", "API_SECRET", "Clock", "ConnectionDropped", "Fault", "Habits", "Request", "Shop"]
