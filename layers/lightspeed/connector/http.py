"""HTTP calls in and out, in the form of API Gateway's payload 2.0; errors leave as problems."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError

from connector.errors import ConnectorError, RequestError
from connector.observability import logger
from connector.problem_details import problem
from connector.validation import parse_json
from lightspeed import LightspeedError


def resolver() -> APIGatewayHttpResolver:
    """Return a resolver that answers every error of ours as `application/problem+json`."""
    app = APIGatewayHttpResolver()

    def _problem(error: Exception) -> Response[Any]:
        status, headers, body = problem(error)
        return respond_json(status, body, headers)

    def _no_route(_: Exception) -> Response[Any]:
        path = app.current_event.path
        body = {
            "type": "urn:lightspeed-connector:problem:no-route",
            "title": "No route",
            "status": 404,
            "detail": f"there is no {app.current_event.http_method} {path}",
        }
        return respond_json(404, body, {"Content-Type": "application/problem+json"})

    def _aws(error: Exception) -> Response[Any]:
        logger().exception("AWS refused a call")
        body = {
            "type": "urn:lightspeed-connector:problem:aws-refused",
            "title": "AWS refused",
            "status": 500,
            "detail": f"{_aws_reason(error)}: check the functions' environment and roles",
        }
        return respond_json(500, body, {"Content-Type": "application/problem+json"})

    app.exception_handler([LightspeedError, ConnectorError])(_problem)
    app.exception_handler([ClientError, BotoCoreError, GetParameterError])(_aws)
    app.not_found(_no_route)
    return app


def _aws_reason(error: BaseException) -> str:
    """Return which call AWS refused and its code; its message may tell more than a caller should see."""
    if isinstance(error, ClientError):
        return f"AWS answered {error.operation_name} with {error.response['Error']['Code']}"
    cause = error.__cause__ or error.__context__
    return _aws_reason(cause) if cause is not None else type(error).__name__


def respond_json(status: int, body: object, headers: dict[str, str] | None = None) -> Response[Any]:
    """Return an answer with a JSON body; text is taken to be JSON already."""
    headers = {"Content-Type": "application/json", **(headers or {})}
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    content_type = headers.pop("Content-Type")
    return Response(status_code=status, content_type=content_type, body=text, headers=headers)


def json_body(app: APIGatewayHttpResolver) -> Any:
    """Return the call's JSON body.

    Raises:
        RequestError: It is missing, no JSON, or nested too deep.
    """
    try:
        return parse_json(app.current_event.decoded_body or "")
    except ValueError as error:
        raise RequestError([f"the body must be a JSON object: {error}"]) from None


def prefers_async(app: APIGatewayHttpResolver) -> bool:
    """Whether the call asks for 202 at once, by `Prefer: respond-async`."""
    wishes = app.current_event.headers.get("prefer", "")
    return "respond-async" in [wish.split(";")[0].strip().lower() for wish in wishes.split(",")]
