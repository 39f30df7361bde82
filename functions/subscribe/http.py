"""The HTTP routes of the subscribe function: everything that reads, and the start of runs."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from connector.errors import SettingsError
from connector.http import MAX_BODY_BYTES, accepts_gzip, answer, fits, json_body, prefers_async, resolver, respond_json
from connector.problem_details import HttpProblem, problem
from connector.transform.routes import register as register_transform
from lightspeed import CATALOGUE, PAGE_LIMIT, LightspeedError, RateLimited, SystemClock, get_entity
from lightspeed.catalogue.describe import describe
from lightspeed.connection_check import check, diagnosis
from subscribe.checks import subscribe_request
from subscribe.event import SubscribeRequest
from subscribe.runs import Query, Runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from subscribe.dependencies import Dependencies
    from subscribe.run.result import Result

ANSWER_SECONDS = 22.0
"""How long a call may read before its run goes on in the state machine. API Gateway gives up at 30 s."""

_RESERVED_BYTES = 20_000
"""What an answer's body holds besides `objects` and `data`, at most."""


def respond(event: dict[str, Any], context: Any, held: Dependencies) -> dict[str, Any]:
    """Answer one HTTP call."""
    return answer(_routes(), event, context, held=held, run_id=context.aws_request_id)


@functools.cache
def _routes() -> APIGatewayHttpResolver:
    app = resolver()
    app.get("/entities")(lambda: respond_json(200, {"entities": [describe(row) for row in CATALOGUE.values()]}))
    app.get("/entities/.+")(lambda: _entity(app))
    app.get("/connections/<name>")(lambda name: _check(_held(app), unquote(name)))
    app.get("/runs")(lambda: respond_json(200, _runs(app).page(Query.from_parameters(_query(app)))))
    app.get("/runs/<run_id>")(lambda run_id: respond_json(200, _runs(app).get(unquote(run_id))))
    app.post("/subscribe")(lambda: _subscribe(app))
    app.get("/openapi.json")(lambda: _file(app, "openapi.json", "application/json"))
    app.get("/docs")(lambda: _file(app, "index.html", "text/html; charset=utf-8"))
    app.get("/docs/<name>")(lambda name: _page_file(app, name))
    register_transform(app, lambda: _held(app).library)
    return app


def _held(app: APIGatewayHttpResolver) -> Dependencies:
    held: Dependencies = app.context["held"]
    return held


def _page_file(app: APIGatewayHttpResolver, name: str) -> Response[Any]:
    from subscribe.docs import PAGE_FILES  # noqa: PLC0415 - other calls do not pay for the page

    if name not in PAGE_FILES:
        raise HttpProblem(404, "no-file", f"the page has no file {name!r:.100}")
    return _file(app, name, PAGE_FILES[name], max_age_seconds=86_400)


def _file(app: APIGatewayHttpResolver, name: str, content_type: str, max_age_seconds: int = 0) -> Response[Any]:
    """Answer the document or a file of the page."""
    from subscribe import docs  # noqa: PLC0415 - other calls do not pay for the page

    headers = docs.headers(content_type, max_age_seconds)
    body, is_packed = docs.load(name, gzipped=accepts_gzip(app.current_event.raw_event))
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    content: str | bytes = body if is_packed else body.decode()
    return Response(status_code=200, content_type=headers.pop("Content-Type"), body=content, headers=headers)


def _runs(app: APIGatewayHttpResolver) -> Runs:
    held = _held(app)
    arn = held.settings.sync_state_machine_arn
    step_functions = held.aws.client("stepfunctions") if arn else None
    return Runs(held.aws.client("s3"), held.settings.bucket, step_functions, arn)


def _query(app: APIGatewayHttpResolver) -> dict[str, str]:
    return dict(app.current_event.query_string_parameters or {})


def _entity(app: APIGatewayHttpResolver) -> Response[Any]:
    """Answer what an entity can do; a pattern of the router takes no slash, and names of entities have one."""
    name = unquote(app.current_event.path.partition("/entities/")[2])
    return respond_json(200, describe(get_entity(name)))


def _check(held: Dependencies, name: str) -> Response[Any]:
    client = held.shops.open(name, fresh=True, remaining_seconds=_deadline())
    try:
        report = check(client)
    except LightspeedError as error:
        status, headers, body = problem(error)
        return respond_json(status, {**body, "detail": diagnosis(error, client.transport.connection)}, headers)
    return respond_json(200, {"connection": name, **report.as_dict()})


def _subscribe(app: APIGatewayHttpResolver) -> Response[Any]:
    held, request = _held(app), subscribe_request(json_body(app))
    run_id = request.run_id or app.context["run_id"]
    remaining = _deadline()
    if request.estimate:
        return respond_json(200, held.estimate(request, run_id, remaining))
    if request.run_id and not request.cursor and _is_running(app, run_id):
        return respond_json(202, {"run_id": run_id, "status": "running"}, {"Location": f"/runs/{run_id}"})
    if prefers_async(app):
        held.subscription(request, run_id, remaining).check()
        return _carry_on(held, request, {"run_id": run_id, "status": "running"})
    result = held.run(request, run_id, remaining)
    if result.body["status"] == "partial":
        if not held.settings.sync_state_machine_arn:
            message = "the quota or the time of one call is used up, and no state machine is set to carry the run on"
            wait = result.body["resume_after_seconds"]
            raise RateLimited(message, method="POST", path="/subscribe", retry_after_seconds=max(1, wait))
        return _carry_on(held, request, result.body)
    return respond_json(200, _complete(held, result))


def _complete(held: Dependencies, result: Result) -> str:
    """Return a complete run's result with its first page, as far as it fits into an answer."""
    body, objects = result.body, result.body["objects"]
    if not fits(json.dumps(objects)):
        body = {**body, "objects": [], "objects_omitted": f"the manifest lists all {len(objects)} objects"}
    room = MAX_BODY_BYTES - _RESERVED_BYTES - len(json.dumps(body).encode())
    records, more = _first_page(held, objects, room)
    if more:
        place = f"s3://{held.settings.bucket}/{objects[0]}"
        body = {
            **body,
            "data_omitted": f"only {len(records)} of {body['records']} records fit here; all are in {place}",
        }
    data = (records or ["null"])[0] if result.single and objects else f"[{','.join(records)}]"
    return f'{json.dumps(body, ensure_ascii=False, separators=(",", ":"))[:-1]},"data":{data}}}'


def _first_page(held: Dependencies, objects: list[str], room: int) -> tuple[list[str], bool]:
    """Return the first stored records as JSON texts, and whether the size limit left some of the page out."""
    records: list[str] = []
    for stored in held.bucket.first_lines(objects[0], PAGE_LIMIT) if objects else ():
        text = stored.decode()
        room -= max(len(stored), len(json.dumps(text, ensure_ascii=False).encode()) * 4 // 5)
        if room < 0:
            return records, True
        records.append(text)
    return records, False


def _carry_on(held: Dependencies, request: SubscribeRequest, body: dict[str, Any]) -> Response[Any]:
    """Start the state machine with the request, from the cursor on if there is one, and answer where to look."""
    if not held.settings.sync_state_machine_arn:
        raise SettingsError(["SYNC_STATE_MACHINE_ARN is not set, so no run can go on by itself"])
    event = request.as_event(cursor=body.get("cursor"))
    step_functions = held.aws.client("stepfunctions")
    run_id = body["run_id"]
    try:
        step_functions.start_execution(
            stateMachineArn=held.settings.sync_state_machine_arn, name=run_id, input=json.dumps(event)
        )
    except step_functions.exceptions.ExecutionAlreadyExists:
        body = {**body, "status": "running"}
    return respond_json(202, body, {"Location": f"/runs/{run_id}"})


def _is_running(app: APIGatewayHttpResolver, run_id: str) -> bool:
    execution = _runs(app).execution(run_id)
    return execution is not None and execution["status"] == "RUNNING"


def _deadline() -> Callable[[], float]:
    clock = SystemClock()
    end = clock.monotonic() + ANSWER_SECONDS
    return lambda: end - clock.monotonic()
