"""`GET /status`: the content of `python -m connector status` as JSON, or as a page for a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from connector.http.access import is_anonymous
from connector.http.calls import deadline, respond_json
from connector.http.headers import asks_for_page
from connector.status.page import POLICY, page
from connector.status.reader import stack_status
from lightspeed import Client
from subscribe.docs import headers, load

if TYPE_CHECKING:
    from subscribe.dependencies import Dependencies

_HTML = "text/html; charset=utf-8"


def respond(app: APIGatewayHttpResolver, deps: Dependencies) -> Response[Any]:
    """Answer with the status. A browser without a token gets a page without data, which asks for the token."""
    if asks_for_page(app) and is_anonymous(app):
        body, _ = load("status.html", gzipped=False)
        return Response(status_code=200, content_type=_HTML, body=body.decode(), headers=headers(0))
    status = stack_status(deps.aws, deps.settings, deps.clock, lambda name, seconds: _open(deps, name, seconds))
    if not asks_for_page(app):
        return respond_json(200, status)
    sent = {**headers(0), "Content-Security-Policy": POLICY, "Cache-Control": "no-store", "X-Page": "status"}
    return Response(status_code=200, content_type=_HTML, body=page(status), headers=sent)


def _open(deps: Dependencies, name: str, seconds: float) -> Client:
    return deps.shops.open(name, remaining_seconds=deadline(deps.clock, seconds))
