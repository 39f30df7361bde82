"""Who may call a route of the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.http.headers import asks_for_page
from connector.http.problem_details import HttpProblem
from connector.http.routes import SCOPES, allowed_methods, find_route
from connector.observability import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver


def check_call(app: APIGatewayHttpResolver, next_middleware: Callable[..., Any]) -> Any:
    """Refuse a call of an unknown route, a call without a valid token, or a call without the route's scope."""
    event = app.current_event
    route = find_route(event.http_method.upper(), event.path)
    if route is None:
        raise no_such_route(app)
    if route.scope is not None and not (route.page and asks_for_page(app) and is_anonymous(app)):
        _check_scope(route.scope, event.raw_event["requestContext"].get("authorizer") or {})
    return next_middleware(app)


def is_anonymous(app: APIGatewayHttpResolver) -> bool:
    """Return whether the call came without a token and without a signature."""
    authorizer = app.current_event.raw_event["requestContext"].get("authorizer") or {}
    return not authorizer.get("iam") and not (authorizer.get("lambda") or {}).get("token")


def _check_scope(needed: str, authorizer: dict[str, Any]) -> None:
    """Refuse a caller without the scope, by the context of the authorizer. IAM has checked a signed call."""
    if authorizer.get("iam"):
        return
    caller = authorizer.get("lambda") or {}
    if caller.get("error"):
        raise HttpProblem(503, "tokens-unavailable", str(caller["error"]), {"Retry-After": "5"})
    if not caller.get("token"):
        detail = "send Authorization: Bearer <token> with a token that is valid"
        raise HttpProblem(401, "not-authenticated", detail, {"WWW-Authenticate": 'Bearer realm="lightspeed-connector"'})
    logger().append_keys(token=caller["token"])
    scopes = str(caller.get("scopes") or "").split()
    if needed not in scopes and SCOPES[-1] not in scopes:
        has = ", ".join(scopes) or "none"
        detail = f"this call needs the scope {needed}; the token {caller['token']!r:.100} has: {has}"
        challenge = f'Bearer realm="lightspeed-connector", error="insufficient_scope", scope="{needed}"'
        raise HttpProblem(403, "missing-scope", detail, {"WWW-Authenticate": challenge}, scope=needed)


def no_such_route(app: APIGatewayHttpResolver) -> HttpProblem:
    """Return the problem of a call that no route takes: 404, or 405 for a path that has other methods."""
    event = app.current_event
    allowed = allowed_methods(event.path)
    call = f"there is no {event.http_method.upper():.20} {event.path:.100}"
    if not allowed:
        return HttpProblem(404, "no-route", call)
    detail = f"{call}; this path answers {', '.join(allowed)}"
    return HttpProblem(405, "method-not-allowed", detail, {"Allow": ", ".join(allowed)})
