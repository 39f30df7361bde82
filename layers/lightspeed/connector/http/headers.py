"""The headers of a call that ask for a form of the answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

_QUALITY = re.compile(r"\bq *= *([01](?:\.[0-9]{0,3})?)", re.ASCII)


def accepts_gzip(event: dict[str, Any]) -> bool:
    """Return whether the caller accepts a body in gzip."""
    return _qualities((event.get("headers") or {}).get("accept-encoding")).get("gzip", 0) > 0


def asks_for_page(app: APIGatewayHttpResolver) -> bool:
    """Return whether the caller is a browser that opens a page."""
    qualities = _qualities(app.current_event.headers.get("accept"))
    page = qualities.get("text/html", 0)
    return page > 0 and page >= qualities.get("application/json", 0)


def prefers_async(app: APIGatewayHttpResolver) -> bool:
    """Return whether the call has `Prefer: respond-async`, which asks for 202 at once."""
    return "respond-async" in _qualities(app.current_event.headers.get("prefer"))


def _qualities(header: str | None) -> dict[str, float]:
    """Return the entries of a header in lower case, each with its `q` from 0 to 1; the default is 1."""
    found = {}
    for listed in (header or "").lower().split(","):
        name, _, parameters = listed.partition(";")
        quality = _QUALITY.search(parameters)
        found[name.strip()] = float(quality[1]) if quality else 1.0
    return found
