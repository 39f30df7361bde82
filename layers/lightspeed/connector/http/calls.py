"""HTTP calls in API Gateway's payload 2.0: bodies, errors, compression, limits."""

from __future__ import annotations

import base64
import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from connector.aws.errors import aws_error_types
from connector.errors import ConnectorError, RequestError
from connector.http.access import check_call, no_such_route
from connector.http.headers import accepts_gzip
from connector.http.problem_details import HttpProblem, problem
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
        return respond_problem(no_such_route(app))

    app.exception_handler(Exception)(_unexpected)
    app.exception_handler([LightspeedError, ConnectorError])(respond_problem)
    app.not_found(_no_route)
    app.use([check_call, _in_time])
    return app


def answer(app: APIGatewayHttpResolver, event: dict[str, Any], context: Any, **collaborators: object) -> dict[str, Any]:
    """Answer one HTTP call.

    Args:
        app: The function's resolver.
        event: API Gateway's event, payload 2.0.
        context: Lambda's context.
        **collaborators: The objects that the routes find in `app.context`.

    Returns:
        API Gateway's answer, within the size limit, in gzip if the caller accepts it. Its `X-Request-Id` is the
        `request_id` of the log lines.
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
