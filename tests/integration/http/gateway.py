"""API Gateway's part in this process, as a WSGI application: routes, the authorizer, and events of payload 2.0."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

import authorizer.app
import publish.app
import subscribe.app
import webhook.app
from connector.http.routes import find_route
from tests.support.lambda_context import Context

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
_TEXTS = ("text/", "application/json", "application/xml", "application/javascript")


class Gateway:
    """The HTTP API before the functions. What no route takes goes to `subscribe`, as in the template."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        event = self._event(environ)
        function, parameters, guarded = _target(event)
        event["pathParameters"] = parameters
        if guarded:
            found = authorizer.app.lambda_handler(event, None)
            event["requestContext"]["authorizer"] = {"lambda": found["context"]}
        answer = function(event, Context(f"lambda-{next(self._numbers)}"))
        body = answer.get("body") or ""
        raw = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        status = answer["statusCode"]
        headers = [(name, str(value)) for name, value in answer.get("headers", {}).items()]
        start_response(f"{status} {HTTPStatus(status).phrase}", [*headers, ("Content-Length", str(len(raw)))])
        return [raw]

    def _event(self, environ: dict[str, Any]) -> dict[str, Any]:
        path = quote(("/" + environ["PATH_INFO"].removeprefix("/")).encode("latin-1"), safe="/!$&'()*+,;=:@-._~")
        headers = {
            name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
        }
        if environ.get("CONTENT_TYPE"):
            headers["content-type"] = environ["CONTENT_TYPE"]
        raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        is_text = headers.get("content-type", "").startswith(_TEXTS)
        query = environ.get("QUERY_STRING", "")
        http = {"method": environ["REQUEST_METHOD"], "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"}
        return {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "queryStringParameters": dict(parse_qsl(query, keep_blank_values=True)),
            "headers": headers,
            "requestContext": {
                "http": {**http, "userAgent": "test"},
                "requestId": f"request-{next(self._numbers)}",
                "stage": "$default",
                "timeEpoch": 1_795_413_600_000,
            },
            "body": raw.decode(errors="replace") if is_text else base64.b64encode(raw).decode(),
            "isBase64Encoded": not is_text,
        }


def _target(event: dict[str, Any]) -> tuple[Handler, dict[str, str], bool]:
    """Return the function that takes a call, the parameters of its path, and whether the authorizer sees it."""
    path = event["rawPath"]
    route = find_route(event["requestContext"]["http"]["method"], path)
    if route is None:
        return subscribe.app.lambda_handler, {}, False
    if route.path.startswith("/webhooks/"):
        return webhook.app.lambda_handler, {"connection": path.rpartition("/")[2]}, False
    function = publish.app.lambda_handler if route.scope == "publish" else subscribe.app.lambda_handler
    return function, {}, route.scope is not None
