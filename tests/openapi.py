"""Write the OpenAPI 3.1 document of the HTTP API: `python -m tests.openapi`, or `make openapi`.

Schemas of requests come from the event types, examples of requests from events/, examples of problems from the table of
problems, and paths and scopes from the table of routes. A test compares the checked-in document with this program.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from connector import errors as own
from connector.http.calls import MAX_BODY_BYTES, MAX_REQUEST_BYTES
from connector.http.problem_details import HttpProblem, problem
from connector.http.routes import ROUTES, Route
from connector.runs.lookup import DEFAULT_LIMIT, MAX_LIMIT
from connector.transform.routes import TransformRequest
from lightspeed import errors as shop
from lightspeed import get_entity
from lightspeed.catalogue.describe import describe
from publish.event import PublishRequest
from subscribe.event import SubscribeRequest

Json = dict[str, Any]

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "functions" / "subscribe" / "docs" / "openapi.json"

DESCRIPTION = """\
Copies a Lightspeed eCom shop to S3 and writes changes back to it.

Send `Authorization: Bearer <token>`. The scope `read` allows every GET and `/transform`; `publish` allows
`/publish`; `admin` allows everything. Errors are `application/problem+json`. Every answer has `X-Request-Id`, which log
lines carry, too.
"""

_SHOP = {"method": "GET", "path": "/nl/quotes/7.json"}
_RUN = "11111111-2222-3333-4444-555555555555"
_FOLDER = "connection=default/entity=quotes/lang=nl/date=2026-11-23"
_PART = f"raw/{_FOLDER}/run={_RUN}/part-00000-4be1b8c0.jsonl.gz"
_MANIFEST = f"manifests/{_FOLDER}/{_RUN}.json"

RESULT: Json = {
    "run_id": _RUN,
    "connection": "default",
    "entity": "quotes",
    "status": "complete",
    "records": 1,
    "objects": [_PART],
    "manifest": _MANIFEST,
    "requests": 1,
    "bookmark": None,
    "verified": True,
}

PROBLEMS: dict[str, list[Exception]] = {
    "400": [own.RequestError(["unknown key foo (known keys: entity, connection, parameters)"])],
    "401": [
        HttpProblem(
            401,
            "not-authenticated",
            "send Authorization: Bearer <token> with a token that is valid",
            {"WWW-Authenticate": 'Bearer realm="lightspeed-connector"'},
        )
    ],
    "403": [
        HttpProblem(
            403,
            "missing-scope",
            "this call needs the scope admin; the token 'dashboard' has: read",
            {"WWW-Authenticate": 'Bearer realm="lightspeed-connector", error="insufficient_scope", scope="admin"'},
            scope="admin",
        )
    ],
    "404": [
        shop.UnknownEntity("quots", ["quotes", "quotes/products"]),
        own.UnknownConnection("outlet", "lightspeed-connector/outlet"),
        own.UnknownRun("unknown run 'run-7': no execution has this name, and there is no result of one"),
    ],
    "409": [
        own.IdempotencyConflict("idempotency key 'order-7' was used before with other content; nothing was sent"),
        own.RunInProgress("orders", _RUN, "2026-11-23T06:20:00Z"),
        own.RunConflict([f"run_id {_RUN} was used before for another request"]),
    ],
    "413": [HttpProblem(413, "too-large", f"the body has 9,000,000 bytes, at most {MAX_REQUEST_BYTES:,}")],
    "415": [
        HttpProblem(
            415,
            "unsupported-media-type",
            "the body must be JSON: send Content-Type: application/json, not 'text/plain'",
            {"Accept-Post": "application/json"},
        )
    ],
    "422": [
        shop.InvalidRequest("Invalid field: stockLevel", status=400, method="PUT", path="/nl/variants/7.json"),
        shop.AuthenticationError("Access denied.", status=401, method="GET", path="/nl/quotes/7.json"),
    ],
    "429": [shop.RateLimited("the quota is used up", retry_after_seconds=300, method="GET", path="/nl/quotes/7.json")],
    "500": [own.SettingsError(["BUCKET is not set"])],
    "502": [shop.ServerError("Internal error", status=500, method="GET", path="/nl/quotes/7.json")],
    "503": [
        HttpProblem(
            503,
            "aws-unavailable",
            "AWS answered GetObject with SlowDown: AWS is in trouble; try again",
            {"Retry-After": "5"},
        )
    ],
    "504": [shop.AnswerLost("no answer within 20 s", timed_out=True, method="GET", path="/nl/quotes/7.json")],
}

TITLES = {
    "400": "The request is wrong; nothing was sent to the shop",
    "401": "No token, or one that is not valid",
    "403": "The token lacks the scope",
    "404": "No such entity, connection, record or run",
    "409": "An idempotency key with other content, or a run is under way",
    "413": "The body of the call or of the answer is too large",
    "415": "The body is not declared as JSON",
    "422": "The shop refused it, or the connection's settings are wrong",
    "429": "The shop's quota is used up",
    "500": "The deployment is wrong, or a defect",
    "502": "The shop misbehaves",
    "503": "AWS is in trouble",
    "504": "The shop is too slow",
}

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_OBJECT: Json = {"type": "object"}
_NULLABLE_TEXT: Json = {"type": ["string", "null"]}


def schema(required: dict[str, Json], optional: dict[str, Json] | None = None) -> Json:
    """Return the schema of an object that may have more members than are named."""
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def reference(name: str) -> Json:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Json) -> Json:
    """Return the schema of an array."""
    return {"type": "array", "items": items}


RUN_FIELDS: dict[str, Json] = {
    "connection": _TEXT,
    "entity": _TEXT,
    "started": _TEXT,
    "records": _COUNT,
    "objects": array(_TEXT),
    "manifest": _NULLABLE_TEXT,
    "requests": _COUNT,
    "bookmark": {"type": ["object", "null"]},
    "verified": {"type": "boolean"},
    "reason": _NULLABLE_TEXT,
    "warnings": array(_TEXT),
    "cursor": {"type": "string", "description": "Opaque. Send the same event with it to continue."},
    "resume_after_seconds": {"type": "number", "minimum": 0},
}

SCHEMAS: dict[str, Json] = {
    "Problem": schema(
        {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
        {
            "errors": array(_TEXT),
            "entity": _TEXT,
            "operation": _TEXT,
            "nearest": array(_TEXT),
            "supported": array(_TEXT),
            "scope": _TEXT,
            "expression": _TEXT,
            "position": {"type": "integer"},
            "line": {"type": "integer"},
            "column": {"type": "integer"},
            "caret": _TEXT,
        },
    ),
    "Entity": schema(
        {
            "entity": _TEXT,
            "collection": {"type": "boolean"},
            "operations": _OBJECT,
            "filters": _OBJECT,
            "incremental": _NULLABLE_TEXT,
        }
    ),
    "ConnectionReport": schema(
        {
            "connection": _TEXT,
            "language": _TEXT,
            "languages": array(_TEXT),
            "permissions": _OBJECT,
            "utc_filters": {"type": ["boolean", "null"]},
            "quota": array(_OBJECT),
        }
    ),
    "RunResult": schema({"run_id": _TEXT, "status": _TEXT, "connection": _TEXT, "entity": _TEXT}, RUN_FIELDS)
    | {"description": "What a run read. `data` is the record, or the first page, as far as it fits into the answer."},
    "Run": schema(
        {"run_id": _TEXT, "status": {"enum": ["running", "paused", "complete", "failed"]}},
        RUN_FIELDS
        | {
            "finished": _TEXT,
            "failed_at": _TEXT,
            "error": _NULLABLE_TEXT,
            "cause": _NULLABLE_TEXT,
            "paused_since": _TEXT,
            "resume": _TEXT,
            "manifests": array(_TEXT),
        },
    ),
    "Status": schema(
        {
            "version": {"const": 1},
            "stack": _TEXT,
            "at": _TEXT,
            "level": {"enum": ["red", "warning", "good"]},
            "days": array(_TEXT),
            "actions": array(schema({"level": _TEXT, "what": _TEXT, "why": _TEXT, "command": _TEXT})),
            "subscriptions": array(reference("SubscriptionStatus")),
            "shops": array({"type": "object"}),
            "failures": array({"type": "object"}),
            "arrivals": array({"type": "object"}),
            "links": {"type": "object", "additionalProperties": _TEXT},
        }
    ),
    "SubscriptionStatus": schema(
        {
            "connection": _TEXT,
            "name": _TEXT,
            "entity": _TEXT,
            "level": {"enum": ["red", "warning", "good", "paused"]},
            "problems": array(
                {"enum": ["failed", "late", "unverified", "rejecting", "silent", "slow", "none_yet"]},
            ),
            "why": _TEXT,
            "command": _TEXT,
            "paused": {"type": "boolean"},
            "paused_by": {"enum": ["file", "hand", None]},
            "webhooks": {"type": "boolean"},
            "last_run": {"type": ["object", "null"]},
            "last_verified_at": _NULLABLE_TEXT,
            "newest_change_at": _NULLABLE_TEXT,
            "lag_seconds": {"type": ["integer", "null"]},
            "allowed_lag_seconds": {"type": ["integer", "null"]},
            "next_run_at": _NULLABLE_TEXT,
            "records_per_day": array({"type": "integer"}),
            "runs": array({"type": "object"}),
            "failed": {"type": "integer"},
            "deleted": {"type": "integer"},
        }
    ),
    "RunPage": schema({"runs": array(reference("Run")), "after": _NULLABLE_TEXT}),
    "PublishResult": schema(
        {
            "status": {
                "enum": ["created", "updated", "deleted", "unchanged", "done", "unknown", "dry_run", "failed", "queued"]
            }
        },
        {
            "http_status": {"type": ["integer", "null"]},
            "id": {},
            "record": {},
            "request_id": _TEXT,
            "ignored": array(_TEXT),
            "record_omitted": _TEXT,
            "error": reference("Problem"),
        },
    ),
    "PublishBatch": {
        "type": "object",
        "additionalProperties": False,
        "required": ["items"],
        "properties": {"items": array(reference("PublishRequest"))},
    },
    "PublishResults": schema({"results": array(reference("PublishResult"))}),
    "Queued": schema({"status": {"const": "queued"}, "message_ids": array(_TEXT)}),
    "Transformed": schema(
        {"steps": array(schema({"expression": _TEXT, "output": array({})})), "output": array({})},
    ),
}

REQUEST_ID: Json = {
    "X-Request-Id": {
        "description": "The id of this call, in the log lines as `request_id`",
        "schema": _TEXT,
        "required": True,
    }
}
PARAMETERS: dict[str, Json] = {
    "entity": {"description": "A name of the catalogue, with its slash", "example": "products/images"},
    "connection": {"description": "The name of a connection", "example": "default"},
    "run_id": {"description": "The id of a run", "example": _RUN},
    "file": {"description": "A file of the page", "example": "start.js"},
}
PREFER: Json = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`respond-async` asks for 202 at once",
    "schema": {"type": "string", "enum": ["respond-async"]},
}


def query(name: str, text: str, **more: object) -> Json:
    """Return an optional parameter of the query."""
    return {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string", **more}}


RUN_QUERY = [
    query("connection", "Only runs of this connection"),
    query("entity", "Only runs of this entity"),
    query("status", "Only runs with this status", enum=["running", "complete", "failed"]),
    {
        **query("limit", "The most runs to return"),
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    },
    query("after", "`after` of the page before", maxLength=512),
]


def event_body(name: str) -> Any:
    """Return the body of an HTTP event of events/."""
    return json.loads(json.loads((ROOT / "events" / name).read_text(encoding="utf-8"))["body"])


def answer(text: str, content_schema: Json, example: object, headers: Json | None = None) -> Json:
    """Return a response with a JSON body."""
    content = {"application/json": {"schema": content_schema, "example": example}}
    return {"description": text, "headers": {**REQUEST_ID, **(headers or {})}, "content": content}


def request_body(content_schema: Json, examples: dict[str, object]) -> Json:
    """Return a JSON body with examples."""
    named = {name: {"value": value} for name, value in examples.items()}
    text = f"At most {MAX_REQUEST_BYTES:,} bytes"
    content = {"application/json": {"schema": content_schema, "examples": named}}
    return {"required": True, "description": text, "content": content}


def page(text: str, content_type: str) -> Json:
    """Return a response that is a file."""
    return {"200": {"description": text, "headers": REQUEST_ID, "content": {content_type: {"schema": _TEXT}}}}


_LOCATION: Json = {"Location": {"description": "Where to look the run up", "schema": _TEXT}}
_STARTED = {"run_id": _RUN, "status": "running"}
_LISTED = {
    "run_id": _RUN,
    "status": "complete",
    "connection": "default",
    "entity": "quotes",
    "started": "2026-11-23T06:00:00Z",
    "finished": "2026-11-23T06:00:02Z",
    "records": 1,
    "verified": True,
    "reason": None,
    "warnings": [],
    "manifests": [_MANIFEST],
}
_CREATED = {"status": "created", "http_status": 201, "id": 7, "record": {"id": 7, "title": "Lamp"}, "request_id": "r-1"}
_REPORT = {
    "connection": "default",
    "origin": "https://api.webshopapp.com",
    "language": "nl",
    "languages": ["nl", "en"],
    "permissions": {"orders": {"read": True, "write": False}},
    "utc_filters": True,
    "quota": [{"name": "5 minutes", "limit": 300, "remaining": 299, "reset_seconds": 300}],
}

_STATUS = {
    "version": 1,
    "stack": "lightspeed-connector",
    "at": "2026-11-23T06:00:00Z",
    "level": "red",
    "days": ["2026-11-22", "2026-11-23"],
    "actions": [
        {
            "level": "red",
            "what": "failure queue runs",
            "why": "3 failed: AuthenticationError",
            "command": "python -m connector redrive --queue runs --cause AuthenticationError",
        }
    ],
    "subscriptions": [
        {
            "connection": "default",
            "name": "orders",
            "entity": "orders",
            "level": "red",
            "problems": ["failed"],
            "why": "3 failed: AuthenticationError",
            "command": "python -m connector redrive --cause AuthenticationError",
            "paused": False,
            "paused_by": None,
            "webhooks": True,
            "last_run": {"run_id": "r-1", "started": "2026-11-23T05:52:00Z", "records": 5, "verified": True},
            "last_verified_at": "2026-11-23T05:52:08Z",
            "newest_change_at": "2026-11-23T05:31:10Z",
            "lag_seconds": 480,
            "allowed_lag_seconds": 1808,
            "next_run_at": "2026-11-23T06:07:00Z",
            "records_per_day": [7, 5],
            "runs": [],
            "failed": 3,
            "deleted": 0,
        }
    ],
    "shops": [],
    "failures": [],
    "arrivals": [],
    "links": {"alarms": "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#alarmsV2:"},
}

OPERATIONS: dict[str, Json] = {
    "GET /entities": {
        "summary": "List the catalogue",
        "responses": {
            "200": answer(
                "Every entity",
                schema({"entities": array(reference("Entity"))}),
                {"entities": [describe(get_entity("quotes"))]},
            )
        },
    },
    "GET /entities/{entity+}": {
        "summary": "Describe an entity",
        "responses": {"200": answer("The entity", reference("Entity"), describe(get_entity("products/images")))},
        "errors": ["404"],
    },
    "GET /connections/{connection}": {
        "summary": "Check a connection",
        "description": "Asks the shop for permissions, languages and an order. This finds wrong credentials, a wrong "
        "cluster and an unknown language.",
        "responses": {"200": answer("The connection works", reference("ConnectionReport"), _REPORT)},
        "errors": ["400", "404", "422", "429", "502"],
    },
    "GET /status": {
        "summary": "Show whether everything works",
        "description": "What `python -m connector status` shows, worst first. A browser gets a page; without a token "
        "it has no data and asks for one.",
        "responses": {"200": answer("The status", reference("Status"), _STATUS)},
    },
    "GET /runs": {
        "summary": "List runs, newest first",
        "description": "By the UTC day of the start, then by the end, or by the start of a run that is under way. "
        "A page may hold fewer runs than `limit`; `after` is `null` at the end.",
        "parameters": RUN_QUERY,
        "responses": {"200": answer("A page", reference("RunPage"), {"runs": [_LISTED], "after": None})},
        "errors": ["400"],
    },
    "GET /runs/{run_id}": {
        "summary": "Look a run up",
        "responses": {"200": answer("The run", reference("Run"), {**RESULT, "started": "2026-11-23T06:00:00Z"})},
        "errors": ["404"],
    },
    "POST /subscribe": {
        "summary": "Read an entity and store it in S3",
        "parameters": [PREFER],
        "requestBody": request_body(
            reference("SubscribeRequest"),
            {
                "one record": event_body("subscribe-http-quote.json"),
                "a list": {"entity": "orders", "mode": "incremental"},
            },
        ),
        "responses": {
            "200": answer(
                "The result, with data",
                reference("RunResult"),
                {**RESULT, "data": {"id": 1016615295, "status": "open"}},
            ),
            "202": answer("The run continues in Sync", reference("Run"), _STARTED, _LOCATION),
        },
        "errors": ["400", "404", "409", "415", "422", "429", "502"],
    },
    "POST /transform": {
        "summary": "Try a transformer",
        "requestBody": request_body(
            reference("TransformRequest"), {"two steps": event_body("subscribe-http-transform.json")}
        ),
        "responses": {
            "200": answer(
                "What each expression returns",
                reference("Transformed"),
                {"steps": [{"expression": '{"id": id}', "output": [{"id": 7}]}], "output": [{"id": 7}]},
            )
        },
        "errors": ["400", "415"],
    },
    "POST /publish": {
        "summary": "Create, update or delete a record in the shop",
        "parameters": [PREFER],
        "requestBody": request_body(
            {"anyOf": [reference("PublishRequest"), reference("PublishBatch")]},
            {
                "one": event_body("publish-http-create-product.json"),
                "a batch": {"items": [event_body("publish-http-create-product.json")]},
            },
        ),
        "responses": {
            "200": answer(
                "The result, or one for each item",
                {"anyOf": [reference("PublishResult"), reference("PublishResults")]},
                {**_CREATED, "status": "updated", "http_status": 200},
            ),
            "201": answer("The record was created", reference("PublishResult"), _CREATED),
            "202": answer("The events are queued", reference("Queued"), {"status": "queued", "message_ids": ["m-1"]}),
        },
        "errors": ["400", "404", "409", "415", "422", "429", "502"],
    },
    "POST /webhooks/{connection}": {
        "summary": "Take a webhook of the shop",
        "description": "The shop calls this. `X-Signature` is the hex MD5 of the body followed by the secret of the "
        "connection.",
        "parameters": [
            {"name": "X-Signature", "in": "header", "required": False, "description": "Signature", "schema": _TEXT}
        ],
        "requestBody": {
            "required": False,
            "content": {"application/json": {"schema": {}, "example": event_body("webhook-http-order-updated.json")}},
        },
        "responses": {"204": {"description": "The webhook is stored", "headers": REQUEST_ID}},
        "errors": ["400", "401", "413", "503"],
    },
    "GET /openapi.json": {
        "summary": "This document",
        "responses": {
            "200": {
                "description": "OpenAPI 3.1",
                "headers": REQUEST_ID,
                "content": {"application/json": {"schema": _OBJECT}},
            }
        },
    },
    "GET /docs": {"summary": "The page that shows this document", "responses": page("The page", "text/html")},
    "GET /docs/{file}": {
        "summary": "A file of the page",
        "responses": {
            "200": {
                "description": "The file",
                "headers": REQUEST_ID,
                "content": {"text/javascript": {"schema": _TEXT}, "text/css": {"schema": _TEXT}},
            }
        },
        "errors": ["404"],
    },
}

_OF_EVERY_SCOPED_CALL = ["401", "403", "413", "500", "503", "504"]
_OF_EVERY_CALL = ["500", "504"]


def operation(route: Route) -> Json:
    """Return the operation of a route."""
    stated = dict(OPERATIONS[f"{route.method} {route.path}"])
    errors = {*stated.pop("errors", []), *(_OF_EVERY_SCOPED_CALL if route.scope else _OF_EVERY_CALL)}
    names = [part.strip("{}+") for part in route.path.split("/") if part.startswith("{")]
    in_path = [{"name": name, "in": "path", "required": True, "schema": _TEXT, **PARAMETERS[name]} for name in names]
    parameters = in_path + stated.pop("parameters", [])
    responses = {
        **stated.pop("responses"),
        **{code: {"$ref": f"#/components/responses/{code}"} for code in sorted(errors)},
    }
    word = route.path.strip("/").split("/")[0].replace("openapi.json", "openapi")
    identity = "_".join([route.method.lower(), word, *(["one"] if names else [])])
    scope = f"Needs the scope `{route.scope}`." if route.scope else "Needs no token."
    return {
        "operationId": identity,
        "tags": [_tag(route)],
        "summary": stated.pop("summary"),
        "description": f"{stated.pop('description', '')} {scope}".strip(),
        "security": [{"token": []}] if route.scope else [],
        **({"parameters": parameters} if parameters else {}),
        **stated,
        "responses": responses,
    }


def _tag(route: Route) -> str:
    if route.scope is None:
        return "without a token"
    return "publish" if route.scope == "publish" else "read and store"


def problem_response(code: str) -> Json:
    """Return the response of an error, with an example of each problem that it may hold."""
    examples: dict[str, Json] = {}
    headers: Json = {}
    for error in PROBLEMS[code]:
        status, sent, body = problem(error)
        assert str(status) == code, (code, status)
        examples[body["type"].rpartition(":")[2]] = {"value": body}
        headers |= {name: {"schema": _TEXT} for name in sent if name != "Content-Type"}
    content = {"application/problem+json": {"schema": reference("Problem"), "examples": examples}}
    return {"description": TITLES[code], "headers": {**REQUEST_ID, **headers}, "content": content}


def document() -> Json:
    """Return the OpenAPI document."""
    _, events = msgspec.json.schema_components(
        [SubscribeRequest, PublishRequest, TransformRequest],
        ref_template="#/components/schemas/{name}",
        schema_hook=lambda _: {"description": "Any JSON value"},
    )
    paths: dict[str, Json] = {}
    for route in ROUTES:
        paths.setdefault(route.path.replace("+}", "}"), {})[route.method.lower()] = operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lightspeed eCom connector",
            "version": "1",
            "description": DESCRIPTION + f"An answer has at most {MAX_BODY_BYTES:,} bytes of body.\n",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "./", "description": "where this document comes from"}],
        "tags": [{"name": "read and store"}, {"name": "publish"}, {"name": "without a token"}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A token of the API"}},
            "schemas": {**SCHEMAS, **events},
            "responses": {code: problem_response(code) for code in PROBLEMS},
        },
    }


def text() -> str:
    """Return the document as it is checked in."""
    return json.dumps(document(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    print(f"wrote {TARGET.relative_to(ROOT)}")
