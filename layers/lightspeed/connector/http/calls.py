"""HTTP calls in API Gateway's payload 2.0: access, bodies, errors, compression, limits."""

from __future__ import annotations

import base64
import gzip
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from connector.aws.errors import aws_error_types
from connector.errors import ConnectorError, RequestError
from connector.http.problem_details import HttpProblem, problem
from connector.http.routes import SCOPES, allowed_methods, find_route
from connector.observability import current_request_id, logger
from connector.validation import parse_json
from lightspeed import LightspeedError
from lightspeed.numbers import dumps

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightspeed import Clock

MAX_BODY_BYTES = 5_000_000
"""The largest body of an answer. Lambda takes 6,291,556 bytes of JSON, whose escapes add about a fifth."""

MAX_REQUEST_BYTES = 4_500_000
"""The largest body of a call. As base64 it just fits into a call of Lambda."""

ANSWER_WITHIN_SECONDS = 26.0
"""A slower route is answered with 504. API Gateway gives up at 30 s, cold start included."""

_MAX_ENCODED_BYTES = 6_290_000
_MIN_GZIP_BYTES = 1_000
_QUALITY = re.compile(r"\bq *= *([01](?:\.[0-9]{0,3})?)", re.ASCII)


def deadline(clock: Clock, seconds: float) -> Callable[[], float]:
    """Return a function that returns how many of the seconds from now on are left."""
    end = clock.monotonic() + seconds
    return lambda: end - clock.monotonic()


def resolver() -> APIGatewayHttpResolver:
    """Return a resolver that checks the caller's scope and answers every error as `application/problem+json`."""
    app = APIGatewayHttpResolver()

    def _unexpected(error: Exception) -> Response[Any]:
        if isinstance(error, aws_error_types()):
            logger().exception("AWS refused a call")
            return respond_problem(error)
        logger().exception("unexpected error")
        detail = f"unexpected {type(error).__name__}; the log has the details"
        return respond_problem(HttpProblem(500, "internal-error", detail))

    def _no_route(_: Exception) -> Response[Any]:
        return respond_problem(_no_such_route(app.current_event.http_method.upper(), app.current_event.path))

    app.exception_handler(Exception)(_unexpected)
    app.exception_handler([LightspeedError, ConnectorError])(respond_problem)
    app.not_found(_no_route)
    app.use([_check_call, _in_time])
    return app


def answer(app: APIGatewayHttpResolver, event: dict[str, Any], context: Any, **collaborators: object) -> dict[str, Any]:
    """Answer one HTTP call.

    Args:
        app: The function's resolver.
        event: API Gateway's event, payload 2.0.
        context: Lambda's.
        **collaborators: What the routes find in `app.context`.

    Returns:
        API Gateway's answer, within the size limit, and compressed if the caller takes gzip. It carries `X-Request-Id`,
        and the log lines carry the same `request_id`.
    """
    request_id = current_request_id()
    app.context.update(collaborators)
    found: dict[str, Any] = app.resolve(event, context)
    headers = {**found["headers"], "X-Request-Id": request_id}
    if found["isBase64Encoded"]:
        return {**found, "headers": headers}
    text = found["body"] or ""
    if not fits(text):
        detail = f"the answer is larger than {MAX_BODY_BYTES:,} bytes; ask for less at once"
        status, more, body = problem(HttpProblem(413, "answer-too-large", detail))
        text = json.dumps(body)
        found = {**found, "statusCode": status, "body": text}
        headers |= more
    raw = text.encode()
    if len(raw) < _MIN_GZIP_BYTES or not accepts_gzip(event):
        return {**found, "headers": headers}
    headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    body_text = base64.b64encode(gzip.compress(raw, 6, mtime=0)).decode()
    return {**found, "headers": headers, "body": body_text, "isBase64Encoded": True}


def respond_json(status: int, body: object, headers: dict[str, str] | None = None) -> Response[Any]:
    """Return an answer with a JSON body. A body of type `str` is JSON already."""
    headers = dict(headers or {})
    text = body if isinstance(body, str) else dumps(body).decode()
    content_type = headers.pop("Content-Type", "application/json")
    return Response(status_code=status, content_type=content_type, body=text, headers=headers)


def respond_problem(error: Exception) -> Response[Any]:
    """Return an error as an answer of type `application/problem+json`."""
    status, headers, body = problem(error)
    return respond_json(status, body, headers)


def fits(text: str) -> bool:
    """Return whether text can be the body of an answer, in bytes and after Lambda has escaped it."""
    return len(text.encode()) <= MAX_BODY_BYTES and len(json.dumps(text, ensure_ascii=False).encode()) <= (
        _MAX_ENCODED_BYTES
    )


def json_body(app: APIGatewayHttpResolver, *, exact: bool = False) -> Any:
    """Return the call's JSON body.

    Args:
        app: The function's resolver.
        exact: Whether numbers keep their text, see `lightspeed.numbers`. Else they are `int` or `float`.

    Raises:
        RequestError: The body is empty, no JSON, or nested too deep.
        HttpProblem: The body is too large, or its content type is not JSON.
    """
    event = app.current_event
    size = len(event.body or "") * 3 // 4 if event.is_base64_encoded else len((event.body or "").encode())
    if size > MAX_REQUEST_BYTES:
        advice = "put many records into a file under publish/in/, and an attachment under publish/files/ (s3_key)"
        raise HttpProblem(413, "too-large", f"the body has {size:,} bytes, at most {MAX_REQUEST_BYTES:,}; {advice}")
    media_type = (event.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        detail = f"the body must be JSON: send Content-Type: application/json, not {media_type!r:.100}"
        raise HttpProblem(415, "unsupported-media-type", detail, {"Accept-Post": "application/json"})
    try:
        text = event.decoded_body or ""
        if not text.strip():
            raise RequestError(["the body is empty"])
        return parse_json(text, exact=exact)
    except ValueError as error:
        raise RequestError([f"the body must be a JSON object: {error}"]) from None


def accepts_gzip(event: dict[str, Any]) -> bool:
    """Return whether the caller accepts a body in gzip."""
    return _qualities((event.get("headers") or {}).get("accept-encoding")).get("gzip", 0) > 0


def asks_for_page(app: APIGatewayHttpResolver) -> bool:
    """Return whether the caller is a browser that opens a page."""
    qualities = _qualities(app.current_event.headers.get("accept"))
    page = qualities.get("text/html", 0)
    return page > 0 and page >= qualities.get("application/json", 0)


def is_anonymous(app: APIGatewayHttpResolver) -> bool:
    """Return whether the call came without a token and without a signature."""
    authorizer = app.current_event.raw_event["requestContext"].get("authorizer") or {}
    return not authorizer.get("iam") and not (authorizer.get("lambda") or {}).get("token")


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


def _check_call(app: APIGatewayHttpResolver, next_middleware: Callable[..., Any]) -> Any:
    """Refuse a call of an unknown route, a call without a valid token, or a call without the route's scope."""
    event = app.current_event
    route = find_route(event.http_method.upper(), event.path)
    if route is None:
        raise _no_such_route(event.http_method.upper(), event.path)
    if route.scope is not None and not (route.page and asks_for_page(app) and is_anonymous(app)):
        _check_scope(route.scope, event.raw_event["requestContext"].get("authorizer") or {})
    return next_middleware(app)


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


def _in_time(app: APIGatewayHttpResolver, next_middleware: Callable[..., Any]) -> Any:
    """Run the route, and answer 504 if it takes too long, such as for a shop that sends one byte a second."""
    pool = ThreadPoolExecutor(max_workers=1)
    route = pool.submit(next_middleware, app)
    pool.shutdown(wait=False)
    try:
        return route.result(timeout=ANSWER_WITHIN_SECONDS)
    except TimeoutError:
        if route.done():
            raise
        detail = (
            f"no answer within {ANSWER_WITHIN_SECONDS:.0f} s; the work may still finish: ask again before repeating it"
        )
        raise HttpProblem(504, "too-slow", detail, {"Retry-After": "5"}) from None


def _no_such_route(method: str, path: str) -> HttpProblem:
    allowed = allowed_methods(path)
    call = f"there is no {method:.20} {path:.100}"
    if not allowed:
        return HttpProblem(404, "no-route", call)
    detail = f"{call}; this path answers {', '.join(allowed)}"
    return HttpProblem(405, "method-not-allowed", detail, {"Allow": ", ".join(allowed)})
