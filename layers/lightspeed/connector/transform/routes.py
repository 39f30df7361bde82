"""`POST /transform`: tries a transformer and answers the output of each step. It sends nothing to the shop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from connector.errors import TransformError
from connector.http.calls import json_body, respond_json
from connector.http.problem_details import problem
from connector.transform.library import Library
from connector.validation import QUOTED_CHARACTERS, parse_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response


class TransformRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A transformer, and the input to try it on.

    Attributes:
        transformer: An expression, a saved transformer, or a list of these.
        input: A record for an `entity_transformer`, else an object with `path`, `query` and `payload`.
        kind: `record` for an `entity_transformer`, else `parameters`.
        bookmark: The value of `$bookmark`.
        now: The time of `$now()`; the present if left out.
    """

    transformer: str | dict[str, str] | list[str | dict[str, str]]
    input: Any = None
    kind: str = "record"
    connection: str = "default"
    entity: str = ""
    language: str = ""
    bookmark: dict[str, Any] | None = None
    now: str | None = None


def register(app: APIGatewayHttpResolver, library: Callable[[], Library]) -> None:
    """Add the route to a resolver.

    Args:
        app: The resolver of the HTTP function.
        library: Returns the library; called once per request.
    """
    app.post("/transform")(lambda: _respond(json_body(app, exact=True), library()))


def answer(event: object, library: Library) -> dict[str, Any]:
    """Return the answer of a call: `steps`, each with `expression` and `output`, and the last step's `output`.

    An output is an array of records or of parameters.

    Raises:
        RequestError: The body is malformed.
        TransformError: An expression fails.
    """
    from connector.transform.tester import SCOPE, steps_of  # noqa: PLC0415 - the engine is slow at a cold start

    request = parse_event(TransformRequest, event)
    scope = {name: getattr(request, name) for name in SCOPE}
    steps = list(steps_of(request.transformer, request.input, kind=request.kind, scope=scope, library=library))
    return {"steps": steps, "output": steps[-1]["output"] if steps else [request.input]}


def _respond(event: object, library: Library) -> Response[Any]:
    try:
        return respond_json(200, msgspec.json.encode(answer(event, library)).decode())
    except TransformError as error:
        from connector.transform.engine.errors import caret, line_and_column  # noqa: PLC0415 - the same

        status, headers, body = problem(error)
        facts: dict[str, Any] = {"expression": error.expression[:QUOTED_CHARACTERS], "position": error.position}
        if error.position >= 0:
            facts["line"], facts["column"] = line_and_column(error.expression, error.position)
        start = max(0, error.position - QUOTED_CHARACTERS // 2)
        part = error.expression[start : start + QUOTED_CHARACTERS]
        facts["caret"] = caret(part, error.position - start if error.position >= 0 else -1)
        return respond_json(status, {**body, **facts}, headers)
