"""The HTTP routes of the subscribe function: all routes that read, and the start of runs."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from connector.aws.executions import start_execution
from connector.errors import ConnectorError, SettingsError
from connector.http.calls import (
    MAX_BODY_BYTES,
    answer,
    deadline,
    fits,
    json_body,
    resolver,
    respond_json,
)
from connector.http.headers import prefers_async
from connector.http.problem_details import HttpProblem, problem
from connector.runs.lookup import Query, Runs
from connector.transform.routes import register as register_transform
from lightspeed import CATALOGUE, PAGE_LIMIT, LightspeedError, RateLimited, get_entity
from lightspeed.catalogue.describe import describe
from lightspeed.connection_check import check_connection, diagnose
from subscribe.checks import subscribe_request
from subscribe.docs.routes import register as register_docs
from subscribe.event import SubscribeRequest

if TYPE_CHECKING:
    from subscribe.dependencies import Dependencies
    from subscribe.run.result import Result

ANSWER_SECONDS = 22.0
"""How long a call may read. After that the state machine continues its run. API Gateway waits 30 s for an answer."""

_RESERVED_BYTES = 20_000
"""The most bytes of an answer's body without `objects` and `data`."""


def respond(event: dict[str, Any], context: Any, deps: Dependencies) -> dict[str, Any]:
    """Answer one HTTP call."""
    return answer(_routes(), event, context, deps=deps, run_id=context.aws_request_id)


@functools.cache
def _routes() -> APIGatewayHttpResolver:
    app = resolver()
    app.get("/entities")(lambda: respond_json(200, {"entities": [describe(row) for row in CATALOGUE.values()]}))
    app.get("/entities/.+")(lambda: _entity(app))
    app.get("/connections/<name>")(lambda name: _check(_deps(app), unquote(name)))
    app.get("/runs")(lambda: respond_json(200, _runs(app).page(Query.from_parameters(_query(app)))))
    app.get("/runs/<run_id>")(lambda run_id: respond_json(200, _runs(app).get(unquote(run_id))))
    app.get("/status")(lambda: _status(app))
    app.post("/subscribe")(lambda: _subscribe(app))
    register_docs(app)
    register_transform(app, lambda: _deps(app).library)
    return app


def _deps(app: APIGatewayHttpResolver) -> Dependencies:
    deps: Dependencies = app.context["deps"]
    return deps


def _runs(app: APIGatewayHttpResolver) -> Runs:
    deps = _deps(app)
    arn = deps.settings.sync_state_machine_arn
    step_functions = deps.aws.client("stepfunctions") if arn else None
    return Runs(deps.bucket, deps.clock, step_functions=step_functions, state_machine_arn=arn)


def _query(app: APIGatewayHttpResolver) -> dict[str, str]:
    return dict(app.current_event.query_string_parameters or {})


def _entity(app: APIGatewayHttpResolver) -> Response[Any]:
    """Describe an entity. Its name comes from the path, because a pattern of the router cannot hold a slash."""
    name = unquote(app.current_event.path.partition("/entities/")[2])
    return respond_json(200, describe(get_entity(name)))


def _check(deps: Dependencies, name: str) -> Response[Any]:
    client = deps.shops.open(name, fresh=True, remaining_seconds=deadline(deps.clock, ANSWER_SECONDS))
    try:
        report = check_connection(client)
    except LightspeedError as error:
        status, headers, body = problem(error)
        return respond_json(status, {**body, "detail": diagnose(error, client.transport.connection)}, headers)
    return respond_json(200, {"connection": name, **asdict(report)})


def _status(app: APIGatewayHttpResolver) -> Response[Any]:
    from subscribe.status import respond as respond_status  # noqa: PLC0415 - other routes do not pay for it

    return respond_status(app, _deps(app))


def _subscribe(app: APIGatewayHttpResolver) -> Response[Any]:
    deps, request = _deps(app), subscribe_request(json_body(app))
    run_id = request.run_id or app.context["run_id"]
    remaining = deadline(deps.clock, ANSWER_SECONDS)
    if request.estimate:
        return respond_json(200, deps.estimate(request, run_id, remaining))
    if request.run_id and not request.cursor and _is_running(app, request):
        return respond_json(202, {"run_id": run_id, "status": "running"}, {"Location": f"/runs/{run_id}"})
    if prefers_async(app):
        deps.build_run(request, run_id, remaining).check()
        return _continue_in_sync(app, request, {"run_id": run_id, "status": "running"})
    result = deps.run(request, run_id, remaining)
    if result.body["status"] == "partial":
        if not deps.settings.sync_state_machine_arn:
            message = "the quota or the time of one call is used up, and no state machine is set to carry the run on"
            wait = result.body["resume_after_seconds"]
            raise RateLimited(message, method="POST", path="/subscribe", retry_after_seconds=max(1, wait))
        return _continue_in_sync(app, request, result.body)
    return respond_json(200, _complete(deps, result))


def _complete(deps: Dependencies, result: Result) -> str:
    """Return the result of a complete run with as much of its first page as fits into an answer, as JSON text."""
    body, objects = result.body, result.body["objects"]
    if not fits(json.dumps(objects)):
        body = {**body, "objects": [], "objects_omitted": f"the manifest lists all {len(objects)} objects"}
    room = MAX_BODY_BYTES - _RESERVED_BYTES - len(json.dumps(body).encode())
    records, more = _first_page(deps, objects, room)
    if more:
        place = f"s3://{deps.settings.bucket}/{objects[0]}"
        body = {
            **body,
            "data_omitted": f"only {len(records)} of {body['records']} records fit here; all are in {place}",
        }
    data = (records or ["null"])[0] if result.single and objects else f"[{','.join(records)}]"
    return f'{json.dumps(body, ensure_ascii=False, separators=(",", ":"))[:-1]},"data":{data}}}'


def _first_page(deps: Dependencies, objects: list[str], room: int) -> tuple[list[str], bool]:
    """Return the first stored records as JSON texts, and whether some of the page do not fit into `room` bytes."""
    records: list[str] = []
    for stored in deps.bucket.first_lines(objects[0], PAGE_LIMIT) if objects else ():
        text = stored.decode()
        room -= max(len(stored), len(json.dumps(text, ensure_ascii=False).encode()) * 4 // 5)
        if room < 0:
            return records, True
        records.append(text)
    return records, False


def _continue_in_sync(app: APIGatewayHttpResolver, request: SubscribeRequest, body: dict[str, Any]) -> Response[Any]:
    """Start the state machine with the request and the body's cursor, if any; answer with the address of the run.

    Raises:
        HttpProblem: 409 if the run id belongs to an execution with another request.
    """
    deps = _deps(app)
    if not deps.settings.sync_state_machine_arn:
        raise SettingsError(["SYNC_STATE_MACHINE_ARN is not set, so Sync cannot continue the run"])
    event = request.as_event(cursor=body.get("cursor"))
    run_id, arn = body["run_id"], deps.settings.sync_state_machine_arn
    if not start_execution(deps.aws.client("stepfunctions"), arn, run_id, event):
        if not _is_running(app, msgspec.structs.replace(request, run_id=run_id)):
            detail = f"run {run_id} ended before, and its id cannot be used again: send the event with another run_id"
            raise HttpProblem(409, "run-conflict", detail, run_id=run_id) from None
        body = {**body, "status": "running"}
    return respond_json(202, body, {"Location": f"/runs/{run_id}"})


def _is_running(app: APIGatewayHttpResolver, request: SubscribeRequest) -> bool:
    """Whether the run of a request is under way in the state machine.

    Raises:
        HttpProblem: 409 if that run has another request.
    """
    run_id = request.run_id or ""
    execution = _runs(app).execution(run_id)
    if execution is None or execution["status"] != "RUNNING":
        return False
    if not _asks_for(execution, request):
        detail = f"run {run_id} is under way and does something else: send the event with another run_id"
        raise HttpProblem(409, "run-conflict", detail, run_id=run_id)
    return True


def _asks_for(execution: dict[str, Any], request: SubscribeRequest) -> bool:
    """Whether an execution was started with an event that asks for the same."""
    try:
        started = subscribe_request(json.loads(execution["input"]))
    except (ValueError, KeyError, ConnectorError, LightspeedError):
        return False
    return msgspec.structs.replace(started, run_id=request.run_id, cursor=request.cursor) == request
