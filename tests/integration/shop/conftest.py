"""A shop without limits for each test, answered in process; a test that needs sockets opens its own."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.shop import Clock, Shop

NOW = 1_790_000_200.0  # 21 September 2026, 14:16:40 UTC: 100 seconds into five minutes, 1,000 into the hour

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def clock() -> Clock:
    return Clock(frozen_at=NOW)


@pytest.fixture
def shop(clock: Clock) -> Shop:
    return Shop(quota=None, rate_per_second=None, clock=clock)


@pytest.fixture
def ask(shop: Shop) -> Ask:
    """Send a request to the shop and return status and decoded body: `ask("GET", "orders")`."""

    def ask(method: str, path: str, body: Any = None, *, language: str = "nl", **query: object) -> tuple[int, Any]:
        pairs = "&".join(f"{name}={value}".replace(" ", "%20") for name, value in query.items())
        target = f"/{language}/{path}.json" + (f"?{pairs}" if pairs else "")
        payload = b"" if body is None else json.dumps(body).encode()
        status, _, answer = shop.answer(method, target, body=payload)
        return status, json.loads(answer) if answer else None

    return ask
