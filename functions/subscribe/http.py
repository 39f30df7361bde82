"""The HTTP side of the subscribe function: reading calls only."""

from __future__ import annotations

import functools
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from connector.errors import SettingsError, UnknownRun
from connector.http import json_body, prefers_async, resolver, respond_json
from connector.problem_details import problem
from connector.transform.routes import register as register_transform
from lightspeed import CATALOGUE, PAGE_LIMIT, LightspeedError, RateLimited, get_entity
from lightspeed.catalogue.describe import describe
from lightspeed.connection_check import check, diagnosis
from subscribe.checks import subscribe_request
from subscribe.event import RUN_ID, SubscribeRequest
from subscribe.storage.bucket import run_key
from subscribe.sync.run import NOTED

if TYPE_CHECKING:
    from subscribe.dependencies import Dependencies

ANSWER_SECONDS = 22.0
"""How long a call may take before its run goes on in the state machine; API Gateway gives up at 30."""

_DATA_BYTES = 4 * 1024 * 1024
_FAILED = ("FAILED", "TIMED_OUT", "ABORTED")


def respond(event: dict[str, Any], context: Any, held: Dependencies) -> dict[str, Any]:
    """Answer one HTTP call."""
    app = _routes()
    app.context.update(held=held, run_id=context.aws_request_id)
    return app.resolve(event, context)


@functools.cache
def _routes() -> APIGatewayHttpResolver:
    app = resolver()
    app.get("/entities")(lambda: respond_json(200, {"entities": [describe(row) for row in CATALOGUE.values()]}))
    app.get("/entities/.+")(lambda: respond_json(200, describe(get_entity(_after(app, "/entities/")))))
    app.get("/connections/.+")(lambda: _check(app, _after(app, "/connections/")))
    app.get("/runs/.+")(lambda: _run(_held(app), _after(app, "/runs/")))
    register_transform(app, lambda: _held(app).library)
    app.post("/subscribe")(lambda: _subscribe(app))
    return app


def _held(app: APIGatewayHttpResolver) -> Dependencies:
    held: Dependencies = app.context["held"]
    return held


def _after(app: APIGatewayHttpResolver, prefix: str) -> str:
    return unquote(app.current_event.path.partition(prefix)[2])


def _check(app: APIGatewayHttpResolver, name: str) -> Response[Any]:
    client = _held(app).shops.open(name, fresh=True, remaining_seconds=_deadline())
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
    if request.plan:
        return respond_json(200, held.plan(request, run_id, remaining))
    if request.run_id and not request.cursor and _running(_execution(held, run_id)):
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
    data = _data(held, result.body["objects"])
    body = json.dumps(result.body, ensure_ascii=False, separators=(",", ":"))
    return respond_json(200, f'{body[:-1]},"data":{data if result.single and data else f"[{data}]"}}}')


def _data(held: Dependencies, objects: list[str]) -> str:
    """Return the first page of what was landed as JSON text, comma-separated, as far as it fits an answer."""
    records, size = [], 0
    for text in held.bucket.first_records(objects[0], PAGE_LIMIT) if objects else ():
        size += len(text)
        if size > _DATA_BYTES:
            break
        records.append(text.decode())
    return ",".join(records)


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


def _run(held: Dependencies, run_id: str) -> Response[Any]:
    if not RUN_ID.fullmatch(run_id):
        raise UnknownRun(f"unknown run {run_id!r}: a run_id holds up to 80 letters, digits and . _ = -")
    found = held.bucket.read_json(run_key(run_id))
    note: dict[str, Any] = found[0] if found is not None else {"run_id": run_id}
    for inner in {"cursor", *NOTED} - {"started"}:
        note.pop(inner, None)
    if note.get("status") != "complete":
        execution = _execution(held, run_id)
        if execution is None and found is None:
            raise UnknownRun(f"unknown run {run_id!r}: no such execution, and no result of one")
        note["status"] = "running"
        if execution is not None and execution["status"] in _FAILED:
            note |= {"status": "failed", "error": execution.get("error"), "cause": execution.get("cause")}
    return respond_json(200, note)


def _execution(held: Dependencies, run_id: str) -> dict[str, Any] | None:
    arn = held.settings.sync_state_machine_arn
    if not arn:
        return None
    step_functions = held.aws.client("stepfunctions")
    try:
        found: dict[str, Any] = step_functions.describe_execution(
            executionArn=f"{arn.replace(':stateMachine:', ':execution:')}:{run_id}"
        )
    except (step_functions.exceptions.ExecutionDoesNotExist, step_functions.exceptions.InvalidArn):
        return None
    return found


def _running(execution: dict[str, Any] | None) -> bool:
    return execution is not None and execution["status"] == "RUNNING"


def _deadline() -> Any:
    end = time.monotonic() + ANSWER_SECONDS
    return lambda: end - time.monotonic()
