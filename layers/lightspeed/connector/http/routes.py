"""The routes of the HTTP API and the scope of each.

The functions check callers by this table, and answer 404 or 405 by it. The OpenAPI document lists it, and a test
compares it with template.yaml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCOPES = ("read", "publish", "admin")
"""The scopes of tokens: every GET and `/transform`; `/publish`; everything."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Attributes:
        method: The HTTP method, in capitals.
        path: The path in API Gateway's notation: `{name}` is one segment, `{name+}` is one or more.
        scope: The scope that a caller needs. `admin` is always enough. `None` needs no token.
        page: Whether a browser without a token gets a page without data, which asks for the token.
    """

    method: str
    path: str
    scope: str | None
    page: bool = False

    def answers(self, path: str) -> bool:
        """Return whether the route has this path."""
        expression = re.sub(r"\\\{\w+\\\+\\\}", ".+", re.escape(self.path))
        return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", expression), path) is not None


ROUTES = (
    Route("GET", "/entities", "read"),
    Route("GET", "/entities/{entity+}", "read"),
    Route("GET", "/connections/{connection}", "read"),
    Route("GET", "/runs", "read"),
    Route("GET", "/runs/{run_id}", "read"),
    Route("GET", "/status", "read", page=True),
    Route("POST", "/subscribe", "admin"),
    Route("POST", "/transform", "read"),
    Route("POST", "/publish", "publish"),
    Route("POST", "/webhooks/{connection}", None),
    Route("GET", "/openapi.json", None),
    Route("GET", "/docs", None),
    Route("GET", "/docs/{file}", None),
)


def find_route(method: str, path: str) -> Route | None:
    """Return the route that answers a call, or `None`."""
    return next((route for route in ROUTES if route.method == method and route.answers(path)), None)


def allowed_methods(path: str) -> list[str]:
    """Return the methods that a path answers, in order; empty for a path that no route has."""
    return sorted({route.method for route in ROUTES if route.answers(path)})
