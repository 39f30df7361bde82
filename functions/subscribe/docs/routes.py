"""The routes of the API's documentation, which need no token."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from connector.http.headers import accepts_gzip
from connector.http.problem_details import HttpProblem
from subscribe.docs import PAGE_FILES, headers, load, version

_MAX_AGE_SECONDS = 365 * 86_400
"""The cache time of a file with its version in the URL. After an upgrade, the page names the file by another URL."""


def register(app: APIGatewayHttpResolver) -> None:
    """Add the document, the page and its files to a resolver."""
    app.get("/openapi.json")(lambda: _file(app, "openapi.json", "application/json"))
    app.get("/docs")(lambda: _file(app, "index.html", "text/html; charset=utf-8"))
    app.get("/docs/<name>")(lambda name: _page_file(app, name))


def _page_file(app: APIGatewayHttpResolver, name: str) -> Response[Any]:
    if name not in PAGE_FILES:
        raise HttpProblem(404, "no-file", f"the page has no file {name!r:.100}")
    asked = app.current_event.query_string_parameters.get("v")
    return _file(app, name, PAGE_FILES[name], _MAX_AGE_SECONDS if asked == version(name) else 0)


def _file(app: APIGatewayHttpResolver, name: str, content_type: str, max_age_seconds: int = 0) -> Response[Any]:
    body, is_packed = load(name, gzipped=accepts_gzip(app.current_event.raw_event))
    sent = headers(max_age_seconds)
    if is_packed:
        sent["Content-Encoding"] = "gzip"
    content: str | bytes = body if is_packed else body.decode()
    return Response(status_code=200, content_type=content_type, body=content, headers=sent)
